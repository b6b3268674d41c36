"""Which tests can notice a mistake in a module: those that import it, if only through others."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("metrics", "diagnostics")


def tests_of(path: Path) -> list[list[str]]:
    """Arguments of pytest runs, the most promising first; together they are all that reach it.

    First the tests that import the module itself or are named after it, then those of the modules
    that import it, then the common tests of the metrics that it is part of.
    """
    module = _name(path)
    reached = _importers(module)
    near, far = [], []
    for test in sorted(t for p in PACKAGES for t in (ROOT / "tests" / p).glob("test_*.py")):
        imported = _imports(test)
        own = test.stem == f"test_{path.stem.lstrip('_')}" or module in imported
        if own:
            near.append(str(test.relative_to(ROOT)))
        elif imported & reached:
            far.append(str(test.relative_to(ROOT)))
    names = [name for each in sorted(reached) for name in _public_functions(each)]
    common = ["tests/test_registry.py", "-k", " or ".join(names)] if names else []
    return [run for run in (near, far, common) if run]


def _name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts)


@cache
def _modules() -> dict[str, frozenset[str]]:
    """What each module of the two packages imports."""
    paths = [path for p in PACKAGES for path in (ROOT / "toysae" / p).rglob("*.py")]
    return {_name(path.relative_to(ROOT)): _imports(path) for path in paths}


@cache
def _imports(path: Path) -> frozenset[str]:
    """Modules of the library that a file names in its imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return frozenset(found)


@cache
def _importers(module: str) -> frozenset[str]:
    """The module and all that import it, directly or not; records and registries import all."""
    reached, ends = {module}, {module}
    while ends:
        ends = {
            name
            for name, imported in _modules().items()
            if imported & ends and name not in reached and not _lists_everything(name)
        }
        reached |= ends
    return frozenset(reached)


def _lists_everything(name: str) -> bool:
    return ".records" in name or name.endswith(".registry")


def _public_functions(module: str) -> Iterable[str]:
    """Registered names of a public module."""
    if any(part.startswith("_") for part in module.split(".")):
        return []
    package, _, leaf = module.rpartition(".")
    path = ROOT.joinpath(*package.split(".")) / "records" / f"{leaf}.py"
    if not path.is_file():
        return []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        node.args[0].attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Attribute)
    ]
