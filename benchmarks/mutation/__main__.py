"""Break the metrics and diagnostics in small ways, and count how often the tests notice.

    python -m benchmarks.mutation [--mutants 300] [--seed 0] [--workers 2] [--only NAME] [--save]

Needs cosmic-ray (the extra `mutation`). Each mutant is one line of `toysae/metrics` or
`toysae/diagnostics` with one mistake, drawn at random from all that the operators make; records,
messages and annotations are left out, and numbers that cannot change a result: sizes in which work
is cut (powers of two from 256 on), guards against rounding, axes; and what only a GPU runs. It is
caught if any test that reaches it fails: one that imports its module, directly or through others,
or a common test of such a metric. What survives is printed with its line;
`benchmarks/mutation/survivors.md` says why it may.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

from benchmarks.machine import RESULTS, machine
from benchmarks.mutation.operators import operators
from benchmarks.mutation.reach import PACKAGES, ROOT, tests_of
from toysae.compiled import sources as kernel_sources

TESTS = ("tests/metrics", "tests/diagnostics", "tests/test_registry.py")

#: A mutant that takes longer than this is stuck, and noticed.
LIMIT_SECONDS = 240


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Attributes:
        path: file, relative to the root.
        line: line it is made in.
        operator: its kind.
        occurrence: which of the places in the file where this kind can be made.
    """

    path: str
    line: int
    operator: str
    occurrence: int


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant.

    Attributes:
        caught: whether a test failed.
        before, after: the line as it was and as it became.
        seconds: until it was decided.
    """

    mutant: Mutant
    caught: bool
    before: str
    after: str
    seconds: float


def sources() -> list[Path]:
    """The files that mistakes are made in."""
    found = [
        path
        for package in PACKAGES
        for path in sorted((ROOT / "toysae" / package).rglob("*.py"))
        if path.parent.name != "records" and path.name not in ("__init__.py", "registry.py")
    ]
    return [path.relative_to(ROOT) for path in found]


def mutants_of(path: Path) -> Iterator[Mutant]:
    """All mistakes that can be made in a file."""
    code = (ROOT / path).read_text(encoding="utf-8")
    tree, silent = get_ast(code), _silent_lines(code)
    for name, operator in operators().items():
        places = [
            start for node in ast_nodes(tree) for start, _ in operator.mutation_positions(node)
        ]
        for occurrence, (line, _) in enumerate(places):
            if line not in silent:
                yield Mutant(str(path), line, name, occurrence)


def _silent_lines(code: str) -> set[int]:
    """Lines without a result: messages, fields, signatures, decorators and sizes of work."""
    lines: set[int] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Raise | ast.AnnAssign):
            lines.update(range(node.lineno, node.end_lineno + 1))
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            lines.update(range(first, node.body[0].lineno))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "warn":
            lines.update(range(node.lineno, node.end_lineno + 1))
        if isinstance(node, ast.Assign) and _is_size_of_work(node.value):
            lines.add(node.lineno)
        # Both ways give the same; which one is taken only a GPU can show.
        if isinstance(node, ast.Attribute) and ast.unparse(node).endswith(_DEVICES):
            lines.add(node.lineno)
    return lines


_DEVICES = ("is_cuda", "device.type")


def _is_size_of_work(value: ast.expr) -> bool:
    """Whether this is a power of two from 256 on, written as a number or as `2**n`."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Pow):
        return isinstance(value.left, ast.Constant) and value.left.value == 2
    number = value.value if isinstance(value, ast.Constant) else None
    return type(number) is int and number >= 256 and number.bit_count() == 1


def judge(mutant: Mutant, workplace: Path) -> Outcome:
    """Make the mistake in a copy of the project, run the tests, undo it."""
    file = workplace / mutant.path
    code = file.read_text(encoding="utf-8")
    mutated = mutate_code(code, operators()[mutant.operator], mutant.occurrence)
    before, after = _changed_line(code, mutated)
    started = time.perf_counter()
    file.write_text(mutated, encoding="utf-8")
    try:
        caught = not all(passes(tests, workplace) for tests in tests_of(Path(mutant.path)))
    finally:
        # With their times, so that code compiled from them stays valid.
        shutil.copy2(ROOT / mutant.path, file)
        if ROOT / mutant.path in kernel_sources():
            copy_compiled_code(workplace)
    return Outcome(mutant, caught, before, after, time.perf_counter() - started)


def _changed_line(before: str, after: str) -> tuple[str, str]:
    lines = zip(before.splitlines(), after.splitlines())
    return next((a.strip(), b.strip()) for a, b in lines if a != b)


def passes(tests: list[str], workplace: Path, limit: float | None = LIMIT_SECONDS) -> bool:
    """Whether these tests pass in a copy of the project, hypothesis drawing the same examples."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(workplace)}
    options = ["-x", "-q", "-m", "not slow", "--hypothesis-seed=0"]
    command = [sys.executable, "-m", "pytest", *options, *tests]
    try:
        ended = subprocess.run(
            command, cwd=workplace, env=environment, capture_output=True, timeout=limit,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False
    return ended.returncode == 0


def copy_of_the_project(folder: Path) -> Path:
    """The files that git knows, as they are now, in a new folder."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    copy_compiled_code(folder)
    return folder


def copy_compiled_code(folder: Path) -> None:
    """What Numba keeps beside the sources; after a mistake in a kernel it was forgotten."""
    for path in (ROOT / "toysae").rglob("__pycache__/*"):
        if path.suffix in (".nbi", ".nbc", ".digest"):
            target = folder / path.relative_to(ROOT)
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(path, target)


def run(mutants: list[Mutant], workers: int) -> Iterator[Outcome]:
    """Judge all mutants, as many at once as there are workers."""
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(workers) as pool:
        places: Queue[Path] = Queue()
        for k in range(workers):
            places.put(copy_of_the_project(Path(scratch) / str(k)))
        if not passes(list(TESTS), places.queue[0], limit=None):
            raise SystemExit("the tests fail without any mistake: mend them first")

        def one(mutant: Mutant) -> Outcome:
            place = places.get()
            try:
                return judge(mutant, place)
            finally:
                places.put(place)

        yield from pool.map(one, mutants)


def main() -> None:
    """Draw mutants, judge them, say what survived."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutants", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="part of the path of the files to mutate")
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    everything = [m for path in sources() if arguments.only in str(path) for m in mutants_of(path)]
    if not everything or arguments.mutants < 1:
        parser.error(
            f"{len(everything)} possible mistakes, {arguments.mutants} of them asked for: allowed "
            "are --only with a part of a path below toysae/metrics or toysae/diagnostics, and "
            "--mutants from 1"
        )
    chosen = random.Random(arguments.seed).sample(
        everything, min(arguments.mutants, len(everything))
    )
    print(f"{len(chosen)} of {len(everything)} possible mistakes", flush=True)
    outcomes = []
    for outcome in run(chosen, arguments.workers):
        outcomes.append(outcome)
        print(f"{len(outcomes)} of {len(chosen)} judged", end="\r", file=sys.stderr, flush=True)
        if not outcome.caught:
            at = outcome.mutant
            print(
                f"survived {at.path}:{at.line} {at.operator}\n"
                f"    - {outcome.before}\n    + {outcome.after}",
                flush=True,
            )
    caught = sum(outcome.caught for outcome in outcomes)
    print(f"{caught} of {len(outcomes)} caught, {100 * caught / len(outcomes):.1f} %")
    if arguments.save:
        result = {
            **machine(),
            "possible": len(everything),
            "seed": arguments.seed,
            "mutants": len(outcomes),
            "caught": caught,
            "survivors": [asdict(outcome) for outcome in outcomes if not outcome.caught],
        }
        path = RESULTS / "mutation.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
