"""What a terminal shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from experiments.describe import columns, words
from experiments.describe.study import Description
from experiments.describe.tables import comparison_rows, l0_row
from toysae.report.numbers import format_number, is_number
from toysae.results.files import Row

_MOST_ROWS = 20
_MOST_PAIRS = 10


def show(found: Description, directory: Path) -> None:
    """Print the most important tables, and where the rest is."""
    console = Console(highlight=False)
    _say(console, words.title(found), words.size(found))
    _say(console, *(f"  {key} = {text}" for key, text in words.parameters(found).items()))
    l0 = [l0_row(found.truth, found.realised)]
    _print(console, "Groups", columns.GROUPS, found.groups)
    _print(console, "Features that fire on a sample (L0)", columns.L0, l0)
    if found.depths:
        _print(console, "Tree", columns.DEPTHS, found.depths)
        _say(console, words.tree(found))
    _print(console, "Magnitudes", columns.MAGNITUDES, found.magnitudes)
    pairs = found.pair_rows[:_MOST_PAIRS]
    _print(console, "Most correlated of the shown features", columns.PAIRS, pairs)
    compared = comparison_rows(found.comparisons)
    _print(console, "Realised against stated, in sigmas", columns.COMPARISONS, compared)
    _say(console, *words.sharing(found))
    said = (words.origin(found), words.dependence(found), words.verdict(found))
    _say(console, *filter(None, said))
    console.print(f"report: {directory / 'report.html'}", markup=False, soft_wrap=True)


def _say(console: Console, *lines: str) -> None:
    """Lines and a blank one; nothing if there are none."""
    for line in lines:
        console.print(line, markup=False)
    if lines:
        console.print()


def _print(console: Console, title: str, shown: Mapping[str, str], rows: Sequence[Row]) -> None:
    if not rows:
        return
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    for heading, key in shown.items():
        number = any(is_number(row[key]) for row in rows)
        table.add_column(heading, justify="right" if number else "left", overflow="fold")
    for row in rows[:_MOST_ROWS]:
        table.add_row(*(format_number(row[key], 3) for key in shown.values()))
    console.print(table, markup=False)
    if len(rows) > _MOST_ROWS:
        console.print(f"and {len(rows) - _MOST_ROWS:,} more rows in the run directory")
    console.print()
