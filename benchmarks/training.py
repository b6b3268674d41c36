"""How much faster are SAEs trained in a stack than one after another?

    python -m benchmarks.training [CASE ...] [--members 32] [--saelens-python PATH] [--write]

In one run on one machine, each measurement in a process of its own, batch 1,024: microseconds of
the clock per member and step of

- `toysae.training.stack.train` with all cores, data included;
- a plain torch loop (`nn.Module`, autograd, `torch.optim.Adam`, decoder rows held at norm 1 and
  their parallel gradient removed), data included; it starts from the same parameters and reads the
  same streams, so that its decoder must agree;
- sae-lens's own trainer, where it is installed: here, or for the Python interpreter at
  `--saelens-python`. Its data are prepared beforehand: what its generator takes is a column of its
  own and is in no ratio.

The last two run with one thread and with all cores; the better one counts. Where SAEs with L1 start
dense, the first steps are not timed: see `skipped` in `benchmarks._training_toysae`. Compilation is
not timed either.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._training_toysae import CASES, Case
from benchmarks.machine import RESULTS, machine, measure, saelens_python
from toysae.generators.composed_sets import ComposedSets
from toysae.generators.independent import Independent
from toysae.results.files import write_json
from toysae.saes.relu import ReLU

RESULT = RESULTS / "training_cpu.json"
SAELENS_WORKER = Path(__file__).parent / "_training_saelens.py"


def stacked(name: str, members: int, repeats: int) -> dict[str, Any]:
    """The stack with all cores."""
    return measure(
        [sys.executable, "-m", "benchmarks._training_toysae", "stack", name,
         "--members", str(members), "--repeats", str(repeats)]
    )  # fmt: skip


def plain(name: str, repeats: int) -> dict[str, Any]:
    """The plain loop, on the number of threads that suits it better."""
    return min(
        (
            measure(
                [sys.executable, "-m", "benchmarks._training_toysae", "plain", name,
                 "--threads", str(threads), "--repeats", str(repeats)],
                threads,
            )
            for threads in thread_counts()
        ),
        key=lambda found: found["us"],
    )  # fmt: skip


def saelens(python: str, case: Case) -> dict[str, Any]:
    """A step of sae-lens, on the number of threads that suits it better."""
    sizes = {
        "--d": case.hidden_space().d_hidden,
        "--latents": case.sae.n_latents,
        "--features": case.generator.n_features,
        "--probability": firing(case),
        "--k": getattr(case.sae, "k", 1),
        "--steps": 4 if case.sae.n_latents > 1000 else 40,
    }
    flags = [text for flag, value in sizes.items() for text in (flag, str(value))]
    return min(
        (
            measure(
                [python, str(SAELENS_WORKER), case.sae.name, *flags, "--threads", str(threads)],
                threads,
            )
            for threads in thread_counts()
        ),
        key=lambda found: found["step_us"],
    )


def firing(case: Case) -> float:
    """How often a feature of the case fires."""
    assert isinstance(case.generator, (ComposedSets, Independent))
    return float(case.generator.truth().marginals.mean())


def thread_counts() -> list[int]:
    """One thread, and one a core."""
    return sorted({1, os.cpu_count() or 1})


def row(name: str, arguments: argparse.Namespace, python: str | None) -> dict[str, Any]:
    """Measure one case all ways."""
    case = CASES[name]
    members = 1 if case.sae.n_latents > 1000 else arguments.members
    found: dict[str, Any] = {"case": name, "bar": case.bar}
    found["toysae"] = stacked(name, members, arguments.repeats)
    if isinstance(case.sae, ReLU):
        found["plain"] = plain(name, arguments.repeats)
        found["ratio_to_plain"] = found["plain"]["us"] / found["toysae"]["us"]
    if python is not None:
        found["saelens"] = saelens(python, case)
        found["ratio_to_saelens"] = found["saelens"]["step_us"] / found["toysae"]["us"]
    return found


def line(found: dict[str, Any]) -> str:
    """A case as a line of the table."""
    ours = found["toysae"]
    text = f"{found['case']:18}{ours['members']:8}{ours['l0']:7.1f}{ours['us']:12.2f}"
    if "plain" in found:
        text += f"{found['plain']['us']:12.0f}{found['ratio_to_plain']:8.1f}x"
    else:
        text += f"{'':21}"
    if "saelens" in found:
        text += f"{found['saelens']['step_us']:12.0f}{found['ratio_to_saelens']:8.1f}x"
        text += f"{found['bar']:6.0f}x" if found["bar"] else f"{'':7}"
        text += f"{found['saelens']['data_us']:10.0f}"
    return text


def keep(path: Path, about: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    """Write cases to a file, each with what it was measured on; others that it holds stay."""
    held = json.loads(path.read_text(encoding="utf-8"))["cases"] if path.is_file() else []
    cases = {each["case"]: each for each in held}
    cases |= {each["case"]: {**each, "measured_on": about} for each in rows}
    write_json(path, {"cases": [cases[name] for name in CASES if name in cases]})


def main() -> None:
    """Print the table; with `--write`, keep it beside this file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}")
    parser.add_argument("--members", type=int, default=32, help="SAEs in a stack")
    parser.add_argument("--repeats", type=int, default=3, help="the least of so many counts")
    parser.add_argument(
        "--saelens-python", help="Python interpreter in which sae-lens is installed"
    )
    parser.add_argument("--write", action="store_true", help=f"keep the numbers in {RESULTS.name}/")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.cases) - set(CASES))
    if unknown:
        parser.error(f"unknown case {', '.join(unknown)}; known are {', '.join(CASES)}")
    about = machine()
    python = saelens_python(arguments.saelens_python)
    print(f"{about['cpu']}, {about['cores']} cores; microseconds per member-step\n")
    print(
        f"{'case':18}{'members':>8}{'L0':>7}{'toysae':>12}{'plain loop':>12}{'ratio':>9}"
        f"{'sae-lens':>12}{'ratio':>9}{'bar':>7}{'its data':>10}"
    )
    rows = []
    for name in arguments.cases or CASES:
        rows.append(row(name, arguments, python))
        print(line(rows[-1]), flush=True)
    if python is None:
        print("(sae-lens is not installed here; --saelens-python PATH names an interpreter)")
    if arguments.write:
        keep(RESULT, about, rows)
        print(f"\nwritten to benchmarks/results/{RESULT.name}")


if __name__ == "__main__":
    main()
