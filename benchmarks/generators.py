"""How fast are samples made, and what does a feature more cost?

    python -m benchmarks.generators [--saelens-python PATH] [--device auto] [--write]

In one run on one machine, each measurement in a process of its own:

- hidden activations of SynthSAEBench-16k (16,384 correlated features in trees, 768 dimensions), and
  of 1,000 features with a full correlation matrix (256 dimensions), beside sae-lens where it is
  installed: here, or for the Python interpreter at `--saelens-python`;
- worlds of 128 to 1,048,576 features, independent or in trees.

Times are the least of some repeats: CPU time on one thread, or on a GPU time on the clock.
Compilation and import are not timed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks.machine import RESULTS, machine, measure, saelens_python
from toysae.device import resolve_device
from toysae.results.files import write_json

SAELENS_WORKER = Path(__file__).parent / "_generators_saelens.py"

#: By case: how many times as many samples a second as sae-lens it should make.
BARS = {"synth_sae_bench_16k": 30, "correlated": 50}

SIZES = (128, 1024, 8192, 65_536, 1_048_576)


def toysae_worker(case: str, arguments: argparse.Namespace, features: int = 0) -> list[str]:
    """The command that times toysae."""
    options = {"features": features, "repeats": arguments.repeats, "device": arguments.device}
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return [sys.executable, "-m", "benchmarks._generators_toysae", case, *flags]


def compare(arguments: argparse.Namespace, python: str | None) -> list[dict[str, Any]]:
    """Print and return hidden activations a second, ours beside those of sae-lens."""
    print(
        f"{'hidden activations':22}{'samples/s':>11}{'peak MB':>9}{'L0':>7}"
        f"{'sae-lens':>11}{'peak MB':>9}{'L0':>7}{'ratio':>8}{'bar':>6}"
    )
    rows = []
    for case, bar in BARS.items():
        ours = measure(toysae_worker(case, arguments))
        row = {"case": case, "toysae": ours}
        line = (
            f"{case:22}{ours['samples_per_second']:11,.0f}{ours['peak_megabytes']:9.0f}"
            f"{ours['l0']:7.1f}"
        )
        if python is not None:
            theirs = measure([python, str(SAELENS_WORKER), case])
            ratio = ours["samples_per_second"] / theirs["samples_per_second"]
            memory = ours["peak_megabytes"] / theirs["peak_megabytes"]
            row |= {"saelens": theirs, "ratio": ratio, "bar": bar, "memory_ratio": memory}
            line += (
                f"{theirs['samples_per_second']:11,.0f}{theirs['peak_megabytes']:9.0f}"
                f"{theirs['l0']:7.1f}{ratio:7.0f}x{bar:5}x"
            )
        print(line)
        rows.append(row)
    return rows


def grow(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Print and return what a sample costs in worlds of many sizes."""
    print(
        f"\n{'microseconds a sample':26}{'features':>10}{'L0':>7}{'codes':>8}"
        f"{'d=256':>8}{'peak MB':>9}"
    )
    rows = []
    for case in ("independent", "tree"):
        for size in arguments.sizes:
            found = measure(toysae_worker(case, arguments, size))
            embedded = found.get("samples_per_second")
            print(
                f"{case:26}{size:10,}{found['l0']:7.2f}{1e6 / found['codes_per_second']:8.2f}"
                f"{f'{1e6 / embedded:8.2f}' if embedded else '':8}{found['peak_megabytes']:9.0f}"
            )
            rows.append({"case": case, **found})
    return rows


def main() -> None:
    """Print the tables; with `--write`, keep them beside this file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.generators",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--saelens-python", help="Python interpreter in which sae-lens is installed"
    )
    parser.add_argument("--device", default="auto", help="where hidden activations are made")
    parser.add_argument("--repeats", type=int, default=7, help="blocks of 8,192 samples")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of features")
    parser.add_argument("--write", action="store_true", help=f"keep the numbers in {RESULTS.name}/")
    arguments = parser.parse_args()
    device = resolve_device(arguments.device)
    about = machine()
    on_cpu = device.type == "cpu"
    clock = "CPU time of one thread" if on_cpu else f"the clock, on {device}"
    print(f"{about['cpu']}; samples a second of {clock}\n")
    python = saelens_python(arguments.saelens_python) if on_cpu else None
    compared = compare(arguments, python)
    if python is None:
        why = "is not installed here" if on_cpu else "is compared on the CPU only"
        print(f"(sae-lens {why}; --device cpu --saelens-python PATH names an interpreter)")
    grown = grow(arguments)
    if arguments.write:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"generators_{device.type}.json"
        write_json(path, {**about, "compared": compared, "sizes": grown})
        print(f"\nwritten to benchmarks/results/{path.name}")


if __name__ == "__main__":
    main()
