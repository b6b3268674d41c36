"""The way of the data has no way back: who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from toysae.compiled import sources

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "toysae"
MODULES = sorted(LIBRARY.rglob("*.py"))
EVERYTHING = sorted(
    path
    for folder in ("toysae", "experiments", "hydra_plugins", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)

FOUNDATION = {"errors", "checks", "compiled", "draws", "draws_kernel", "device"}

#: Part of toysae (a package, or a module beside them) and the other parts that it may import.
ALLOWED: dict[str, set[str]] = {
    "__init__": set(),
    "errors": set(),
    "compiled": set(),
    "draws": set(),
    "draws_kernel": {"compiled"},
    "progress": set(),
    "checks": {"errors"},
    "device": {"errors"},
    # The way of the data.
    "generators": FOUNDATION,
    "hidden": FOUNDATION | {"generators"},
    "language": FOUNDATION,
    "saes": FOUNDATION,
    "training": FOUNDATION | {"hidden", "saes"},
    "checkpoints": FOUNDATION | {"saes"},
    "metrics": {"errors", "compiled"},
    "diagnostics": {"errors", "compiled", "metrics"},
    "results": FOUNDATION | {"generators", "hidden", "saes", "metrics", "diagnostics"},
    "reference": {"metrics", "diagnostics"},
    "figures": {"errors", "metrics", "diagnostics"},
    "report": {"errors", "metrics", "results", "figures"},
    # What the commands are made of.
    "config": FOUNDATION | {"generators", "hidden", "saes", "training"},
    "runs": FOUNDATION
    | {"config", "generators", "hidden", "saes", "training", "checkpoints", "metrics", "results"},
    "cli": FOUNDATION | {"progress", "results"},
    "sweeps": FOUNDATION | {"cli", "progress", "results", "runs"},
}

#: Slow to import, or not installed: only inside the function that needs them.
HEAVY = {"transformers", "transformer_lens", "wandb", "sae_lens", "datasets", "huggingface_hub"}


def part_of(path: Path) -> str:
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def everywhere(path: Path) -> Iterator[ast.AST]:
    return ast.walk(tree(path))


def at_import(path: Path) -> Iterator[ast.AST]:
    return outside_functions(tree(path))


def outside_functions(root: ast.AST) -> Iterator[ast.AST]:
    """Nodes that run when a module is imported."""
    yield root
    if not isinstance(root, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        for child in ast.iter_child_nodes(root):
            yield from outside_functions(child)


def imports(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Dotted names of what is imported; `from a import b` gives `a.b`, `b` may be a module."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def roots(nodes: Iterator[ast.AST]) -> set[str]:
    """Top-level packages that are imported."""
    return {name.split(".")[0] for name in imports(nodes)}


def parts_used(path: Path) -> set[str]:
    """Parts of toysae that a module imports, within functions too."""
    dotted = [name.split(".") for name in imports(everywhere(path))]
    return {name[1] for name in dotted if name[0] == "toysae"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_part_has_a_rule_and_every_rule_a_part():
    assert {part_of(path) for path in MODULES} == set(ALLOWED)


def test_the_rules_have_no_circle():
    """Each part can be put to the right of all that it imports."""
    placed: set[str] = set()
    while len(placed) < len(ALLOWED):
        ready = {part for part, needs in ALLOWED.items() if needs <= placed} - placed
        assert ready, f"circle among {set(ALLOWED) - placed}"
        placed |= ready


def test_imports_go_one_way():
    wrong = [
        (named(path), part)
        for path in MODULES
        for part in parts_used(path) - {part_of(path)} - ALLOWED[part_of(path)]
    ]
    assert wrong == []


def test_library_imports_nothing_that_is_built_on_it():
    above = {"experiments", "hydra_plugins", "benchmarks", "tests"}
    wrong = [named(path) for path in MODULES if roots(everywhere(path)) & above]
    assert wrong == []


def test_pure_parts_know_neither_configuration_nor_files():
    forbidden = {"hydra", "omegaconf", "pathlib", "os", "json", "logging"}
    pure = [path for path in MODULES if part_of(path) in ("metrics", "diagnostics", "figures")]
    wrong = [named(path) for path in pure if roots(everywhere(path)) & forbidden]
    assert pure
    assert wrong == []


def test_heavy_packages_are_imported_where_they_are_needed():
    wrong = [named(path) for path in EVERYTHING if roots(at_import(path)) & HEAVY]
    assert wrong == []


def test_library_prints_nothing_and_keeps_no_global_state():
    wrong = [
        (named(path), node.lineno)
        for path in MODULES
        for node in everywhere(path)
        if isinstance(node, ast.Global) or (isinstance(node, ast.Name) and node.id == "print")
    ]
    assert wrong == []


def test_every_module_says_what_it_is():
    assert [named(path) for path in EVERYTHING if not ast.get_docstring(tree(path))] == []


def test_the_search_finds_what_it_is_for():
    """Imports within functions count as imports, but not as imports at import."""
    source = ast.parse("import a.b\nif c:\n    from d import e\ndef f():\n    import wandb.sdk")
    assert set(imports(ast.walk(source))) == {"a.b", "d.e", "wandb.sdk"}
    assert set(imports(outside_functions(source))) == {"a.b", "d.e"}


def test_a_change_of_anything_that_kernels_are_made_of_is_noticed():
    """`toysae.compiled` watches every module that a compiled one takes something from."""
    watched = set(sources())
    compiled = [path for path in MODULES if "toysae.compiled.njit" in set(imports(at_import(path)))]
    assert len(compiled) > 15
    for path in compiled:
        assert path in watched
        for name in imports(at_import(path)):
            if name.startswith("toysae."):
                module = ROOT.joinpath(*name.split(".")[:-1]).with_suffix(".py")
                assert module in watched, f"{named(path)} imports {name}"


def test_what_needs_saelens_is_run_where_it_is():
    """`make test-saelens` runs what is marked; everywhere else it would only be skipped."""
    asking = {
        path.name: path.read_text().count("mark.saelens")
        for path in (ROOT / "tests").rglob("test_*.py")
        if 'importorskip("sae_lens' in path.read_text() and path != Path(__file__)
    }
    assert len(asking) == 4
    assert all(asking.values()), asking


def test_numba_is_asked_through_the_module_that_watches():
    wrong = [
        named(path)
        for path in MODULES
        if "numba.njit" in set(imports(everywhere(path))) and path.name != "compiled.py"
    ]
    assert not wrong
