"""Every public metric is registered, and what the registry states about it holds."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor
from torch.nn.functional import pad

from toysae.metrics import (
    activations,
    chance,
    dictionary,
    groups,
    reconstruction,
    recovery,
    uncertainty,
)
from toysae.metrics.registry import INVARIANCES, METRICS, Metric

from .draw import SEEDS

MODULES = (dictionary, chance, recovery, groups, activations, reconstruction, uncertainty)
# Functions that prepare what metrics take or arrange what they give.
HELPERS = {"by_group", "fires", "firing_counts"}

# Many metrics times many properties: a few draws of each are enough.
FEW = settings(max_examples=12)

Rng = np.random.Generator


def normal(rng: Rng, *shape: int) -> Tensor:
    return torch.from_numpy(rng.normal(size=shape))


def sparse(rng: Rng, *shape: int) -> Tensor:
    return torch.from_numpy(rng.exponential(size=shape) * (rng.random(shape) < 0.4))


def a_dictionary(rng: Rng) -> list[Tensor]:
    return [normal(rng, 5, 4)]


def two_dictionaries(rng: Rng) -> list[Tensor]:
    return [normal(rng, 5, 4), normal(rng, 7, 4)]


def mixtures_and_features(rng: Rng) -> list[Tensor]:
    """Latents that are single features, sums of two, or noise."""
    features = normal(rng, 6, 8)
    mixing = torch.cat([torch.eye(6)[:2], torch.eye(6)[2:4] + torch.eye(6)[4:6]]).double()
    return [torch.cat([mixing @ features, normal(rng, 2, 8)]), features]


def features_and_noisy_latents(rng: Rng) -> list[Tensor]:
    features = normal(rng, 5, 4)
    return [features, torch.cat([features[:3] + 0.1 * normal(rng, 3, 4), normal(rng, 4, 4)])]


def two_saes(rng: Rng) -> list[Tensor]:
    decoder, encoder = normal(rng, 5, 4), normal(rng, 5, 4)
    more = normal(rng, 2, 4)
    return [
        decoder,
        torch.cat([decoder[:4] + 0.1 * normal(rng, 4, 4), more]),
        encoder,
        torch.cat([encoder[:2], normal(rng, 4, 4)]),
    ]


def two_tables(rng: Rng) -> list[Tensor]:
    return [sparse(rng, 25, 4), sparse(rng, 25, 6)]


def two_firing_tables(rng: Rng) -> list[Tensor]:
    return [table > 0 for table in two_tables(rng)]


def a_table(rng: Rng) -> list[Tensor]:
    return [sparse(rng, 12, 5)]


def data_and_reconstruction(rng: Rng) -> list[Tensor]:
    x = normal(rng, 9, 4) + 1
    return [x, x + 0.5 * normal(rng, 9, 4)]


def counts(rng: Rng) -> list[Tensor]:
    first, second = torch.from_numpy(rng.random((2, 30)) < 0.5)
    return [(first & second).sum(), first.sum(), second.sum(), torch.tensor(30)]


def seed_values(rng: Rng) -> list[Tensor]:
    return [normal(rng, 8)]


def sizes(rng: Rng) -> list[Any]:
    return [int(rng.integers(1, 900)), int(rng.integers(1, 9000))]


@dataclass(frozen=True)
class Case:
    """How to call a metric: inputs from a generator, and the side `a` or `b` of each."""

    draw: Callable[[Rng], list[Any]]
    sides: str
    call: Callable[..., Any] | None = None
    applicable: tuple[str, ...] = ()


ROWS = ("permute_rows_a", "permute_rows_b")
SPACE = ("scale_rows", "flip_rows", "joint_rotation", "pad_dimensions")
DICTIONARIES = ROWS + SPACE
SAMPLES = ("permute_samples", "repeat_samples")
TABLES = (*SAMPLES, "permute_columns_a", "permute_columns_b")
ONE_TABLE = (*SAMPLES, "permute_columns_a", "scale_columns")
RECONSTRUCTIONS = (
    *SAMPLES,
    "scale_rows",
    "joint_rotation",
    "pad_dimensions",
    "joint_scale",
    "joint_shift",
)
SEED_LIST = (*SAMPLES, "joint_scale", "joint_shift")

CASES = {
    "cosine_matrix": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "max_cosine": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "max_abs_cosine": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "hungarian": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "hungarian_abs": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "mutual_nearest": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "multiplicity": Case(
        two_dictionaries,
        "ab",
        lambda a, b: dictionary.multiplicity(dictionary.max_cosine(a, b), 0.2),
        applicable=DICTIONARIES,
    ),
    "fraction_above": Case(
        seed_values, "a", lambda v: dictionary.fraction_above(v, [0, 0.5]), applicable=SEED_LIST
    ),
    "within_dictionary": Case(a_dictionary, "a", applicable=("permute_rows_a", *SPACE)),
    "matching_agreement": Case(two_saes, "abab", applicable=DICTIONARIES),
    "expected_max_cosine": Case(sizes, "--"),
    "expected_max_abs_cosine": Case(sizes, "--"),
    "prob_max_cosine_above": Case(lambda rng: [float(rng.uniform(-1, 1)), *sizes(rng)], "---"),
    "chance_corrected": Case(lambda rng: rng.random(2).tolist(), "ab"),
    "feature_recovery": Case(
        features_and_noisy_latents,
        "ab",
        lambda f, d: recovery.feature_recovery(f, d, 0.8),
        applicable=DICTIONARIES,
    ),
    "angle_to_nearest": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "composed_score": Case(mixtures_and_features, "ab", applicable=DICTIONARIES),
    "monosemanticity": Case(
        a_table, "a", applicable=("permute_rows_a", "permute_columns_a", "scale_columns")
    ),
    "detection": Case(two_tables, "ab", applicable=(*TABLES, "scale_columns")),
    "density": Case(a_table, "a", applicable=ONE_TABLE),
    "mean_l0": Case(a_table, "a", applicable=ONE_TABLE),
    "jaccard": Case(two_firing_tables, "ab", applicable=TABLES),
    "cofiring": Case(counts, "-ab-", applicable=("repeat_samples",)),
    "expected_jaccard": Case(lambda rng: rng.random(2).tolist(), "ab"),
    "explained_variance": Case(data_and_reconstruction, "ab", applicable=RECONSTRUCTIONS),
    "normalized_mse": Case(data_and_reconstruction, "ab", applicable=RECONSTRUCTIONS),
    "mean_cosine": Case(data_and_reconstruction, "ab", applicable=RECONSTRUCTIONS),
    "shrinkage": Case(data_and_reconstruction, "ab", applicable=RECONSTRUCTIONS),
    "legacy_explained_variance": Case(data_and_reconstruction, "ab", applicable=RECONSTRUCTIONS),
    "seed_interval": Case(seed_values, "a", applicable=SEED_LIST),
    "bootstrap_interval": Case(
        seed_values,
        "a",
        lambda v: uncertainty.bootstrap_interval(v, n_resamples=99),
        applicable=SEED_LIST,
    ),
    "wilson": Case(lambda rng: sorted(rng.integers(0, 40, 2).tolist()), "--"),
    "sign_flip_test": Case(seed_values, "a", applicable=("permute_samples", "joint_scale")),
    "minimum_p": Case(lambda rng: [int(rng.integers(0, 20))], "-"),
    "benjamini_hochberg": Case(lambda rng: [torch.from_numpy(rng.random(6))], "a"),
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
    values = [attrgetter(name)(result) for name in metric.summaries] or [result]
    return torch.cat([torch.as_tensor(v, dtype=torch.float64).flatten() for v in values])


def same(first: Tensor, second: Tensor) -> bool:
    return first.shape == second.shape and torch.allclose(first, second, 1e-8, 1e-9, equal_nan=True)


def instances(attribute: str) -> list[Any]:
    return [
        pytest.param(metric, name, id=f"{metric.name}-{name}")
        for metric in METRICS
        for name in (
            metric.invariances
            if attribute == "declared"
            else sorted(set(CASES[metric.name].applicable) - set(metric.invariances))
        )
    ]


def by_name(condition: Callable[[Metric], bool] = lambda metric: True) -> list[Any]:
    return [pytest.param(metric, id=metric.name) for metric in METRICS if condition(metric)]


def test_every_public_function_is_registered() -> None:
    public = {
        name
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_")
        and name in getattr(module, "__all__", [name])
        and (hasattr(module, "__all__") or function.__module__ == module.__name__)
    }
    assert {metric.name for metric in METRICS} == public - HELPERS
    assert public >= HELPERS
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert {metric.name for metric in METRICS} == set(CASES)


def test_every_invariance_is_known_and_used() -> None:
    assert {name for metric in METRICS for name in metric.invariances} == set(INVARIANCES)
    for metric in METRICS:
        assert set(metric.invariances) <= set(CASES[metric.name].applicable), metric.name


@pytest.mark.parametrize("metric", by_name())
def test_records_are_complete(metric: Metric) -> None:
    low, high = metric.range
    assert low < high
    for text in (metric.formula, metric.orientation, metric.degenerate, metric.source):
        assert text.strip()
        assert "\n" not in text
    two_sided = "b" in CASES[metric.name].sides
    assert (metric.symmetric is None) == (not two_sided)


@pytest.mark.parametrize("metric", by_name())
@FEW
@given(seed=SEEDS)
def test_values_lie_in_the_range(metric: Metric, seed: int) -> None:
    values = summaries(metric, CASES[metric.name].draw(np.random.default_rng(seed)))
    defined = values[~torch.isnan(values)]
    low, high = metric.range
    assert (defined >= low - 1e-9).all()
    assert (defined <= high + 1e-9).all()


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
    inputs = case.draw(np.random.default_rng(0))
    swapped = swap_sides(inputs, case.sides)
    assert not same(summaries(metric, inputs), summaries(metric, swapped))


def test_tolerance_is_not_blind() -> None:
    assert not same(torch.tensor([1.0]), torch.tensor([1.0 + 1e-6]))
    assert not same(torch.tensor([math.nan]), torch.tensor([1.0]))
