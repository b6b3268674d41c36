"""The optimal one-to-one matching of two large dictionaries: how long, how large, how sure?

    python -m benchmarks.metrics.hungarian [--scale 0.25] [--threads 2] [--save]

24,576 rows of 768 dimensions against as many, in float32. `bound` is the certificate: no matching
has a total that is larger by more. Up to 6,144 rows scipy's dense solver is run too, and the
difference of both totals shown.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from benchmarks.machine import RESULTS, machine
from benchmarks.metrics._clock import bare_product, cost
from benchmarks.metrics._dictionaries import CASES, ROWS, dictionaries
from toysae.metrics.dictionary import cosine_matrix, hungarian
from toysae.results.files import write_json

BAR_SECONDS, BAR_GIGABYTES = 60, 1.0
DENSE_ROWS = 6144


def dense_total(a: Tensor, b: Tensor) -> float:
    """The total by scipy, from the whole table."""
    gain = cosine_matrix(a, b).clamp_(min=0).numpy()
    return float(gain[linear_sum_assignment(gain, maximize=True)].sum())


def measure(case: str, n: int) -> dict[str, Any]:
    """Times, memory, certificate, and where it can be had the difference from scipy."""
    a, b = dictionaries(case, n)
    _, bare = cost(lambda: bare_product(a, b))
    matching, ours = cost(lambda: hungarian(a, b))
    row = {
        "case": case,
        "rows": n,
        "seconds": ours.seconds,
        "cpu_seconds": ours.cpu_seconds,
        "bare_seconds": bare.seconds,
        "bare_cpu_seconds": bare.cpu_seconds,
        "gigabytes": ours.gigabytes,
        "matched": matching.n_matched,
        "mean_over_max": matching.mean_over_max,
        "total": matching.total,
        "bound": matching.bound,
    }
    if n <= DENSE_ROWS:
        total, dense = cost(lambda: dense_total(a, b))
        row |= {"dense_cpu_seconds": dense.cpu_seconds, "difference": matching.total - total}
    return row


def main() -> None:
    """Print the table; with `--save`, keep it beside the other results."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.metrics.hungarian",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--case", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--save", action="store_true", help=f"keep the numbers in {RESULTS.name}/")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    n = max(1, round(ROWS * arguments.scale))
    hungarian(*dictionaries("independent", 1100))
    print(
        f"{n:,} rows, {arguments.threads} threads; to reach {BAR_SECONDS} s and {BAR_GIGABYTES} GB"
    )
    print(
        f"{'case':14}{'s':>8}{'CPU s':>8}{'bare CPU s':>12}{'GB':>7}{'matched':>9}{'mean':>8}"
        f"{'bound':>10}{'scipy CPU s':>13}{'difference':>12}"
    )
    rows = []
    for case in arguments.case:
        row = measure(case, n)
        line = (
            f"{case:14}{row['seconds']:8.2f}{row['cpu_seconds']:8.2f}{row['bare_cpu_seconds']:12.2f}"
            f"{row['gigabytes']:7.2f}{row['matched']:9,}{row['mean_over_max']:8.4f}"
            f"{row['bound']:10.1e}"
        )
        if "difference" in row:
            line += f"{row['dense_cpu_seconds']:13.2f}{row['difference']:12.1e}"
        print(line, flush=True)
        rows.append(row)
    if arguments.save:
        RESULTS.mkdir(exist_ok=True)
        about = {**machine(), "threads": arguments.threads, "bar_seconds": BAR_SECONDS}
        write_json(RESULTS / "metrics_hungarian.json", {**about, "cases": rows})


if __name__ == "__main__":
    main()
