"""What one run found, for the terminal: every number with its interval and what it is to beat."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from toysae.results.files import read_csv
from toysae.results.layout import METRICS, NULLS

#: SAEs of `nulls.csv` that are shown: the best there can be, and two that learned nothing.
REFERENCES = ("oracle", "pca", "random_decoder")


#: Columns of an output that is not a terminal.
UNLIMITED = 10_000


def print_summary(directory: Path) -> None:
    """Write `summary` to the standard output."""
    console = Console(width=None if sys.stdout.isatty() else UNLIMITED, highlight=False)
    console.print(summary(directory))


def summary(directory: Path) -> Table:
    """The numbers of a finished run, one a line.

    Mean and 95 % interval over seeds, chance level where there is one, and the same number of some
    of the null SAEs, as far as they were measured. Breakdowns by group come last.

    Args:
        directory: of a run that is done.
    """
    metrics: Mapping[str, Mapping[str, Any]] = json.loads((directory / METRICS).read_text())
    nulls = read_csv(directory / NULLS) if (directory / NULLS).is_file() else []
    shown = [name for name in REFERENCES if any(row["sae"] == name for row in nulls)]
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for column in ("mean", "95 % interval", "chance", *(name.replace("_", " ") for name in shown)):
        table.add_column(column, justify="right")
    for name in sorted(metrics, key=lambda name: "/" in name):
        entry = metrics[name]
        interval = f"{_text(entry['low'])} to {_text(entry['high'])}"
        table.add_row(
            name,
            _text(entry["mean"]),
            interval if entry["mean"] is not None else f"undefined for {entry['undefined']} seeds",
            _text(entry.get("chance")),
            *(_text(_mean(nulls, sae, name)) for sae in shown),
        )
    return table


def _mean(nulls: Sequence[Mapping[str, str]], sae: str, metric: str) -> float | None:
    """Over the seeds that nulls were measured of; None where one has no such number."""
    values = [float(row.get(metric) or math.nan) for row in nulls if row["sae"] == sae]
    mean = sum(values) / len(values)
    return None if math.isnan(mean) else mean


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
