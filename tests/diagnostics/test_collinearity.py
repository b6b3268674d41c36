from __future__ import annotations

import itertools
import math
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.diagnostics.collinearity import (
    Reason,
    condition_indices,
    correlation,
    diagnose,
    gvif,
    identifiable,
    vif,
    vif_uncentered,
)
from toysae.diagnostics.conditioning import centered_condition_indices
from toysae.errors import DataError, ShapeError

from ._designs import LONGLEY, PARENT_AND_CHILD, SMALL, with_correlation

INF, NAN = math.inf, math.nan
# Two amplitudes with the first two moments of U(0, 1).
UNIFORM_LIKE = (0.5 - 0.5 / math.sqrt(3), 0.5 + 0.5 / math.sqrt(3))


def test_longley() -> None:
    x = LONGLEY[:, 1:]
    np.testing.assert_allclose(
        vif(x).vif,
        [135.532438, 1788.513483, 33.618891, 3.588930, 399.151022, 758.980597],
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        vif_uncentered(x).vif,
        [12425.514335, 10290.435437, 136.224354, 39.983386, 101193.16199, 84709.950443],
        rtol=1e-6,
    )
    assert gvif(x, [1, 5]).value == pytest.approx(4574.134667, rel=1e-6)
    assert gvif(x, [1, 5]).scaled == pytest.approx(8.223889, abs=1e-6)


def test_longley_condition_indices() -> None:
    found = condition_indices(LONGLEY[:, 1:])
    np.testing.assert_allclose(
        found.indices,
        [1, 9.141721, 12.255735, 25.336607, 230.423946, 1048.080298, 43275.043587],
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        found.proportions[-1], [0.9999, 0.0383, 0.6546, 0.6893, 0.3020, 0.1597, 0.9998], atol=1e-4
    )


def test_small_design() -> None:
    found = vif(SMALL)
    np.testing.assert_allclose(found.vif, [6.270833, 9.770833, 3.2], atol=1e-6)
    np.testing.assert_allclose(found.tolerance, [0.159468, 0.102345, 0.3125], atol=1e-6)
    np.testing.assert_allclose(
        vif_uncentered(SMALL).vif, [26.870079, 49.799213, 8.456693], atol=1e-6
    )
    np.testing.assert_allclose(
        condition_indices(SMALL).indices, [1, 3.946586, 5.419052, 17.746044], atol=1e-6
    )
    assert found.reasons == (Reason.NONE,) * 3
    assert found.relations == ()
    assert found.rank == 3


@pytest.mark.parametrize(
    ("rho", "value"),
    [(0.0, 1.0), (0.5, 1.333333), (0.9, 5.263158), (0.95, 10.256410), (0.99, 50.251256)],
)
def test_two_predictors(rho: float, value: float) -> None:
    found = vif(with_correlation(np.array([[1, rho], [rho, 1]]), 100))
    np.testing.assert_allclose(found.vif, value, atol=1e-6)
    np.testing.assert_allclose(found.vif, 1 / (1 - rho**2))


def test_latents_that_measure_one_feature_twice() -> None:
    """`z = f + e` with variances .25 and .01, twice: correlation .25 / .26."""
    f, e1, e2 = np.array(list(itertools.product([0.5, -0.5], [0.1, -0.1], [0.1, -0.1]))).T
    x = np.stack([f + e1, f + e2], axis=1)
    assert float(correlation(x).values[0, 1]) == pytest.approx(0.961538, abs=1e-6)
    np.testing.assert_allclose(vif(x).vif, 13.254902, atol=1e-6)


@pytest.mark.parametrize(
    ("k", "rho", "value"), [(3, 0.9, 6.785714), (10, 0.9, 9.010989), (100, 0.5, 1.980198)]
)
def test_equicorrelated(k: int, rho: float, value: float) -> None:
    r = np.full((k, k), rho) + (1 - rho) * np.eye(k)
    np.testing.assert_allclose(vif(with_correlation(r, k + 10)).vif, value, atol=1e-6)


def test_duplicate_column() -> None:
    a, b = np.array([1.0, 2, 3, 4]), np.array([1.0, -1, 1, -1])
    x = np.stack([a, a, b], axis=1)
    # Centred: corr(a, b) = -2 / sqrt(5 * 4), so 1 / (1 - 1/5). About the origin: a·b = -2.
    for found, value in ((vif(x), 1.25), (vif_uncentered(x), 1 / (1 - 4 / 120))):
        np.testing.assert_allclose(found.vif, [INF, INF, value])
        np.testing.assert_allclose(found.tolerance, [0, 0, 1 / value])
        assert found.reasons == (Reason.DUPLICATE, Reason.DUPLICATE, Reason.NONE)
        assert found.relations == ((0, 1),)
        assert found.rank == 2
        assert found.n_defined == 3
        assert found.n_effective[:2].tolist() == [0, 0]
    assert identifiable(x).tolist() == [False, False, True]


def test_relations_are_named() -> None:
    rng = np.random.default_rng(0)
    a, b, c, d = rng.standard_normal((4, 30))
    x = np.stack([a, np.full(30, 0.1), b, a + b, c, 3 - 2 * c, d, 7 * c], axis=1)
    found = vif(x)
    assert found.relations == ((0, 2, 3), (4, 5, 7))
    assert found.reasons == (
        Reason.COLLINEAR,
        Reason.CONSTANT,
        Reason.COLLINEAR,
        Reason.COLLINEAR,
        Reason.DUPLICATE,
        Reason.DUPLICATE,
        Reason.NONE,
        Reason.DUPLICATE,
    )
    assert found.n_defined == 7
    assert math.isnan(found.vif[1])
    assert math.isnan(found.n_effective[1])
    assert math.isfinite(found.vif[6])
    # About the origin the constant takes part in 3 - 2c, and nothing is undefined.
    about_origin = vif_uncentered(x)
    assert about_origin.relations == ((0, 2, 3), (1, 4, 5, 7))
    assert about_origin.reasons[1] is Reason.COLLINEAR


def test_zero_column_about_the_origin() -> None:
    found = vif_uncentered(np.array([[1.0, 0.0], [1.0, 0.0]]))
    np.testing.assert_array_equal(found.vif, [1, NAN])
    assert found.reasons == (Reason.NONE, Reason.ZERO)
    assert identifiable(np.array([[1.0, 0.0], [1.0, 0.0]])).tolist() == [True, False]


def test_absorption_lowers_the_vif() -> None:
    absorbing = np.repeat([[1.0, 0.0], [0.0, math.sqrt(2)], [0.0, 0.0]], [3, 3, 6], axis=0)
    np.testing.assert_allclose(vif(PARENT_AND_CHILD).vif, [1.5, 1.5])
    np.testing.assert_allclose(vif(absorbing).vif, [1.125, 1.125])


def test_one_hot_set_of_constant_magnitude_is_singular() -> None:
    x = np.tile(np.eye(4), (3, 1))
    found = vif(x)
    assert found.vif.tolist() == [INF] * 4
    assert found.relations == ((0, 1, 2, 3),)
    assert set(found.reasons) == {Reason.COLLINEAR}
    np.testing.assert_allclose(vif_uncentered(x).vif, 1)
    # The set as a whole is no combination of an independent column beside it.
    other = np.repeat([[1.0], [-1.0], [1.0]], 4, axis=0)
    whole = gvif(np.hstack([x, other]), [0, 1, 2, 3])
    assert whole.value == pytest.approx(1)
    assert whole.dimension == 3


@pytest.mark.parametrize(
    ("n", "rho", "value"),
    [(2, -0.6, 1.5625), (3, -1 / 3, 1.5), (5, -3 / 17, 1.36), (10, -3 / 37, 1.2025)],
)
def test_one_hot_set_of_uniform_magnitude(n: int, rho: float, value: float) -> None:
    x = np.concatenate([a * np.eye(n) for a in UNIFORM_LIKE])
    off_diagonal = ~np.eye(n, dtype=bool)
    np.testing.assert_allclose(correlation(x).values.numpy()[off_diagonal], rho)
    np.testing.assert_allclose(vif(x).vif, value)


@pytest.mark.parametrize(
    ("k", "q", "value"), [(2, 0.25, 1.125), (10, 0.05, 1.045), (100, 0.01, INF)]
)
def test_exclusive_features(k: int, q: float, value: float) -> None:
    x = np.vstack([np.eye(k), np.zeros((round(1 / q) - k, k))])
    np.testing.assert_allclose(vif(x).vif, value)


@pytest.mark.parametrize(
    ("rest", "rho", "value"),
    [(4, 0.6, 1.5625), (36, 0.729730, 2.139063), (396, 0.748111, 2.271023)],
)
def test_perfect_cooccurrence_is_invisible_to_the_vif(rest: int, rho: float, value: float) -> None:
    pairs = np.array(list(itertools.product(UNIFORM_LIKE, repeat=2)))
    x = np.vstack([pairs, np.zeros((rest, 2))])
    assert float(correlation(x).values[0, 1]) == pytest.approx(rho, abs=1e-6)
    np.testing.assert_allclose(vif(x).vif, value, atol=1e-6)


def test_perfect_cooccurrence_of_ever_rarer_features_has_a_limit() -> None:
    """`rho = (1/4 - q/4) / (1/3 - q/4)` goes to .75 and the VIF to 16 / 7, at a rate of `q`."""
    pairs = np.array(list(itertools.product(UNIFORM_LIKE, repeat=2)))
    q = 1e-5
    x = np.vstack([pairs, np.zeros((round(4 / q) - 4, 2))])
    assert float(correlation(x).values[0, 1]) == pytest.approx(0.75, abs=q)
    np.testing.assert_allclose(vif(x).vif, 2.285714, atol=2 * q)
    assert (vif(x).vif < 16 / 7).all()


def test_topk_indicators_are_collinear_with_the_intercept() -> None:
    x = np.array([[i in pair for i in range(4)] for pair in itertools.combinations(range(4), 2)])
    assert vif(x).vif.tolist() == [INF] * 4
    found = condition_indices(x)
    assert found.indices[0] == 1
    assert torch.isinf(found.indices).tolist() == [False] * 4 + [True]
    np.testing.assert_allclose(found.proportions[-1], 1)
    with_intercept = np.hstack([np.ones((6, 1)), x])
    assert vif_uncentered(with_intercept).rank == 4
    assert not identifiable(with_intercept).any()
    assert identifiable(x.astype(float)).all()


def test_correlation_of_a_constant_column_is_undefined() -> None:
    x = np.array([[1.0, 0.3, 2.0], [2.0, 0.3, 1.0], [4.0, 0.3, -1.0]])
    found = correlation(x)
    np.testing.assert_allclose(found.values, [[1, NAN, -1], [NAN] * 3, [-1, NAN, 1]])
    assert found.reasons == (Reason.NONE, Reason.CONSTANT, Reason.NONE)
    assert found.n_defined == 2


def test_effective_sample_size() -> None:
    # One half on, one half off: N s² = N / 4, orthogonal columns have VIF 1.
    x = np.tile([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], (25, 1))
    np.testing.assert_allclose(vif(x).n_effective, [25.0, 25.0])
    np.testing.assert_allclose(vif(x[:, [0]] + 9).n_effective, [25.0])


def test_exactness_is_judged_by_the_stored_type() -> None:
    a, b = torch.randn(2, 500, generator=torch.Generator().manual_seed(0))
    rounded = torch.stack([a, b, a + b], dim=1)
    assert vif(rounded).vif.tolist() == [INF] * 3
    # The same numbers stated in double precision are close to, but not, an exact relation.
    assert (vif(rounded.double()).vif > 1e11).all()
    assert vif(rounded.double()).vif.isfinite().all()


def test_large_offsets_do_not_hide_or_invent_relations() -> None:
    rng = np.random.default_rng(0)
    a, b, c = rng.standard_normal((3, 200))
    x = np.stack([a, b, a + b, c], axis=1) + 1e6
    assert vif(x).vif.isinf().tolist() == [True, True, True, False]
    y = np.stack([a, b, a + b + 1e-5 * c], axis=1) + 1e6
    assert vif(y).vif.isfinite().all()


def test_rounding_is_no_variation() -> None:
    x = np.array([[0.3, 1.0], [0.1 + 0.2, 2.0], [0.3, 4.0]])
    assert x[0, 0] != x[1, 0]
    np.testing.assert_array_equal(vif(x).vif, [NAN, 1])


def test_more_columns_than_samples() -> None:
    x = np.random.default_rng(0).standard_normal((4, 6))
    assert vif(x).vif.tolist() == [INF] * 6
    assert vif(x).rank == 3
    assert not identifiable(x).any()


def designs(min_columns: int = 1) -> st.SearchStrategy[np.ndarray]:
    def build(seed: int, extra: int, k: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return rng.standard_normal((k + extra, k)) @ rng.standard_normal((k, k)) + 3 * rng.random(k)

    return st.builds(
        build, st.integers(0, 2**32 - 1), st.integers(2, 20), st.integers(min_columns, 5)
    )


def tss_over_rss(x: np.ndarray, j: int) -> float:
    others = np.column_stack([np.ones(len(x)), np.delete(x, j, axis=1)])
    residual = x[:, j] - others @ np.linalg.lstsq(others, x[:, j])[0]
    return float(((x[:, j] - x[:, j].mean()) ** 2).sum() / (residual**2).sum())


@given(designs(min_columns=2))
def test_vif_has_three_definitions(x: np.ndarray) -> None:
    found = vif(x).vif
    assert (found >= 1).all()
    inverse = np.diag(np.linalg.inv(np.corrcoef(x.T)))
    np.testing.assert_allclose(found, inverse, rtol=1e-5)
    np.testing.assert_allclose(correlation(x).values, np.corrcoef(x.T), atol=1e-12)
    for j in range(x.shape[1]):
        assert float(found[j]) == pytest.approx(tss_over_rss(x, j), rel=1e-5)
        assert gvif(x, [j]).value == pytest.approx(float(found[j]), rel=1e-5)
        assert gvif(x, [j]).scaled == pytest.approx(math.sqrt(found[j]), rel=1e-5)


@given(designs(), st.integers(0, 2**32 - 1))
def test_vif_knows_no_units(x: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale = rng.choice([-1, 1], x.shape[1]) * rng.uniform(0.1, 1000, x.shape[1])
    found = vif(x * scale + rng.normal(size=x.shape[1]))
    np.testing.assert_allclose(found.vif, vif(x).vif, rtol=1e-5)
    np.testing.assert_allclose(vif_uncentered(x * scale).vif, vif_uncentered(x).vif, rtol=1e-5)


@given(designs(), st.integers(0, 2**32 - 1))
def test_another_column_never_lowers_a_vif(x: np.ndarray, seed: int) -> None:
    column = np.random.default_rng(seed).standard_normal((len(x), 1))
    before, after = vif(x).vif, vif(np.hstack([x, column])).vif[:-1]
    assert (after >= before * (1 - 1e-6)).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(0, 20))
def test_vif_is_one_exactly_for_orthogonal_columns(seed: int, k: int, extra: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((k + 1 + extra, k))
    scale, shift = rng.uniform(0.1, 10, k), rng.normal(size=k)
    orthogonal = np.linalg.qr(noise - noise.mean(0))[0] * scale + shift
    np.testing.assert_allclose(vif(orthogonal).vif, 1, rtol=1e-9)
    if k > 1:
        tilted = orthogonal.copy()
        tilted[:, 0] += (
            0.01
            * np.linalg.norm(orthogonal[:, 0] - orthogonal[:, 0].mean())
            * (
                (orthogonal[:, 1] - orthogonal[:, 1].mean())
                / np.linalg.norm(orthogonal[:, 1] - orthogonal[:, 1].mean())
            )
        )
        np.testing.assert_allclose(vif(tilted).vif, [1.0001] * 2 + [1] * (k - 2), rtol=1e-9)


@given(designs(), st.randoms(use_true_random=False))
def test_columns_in_another_order_have_their_own_vif(x: np.ndarray, random: Random) -> None:
    order = list(range(x.shape[1]))
    random.shuffle(order)
    found, changed = diagnose(x), diagnose(x[:, order])
    np.testing.assert_allclose(changed.inflation.vif, found.inflation.vif[order], rtol=1e-6)
    np.testing.assert_allclose(
        vif_uncentered(x[:, order]).vif, vif_uncentered(x).vif[order], rtol=1e-6
    )
    np.testing.assert_allclose(changed.condition.indices, found.condition.indices, rtol=1e-6)
    variables = [0, *(j + 1 for j in order)]
    np.testing.assert_allclose(
        changed.condition.proportions, found.condition.proportions[:, variables], atol=1e-6
    )
    assert gvif(x[:, order], [0]).value == pytest.approx(gvif(x, [order[0]]).value, rel=1e-6)


@given(designs())
def test_no_vif_is_above_the_square_of_the_condition(x: np.ndarray) -> None:
    """`[R^-1]_jj <= 1 / λ_min <= λ_max / λ_min`, as `λ_max >= 1`; likewise about the origin."""
    limit = float(centered_condition_indices(x)[-1]) ** 2
    assert float(vif(x).vif.max()) <= limit * (1 + 1e-6)
    limit = float(condition_indices(x).indices[-1]) ** 2
    assert float(vif_uncentered(x).vif.max()) <= limit * (1 + 1e-6)


@given(designs(), st.integers(0, 2**32 - 1))
def test_another_column_never_lowers_the_condition(x: np.ndarray, seed: int) -> None:
    """Eigenvalues of a principal submatrix lie between those of the matrix."""
    wider = np.hstack([x, np.random.default_rng(seed).standard_normal((len(x), 1)) + 1])
    for indices in (centered_condition_indices, lambda y: condition_indices(y).indices):
        before, after = float(indices(x)[-1]), float(indices(wider)[-1])
        assert after >= before * (1 - 1e-6)


@given(st.integers(0, 2**32 - 1))
def test_a_mean_of_ten_inflates_about_the_origin_alone(seed: int) -> None:
    """`[(XᵀX)⁻¹]_jj (XᵀX)_jj` of orthogonal deviations of variance 1 about 10: over 50."""
    noise = np.random.default_rng(seed).standard_normal((40, 2))
    x = np.sqrt(40) * np.linalg.qr(noise - noise.mean(0))[0] + 10
    np.testing.assert_allclose(vif(x).vif, 1, rtol=1e-9)
    # Moments 101 and 100: 101² / (101² - 100²).
    np.testing.assert_allclose(vif_uncentered(x).vif, 101**2 / 201, rtol=1e-6)
    assert (vif_uncentered(x).vif > 50).all()


@given(designs(min_columns=2), st.data())
def test_exact_relations_are_infinite_on_their_support_only(
    x: np.ndarray, data: st.DataObject
) -> None:
    k = x.shape[1]
    support = sorted(data.draw(st.sets(st.integers(0, k - 1), min_size=1, max_size=k)))
    combined = x[:, support] @ np.arange(1, len(support) + 1)
    found = vif(np.column_stack([x, combined]))
    expected = [j in support or j == k for j in range(k + 1)]
    assert found.vif.isinf().tolist() == expected
    assert found.relations == ((*support, k),)
    kind = Reason.DUPLICATE if len(support) == 1 else Reason.COLLINEAR
    assert [reason is kind for reason in found.reasons] == expected
    rest = [j for j in range(k) if j not in support]
    np.testing.assert_allclose(found.vif[rest], vif(x).vif[rest], rtol=1e-5)
    for j in range(k + 1):
        assert math.isinf(gvif(np.column_stack([x, combined]), [j]).value) == expected[j]


@given(designs(min_columns=2), st.data())
def test_gvif_is_the_ratio_of_determinants(x: np.ndarray, data: st.DataObject) -> None:
    k = x.shape[1]
    subset = sorted(data.draw(st.sets(st.integers(0, k - 1), min_size=1, max_size=k - 1)))
    rest = [j for j in range(k) if j not in subset]
    r = np.corrcoef(x.T)
    ratio = (
        np.linalg.det(r[np.ix_(subset, subset)])
        * np.linalg.det(r[np.ix_(rest, rest)])
        / np.linalg.det(r)
    )
    assert gvif(x, subset).value == pytest.approx(ratio, rel=1e-5)
    assert gvif(x, rest).value == pytest.approx(ratio, rel=1e-5)
    assert gvif(x, range(k)).value == 1.0


@given(designs(), st.booleans())
def test_belsley_properties(x: np.ndarray, singular: bool) -> None:
    if singular:
        x = np.hstack([x, x[:, :1], np.ones((len(x), 1))])
    found = condition_indices(x)
    size = x.shape[1] + 1
    assert found.indices.shape == (size,)
    assert found.proportions.shape == (size, size)
    assert found.indices[0] == 1
    assert (found.indices[1:] >= found.indices[:-1]).all()
    assert (found.proportions >= 0).all()
    np.testing.assert_allclose(found.proportions.sum(0), 1)
    if singular:
        assert torch.isinf(found.indices).sum() == 2
        np.testing.assert_allclose(
            found.proportions[-2:].sum(0), [1, 1, *[0] * (size - 4), 1, 1], atol=1e-9
        )


def test_gvif_of_constants_is_undefined() -> None:
    x = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 5.0]])
    found = gvif(x, [0])
    assert math.isnan(found.value)
    assert math.isnan(found.scaled)
    assert gvif(x, [1]).value == 1.0


@pytest.mark.parametrize("subset", [[], [0, 0], [3], [-1]])
def test_gvif_subset_errors(subset: list[int]) -> None:
    with pytest.raises(ShapeError, match="different columns from 0 to 2"):
        gvif(SMALL, subset)


@pytest.mark.parametrize(
    "function", [correlation, vif, vif_uncentered, identifiable, condition_indices]
)
def test_input_errors(function: object) -> None:
    with pytest.raises(ShapeError, match="non-empty matrix"):
        function(np.ones(3))
    with pytest.raises(DataError, match="infinite"):
        function(np.array([[1.0, INF], [0.0, 1.0]]))


@given(designs(), st.booleans())
def test_one_factorisation_gives_both(x: np.ndarray, singular: bool) -> None:
    if singular:
        x = np.hstack([x, x[:, :1] + 2, np.full((len(x), 1), 0.3)])
    found = diagnose(x)
    inflation, condition = vif(x), condition_indices(x)
    np.testing.assert_allclose(found.inflation.vif, inflation.vif, rtol=1e-6)
    np.testing.assert_allclose(found.inflation.n_effective, inflation.n_effective, rtol=1e-6)
    assert found.inflation.reasons == inflation.reasons
    assert found.inflation.relations == inflation.relations
    assert found.inflation.rank == inflation.rank
    np.testing.assert_allclose(found.condition.indices, condition.indices, rtol=1e-6)
    np.testing.assert_allclose(
        found.condition.proportions.sum(0), condition.proportions.sum(0), atol=1e-9
    )
    if not singular:
        np.testing.assert_allclose(found.condition.proportions, condition.proportions, atol=1e-6)


def test_one_factorisation_of_longley() -> None:
    found = diagnose(LONGLEY[:, 1:])
    assert float(found.inflation.vif[1]) == pytest.approx(1788.513483, rel=1e-6)
    assert float(found.condition.indices[-1]) == pytest.approx(43275.043587, rel=1e-6)
    assert float(found.condition.proportions[-1, 0]) == pytest.approx(0.9999, abs=1e-4)


def test_condition_indices_are_not_the_other_condition_numbers() -> None:
    """Of the correlations, and of the columns as they are: both go by the same name elsewhere."""
    for x, scaled, raw in (
        (LONGLEY[:, 1:], 43275.043587, 4859257015.45),
        (SMALL, 17.746044, 24.400931),
    ):
        design = np.column_stack([np.ones(len(x)), x])
        assert np.linalg.cond(design) == pytest.approx(raw, rel=1e-5)
        assert float(condition_indices(x).indices[-1]) == pytest.approx(scaled, rel=1e-6)
        # At unit length it is the one that numpy gives; as they are, it is not.
        unit = design / np.linalg.norm(design, axis=0)
        assert float(condition_indices(x).indices[-1]) == pytest.approx(
            np.linalg.cond(unit), rel=1e-6
        )
    eigenvalues = np.linalg.eigvalsh(correlation(LONGLEY[:, 1:]).values.numpy())[::-1]
    np.testing.assert_allclose(
        eigenvalues, [4.603377, 1.175340, 0.203425, 0.014928, 0.002552, 0.000377], atol=1e-6
    )
