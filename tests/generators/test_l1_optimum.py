"""What an L1 penalty wants of composed sets: codes of least `sum z` by linear programming.

Unit decoder rows, exact reconstructions, magnitudes U(0, 1) (METRICS.md, 5.2).
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import block_diag

from toysae.draws import Draws
from toysae.generators.composed_sets import ComposedSets

AXES = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
DIAGONALS = np.array(list(itertools.product([1, -1], repeat=2))) / math.sqrt(2)
#: Between the axis and the diagonal the least L1 is linear in the two magnitudes, which are uniform
#: on a triangle there: its mean is the value at the centroid.
INDEPENDENT = [(2 / 3, 1 / 3), (1 / 3, 2 / 3)]
SHARED = [(1 / 2, 1 / 2)]


def least_l1(hidden: np.ndarray, decoder: np.ndarray) -> np.ndarray:
    """Codes `[N, m]` that reconstruct exactly, of the least sum: one program for all samples."""
    n, m = len(hidden), len(decoder)
    blocks = block_diag([decoder.T] * n, format="csr")
    found = linprog(np.ones(n * m), A_eq=blocks, b_eq=hidden.ravel(), bounds=(0, None))
    assert found.success
    return found.x.reshape(n, m)


@pytest.mark.parametrize(
    ("decoder", "magnitudes", "expected"),
    [
        (AXES, SHARED, 1.0),
        (AXES, INDEPENDENT, 1.0),
        (DIAGONALS, SHARED, 0.707107),
        (DIAGONALS, INDEPENDENT, 0.942809),
        (np.vstack([AXES, DIAGONALS]), INDEPENDENT, 0.804738),
    ],
)
def test_least_l1_of_always_composed_samples(
    decoder: np.ndarray, magnitudes: list[tuple[float, float]], expected: float
) -> None:
    signs = itertools.product([1, -1], repeat=2)
    hidden = np.array([np.multiply(s, m) for s in signs for m in magnitudes])
    assert least_l1(hidden, decoder).sum(1).mean() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("shared", "expected"), [(1.0, 0.707107), (0.0, 0.942809)])
def test_least_l1_of_drawn_samples(shared: float, expected: float) -> None:
    """400 samples of seed 0; a diagonal's latent has a standard deviation of at most .41."""
    coefficients = ComposedSets(amplitude_correlation=shared).sample(Draws(0), 400).dense()
    hidden = coefficients.numpy().astype(float) @ AXES
    mean = least_l1(hidden, DIAGONALS).sum(1).mean()
    assert mean == pytest.approx(expected, abs=4.5 * 0.41 / 20)


@pytest.mark.parametrize(
    ("shared", "one_hot", "predicted", "recorded"),
    [
        (1.0, 0.25, 1 / 7, 0.176),
        (1.0, 0.5, 1 / 3, 0.346),
        (1.0, 0.75, 3 / 5, 0.571),
        (0.0, 0.0, 1 / 2, 0.5),
        (0.0, 0.25, 4 / 7, 0.568),
        (0.0, 0.5, 2 / 3, 0.657),
        (0.0, 0.75, 4 / 5, 0.755),
    ],
)
def test_a_spare_latent_lowers_the_recall_of_the_true_ones(
    shared: float, one_hot: float, predicted: float, recorded: float
) -> None:
    """An island pair and latents f1, f2 and their sum: recall `q / (2 - q)`, or `1 / (2 - q)`.

    400 samples of seed 0, so every share has the standard deviation `sqrt(p (1 - p) / n)` of the
    `n` samples with the feature. The recorded numbers are of another draw of as many.
    """
    generator = ComposedSets(sizes=(1, 1), one_hot_fraction=one_hot, amplitude_correlation=shared)
    coefficients = generator.sample(Draws(0), 400).dense().numpy().astype(float)
    decoder = np.array([[1.0, 0], [0, 1], [math.sqrt(0.5), math.sqrt(0.5)]])
    codes = least_l1(coefficients, decoder)
    np.testing.assert_allclose(codes @ decoder, coefficients, atol=1e-7)
    active = coefficients[:, 0] > 0
    recall = float((codes[active, 0] > 1e-6).mean())
    spread = math.sqrt(predicted * (1 - predicted) / active.sum())
    assert recall == pytest.approx(predicted, abs=4.5 * spread)
    assert recorded == pytest.approx(predicted, abs=4.5 * spread)
    # The third latent is worth having: it lowers the L1 wherever both features fire.
    assert codes.sum() < coefficients.sum()
