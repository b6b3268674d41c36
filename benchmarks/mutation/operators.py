"""The mistakes that are made: cosmic-ray's, one for each operator, and those typical of metrics."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import parso
from cosmic_ray import plugins
from cosmic_ray.operators.operator import Example, Operator

_CORE = (
    "ReplaceBinaryOperator_Add_Sub",
    "ReplaceBinaryOperator_Sub_Add",
    "ReplaceBinaryOperator_Mul_Div",
    "ReplaceBinaryOperator_Div_Mul",
    "ReplaceBinaryOperator_Pow_Mul",
    "ReplaceBinaryOperator_FloorDiv_Mul",
    "ReplaceBinaryOperator_BitAnd_BitOr",
    "ReplaceBinaryOperator_BitOr_BitAnd",
    "ReplaceComparisonOperator_Gt_GtE",
    "ReplaceComparisonOperator_GtE_Gt",
    "ReplaceComparisonOperator_Lt_LtE",
    "ReplaceComparisonOperator_LtE_Lt",
    "ReplaceComparisonOperator_Gt_Lt",
    "ReplaceComparisonOperator_Lt_Gt",
    "ReplaceComparisonOperator_Eq_NotEq",
    "ReplaceComparisonOperator_NotEq_Eq",
    "ReplaceUnaryOperator_USub_UAdd",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "AddNot",
    "NumberReplacer",
    "ZeroIterationForLoop",
)

#: Names that stand for opposites, or for what is easily taken for the other.
_SWAPPED = (
    ("min", "max"),
    ("amin", "amax"),
    ("argmin", "argmax"),
    ("minimum", "maximum"),
    ("mean", "sum"),
    ("mean_a_to_b", "mean_b_to_a"),
    ("a_to_b", "b_to_a"),
    ("n_rows", "n_cols"),
    ("low", "high"),
    ("log", "log1p"),
    ("triu", "tril"),
)

#: Methods without arguments that are forgotten.
_DROPPED = ("abs", "square", "sqrt", "log", "exp", "neg")


#: Calls whose numbers keep rounding errors out, as the cosine 1 + 1e-16: others do the same.
_GUARDS = ("clamp", "clamp_", "clamp_min", "clamp_max", "clip", "masked_fill", "nan_to_num")

#: Operators that change numbers. Axes they leave alone: -1 and the last are the same one.
_OF_NUMBERS = ("NumberReplacer", "ReplaceUnaryOperator_USub_UAdd")

#: Methods that take the number of an axis first.
_OF_AXES = (
    "all", "amax", "amin", "any", "argmax", "argmin", "argsort", "cumsum", "diff", "flip",
    "log_softmax", "max", "mean", "min", "nansum", "nanmean", "norm", "softmax", "sort", "sum",
    "unbind",
)  # fmt: skip

_OPPOSITE = {a: b for pair in _SWAPPED for a, b in (pair, pair[::-1])}


class SwapNames(Operator):
    """A name is taken for its opposite."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        if node.type == "name" and node.value in _OPPOSITE and not _is_defined(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        return parso.python.tree.Name(_OPPOSITE[node.value], node.start_pos, node.prefix)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("x.max()", "x.min()"),)


class DropMethod(Operator):
    """A call such as `.abs()` is forgotten, or `.T`."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        if node.type in ("atom_expr", "power"):
            # All at once: while this is read, `mutate` takes children away.
            found = [node.children[at] for at in self._places(node)]
            yield from [(child.start_pos, child.end_pos) for child in found]

    def mutate(self, node: Any, index: int) -> Any:
        at = self._places(node)[index]
        n_gone = 1 if node.children[at].children[1].value == "T" else 2
        del node.children[at : at + n_gone]
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("x.abs()", "x"), Example("x.T", "x"))

    @staticmethod
    def _places(node: Any) -> list[int]:
        parts = [part.get_code(include_prefix=False) for part in node.children]
        calls = [
            i
            for i, (part, after) in enumerate(pairwise(parts))
            if part[:1] == "." and part[1:] in _DROPPED and after == "()"
        ]
        return sorted([*calls, *(i for i, part in enumerate(parts) if part == ".T")])


def operators() -> dict[str, Operator]:
    """All of them, by name."""
    core = {name: plugins.get_operator(f"core/{name}")() for name in _CORE}
    chosen = {name: WithResult(core[name]) for name in _OF_NUMBERS}
    return {**core, **chosen, "SwapNames": SwapNames(), "DropMethod": DropMethod()}


class WithResult(Operator):
    """An operator of numbers, but for those that guard against rounding or name an axis."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        if not _is_guard_or_axis(node):
            yield from self._operator.mutation_positions(node)

    def mutate(self, node: Any, index: int) -> Any:
        return self._operator.mutate(node, index)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return ()


def _is_guard_or_axis(node: Any) -> bool:
    """Whether a number is an argument of `x.clamp(...)`, `dim=...`, or of `x.sum(...)` and such."""
    within = node.parent if node.parent and node.parent.type == "factor" else node
    if within.parent is None:
        return False
    if within.parent.type == "argument":
        if within.parent.children[0].get_code().strip() in ("dim", "axis"):
            return True
        within = within.parent
    call = within.parent if within.parent.type == "trailer" else within.parent.parent
    if call is None or call.type != "trailer" or call.children[0].get_code() != "(":
        return False
    name = call.get_previous_sibling().get_code().strip().rpartition(".")[2]
    return name in _GUARDS or (name in _OF_AXES and within.type in ("number", "factor"))


def _is_defined(name: Any) -> bool:
    """Whether the name is an argument, a field or a function that others call by it."""
    parent = name.parent
    return parent.type in ("param", "funcdef", "classdef", "import_as_name", "import_from") or (
        parent.type in ("argument", "expr_stmt", "annassign") and parent.children[0] is name
    )
