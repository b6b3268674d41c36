from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.decomposition import PCA as SklearnPCA

from toysae.diagnostics.pca import alignment, effective_rank, participation_ratio, pca, stable_rank
from toysae.errors import ConfigError, DataError, ShapeError

# Two amplitudes with the first two moments of U(0, 1): mean 1/2, second moment 1/3.
UNIFORM_LIKE = (0.5 - 0.5 / math.sqrt(3), 0.5 + 0.5 / math.sqrt(3))


def two_sets(counts: list[list[int]], amplitudes: tuple[float, ...], shared: bool) -> np.ndarray:
    """Coefficients of two one-hot sets, every joint state as often as the table says."""
    n = len(counts)
    pairs = [(a, a) for a in amplitudes] if shared else itertools.product(amplitudes, repeat=2)
    rows = []
    for a, b in pairs:
        for i, j in itertools.product(range(n), repeat=2):
            row = np.zeros(2 * n)
            row[i], row[n + j] = a, b
            rows += [row] * counts[i][j]
    return np.array(rows)


def antipodal(coefficients: np.ndarray) -> np.ndarray:
    """Two sets of two features stored as x2 = -x1 and y2 = -y1 in the plane."""
    return coefficients @ np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])


def population_eigenvalues(x: np.ndarray) -> np.ndarray:
    return pca(x).eigenvalues.numpy() * (len(x) - 1) / len(x)


@pytest.mark.parametrize("function", [participation_ratio, effective_rank, stable_rank])
def test_a_spectrum_is_checked(function: Callable[[torch.Tensor], float]) -> None:
    for wrong, message in (
        ([1, math.nan], "NaN or infinite"),
        ([1, math.inf], "NaN or infinite"),
        ([2, -1], "eigenvalues down to -1: expected variances"),
    ):
        with pytest.raises(DataError, match=message):
            function(torch.tensor(wrong))
    for shape in ((0,), (2, 2), ()):
        with pytest.raises(ShapeError, match="expected one axis"):
            function(torch.ones(shape))
    assert math.isnan(function(torch.zeros(3)))


def test_spectrum_summaries_golden() -> None:
    spectrum = torch.tensor([4.0, 2.0, 1.0, 1.0], dtype=torch.float64)
    assert participation_ratio(spectrum) == pytest.approx(64 / 22)
    # Entropy of (1/2, 1/4, 1/8, 1/8) is 1.75 bits.
    assert effective_rank(spectrum) == pytest.approx(2**1.75)
    assert stable_rank(spectrum) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("counts", "shared", "eigenvalues"),
    [
        ([[1, 1], [1, 1]], False, (1 / 3, 1 / 3)),
        ([[1, 1], [1, 1]], True, (1 / 3, 1 / 3)),
        ([[3, 2], [2, 3]], False, (1 / 3 + 0.05, 1 / 3 - 0.05)),
        ([[3, 2], [2, 3]], True, (0.4, 4 / 15)),
        ([[1, 0], [0, 1]], False, (7 / 12, 1 / 12)),
        ([[1, 0], [0, 1]], True, (2 / 3, 0.0)),
        # Means (.2, .2), variances 1/3 - .04, covariance .4 / 4 - .04.
        ([[11, 3], [3, 3]], False, (1 / 3 + 0.02, 1 / 3 - 0.1)),
    ],
)
def test_antipodal_two_sets(counts: list[list[int]], shared: bool, eigenvalues: tuple) -> None:
    h = antipodal(two_sets(counts, UNIFORM_LIKE, shared))
    np.testing.assert_allclose(population_eigenvalues(h), eigenvalues, atol=1e-12)
    if eigenvalues[0] > eigenvalues[1]:
        diagonals = np.array([[1.0, 1.0], [1.0, -1.0]])
        np.testing.assert_allclose(alignment(pca(h).components, diagonals), np.eye(2), atol=1e-7)


@pytest.mark.parametrize(("shared", "ratio"), [(False, 1.28), (True, 1.0)])
def test_participation_ratio_of_perfect_pairs(shared: bool, ratio: float) -> None:
    h = antipodal(two_sets([[1, 0], [0, 1]], UNIFORM_LIKE, shared))
    assert pca(h).participation_ratio == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("counts", "amplitudes", "eigenvalues"),
    [
        ([[3, 2], [2, 3]], (1.0,), (0.6, 0.4, 0, 0)),
        ([[3, 2], [2, 3]], UNIFORM_LIKE, (23 / 120, 17 / 120, 1 / 24, 1 / 24)),
        ([[7, 4, 4], [4, 7, 4], [4, 4, 7]], (1.0,), (0.4, 0.4, 4 / 15, 4 / 15, 0, 0)),
    ],
)
def test_orthogonal_two_sets(counts: list, amplitudes: tuple, eigenvalues: tuple) -> None:
    c = two_sets(counts, amplitudes, shared=False)
    np.testing.assert_allclose(population_eigenvalues(c), eigenvalues, atol=1e-12)


def test_first_component_is_no_composed_feature_in_an_orthogonal_embedding() -> None:
    c = two_sets([[3, 2], [2, 3]], (1.0,), shared=False)
    features = np.eye(4)
    composed = np.array([[1.0, 0, 1, 0]])
    cosines = alignment(pca(c).components[:1], np.vstack([features, composed]))
    np.testing.assert_allclose(cosines[0], [0.5] * 4 + [math.sqrt(0.5)], atol=1e-9)


@pytest.mark.parametrize(("n", "degrees"), [(1000, 5.97), (100_000, 0.597)])
def test_angle_sd_golden(n: int, degrees: float) -> None:
    # Independent signs, so E[p1² p2²] = λ1 λ2. With λ = 23/60 and 17/60: sqrt(391) / 6 rad / √N.
    corners = np.array(list(itertools.product((1, -1), repeat=2)), dtype=float)
    x = np.tile(corners * np.sqrt([1 / 3 + 0.05, 1 / 3 - 0.05]), (n // 4, 1))
    found = pca(x, centered=False)
    np.testing.assert_allclose(found.eigenvalues, [23 / 60, 17 / 60])
    assert found.directions_defined
    np.testing.assert_allclose(found.angle_sd, math.degrees(math.sqrt(391 / n) / 6))
    np.testing.assert_allclose(found.angle_sd, degrees, rtol=1e-3)


def test_eigenvalue_sd_reduces_to_the_gaussian_formula() -> None:
    x = np.random.default_rng(0).standard_normal((400_000, 2)) * [3.0, 1.0]
    found = pca(x)
    np.testing.assert_allclose(
        found.eigenvalue_sd, found.eigenvalues * math.sqrt(2 / 400_000), rtol=0.02
    )


def test_uncentered_keeps_the_mean() -> None:
    x = np.array([[1.0, 0.0], [3.0, 0.0]])
    about_mean, about_origin = pca(x), pca(x, centered=False)
    assert about_mean.eigenvalues.tolist() == [2.0, 0.0]
    assert about_origin.eigenvalues.tolist() == [5.0, 0.0]
    assert about_origin.mean.tolist() == [0.0, 0.0]


def test_matches_sklearn() -> None:
    x = np.random.default_rng(1).standard_normal((200, 5)) @ np.diag([5.0, 3, 2, 1, 0.5]) + 7
    ours, theirs = pca(torch.as_tensor(x)), SklearnPCA().fit(x)
    np.testing.assert_allclose(ours.eigenvalues, theirs.explained_variance_)
    np.testing.assert_allclose(ours.explained_variance_ratio, theirs.explained_variance_ratio_)
    np.testing.assert_allclose(alignment(ours.components, theirs.components_), np.eye(5), atol=1e-7)
    np.testing.assert_allclose(ours.mean, theirs.mean_)


def matrices(min_rows: int = 3) -> st.SearchStrategy[np.ndarray]:
    def build(seed: int, n: int, d: int, rank: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return rng.standard_normal((n, min(rank, d))) @ rng.standard_normal((min(rank, d), d))

    return st.builds(
        build,
        st.integers(0, 2**32 - 1),
        st.integers(min_rows, 40),
        st.integers(1, 6),
        st.integers(1, 6),
    )


@given(matrices(), st.booleans())
def test_spectrum_properties(x: np.ndarray, centered: bool) -> None:
    found = pca(x, centered=centered)
    values = found.eigenvalues
    rank = int((values > 0).sum())
    reference = np.cov(x.T) if centered else x.T @ x / len(x)
    assert float(values.sum()) == pytest.approx(np.trace(np.atleast_2d(reference)))
    assert (values[:-1] >= values[1:]).all()
    assert rank <= min(x.shape[1], len(x) - centered)
    assert 1 - 1e-9 <= found.participation_ratio <= found.effective_rank + 1e-9
    assert found.effective_rank <= rank + 1e-9
    assert 1 - 1e-9 <= found.stable_rank <= rank + 1e-9
    assert float(found.explained_variance_ratio.sum()) == pytest.approx(1)
    cumulative = found.cumulative_variance_ratio
    assert (cumulative.diff() >= 0).all()
    assert float(cumulative[-1]) == pytest.approx(1)
    low, high = found.eigenvalue_intervals.T
    assert ((low <= values) & (values <= high)).all()
    np.testing.assert_allclose(
        found.components @ found.components.T, np.eye(len(values)), atol=1e-9
    )


@given(matrices(min_rows=10), st.integers(0, 2**32 - 1))
def test_rotation_turns_components_and_nothing_else(x: np.ndarray, seed: int) -> None:
    d = x.shape[1]
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]
    before, after = pca(x), pca(x @ turn)
    scale = float(before.eigenvalues[0])
    np.testing.assert_allclose(after.eigenvalues, before.eigenvalues, atol=1e-9 * scale)
    assert after.participation_ratio == pytest.approx(before.participation_ratio)
    assert after.effective_rank == pytest.approx(before.effective_rank)
    real = (before.eigenvalues > 1e-6 * scale).numpy()
    # A gap between two null directions is decided by rounding; all others must agree.
    np.testing.assert_allclose(
        after.gap_p_values[real[1:]], before.gap_p_values[real[1:]], atol=1e-6
    )


@given(matrices(min_rows=10), st.floats(1e-3, 1e3))
def test_scale_changes_no_verdict(x: np.ndarray, scale: float) -> None:
    before, after = pca(x), pca(x * scale)
    np.testing.assert_allclose(after.eigenvalues, before.eigenvalues * scale**2, rtol=1e-6)
    assert torch.equal(after.gap_resolved, before.gap_resolved)


# Isotropic laws, none of them Gaussian but the second: the eigenvalues of all are tied in truth.


def shared_magnitudes(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.choice([-1, 1], (n, 2)) * rng.random((n, 1))


def gaussian(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.standard_normal((n, 2))


def independent_magnitudes(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.choice([-1, 1], (n, 2)) * rng.random((n, 2))


def sparse_pair(rng: np.random.Generator, n: int) -> np.ndarray:
    return (rng.random((n, 2)) < 0.03) * rng.random((n, 2))


def sparse_features(rng: np.random.Generator, n: int) -> np.ndarray:
    return (rng.random((n, 5)) < 0.03) * rng.random((n, 5))


def heavy_tails(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.standard_normal((n, 5)) * rng.exponential(size=(n, 1))


RUNS, ALPHA = 400, 0.05
# What a test of level ALPHA exceeds, or falls short of, once in 10,000 times.
TOO_MANY, TOO_FEW = binom.ppf(1 - 1e-4, RUNS, ALPHA), binom.ppf(1e-4, RUNS, ALPHA)


@pytest.mark.parametrize("law", [shared_magnitudes, gaussian, independent_magnitudes, sparse_pair])
def test_false_resolution_rate_in_the_plane_is_the_stated_one(law: object) -> None:
    resolved = sum(
        pca(law(np.random.default_rng(seed), 1000)).directions_defined for seed in range(RUNS)
    )
    assert TOO_FEW <= resolved <= TOO_MANY


@pytest.mark.parametrize("law", [sparse_features, heavy_tails])
def test_false_resolution_rate_in_more_dimensions_is_below_the_stated_one(law: object) -> None:
    resolved = sum(
        bool(pca(law(np.random.default_rng(seed), 1000)).gap_resolved.any()) for seed in range(RUNS)
    )
    assert resolved <= TOO_MANY


def test_tied_pairs_stay_unresolved_beside_real_gaps() -> None:
    wrong = 0
    for seed in range(RUNS):
        x = np.random.default_rng(seed).standard_normal((500, 5)) * [3, 2, 2, 1, 1]
        resolved = pca(x).gap_resolved
        assert resolved[0]
        wrong += bool(resolved[1:].any())
    assert wrong <= TOO_MANY


def test_clear_anisotropy_is_always_resolved() -> None:
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found = pca(shared_magnitudes(rng, 1000) * [1.0, 0.7])
        assert found.directions_defined
        assert pca(sparse_features(rng, 20_000) * [8, 4, 2, 1, 0.5]).directions_defined


def test_intervals_and_angles_are_those_of_repeated_samples() -> None:
    # One-hot magnitudes with λ = (4/3, 1/3): kurtosis 1.8 each, and never both at once.
    covered, turns, stated = np.zeros(2), [], []
    for seed in range(RUNS):
        rng = np.random.default_rng(seed)
        x = rng.choice([-2.0, 2.0], (500, 2)) * rng.random((500, 2)) * [1.0, 0.5]
        found = pca(x)
        low, high = found.eigenvalue_intervals.numpy().T
        covered += (low <= [4 / 3, 1 / 3]) & (high >= [4 / 3, 1 / 3])
        turns.append(math.degrees(math.asin(float(found.components[0, 1]))))
        stated.append(found.angle_sd.numpy())
    turns = np.array([t if abs(t) < 90 else t - 180 for t in turns])
    assert (covered >= binom.ppf(1e-4, RUNS, 0.95)).all()
    assert (covered <= binom.ppf(1 - 1e-4, RUNS, 0.95)).all()
    # A standard deviation from 400 runs is known to 3.5 %.
    np.testing.assert_allclose(np.mean(stated, axis=0), turns.std(), rtol=5.5 * 0.035)


def test_gap_of_components_that_are_never_active_together() -> None:
    """Half of the mass at `±1` on one axis, half at `±1/2` on the other.

    `g = ((p1² - p2²) / 2, p1 p2)` is `(1/2, 0)` or `(-1/8, 0)`, of mean 3/16 and variance 25/256:
    `N |m|² = 9/32` is that many times `χ²₁`, and the p-value `erfc(sqrt(2.88 / 2))`.
    """
    x = np.repeat([[1.0, 0], [-1, 0], [0, 0.5], [0, -0.5]], 2, axis=0)
    assert pca(x).gap_p_values.item() == pytest.approx(0.089686, abs=1e-6)


def test_degenerate_data() -> None:
    constant = pca(np.full((5, 3), 0.1))
    assert constant.eigenvalues.tolist() == [0, 0, 0]
    assert math.isnan(constant.participation_ratio)
    assert math.isnan(constant.effective_rank)
    assert math.isnan(constant.stable_rank)
    assert constant.explained_variance_ratio.isnan().all()
    assert not constant.gap_resolved.any()

    few = pca(np.random.default_rng(0).standard_normal((4, 6)) * [9, 7, 5, 1, 1, 1])
    assert few.gap_p_values.isnan().all()
    assert not few.directions_defined
    assert (few.eigenvalues[3:] == 0).all()

    single = pca(np.array([[1.0], [2.0]]))
    assert single.directions_defined
    assert single.angle_sd.tolist() == [0.0]


def test_two_empty_dimensions_are_not_told_apart() -> None:
    x = np.random.default_rng(0).standard_normal((300, 4)) * [3, 1, 0, 0]
    assert pca(x).gap_resolved.tolist() == [True, True, False, False]


def test_alignment_has_no_sign_and_no_zero_vectors() -> None:
    found = alignment(np.eye(2), np.array([[-2.0, 0.0], [3.0, -4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found, [[1, 0.6, np.nan], [0, 0.8, np.nan]])


def test_errors() -> None:
    with pytest.raises(ShapeError, match="at least 2"):
        pca(np.ones((1, 3)))
    with pytest.raises(ShapeError, match="non-empty matrix"):
        pca(np.ones(3))
    with pytest.raises(DataError, match="NaN"):
        pca(np.array([[1.0, np.nan], [0.0, 1.0]]))
    with pytest.raises(ConfigError, match="confidence"):
        pca(np.ones((3, 3)), confidence=1.0)
    with pytest.raises(ShapeError, match=r"\[k, 2\]"):
        alignment(np.eye(2), np.eye(3))


def test_explained_variance_ratio_golden() -> None:
    # Columns ±sqrt(λ) on four samples that are orthogonal: λ = (4, 2, 1, 1) about the origin.
    hadamard = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], float)
    found = pca(hadamard * np.sqrt([4.0, 2, 1, 1]), centered=False)
    np.testing.assert_allclose(found.eigenvalues, [4, 2, 1, 1])
    np.testing.assert_allclose(found.explained_variance_ratio, [0.5, 0.25, 0.125, 0.125])
    np.testing.assert_allclose(found.cumulative_variance_ratio, [0.5, 0.75, 0.875, 1])


@pytest.mark.parametrize(
    ("variances", "degrees"), [((0.4, 1 / 3), 28.155), ((0.5, 0.25), 10.901), ((0.3, 0.3), 45.0)]
)
def test_unequal_variances_turn_the_components(variances: tuple, degrees: float) -> None:
    """With covariance .05 the first component is at `atan2(2 * .05, v_x - v_y) / 2`."""
    root = np.linalg.cholesky([[variances[0], 0.05], [0.05, variances[1]]])
    corners = np.array(list(itertools.product((1, -1), repeat=2)), dtype=float)
    first = pca(corners @ root.T, centered=False).components[0]
    angle = math.degrees(math.atan2(abs(first[1]), abs(first[0])))
    assert angle == pytest.approx(degrees, abs=1e-3)


def test_gaps_say_which_spaces_are_determined() -> None:
    x = np.random.default_rng(0).standard_normal((2000, 3)) * [3.0, 3.0, 1.0]
    found = pca(x)
    assert found.gaps.tolist() == [False, True]
    assert found.gap_resolved.tolist() == [False, False, True]
