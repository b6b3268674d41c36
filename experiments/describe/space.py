"""How features share the dimensions of a hidden space."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.describe.config import DescribeConfig
from experiments.describe.sampling import SPLIT
from toysae.diagnostics.pca import PCA, pca
from toysae.draws import Draws
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import BLOCK, Stream
from toysae.metrics.chance import expected_max_abs_cosine

#: Cosines that are computed; of more features than that allows, a random part is looked at.
_MOST_COSINES = 2**26

#: Beyond this dimension the covariance is not diagonalised.
_WIDEST_SPECTRUM = 2048

_SPECTRUM_SAMPLES = 2 * BLOCK


@dataclass(frozen=True, eq=False)
class Sharing:
    """How features lie to each other, and what samples make of it.

    Attributes:
        d_hidden: dimension, `d`.
        norms: length of each direction, `[n_features]`.
        looked_at: features whose nearest neighbour was looked for, ascending.
        nearest: largest absolute cosine of each of them with any other feature; NaN for a feature
            without direction, or without another.
        chance: what as many independent random directions reach on average.
        components: principal components of samples; None where `d` is too large.
    """

    d_hidden: int
    norms: Tensor
    looked_at: Tensor
    nearest: Tensor
    chance: float
    components: PCA | None


def sharing(space: HiddenSpace, config: DescribeConfig) -> Sharing:
    """Describe a hidden space and the samples that lie in it."""
    directions = space.directions.cpu()
    n, d = directions.shape
    looked_at = _some(n, config.seed)
    components = None
    if d <= _WIDEST_SPECTRUM:
        stream = Stream(config.generator, space, config.seed, SPLIT)
        components = pca(stream.hidden(0, min(config.blocks * BLOCK, _SPECTRUM_SAMPLES)).cpu())
    return Sharing(
        d,
        directions.double().norm(dim=1),
        looked_at,
        nearest_cosines(directions, looked_at),
        expected_max_abs_cosine(d, n - 1),
        components,
    )


def nearest_cosines(directions: Tensor, rows: Tensor, block: int = 512) -> Tensor:
    """Largest `|cos|` of some features with any other one.

    Args:
        directions: `[n, d]`.
        rows: features, `[k]`.
        block: features looked at together.

    Returns:
        `[k]` in [0, 1]; NaN for a zero direction, or where no other feature has a direction.
    """
    norms = directions.norm(dim=1, keepdim=True)
    unit = torch.where(norms > 0, directions / norms, 0.0)
    alive = norms[:, 0] > 0
    found = []
    for part in rows.split(block):
        cosines = (unit[part] @ unit.T).abs_().clamp_(max=1)
        cosines[:, ~alive] = -1
        cosines[torch.arange(len(part)), part] = -1
        best = cosines.amax(dim=1).double()
        found.append(torch.where(alive[part] & (best >= 0), best, torch.nan))
    return torch.cat(found)


def _some(n: int, seed: int) -> Tensor:
    """All features, or a random part of those of a large space; ascending."""
    wanted = max(1, min(n, _MOST_COSINES // n))
    if wanted == n:
        return torch.arange(n)
    order = Draws(seed, ("describe",)).uniform("features", (n,)).argsort()
    return order[:wanted].sort().values
