from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from toysae.draws import Draws
from toysae.generators.copula.normal_kernel import EDGES, HEIGHTS, _beyond_tail, fill_normal

#: Two-sided error rate of 5.5 standard errors.
RARE = 4e-8


def normals(n, seed=0):
    out = np.empty(n, dtype=np.float32)
    fill_normal(Draws(seed).kernel_state("normal"), out)
    return out.astype(np.float64)


NUMBERS = normals(2_000_000)


def test_layers_have_equal_areas_and_fill_the_curve():
    """Each rectangle from layer to layer, and the lowest with its tail."""
    rectangles = EDGES[1:256] * (HEIGHTS[:255] - HEIGHTS[1:256])
    np.testing.assert_allclose(rectangles, rectangles[-1], rtol=1e-8)
    tail = math.sqrt(2 * math.pi) * stats.norm.sf(EDGES[255])
    assert EDGES[255] * HEIGHTS[255] + tail == pytest.approx(rectangles[-1], rel=1e-8)


def test_law_is_normal():
    assert stats.kstest(NUMBERS[:500_000], "norm").pvalue > RARE


@pytest.mark.parametrize("power", [1, 2, 3, 4, 6])
def test_moments(power):
    expected = stats.norm.moment(power)
    spread = math.sqrt(stats.norm.moment(2 * power) - expected**2)
    assert abs((NUMBERS**power).mean() - expected) < 5.5 * spread / math.sqrt(len(NUMBERS))


@pytest.mark.parametrize("low", [0.1, 0.2, 1.0, 2.5, 3.5, 3.66, 4.0, 4.5])
def test_share_above(low):
    """Within the top layer, where rectangles end, and beyond where the tail begins."""
    for side in (NUMBERS, -NUMBERS):
        above = int((side > low).sum())
        assert stats.binomtest(above, len(NUMBERS), stats.norm.sf(low)).pvalue > RARE


def test_tail_is_that_of_the_normal_law():
    """Not of the exponential law that proposes it: one in 4,000 numbers lies there."""
    state = Draws(0).kernel_state("tail")
    beyond = [_beyond_tail(state) for _ in range(50_000)]
    tail = stats.truncnorm(EDGES[255], math.inf)
    assert min(beyond) >= EDGES[255]
    assert stats.kstest(beyond, tail.cdf).pvalue > RARE


def test_numbers_do_not_follow_each_other():
    for lag in (1, 2, 3):
        r = np.corrcoef(NUMBERS[:-lag], NUMBERS[lag:])[0, 1]
        assert abs(r) < 5.5 / math.sqrt(len(NUMBERS))


def test_state_makes_the_numbers_and_goes_on():
    state = Draws(0).kernel_state("normal")
    parts = np.empty((2, 500), dtype=np.float32)
    for part in parts:
        fill_normal(state, part)
    np.testing.assert_array_equal(parts.ravel(), NUMBERS[:1000])
    assert not np.array_equal(normals(10), normals(10, seed=1))
