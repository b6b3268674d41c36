"""What every function does with damaged, coarse and empty input.

NaN and infinity are refused by all that is registered, but for what takes NaN for "undefined". The
rest is about the diagnostics and the metrics of firings, reconstructions, outputs and positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from test_registry import CASES, REGISTERED, by_summary
from torch import Tensor

from toysae.diagnostics.coefficients import implied_coefficients
from toysae.errors import DataError, ShapeError, ToysaeError
from toysae.metrics.registry import Metric

#: Functions in which NaN stands for an undefined value, and says so.
TAKES_NAN = {
    "benjamini_hochberg", "bonferroni", "clustering", "coefficient_stability", "energy",
    "feature_stability", "fraction_above", "holm", "per_position", "quantiles", "recovery_curve",
    "sign_errors", "sign_probability",
}  # fmt: skip
#: Standard errors may be infinite: nothing is known.
TAKES_INFINITE = {("sign_errors", 2), ("sign_probability", 1)}

CHECKED = (
    "codes", "cofiring", "communities", "density", "outputs", "positions", "profiles", "published",
    "reconstruction", "_firing", "_outputs", "_positions",
)  # fmt: skip
#: What an exact relation is, and what adds up to 1, depends on the type that data are stored in.
JUDGED_BY_TYPE = {
    "vif", "condition_indices", "diagnose", "gvif", "centered_condition_indices", "leverage",
    "ridge_vif", "ridge_trace", "regularized_vif", "readout_regression", "harmful_relations",
    "readout_fits", "readout_estimators", "estimators", "bootstrap_coefficients",
    "coefficient_errors", "identifiable", "vif_uncentered", "expected_difference",
}  # fmt: skip

DIAGNOSTICS = [m for m in REGISTERED if m.function.__module__.startswith("toysae.diagnostics")]


def is_checked(metric: Metric) -> bool:
    return metric in DIAGNOSTICS or metric.function.__module__.split(".")[2] in CHECKED


MINE = [metric for metric in REGISTERED if is_checked(metric)]


def inputs_of(metric: Metric) -> list[Any]:
    return CASES[metric.name].draw(np.random.default_rng(0))


def result_of(metric: Metric, inputs: list[Any]) -> Tensor:
    result = (CASES[metric.name].call or metric.function)(*inputs)
    return torch.cat(list(by_summary(metric, result).values()))


def is_table(value: object) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0


def floating(metric: Metric) -> list[int]:
    """Places of the floating-point tensors among the inputs."""
    return [
        k
        for k, value in enumerate(inputs_of(metric))
        if isinstance(value, Tensor) and value.is_floating_point()
    ]


def damaged(metric: Metric, place: int, value: float) -> list[Any]:
    inputs = inputs_of(metric)
    flat = inputs[place].clone().reshape(-1)
    flat[len(flat) // 2] = value
    inputs[place] = flat.reshape(inputs[place].shape)
    return inputs


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("metric", "place"),
    [
        pytest.param(metric, place, id=f"{metric.name}-{place}")
        for metric in REGISTERED
        for place in floating(metric)
    ],
)
def test_what_is_not_finite_is_refused(metric: Metric, place: int, wrong: float) -> None:
    inputs = damaged(metric, place, wrong)
    undefined = math.isnan(wrong) and metric.name in TAKES_NAN
    unknown = wrong == math.inf and (metric.name, place) in TAKES_INFINITE
    if undefined or unknown:
        result_of(metric, inputs)
        return
    with pytest.raises(DataError):
        result_of(metric, inputs)


@pytest.mark.parametrize(
    "metric", [pytest.param(metric, id=metric.name) for metric in MINE if floating(metric)]
)
def test_bfloat16_is_as_good_as_the_same_numbers_in_double(metric: Metric) -> None:
    coarse = [
        value.bfloat16() if isinstance(value, Tensor) and value.is_floating_point() else value
        for value in inputs_of(metric)
    ]
    found = result_of(metric, coarse)
    if metric.name in JUDGED_BY_TYPE:
        return
    exact = [
        value.double() if isinstance(value, Tensor) and value.is_floating_point() else value
        for value in coarse
    ]
    torch.testing.assert_close(found, result_of(metric, exact), equal_nan=True)


def first_rows(n: int) -> Callable[[Tensor], Tensor]:
    return lambda table: table[:n]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(first_rows(1), id="one row"),
        pytest.param(first_rows(0), id="no row"),
        pytest.param(torch.zeros_like, id="zeros"),
    ],
)
@pytest.mark.parametrize(
    "metric",
    [
        pytest.param(metric, id=metric.name)
        for metric in MINE
        # Its case takes the readout out of the decoder: see below.
        if any(map(is_table, inputs_of(metric))) and metric.name != "implied_coefficients"
    ],
)
def test_little_is_undefined_or_refused(metric: Metric, change: Callable[[Tensor], Tensor]) -> None:
    """Never an error that is not ours, and no number that is neither in the range nor NaN."""
    inputs = [change(value) if is_table(value) else value for value in inputs_of(metric)]
    try:
        result = (CASES[metric.name].call or metric.function)(*inputs)
    except ToysaeError:
        return
    for name, values in by_summary(metric, result).items():
        low, high = metric.range_of(name)
        defined = values[~values.isnan()]
        assert (defined >= low - 1e-9).all(), name
        assert (defined <= high + 1e-9).all(), name


NAN, SOME, ALL = "NaN", "some", "all"
#: What each diagnostic gives of one sample (or row, or coefficient), of none, and of zeros: nothing
#: but NaN, some numbers, only numbers, or an error.
LITTLE: dict[str, tuple[Any, Any, Any]] = {
    "coefficient_errors": (NAN, ShapeError, NAN),
    "coefficient_stability": (SOME, NAN, SOME),
    "bootstrap_coefficients": (NAN, ShapeError, NAN),
    "estimators": (DataError, ShapeError, SOME),
    "readout_regression": (NAN, ShapeError, NAN),
    "implied_coefficients": (ALL, None, ALL),
    "sign_errors": (ALL, NAN, NAN),
    "correlation": (NAN, ShapeError, NAN),
    "vif": (NAN, ShapeError, NAN),
    "vif_uncentered": (ALL, ShapeError, NAN),
    "identifiable": (ALL, ShapeError, ALL),
    "condition_indices": (ALL, ShapeError, ALL),
    "diagnose": (SOME, ShapeError, SOME),
    "gvif": (NAN, ShapeError, NAN),
    "harmful_relations": (ALL, ShapeError, ALL),
    "centered_condition_indices": (ALL, ShapeError, ALL),
    "class_alignment": (ALL, ShapeError, NAN),
    "explain_latents": (ShapeError, ShapeError, NAN),
    "eigenspace_overlap": (ShapeError, ShapeError, NAN),
    "leverage": (ALL, ShapeError, ALL),
    "sign_probability": (ALL, ALL, NAN),
    "sparse_collinearity": (SOME, DataError, SOME),
    "block_local_vif": (NAN, ShapeError, NAN),
    "projection_kurtosis": (ALL, ShapeError, NAN),
    "fourth_angular_moment": (ALL, ShapeError, NAN),
    "ica": (DataError, ShapeError, DataError),
    "pca": (ShapeError, ShapeError, NAN),
    "alignment": (ALL, ShapeError, NAN),
    "participation_ratio": (ALL, ShapeError, NAN),
    "effective_rank": (ALL, ShapeError, NAN),
    "stable_rank": (ALL, ShapeError, NAN),
    "readout_fits": (ShapeError, ShapeError, NAN),
    "readout_estimators": (ShapeError, ShapeError, SOME),
    "ridge_vif": (SOME, ShapeError, SOME),
    "ridge_trace": (NAN, ShapeError, NAN),
    "regularized_vif": (NAN, ShapeError, NAN),
    "sparse_regularized_vif": (NAN, DataError, NAN),
    "sparse_block_local_vif": (NAN, DataError, NAN),
    "pca_of_moments": (ShapeError, ShapeError, NAN),
}


def test_every_diagnostic_of_tables_says_what_it_does_with_little() -> None:
    tables = {m.name for m in DIAGNOSTICS if any(map(is_table, inputs_of(m)))}
    assert tables == set(LITTLE)


@pytest.mark.parametrize(
    ("name", "which"),
    [
        pytest.param(name, k, id=f"{name}-{word}")
        for name, expected in LITTLE.items()
        for k, word in enumerate(("one", "none", "zeros"))
        if expected[k] is not None
    ],
)
def test_a_diagnostic_of_little(name: str, which: int) -> None:
    (metric,) = (m for m in DIAGNOSTICS if m.name == name)
    change = (first_rows(1), first_rows(0), torch.zeros_like)[which]
    inputs = [change(value) if is_table(value) else value for value in inputs_of(metric)]
    expected = LITTLE[name][which]
    if not isinstance(expected, str):
        with pytest.raises(expected):
            result_of(metric, inputs)
        return
    undefined = result_of(metric, inputs).isnan()
    assert (bool(undefined.all()), bool(undefined.any())) == {
        NAN: (True, True),
        SOME: (False, True),
        ALL: (len(undefined) == 0, False),
    }[expected]


def test_a_decoder_without_rows_implies_nothing() -> None:
    with pytest.raises(ShapeError, match="expected a non-empty matrix"):
        implied_coefficients(torch.ones(0, 4), torch.ones(4))
