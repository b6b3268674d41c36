"""Best cosines both ways of two large dictionaries: how much more than their bare product?

    python -m benchmarks.metrics.cosine [--scale 0.25] [--threads 2] [--save]

24,576 rows of 768 dimensions against as many, in float32. One call gives the best cosine and
partner of each row, both ways, in float64; shares above .7, .8 and .9 and mutual nearest
neighbours follow from it. The bare product is that of the same rows in float32, in blocks, with
the same number of threads, before and after in the same run: the lesser counts.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from torch import Tensor

from benchmarks.machine import RESULTS, machine
from benchmarks.metrics._clock import bare_product, cost
from benchmarks.metrics._dictionaries import CASES, ROWS, dictionaries
from toysae.metrics.dictionary import fraction_above, max_cosine
from toysae.results.files import write_json

BAR = 1.5
"""Times as long as the bare product."""
BAR_GIGABYTES = 1.0


def agreement(a: Tensor, b: Tensor) -> dict[str, float]:
    """The numbers that a page about two dictionaries shows."""
    best = max_cosine(a, b)
    return {
        "a_to_b": best.mean_a_to_b,
        "b_to_a": best.mean_b_to_a,
        "a_above_0.7": fraction_above(best.a_to_b).fraction[0].item(),
        "b_above_0.7": fraction_above(best.b_to_a).fraction[0].item(),
        "mutual": best.mutual_nearest.rate,
    }


def measure(case: str, n: int) -> dict[str, Any]:
    """Times, their ratio, and memory."""
    a, b = dictionaries(case, n)
    _, before = cost(lambda: bare_product(a, b))
    found, ours = cost(lambda: agreement(a, b))
    _, after = cost(lambda: bare_product(a, b))
    bare, bare_cpu = (min(pair) for pair in zip(before[:2], after[:2]))
    return {
        "case": case,
        "rows": n,
        "bare_seconds": bare,
        "seconds": ours.seconds,
        "ratio": ours.seconds / bare,
        "bare_cpu_seconds": bare_cpu,
        "cpu_seconds": ours.cpu_seconds,
        "cpu_ratio": ours.cpu_seconds / bare_cpu,
        "gigabytes": ours.gigabytes,
        **found,
    }


def main() -> None:
    """Print the table; with `--save`, keep it beside the other results."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.metrics.cosine",
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
    agreement(*dictionaries("independent", min(n, 64)))
    print(f"{n:,} rows, {arguments.threads} threads; to reach {BAR} x and {BAR_GIGABYTES} GB")
    print(
        f"{'case':14}{'bare s':>8}{'s':>8}{'ratio':>8}{'CPU s':>8}{'CPU ratio':>11}{'GB':>7}"
        f"{'a to b':>9}{'mutual':>9}"
    )
    rows = []
    for case in arguments.case:
        row = measure(case, n)
        print(
            f"{case:14}{row['bare_seconds']:8.2f}{row['seconds']:8.2f}{row['ratio']:8.2f}"
            f"{row['cpu_seconds']:8.2f}{row['cpu_ratio']:11.2f}{row['gigabytes']:7.2f}"
            f"{row['a_to_b']:9.4f}{row['mutual']:9.4f}",
            flush=True,
        )
        rows.append(row)
    if arguments.save:
        RESULTS.mkdir(exist_ok=True)
        about = {**machine(), "threads": arguments.threads, "bar": BAR}
        write_json(RESULTS / "metrics_cosine.json", {**about, "cases": rows})


if __name__ == "__main__":
    main()
