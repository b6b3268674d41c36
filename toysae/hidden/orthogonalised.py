"""Features in superposition that interfere less than chance has it."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize, softshrink

from toysae.checks import check_at_least, check_interval, check_positive
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.hidden.cache import load_or_make, recipe
from toysae.hidden.linear import LinearHidden
from toysae.hidden.random_unit import random_unit

logger = logging.getLogger(__name__)

#: Only what lies above this share of the target is pushed down. At the target itself the last
#: features come down ever more slowly; much below, the others are moved for nothing.
_PUSHED_ABOVE = 0.98

#: A step this small, against the 1 / 2 that would resolve a pair by itself, leads nowhere.
_SMALLEST_STEP = 1e-4

# Cosines are held for this many pairs of features at once (128 MB).
_PAIRS = 2**25

# Fewer features are made again faster than they are read from disk.
_CACHED_FROM = 1024


@dataclass(frozen=True)
class Orthogonalised(LinearHidden):
    """Random unit directions, moved apart until the mean largest overlap is as small as wanted.

    The overlap is `mean_i max_(j != i) |cos(f_i, f_j)|`. It is at least
    `sqrt((n - d) / (d (n - 1)))`, the bound of Welch (1974) on the largest of all: with `m_i` the
    largest of feature `i`, `cos_ij^2 <= m_i m_j`, so that `sum cos_ij^2 <= (1 - 1/n) (sum m_i)^2`,
    and that sum is at least `n (n - d) / d`.

    Descends the squared excess of |cos| over (nearly) the target, which moves only pairs that are
    too close. The sum of all squared cosines, which SAELens descends, hardly changes the largest:
    its least root mean square is that same bound, where random directions have `1 / sqrt(d)` (.0352
    and .0361 for 16,384 features in 768 dimensions, whose overlap is .149 by chance).

    Attributes:
        d_hidden, bias_norm, noise, readout: as of `LinearHidden`.
        target: mean over features of the largest |cos| with another feature, in (0, 1]; directions
            that start below it are left as they are.
        max_steps: most steps, `>= 1`. One takes `4 n^2 d` multiplications and additions: 15 seconds
            on one core for 16,384 features in 768 dimensions.
    """

    target: float = 0.2
    max_steps: int = 500

    name: ClassVar[str] = "orthogonalised"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("hidden.target", self.target)
        check_interval("hidden.target", self.target, 0, 1)
        check_at_least("hidden.max_steps", self.max_steps, 1)

    def directions(self, n_features: int, draws: Draws) -> Tensor:
        least = least_overlap(n_features, self.d_hidden)
        if self.target < least:
            raise ConfigError(
                f"hidden.target = {self.target}: {n_features} features in {self.d_hidden} "
                f"dimensions overlap by at least {least:.4g} (Welch bound); raise hidden.target or "
                "hidden.d_hidden"
            )
        if n_features < _CACHED_FROM:
            return self._orthogonalise(n_features, draws)
        made_of = recipe(
            space=self.name, n_features=n_features, d_hidden=self.d_hidden, target=self.target,
            max_steps=self.max_steps, seed=draws.seed, torch=torch.__version__,
        )  # fmt: skip
        (tensors,) = load_or_make(
            "orthogonalised directions",
            [made_of],
            lambda missing: [{"directions": self._orthogonalise(n_features, draws)}],
        )
        return tensors["directions"]

    def _orthogonalise(self, n_features: int, draws: Draws) -> Tensor:
        """Gradient descent on the sphere; steps that do not help are taken back and halved."""
        threshold = _PUSHED_ABOVE * self.target
        directions = random_unit(n_features, self.d_hidden, draws)
        state, size = _overlaps(directions, threshold), 0.5
        for step in range(self.max_steps):
            if state.mean_largest <= self.target or size < _SMALLEST_STEP:
                break
            logger.debug("step %d: mean largest |cos| %.4f", step, state.mean_largest)
            moved = normalize(directions - size * state.push, dim=1)
            after = _overlaps(moved, threshold)
            if after.excess < state.excess:
                directions, state, size = moved, after, size * 1.3
            else:
                size /= 2
        if state.mean_largest > self.target:
            raise ConfigError(
                f"hidden.target = {self.target}: {n_features} features in {self.d_hidden} "
                f"dimensions came to {state.mean_largest:.4g} (Welch bound: "
                f"{least_overlap(n_features, self.d_hidden):.4g}); raise hidden.target, "
                f"hidden.d_hidden or hidden.max_steps = {self.max_steps}"
            )
        return directions


def least_overlap(n_features: int, d_hidden: int) -> float:
    """Lower bound on the mean over features of the largest |cos| with another (Welch, 1974)."""
    if n_features <= d_hidden:
        return 0.0
    return math.sqrt((n_features - d_hidden) / (d_hidden * (n_features - 1)))


def mean_largest_overlap(directions: Tensor) -> float:
    """Mean over unit directions `[n, d]` of the largest |cos| with another; 0 for a single one."""
    return _overlaps(directions, 1.0).mean_largest


class _Overlaps(NamedTuple):
    """How directions overlap.

    Attributes:
        mean_largest: mean over features of the largest |cos| with another.
        excess: sum of the squared excess of |cos| over the threshold.
        push: its gradient by the directions, up to a factor, `[n, d]`.
    """

    mean_largest: float
    excess: float
    push: Tensor


def _overlaps(directions: Tensor, threshold: float) -> _Overlaps:
    n = len(directions)
    rows = max(1, _PAIRS // n)
    push = torch.zeros_like(directions)
    largest = excess = 0.0
    for start in range(0, n, rows):
        block = slice(start, min(start + rows, n))
        cosines = directions[block] @ directions.T
        cosines[:, block].fill_diagonal_(0)
        low, high = cosines.aminmax(dim=1)
        largest += float(torch.maximum(high, -low).double().sum())
        over = softshrink(cosines, threshold)
        excess += float(over.flatten().dot(over.flatten()))
        push[block] = over @ directions
    return _Overlaps(largest / n, excess, push)
