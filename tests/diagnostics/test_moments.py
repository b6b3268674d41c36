from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toysae.diagnostics.moments import fourth_angular_moment, ica, projection_kurtosis
from toysae.diagnostics.pca import alignment, pca
from toysae.errors import ConfigError, DataError, ShapeError

AXES_AND_DIAGONALS = np.array([[1.0, 0], [0, 1], [1, 1], [1, -1]])

# Gauss-Legendre nodes on [0, 1], repeated by their weights 5 : 8 : 5, have the moments of U(0, 1)
# up to the fifth, so these designs have exactly the fourth moments of the continuous data.
GAUSS = np.repeat(0.5 + 0.5 * math.sqrt(3 / 5) * np.array([-1, 0, 1]), [5, 8, 5])
SIGNS = np.array(list(itertools.product((1, -1), repeat=2)))
SHARED = np.concatenate([SIGNS * u for u in GAUSS])
INDEPENDENT = np.concatenate([SIGNS * pair for pair in itertools.product(GAUSS, repeat=2)])
ONE_HOT = np.concatenate([s * u * np.eye(2) for u in GAUSS for s in (1, -1)])


def sampled(shared: bool, n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.choice([-1, 1], (n, 2)) * rng.random((n, 1 if shared else 2))


@pytest.mark.parametrize(
    ("x", "values"),
    [
        (SHARED, [1.8, 1.8, 3.6, 3.6]),
        (INDEPENDENT, [1.8, 1.8, 2.4, 2.4]),
        # Off half of the time on an axis: 1.8 * 2. On a diagonal every sample counts.
        (ONE_HOT, [3.6, 3.6, 1.8, 1.8]),
    ],
)
def test_kurtosis_golden(x: np.ndarray, values: list[float]) -> None:
    np.testing.assert_allclose(projection_kurtosis(x, AXES_AND_DIAGONALS).values, values)


@pytest.mark.parametrize(("shared", "values"), [(True, (1.8, 3.6)), (False, (1.8, 2.4))])
def test_kurtosis_of_samples(shared: bool, values: tuple[float, float]) -> None:
    found = projection_kurtosis(sampled(shared, 200_000, 0), AXES_AND_DIAGONALS[[0, 2]])
    errors = found.standard_errors.numpy()
    assert (np.abs(found.values.numpy() - values) < 5.5 * errors).all()
    assert (errors < 0.02).all()


def test_kurtosis_standard_error() -> None:
    # For a Gaussian about the origin: Var = (96 + 36 * 2 - 12 * 12) / N = 24 / N.
    x = np.random.default_rng(0).standard_normal((1_000_000, 1))
    found = projection_kurtosis(x, np.eye(1))
    assert float(found.standard_errors[0]) == pytest.approx(math.sqrt(24 / len(x)), rel=0.05)
    assert float(found.values[0]) == pytest.approx(3, abs=5.5 * math.sqrt(24 / len(x)))


def test_kurtosis_is_about_the_origin() -> None:
    x = np.array([[1.0], [1.0], [0.0], [0.0]])
    assert float(projection_kurtosis(x, np.eye(1)).values[0]) == 2.0


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3), st.integers(1, 30))
def test_kurtosis_properties(seed: int, scale: float, n: int) -> None:
    rng = np.random.default_rng(seed)
    x, directions = rng.standard_normal((n, 3)), rng.standard_normal((2, 3))
    found = projection_kurtosis(x, directions)
    assert ((found.values >= 1 - 1e-9) & (found.values <= n + 1e-9)).all()
    again = projection_kurtosis(-scale * x, -2 * directions)
    np.testing.assert_allclose(again.values, found.values, rtol=1e-9)
    np.testing.assert_allclose(again.standard_errors, found.standard_errors, rtol=1e-6, atol=1e-9)


def test_kurtosis_without_projection_is_undefined() -> None:
    x = np.array([[1.0, 0.0], [2.0, 0.0]])
    found = projection_kurtosis(x, np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]]))
    assert found.values.isnan().tolist() == [True, True, False]
    assert found.standard_errors.isnan().tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("x", "weighted"),
    # Independent: (2/5 - 6/9) / (2/5 + 2/9).
    [(SHARED, -1.0), (INDEPENDENT, -3 / 7), (ONE_HOT, 1.0)],
)
def test_angular_moment_golden(x: np.ndarray, weighted: float) -> None:
    assert fourth_angular_moment(x).weighted == pytest.approx(weighted)


def test_plain_angular_moment() -> None:
    assert fourth_angular_moment(SHARED).plain == pytest.approx(-1)
    assert fourth_angular_moment(ONE_HOT).plain == pytest.approx(1)
    # Uniform on the square: the integral of cos(4t) / cos²(t) from 0 to π/4 is 3 - π.
    found = fourth_angular_moment(sampled(False, 200_000, 1))
    assert abs(found.plain - (3 - math.pi)) < 5.5 * found.plain_se
    assert found.plain_se < 0.002
    assert abs(found.weighted + 3 / 7) < 5.5 * found.weighted_se
    assert found.weighted_se < 0.003


def test_angular_moment_errors_are_those_of_repeated_samples() -> None:
    runs = [fourth_angular_moment(sampled(False, 500, seed)) for seed in range(400)]
    for name in ("weighted", "plain"):
        spread = np.std([getattr(run, name) for run in runs])
        stated = np.mean([getattr(run, f"{name}_se") for run in runs])
        assert stated == pytest.approx(spread, rel=5.5 * 0.035)


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_angular_moment_turns_with_the_data(seed: int, scale: float) -> None:
    x = np.random.default_rng(seed).standard_normal((20, 2))
    before = fourth_angular_moment(x)
    root = math.sqrt(0.5)
    eighth = fourth_angular_moment(scale * x @ np.array([[root, root], [-root, root]]))
    assert -1 <= before.weighted <= 1
    assert -1 <= before.plain <= 1
    assert eighth.weighted == pytest.approx(-before.weighted, abs=1e-9)
    assert eighth.plain == pytest.approx(-before.plain, abs=1e-9)


def test_angular_moment_counts_samples_without_angle() -> None:
    found = fourth_angular_moment(np.array([[0.0, 0.0], [2.0, 0.0], [0.0, -1.0]]))
    assert (found.n_zero, found.n_samples, found.plain, found.weighted) == (1, 3, 1.0, 1.0)
    empty = fourth_angular_moment(np.zeros((3, 2)))
    assert math.isnan(empty.plain)
    assert math.isnan(empty.weighted)
    assert empty.n_zero == 3


def test_ica_finds_independent_sets_where_pca_cannot() -> None:
    x = sampled(False, 20_000, 2)
    found = ica(x, 2, seed=0)
    assert found.converged
    assert not pca(x).directions_defined
    np.testing.assert_allclose(alignment(found.directions, np.eye(2)).max(0).values, 1, atol=1e-3)


def test_ica_unmixes_oblique_sources() -> None:
    rng = np.random.default_rng(0)
    mixing = np.array([[1.0, 0, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 0.6, -0.8]])
    x = (rng.random((20_000, 3)) < 0.3) * rng.random((20_000, 3)) @ mixing
    found = ica(x, 3, seed=1)
    assert found.converged
    assert found.directions.shape == (3, 4)
    np.testing.assert_allclose(found.directions.norm(dim=1), 1)
    np.testing.assert_allclose(alignment(found.directions, mixing).max(0).values, 1, atol=1e-2)


def test_ica_that_does_not_settle_says_so_without_a_warning() -> None:
    found = ica(sampled(True, 5_000, 0), 2, seed=0)
    assert not found.converged
    assert found.n_iter == 200


@pytest.mark.parametrize("scale", [2.0**-300, 2.0**300])
def test_angular_moments_know_no_scale(scale: float) -> None:
    x = sampled(True, 50, 1)
    assert fourth_angular_moment(scale * x) == fourth_angular_moment(x)


def test_ica_is_deterministic() -> None:
    x = sampled(False, 1_000, 3)
    first, second = ica(x, 2, seed=5), ica(x, 2, seed=5)
    np.testing.assert_array_equal(first.directions, second.directions)


def test_errors() -> None:
    with pytest.raises(ShapeError, match=r"\[N, 2\]"):
        fourth_angular_moment(np.ones((3, 3)))
    with pytest.raises(ShapeError, match=r"\[k, 2\]"):
        projection_kurtosis(np.ones((3, 2)), np.eye(3))
    for line in (np.ones((1, 2)), np.array([[1.0, -1.0]])):
        with pytest.raises(DataError, match="rank 1"):
            ica(np.arange(10.0)[:, None] * line + [0.0, 1.0], 2, seed=0)
    with pytest.raises(ConfigError, match="n_components=0"):
        ica(np.eye(4), 0, seed=0)
