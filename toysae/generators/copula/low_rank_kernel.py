"""Thinning of low-rank latents, for the CPU.

Given the factors, feature `i` fires with probability `Phi((m_i - t_i) / s_i)`, `m_i` being what the
factors contribute. That is close to never for almost all features of almost all samples, so most
are not looked at: as long as `m_i` stays below a bound, candidates are drawn at the probability
that belongs to the bound, by skipping what fails, and kept in proportion. Only where `m_i` exceeds
its bound is every feature decided by a number of its own. Both ways give exactly that probability.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from toysae.compiled import njit
from toysae.draws_kernel import next_uniform

_STEPS_PER_UNIT = 64
_FARTHEST = 9
_STEPS = 2 * _FARTHEST * _STEPS_PER_UNIT
_ROOT_HALF = math.sqrt(0.5)

#: Phi at the ends of the steps, from -9 to 9.
_PHI = np.array(
    [
        0.5 * math.erfc(_ROOT_HALF * (_FARTHEST - step / _STEPS_PER_UNIT))
        for step in range(_STEPS + 1)
    ]
)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def is_below_phi(u: float, x: float) -> bool:
    """Whether `u < Phi(x)`, the normal distribution function.

    Mostly decided by the ends of the step that `x` lies in, which enclose `Phi(x)`.
    """
    if -_FARTHEST <= x < _FARTHEST:
        step = int((x + _FARTHEST) * _STEPS_PER_UNIT)
        if u < _PHI[step]:
            return True
        if u >= _PHI[step + 1]:
            return False
    return u < 0.5 * math.erfc(-_ROOT_HALF * x)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def next_exponential(state: Any) -> float:
    """An exponential number of mean 1."""
    return -math.log(1 - next_uniform(state))


@njit(cache=True, nogil=True, error_model="numpy")
def thin(
    state: Any,
    contribution: Any,
    samples: Any,
    features: Any,
    thresholds: Any,
    spreads: Any,
    bounds: Any,
    candidate_probability: Any,
    hazards: Any,
) -> int:
    """Write what fires in a tile of some features and samples; how many firings.

    Args:
        state: random state of `toysae.draws_kernel`.
        contribution: `m`, `[features, samples]`, float32.
        samples, features: output, sample and feature of each firing; room for the whole tile.
        thresholds, spreads: `t` and `s`, `[features]`.
        bounds: features are thinned where `m` is at most this, `[features]`, float32.
        candidate_probability: `Phi((bound - t) / s)`.
        hazards: `-log(1 - candidate_probability)`, or 0 where the bound is `-inf`.
    """
    n_features, n_samples = contribution.shape
    count = 0
    to_candidate = next_exponential(state)
    for i in range(n_features):
        m, bound, threshold, precision = contribution[i], bounds[i], thresholds[i], 1 / spreads[i]
        for s in range(n_samples):
            if m[s] > bound:
                u = next_uniform(state)
                if is_below_phi(u, (m[s] - threshold) * precision):
                    samples[count], features[count] = s, i
                    count += 1
        # Candidates are the points of a Poisson process that runs on through all features: a
        # sample has a candidate with probability 1 - exp(-hazard).
        hazard, start = hazards[i], 0
        while to_candidate < (n_samples - start) * hazard:
            s = min(start + int(to_candidate / hazard), n_samples - 1)
            if m[s] <= bound:
                u = next_uniform(state) * candidate_probability[i]
                if is_below_phi(u, (m[s] - threshold) * precision):
                    samples[count], features[count] = s, i
                    count += 1
            start = s + 1
            to_candidate = next_exponential(state)
        to_candidate -= (n_samples - start) * hazard
    return count
