"""The tables that a terminal shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from experiments.validate.study import Results
from toysae.report.findings import tally
from toysae.report.numbers import format_number
from toysae.results.files import Row
from toysae.results.findings import Finding

_MOST_ROWS = 30

_PAIRS = {
    "A": "a",
    "B": "b",
    "A→B": "a_to_b",
    "B→A": "b_to_a",
    "chance": "a_to_b_chance",
    "Hungarian": "hungarian",
    "chance ": "hungarian_chance",
    "mutual": "mutual_nearest",
    "Jaccard": "jaccard_a_to_b",
    "chance  ": "jaccard_a_to_b_chance",
}
_SAES = {
    "SAE": "sae",
    "latents": "n_latents",
    "EV": "explained_variance",
    "L0": "l0",
    "dead": "dead",
    "dense": "dense",
    "VIF median": "vif_q50",
    "VIF 95 %": "vif_q95",
}
_REPLICATES = {
    "seeds of": "replicates",
    "statistic": "statistic",
    "mean": "mean",
    "low": "low",
    "high": "high",
    "chance": "chance",
    "seeds": "seeds",
}

_FINDINGS = {"verdict": "verdict", "claim": "claim", "mean": "value", "95 %": "interval"}


def show(results: Results, directory: Path) -> None:
    """Print the most important tables, and where the rest is."""
    console = Console()
    _print(console, "SAEs", _SAES, results.sae_rows)
    _print(console, "Agreement of A and B, by decoder", _PAIRS, results.pair_rows)
    _print(console, "Means over pairs of seeds, 95 %", _REPLICATES, results.replicate_rows)
    if results.findings:
        found = [_in_words(finding) for finding in results.findings]
        _print(console, f"Published numbers, {tally(results.findings)}", _FINDINGS, found)
    if results.inputs.without_activations:
        console.print(f"no activations: {results.inputs.without_activations}", markup=False)
    console.print(f"\nreport: {directory / 'report.html'}", markup=False, highlight=False)


def _print(console: Console, title: str, columns: dict[str, str], rows: Sequence[Row]) -> None:
    """A table of the columns that any row has; at most `_MOST_ROWS` of the rows."""
    present = {name: key for name, key in columns.items() if any(key in row for row in rows)}
    if not rows:
        return
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    for name, key in present.items():
        text = isinstance(rows[0].get(key), str)
        table.add_column(
            name.strip(), justify="left" if text else "right", overflow="fold", no_wrap=not text
        )
    for row in rows[:_MOST_ROWS]:
        table.add_row(*(format_number(row.get(key), 3) for key in present.values()))
    console.print(table)
    if len(rows) > _MOST_ROWS:
        console.print(f"and {len(rows) - _MOST_ROWS} more rows in the run directory")
    console.print()


def _in_words(finding: Finding) -> Row:
    defined = math.isfinite(finding.interval[0])
    return {
        "verdict": str(finding.verdict),
        "claim": finding.claim,
        "value": finding.value,
        "interval": finding.interval if defined else None,
    }
