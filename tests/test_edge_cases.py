"""What every registered function does with damaged, coarse and little input.

What holds for all of them is a test; what does not stands in one of the tables, with the reason.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from test_registry import CASES, REGISTERED, by_summary
from torch import Tensor

from toysae.errors import DataError, ShapeError, ToysaeError
from toysae.metrics.registry import Metric

NO_TEST = "a test that could not be made"
NO_TOKEN = "a position after the end of a sequence"
NO_ESTIMATE = "a coefficient without an estimate"
NO_COSINE = "a feature without a cosine"
#: Inputs, by their place, in which NaN says that a value is undefined; and what is undefined there.
TAKES_NAN = {
    ("benjamini_hochberg", 0): NO_TEST,
    ("bonferroni", 0): NO_TEST,
    ("chance_corrected", 0): "an agreement that is undefined",
    ("clustering", 0): NO_TOKEN,
    ("coefficient_stability", 0): NO_ESTIMATE,
    ("energy", 0): "a latent without a decomposition",
    ("feature_stability", 0): NO_COSINE,
    ("fraction_above", 0): NO_COSINE,
    ("holm", 0): NO_TEST,
    ("jackknife_over_seeds", 0): "a pair of seeds without a value",
    ("per_position", 0): NO_TOKEN,
    ("quantiles", 0): NO_COSINE,
    ("recovery_curve", 0): NO_COSINE,
    ("sign_errors", 0): NO_ESTIMATE,
    ("sign_errors", 1): "a reference without a sign",
    ("sign_errors", 2): NO_ESTIMATE,
    ("sign_probability", 0): NO_ESTIMATE,
    ("sign_probability", 1): NO_ESTIMATE,
}
#: Inputs, by their place, that may be infinite.
TAKES_INFINITY = {
    ("sign_errors", 2): "a standard error where nothing is known",
    ("sign_probability", 1): "a standard error where nothing is known",
}

EXACTNESS = "what is an exact relation depends on the rounding of the type that data come in"
#: Functions whose results depend on the type that the same numbers are stored in.
DEPENDS_ON_TYPE = {
    "centered_condition_indices": EXACTNESS,
    "condition_indices": EXACTNESS,
    "diagnose": EXACTNESS,
    "expected_difference": "probabilities add up to 1 only to the rounding of their type",
    "gvif": EXACTNESS,
    "leverage": EXACTNESS,
    "regularized_vif": EXACTNESS,
    "ridge_vif": EXACTNESS,
    "vif": EXACTNESS,
}

#: Functions that warn of few seeds, whatever these say.
WARNS_OF_FEW = {
    "paired_t_test": "no t test is known to apply to fewer than 6 seeds",
    "sign_flip_test": "fewer than 6 seeds cannot be significant",
    "wilcoxon_test": "fewer than 6 seeds cannot be significant",
}

#: Numbers that are no NaN where a table has no rows.
NUMBERS_OF_NOTHING: dict[str, Mapping[str, str]] = {
    "alive_by_definition": {"shares": "nothing has fired, by any definition"},
    "best_cofiring": {"surviving_a": "share of the latents with enough firings"},
    "best_cofiring_ties": {"jaccard.n_a": "count", "jaccard.n_b": "count", "phi.n_a": "count",
                           "phi.n_b": "count"},
    "best_partner_ties": {"n_a": "count", "n_b": "count"},
    "composition_kinds": {"shares": "a single latent is one by its direction alone"},
    "connected_communities": {"n_communities": "count"},
    "jaccard": {"surviving_a": "share of the latents with enough firings"},
    "monosemanticity": {"published_mean": "0 as published, for comparison"},
    "multiplicity": {"on_b.most": "count"},
    "saelens_reconstruction": dict.fromkeys(
        ("true_l0", "sae_l0", "dead_latents", "shrinkage", "explained_variance"),
        "0 as in SAELens, for comparison",
    ),
    "shrunken_jaccard": {"surviving_a": "share of the latents with enough firings"},
    "sparse_firing_counts": {"n11": "count", "n1": "count", "n2": "count"},
    "wilson_jaccard": {"surviving_a": "share of the latents with enough firings"},
}  # fmt: skip

TARGET = "its case takes the target out of the table's columns"
#: Functions whose case takes a table apart before they see it, which needs both axes and columns.
TAKEN_APART = {
    "bootstrap_coefficients": TARGET,
    "coefficient_errors": TARGET,
    "composed_scores": "its case takes the cosines of all features",
    "estimators": TARGET,
    "readout_estimators": TARGET,
    "readout_fits": TARGET,
    "readout_regression": TARGET,
    "ridge_trace": TARGET,
    "saebench_absorption": "its case adds up the features by their coefficients",
}

DIAGNOSTICS = [m for m in REGISTERED if m.function.__module__.startswith("toysae.diagnostics")]


def inputs_of(metric: Metric) -> list[Any]:
    return CASES[metric.name].draw(np.random.default_rng(0))


def called(metric: Metric, inputs: list[Any]) -> dict[str, Tensor]:
    """The numbers of each summary."""
    with warnings.catch_warnings():
        if metric.name in WARNS_OF_FEW:
            warnings.filterwarnings("ignore", "[0-9]+ seeds .*: use at least 6", UserWarning)
        result = (CASES[metric.name].call or metric.function)(*inputs)
    return by_summary(metric, result)


def result_of(metric: Metric, inputs: list[Any]) -> Tensor:
    return torch.cat(list(called(metric, inputs).values()))


def assert_in_range(metric: Metric, results: Mapping[str, Tensor]) -> None:
    for name, values in results.items():
        low, high = metric.range_of(name)
        defined = values[~values.isnan()]
        assert (defined >= low - 1e-9).all(), name
        assert (defined <= high + 1e-9).all(), name


def is_table(value: object) -> bool:
    """Numbers of samples, rows or seeds, of which there can be fewer."""
    return isinstance(value, np.ndarray | dict) or (isinstance(value, Tensor) and value.ndim > 0)


def takes_tables(metric: Metric) -> bool:
    return any(map(is_table, inputs_of(metric)))


def floating(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(floating, value.values()))
    if isinstance(value, Tensor):
        return value.is_floating_point()
    return isinstance(value, float) or (isinstance(value, np.ndarray) and value.dtype.kind == "f")


def damaged(value: Any, wrong: float) -> Any:
    """`value` with one number in its middle replaced."""
    if isinstance(value, float):
        return wrong
    if isinstance(value, dict):
        return {**value, list(value)[len(value) // 2]: wrong}
    flat = (value.clone() if isinstance(value, Tensor) else value.copy()).reshape(-1)
    flat[len(flat) // 2] = wrong
    return flat.reshape(value.shape)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("metric", "place"),
    [
        pytest.param(metric, place, id=f"{metric.name}-{place}")
        for metric in REGISTERED
        for place, value in enumerate(inputs_of(metric))
        if floating(value)
    ],
)
def test_what_is_not_finite_is_refused(metric: Metric, place: int, wrong: float) -> None:
    inputs = inputs_of(metric)
    inputs[place] = damaged(inputs[place], wrong)
    taken = TAKES_NAN if math.isnan(wrong) else TAKES_INFINITY if wrong > 0 else {}
    if (metric.name, place) in taken:
        assert_in_range(metric, called(metric, inputs))
        return
    with pytest.raises(DataError):
        called(metric, inputs)


def in_type(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype) if is_coarsened(value) else value


def is_coarsened(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


@pytest.mark.parametrize(
    "metric",
    [
        pytest.param(metric, id=metric.name)
        for metric in REGISTERED
        if any(map(is_coarsened, inputs_of(metric)))
    ],
)
def test_bfloat16_is_as_good_as_the_same_numbers_in_double(metric: Metric) -> None:
    coarse = [in_type(value, torch.bfloat16) for value in inputs_of(metric)]
    found = called(metric, coarse)
    assert_in_range(metric, found)
    if metric.name not in DEPENDS_ON_TYPE:
        exact = called(metric, [in_type(value, torch.float64) for value in coarse])
        for name, values in found.items():
            torch.testing.assert_close(values, exact[name], equal_nan=True)


def first_rows(n: int) -> Callable[[Any], Any]:
    return lambda table: dict([*table.items()][:n]) if isinstance(table, dict) else table[:n]


def zeros(table: Any) -> Any:
    if isinstance(table, dict):
        return dict.fromkeys(table, 0.0)
    return torch.zeros_like(table) if isinstance(table, Tensor) else np.zeros_like(table)


def first_columns(n: int) -> Callable[[Any], Any]:
    return lambda table: table if isinstance(table, dict) or table.ndim < 2 else table[..., :n]


def an_axis_less(table: Any) -> Any:
    return table if isinstance(table, dict) else table[0]


def an_axis_more(table: Any) -> Any:
    return table if isinstance(table, dict) else table[None]


ROWS = {"one row": first_rows(1), "no row": first_rows(0), "zeros": zeros}
SHAPES = {
    "one column": first_columns(1),
    "no column": first_columns(0),
    "an axis less": an_axis_less,
    "an axis more": an_axis_more,
}


@pytest.mark.parametrize(
    ("metric", "change"),
    [
        pytest.param(metric, change, id=f"{metric.name}-{name}")
        for metric in filter(takes_tables, REGISTERED)
        for name, change in (ROWS if metric.name in TAKEN_APART else ROWS | SHAPES).items()
    ],
)
def test_little_is_undefined_or_refused(metric: Metric, change: Callable[[Any], Any]) -> None:
    """In all tables or in one: no error that is not ours, no number out of range but NaN."""
    tables = [place for place, value in enumerate(inputs_of(metric)) if is_table(value)]
    for places in [tables, *([place] for place in tables)]:
        inputs = inputs_of(metric)
        for place in places:
            inputs[place] = change(inputs[place])
        try:
            found = called(metric, inputs)
        except ToysaeError:
            continue
        assert_in_range(metric, found)


@pytest.mark.parametrize(
    "metric", [pytest.param(m, id=m.name) for m in filter(takes_tables, REGISTERED)]
)
def test_without_rows_nothing_is_a_number(metric: Metric) -> None:
    inputs = [first_rows(0)(value) if is_table(value) else value for value in inputs_of(metric)]
    try:
        found = called(metric, inputs)
    except ToysaeError:
        return
    numbers = {name for name, values in found.items() if not values.isnan().all()}
    assert numbers == set(NUMBERS_OF_NOTHING.get(metric.name, {}))


@pytest.mark.parametrize(
    "metric", [pytest.param(m, id=m.name) for m in REGISTERED if not takes_tables(m)]
)
def test_a_zero_is_in_the_range_or_refused(metric: Metric) -> None:
    for place, value in enumerate(inputs_of(metric)):
        inputs = inputs_of(metric)
        inputs[place] = value * 0
        try:
            found = called(metric, inputs)
        except ToysaeError:
            continue
        assert_in_range(metric, found)


def test_every_exception_is_of_a_registered_function() -> None:
    of_places = {name for name, _ in TAKES_NAN | TAKES_INFINITY}
    of_functions = {*DEPENDS_ON_TYPE, *WARNS_OF_FEW, *NUMBERS_OF_NOTHING, *TAKEN_APART}
    assert {metric.name for metric in REGISTERED} >= of_places | of_functions


NAN, SOME, ALL = "NaN", "some", "all"
#: What each diagnostic gives of one sample (or row, or coefficient), of none, and of zeros: nothing
#: but NaN, some numbers, only numbers, or an error.
LITTLE: dict[str, tuple[Any, Any, Any]] = {
    "coefficient_errors": (NAN, ShapeError, NAN),
    "coefficient_stability": (SOME, NAN, SOME),
    "bootstrap_coefficients": (NAN, ShapeError, NAN),
    "estimators": (DataError, ShapeError, SOME),
    "readout_regression": (NAN, ShapeError, NAN),
    "implied_coefficients": (ALL, ShapeError, ALL),
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
    tables = {metric.name for metric in filter(takes_tables, DIAGNOSTICS)}
    assert tables == set(LITTLE)


@pytest.mark.parametrize(
    ("name", "which"),
    [
        pytest.param(name, k, id=f"{name}-{word}")
        for name, expected in LITTLE.items()
        for k, word in enumerate(("one", "none", "zeros"))
    ],
)
def test_a_diagnostic_of_little(name: str, which: int) -> None:
    (metric,) = (m for m in DIAGNOSTICS if m.name == name)
    change = (first_rows(1), first_rows(0), zeros)[which]
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
