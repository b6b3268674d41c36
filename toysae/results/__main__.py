"""Show a run, or rebuild and show the table of a sweep: `python -m toysae.results <directory>`."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from toysae.results.summary import UNLIMITED, print_summary
from toysae.results.table import COMPLETED, RunRecord, read_runs, split_by_variation, write_table


def main(arguments: list[str] | None = None) -> None:
    """Scan a directory, write its `results.csv`, and show what varies with the metrics.

    Of a directory that is itself a finished run, all its numbers are shown instead.
    """
    parser = argparse.ArgumentParser(
        prog="python -m toysae.results",
        description="Show the numbers of a run, or rebuild results.csv from the run directories "
        "below a directory; works on running, killed and finished sweeps.",
    )
    parser.add_argument("directory", type=Path)
    parser.add_argument(
        "--metrics", nargs="+", metavar="NAME", help="show only these (default: all without '.')"
    )
    options = parser.parse_args(arguments)
    if not options.directory.is_dir():
        parser.error(f"{options.directory}: no such directory")
    runs = read_runs(options.directory)
    if not runs:
        parser.error(f"{options.directory}: holds no run (a directory with config.yaml)")
    if [run.name for run in runs if run.status == COMPLETED] == ["."] and not options.metrics:
        print_summary(options.directory)
        return
    known = dict.fromkeys(key for run in runs for key in run.metrics)
    for name in options.metrics or ():
        if name not in known:
            parser.error(f"--metrics {name}: unknown; known: {', '.join(main_metrics(known))}")
    show(runs, options.metrics or main_metrics(known))
    sys.stdout.write(f"{write_table(options.directory, runs)}\n")


def main_metrics(names: Iterable[str]) -> list[str]:
    """Metrics without what belongs to them (intervals, counts) and without breakdowns."""
    return [name for name in names if "." not in name and "/" not in name]


def show(runs: list[RunRecord], metrics: list[str]) -> None:
    """Print as many of the metrics as the terminal has room for, and the counts."""
    console = Console(width=None if sys.stdout.isatty() else UNLIMITED, highlight=False)
    shown = list(metrics)
    unlimited = console.options.update(width=UNLIMITED)
    while (
        len(shown) > 1
        and console.measure(printable(runs, shown), options=unlimited).maximum > console.width
    ):
        shown.pop()
    console.print(printable(runs, shown))
    if len(shown) < len(metrics):
        console.print(
            f"{len(metrics) - len(shown)} more metrics; choose with --metrics", soft_wrap=True
        )
    counts = Counter(run.status for run in runs)
    console.print(", ".join(f"{n} {status}" for status, n in counts.items()), soft_wrap=True)


def printable(runs: list[RunRecord], metrics: list[str]) -> Table:
    """One line a run: name, status, the configuration that varies, the metrics."""
    varying, _ = split_by_variation(runs)
    table = Table(box=None, pad_edge=False)
    for column in ("run", "status", *varying):
        table.add_column(column)
    for column in metrics:
        table.add_column(column, justify="right")
    for run in runs:
        table.add_row(
            run.name,
            run.status,
            *(str(run.config.get(key, "")) for key in varying),
            *(_number(run.metrics.get(key)) for key in metrics),
        )
    return table


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else ""


if __name__ == "__main__":
    main()
