"""Every public metric and diagnostic is registered, and what the registry states about it holds."""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable, Iterator
from operator import attrgetter
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor
from torch.nn.functional import pad

import toysae.diagnostics
import toysae.metrics
from tests.diagnostics import cases as diagnostic_cases
from tests.metrics import cases as metric_cases
from tests.metrics.case import Case, Rng, normal
from tests.metrics.draw import SEEDS
from toysae.diagnostics.registry import DIAGNOSTICS
from toysae.metrics.registry import INVARIANCES, METRICS, Metric

REGISTERED = METRICS + DIAGNOSTICS
# Functions that prepare what metrics take or arrange what they give.
HELPERS = {
    "batch_moments",
    "merge_moments",
    "by_group",
    "co_occurring",
    "fires",
    "firing_counts",
    "in_metric",
    "standardized",
}

# Many metrics times many properties: a few draws of each are enough.
FEW = settings(max_examples=12)


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    """The public modules of a package, but for the registry itself."""
    for found in pkgutil.iter_modules(package.__path__):
        if not found.name.startswith("_") and found.name not in ("records", "registry"):
            yield importlib.import_module(f"{package.__name__}.{found.name}")


MODULES = (*modules_of(toysae.metrics), *modules_of(toysae.diagnostics))
CASES: dict[str, Case] = {
    name: case
    for package in (metric_cases, diagnostic_cases)
    for found in pkgutil.iter_modules(package.__path__)
    for name, case in importlib.import_module(f"{package.__name__}.{found.name}").CASES.items()
}


def shuffled(rng: Rng, n: int) -> Tensor:
    return torch.from_numpy(rng.permutation(n))


def transform(name: str, inputs: list[Tensor], sides: str, rng: Rng) -> list[Tensor]:
    """The inputs after the change that `name` stands for."""
    if name in ("permute_rows_a", "permute_rows_b", "permute_columns_a", "permute_columns_b"):
        axis, side = int("columns" in name), name[-1]
        order = shuffled(rng, inputs[sides.index(side)].shape[axis])
        return [
            x.index_select(axis, order) if mine == side else x
            for x, mine in zip(inputs, sides, strict=True)
        ]
    if name == "permute_samples":
        order = shuffled(rng, len(inputs[0]))
        return [x[order] for x in inputs]
    if name == "repeat_samples":
        return [2 * x if x.ndim == 0 else torch.cat([x, x]) for x in inputs]
    if name == "scale_rows":
        return [x * torch.from_numpy(rng.uniform(0.1, 10, (len(x), 1))) for x in inputs]
    if name == "flip_rows":
        return [x * torch.from_numpy(rng.choice([-1.0, 1.0], (len(x), 1))) for x in inputs]
    if name == "scale_columns":
        return [x * torch.from_numpy(rng.uniform(0.1, 10, x.shape[1])) for x in inputs]
    if name == "joint_rotation":
        q = torch.linalg.qr(normal(rng, inputs[0].shape[1], inputs[0].shape[1])).Q
        return [x @ q for x in inputs]
    if name == "pad_dimensions":
        return [pad(x, (0, 2)) for x in inputs]
    if name == "joint_scale":
        return [x * 3.7 for x in inputs]
    if name == "joint_shift":
        shift = normal(rng, *inputs[0].shape[1:])
        return [x + shift for x in inputs]
    raise AssertionError(f"no transformation for {name}")


def swap_sides(inputs: list[Any], sides: str) -> list[Any]:
    swapped = list(inputs)
    for i, j in zip(
        [k for k, side in enumerate(sides) if side == "a"],
        [k for k, side in enumerate(sides) if side == "b"],
        strict=True,
    ):
        swapped[i], swapped[j] = inputs[j], inputs[i]
    return swapped


def summaries(metric: Metric, inputs: list[Any]) -> Tensor:
    """The numbers that the registry speaks about, in one vector."""
    result = (CASES[metric.name].call or metric.function)(*inputs)
    return torch.cat(list(by_summary(metric, result).values()))


def by_summary(metric: Metric, result: Any) -> dict[str, Tensor]:
    """The numbers of each summary; those of the result itself have no name."""
    values = {name: attrgetter(name)(result) for name in metric.summaries} or {"": result}
    return {
        name: torch.as_tensor(value, dtype=torch.float64).flatten()
        for name, value in values.items()
    }


def same(first: Tensor, second: Tensor) -> bool:
    return first.shape == second.shape and torch.allclose(first, second, 1e-8, 1e-9, equal_nan=True)


def instances(attribute: str) -> list[Any]:
    return [
        pytest.param(metric, name, id=f"{metric.name}-{name}")
        for metric in REGISTERED
        for name in (
            metric.invariances
            if attribute == "declared"
            else sorted(set(CASES[metric.name].applicable) - set(metric.invariances))
        )
    ]


def by_name(condition: Callable[[Metric], bool] = lambda metric: True) -> list[Any]:
    return [pytest.param(metric, id=metric.name) for metric in REGISTERED if condition(metric)]


def test_every_public_function_is_registered() -> None:
    public = {
        name
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_")
        and name in getattr(module, "__all__", [name])
        and (hasattr(module, "__all__") or function.__module__ == module.__name__)
    }
    assert {metric.name for metric in REGISTERED} == public - HELPERS
    assert public >= HELPERS
    assert len({metric.name for metric in REGISTERED}) == len(REGISTERED)
    assert {metric.name for metric in REGISTERED} == set(CASES)


def test_every_invariance_is_known_and_used() -> None:
    assert {name for metric in REGISTERED for name in metric.invariances} == set(INVARIANCES)
    for metric in REGISTERED:
        assert set(metric.invariances) <= set(CASES[metric.name].applicable), metric.name


@pytest.mark.parametrize("metric", by_name())
def test_records_are_complete(metric: Metric) -> None:
    low, high = metric.range
    assert low < high
    assert set(metric.ranges) <= set(metric.summaries)
    for own_low, own_high in metric.ranges.values():
        assert low <= own_low < own_high <= high
    for text in (metric.formula, metric.orientation, metric.degenerate, metric.source):
        assert text.strip()
        assert "\n" not in text
    two_sided = "b" in CASES[metric.name].sides
    assert (metric.symmetric is None) == (not two_sided)


@pytest.mark.parametrize("metric", by_name())
def test_docstrings_have_all_parts(metric: Metric) -> None:
    """What goes in and comes out, with shapes, what is refused, and where it comes from."""
    text = inspect.getdoc(metric.function) or ""
    parts = ("\nArgs:\n", "\nReturns:\n", "\nRaises:\n", "\nSource: ")
    places = [text.find(part) for part in parts]
    assert places == sorted(places)
    assert places[0] > 0
    parameters = inspect.signature(metric.function).parameters
    described = text[places[0] : places[1]]
    for name in parameters:
        assert f" {name}: " in described or f", {name}: " in described, name
    takes_tables = any("Tensor" in str(p.annotation) for p in parameters.values())
    assert not takes_tables or "[" in text or "broadcast" in text


@pytest.mark.parametrize("metric", by_name())
@FEW
@given(seed=SEEDS)
def test_values_lie_in_the_range(metric: Metric, seed: int) -> None:
    case = CASES[metric.name]
    result = (case.call or metric.function)(*case.draw(np.random.default_rng(seed)))
    for name, values in by_summary(metric, result).items():
        defined = values[~torch.isnan(values)]
        low, high = metric.range_of(name)
        assert (defined >= low - 1e-9).all(), name
        assert (defined <= high + 1e-9).all(), name


@pytest.mark.parametrize(("metric", "name"), instances("declared"))
@FEW
@given(seed=SEEDS)
def test_declared_invariances_hold(metric: Metric, name: str, seed: int) -> None:
    case, rng = CASES[metric.name], np.random.default_rng(seed)
    inputs = case.draw(rng)
    changed = transform(name, inputs, case.sides, rng)
    assert same(summaries(metric, inputs), summaries(metric, changed))


@pytest.mark.parametrize(("metric", "name"), instances("undeclared"))
def test_undeclared_invariances_fail_somewhere(metric: Metric, name: str) -> None:
    case = CASES[metric.name]

    def differs(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        inputs = case.draw(rng)
        changed = transform(name, inputs, case.sides, rng)
        return not same(summaries(metric, inputs), summaries(metric, changed))

    assert any(differs(seed) for seed in range(50))


@pytest.mark.parametrize("metric", by_name(lambda metric: metric.symmetric is True))
@FEW
@given(seed=SEEDS)
def test_symmetric_metrics_do_not_mind_a_swap(metric: Metric, seed: int) -> None:
    case = CASES[metric.name]
    inputs = case.draw(np.random.default_rng(seed))
    swapped = swap_sides(inputs, case.sides)
    assert same(summaries(metric, inputs), summaries(metric, swapped))


@pytest.mark.parametrize("metric", by_name(lambda metric: metric.symmetric is False))
def test_asymmetric_metrics_tell_the_sides_apart(metric: Metric) -> None:
    case = CASES[metric.name]

    def differs(seed: int) -> bool:
        inputs = case.draw(np.random.default_rng(seed))
        swapped = swap_sides(inputs, case.sides)
        return not same(summaries(metric, inputs), summaries(metric, swapped))

    assert any(differs(seed) for seed in range(20))


def test_tolerance_is_not_blind() -> None:
    assert not same(torch.tensor([1.0]), torch.tensor([1.0 + 1e-6]))
    assert not same(torch.tensor([math.nan]), torch.tensor([1.0]))
