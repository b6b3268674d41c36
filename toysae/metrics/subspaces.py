"""Whether two sets of vectors, or of activations, span the same space whatever their bases.

Dictionaries whose vectors disagree may still share a subspace: angles near 0 and a centred kernel
alignment near 1 beside small maximum cosines are the signature of the same space in another basis.
A dictionary of at least as many vectors as dimensions spans everything, so angles say something
only about selected rows: a matched cluster, an island, the latents that seeds do not share.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.linalg import subspace_angles
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._directions import Directions, unit_rows_of_pair
from toysae.metrics._inputs import finite, require_axes, require_same_samples


@dataclass(frozen=True)
class PrincipalAngles:
    """How the row spaces of two sets of vectors lie to each other."""

    angles: Tensor
    """Principal angles in radians, `[min(rank_a, rank_b)]`, from 0 to pi / 2, largest first."""
    rank_a: int
    """Dimension of the span of `a`."""
    rank_b: int
    """Dimension of the span of `b`."""
    d: int
    """Dimension of the space."""

    @property
    def overlap(self) -> float:
        """Mean of cos^2, `tr(P Q) / min(rank_a, rank_b)`; 1 where one span holds the other."""
        return self.angles.cos().square().mean().item()

    @property
    def expected_overlap(self) -> float:
        """What a random subspace in place of one of them gives, `max(rank_a, rank_b) / d`."""
        return max(self.rank_a, self.rank_b) / self.d if len(self.angles) else torch.nan

    @property
    def chordal(self) -> float:
        """`sqrt(sum sin^2)`; for equal ranks `|P - Q|_F / sqrt(2)`, P and Q the projections."""
        return self.angles.sin().square().sum().sqrt().item() if len(self.angles) else torch.nan


@dataclass(frozen=True)
class CKA:
    """Centred kernel alignment of two tables of activations, linear kernel."""

    biased: float
    """As published; near 1 for unrelated tables with more columns than samples."""
    debiased: float
    """With unbiased estimates: 0 in expectation for unrelated tables, and may be negative."""
    n_samples: int
    """Samples that it was computed from."""


def principal_angles(
    a: Tensor, b: Tensor, *, alive_a: Tensor | None = None, alive_b: Tensor | None = None
) -> PrincipalAngles:
    """Principal angles between the spans of two sets of vectors.

    `cos t_k` are the singular values of `U V^T` for orthonormal bases `U`, `V` of the two row
    spaces. Knows nothing of bases: invariant to any invertible mixing of the rows of one set.
    Symmetric in its arguments; the overlap is in [0, 1] and means nothing without
    `expected_overlap`, which is 1 where a set spans everything.

    Args:
        a: vectors `[n, d]`, linearly dependent ones allowed.
        b: vectors `[m, d]`.
        alive_a: bool mask `[n]`; other rows are left out.
        alive_b: bool mask `[m]`; other rows are left out.

    Returns:
        Angles and ranks; no angles, and NaN for what is made of them, where either set has no
        vector but zeros.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another length.
        DataError: NaN or infinity in either.

    Source: Bjorck and Golub 1973; computed by `scipy.linalg.subspace_angles`.
    """
    ours, theirs = (_basis(rows) for rows in unit_rows_of_pair(a, b, alive_a, alive_b))
    found = subspace_angles(ours.T.cpu().numpy(), theirs.T.cpu().numpy())
    angles = torch.from_numpy(found.copy()).to(ours)
    return PrincipalAngles(angles, len(ours), len(theirs), a.shape[1])


def linear_cka(x: Tensor, y: Tensor, *, max_samples: int = 5000) -> CKA:
    """Linear centred kernel alignment of activations of two models on the same samples.

    `|Y^T X|_F^2 / (|X^T X|_F |Y^T Y|_F)` of centred columns, in [0, 1], and the same ratio of
    unbiased estimates of HSIC, in [-1, 1]. Report the debiased one: 50 samples of 200 random
    columns give 0.82 where nothing is shared. Invariant to an orthogonal map of either side, to a
    common shift and to a common factor, so it does not see in which basis the activations are.
    Columns of large variance (dense latents) decide it: report it for `standardized` or binarised
    activations too. Symmetric in its arguments.

    Args:
        x: activations `[N, p]`.
        y: activations `[N, q]` of the same samples.
        max_samples: of more than these, samples `floor(i N / max_samples)` are used: evenly spaced,
            so that neighbouring tokens are not overrepresented.

    Returns:
        Both values. NaN where a side does not vary, and for the debiased one below 4 samples.

    Raises:
        ShapeError: not two matrices with the same samples, or no sample allowed.
        DataError: NaN or infinity in either.

    Source: Kornblith et al. 2019 (arXiv 1905.00414); Song et al. 2012 for the unbiased HSIC.
    """
    if max_samples < 1:
        raise ShapeError(f"max_samples={max_samples}: expected at least one")
    require_axes(x, "x", "[samples, columns]")
    require_axes(y, "y", "[samples, columns]")
    require_same_samples(x, y, ("x", "y"))
    n = len(x)
    if n > max_samples:
        index = torch.arange(max_samples, device=x.device) * n // max_samples
        x, y, n = x[index], y[index.to(y.device)], max_samples
    ours, theirs = _centered(finite(x, "x")), _centered(finite(y, "y"))
    shared, own, other = (_hsic(*pair) for pair in ((ours, theirs), (ours, ours), (theirs, theirs)))
    biased, debiased = (_ratio(*terms) for terms in zip(shared, own, other))
    return CKA(biased, debiased, n)


def standardized(activations: Tensor) -> Tensor:
    """Each column minus its mean, over its standard deviation (ddof 0): all count alike.

    Args:
        activations: `[N, p]`.

    Returns:
        float64 `[N, p]`, from `-sqrt(N - 1)` to `sqrt(N - 1)`; a constant column becomes zeros.

    Raises:
        ShapeError: not a matrix.
        DataError: NaN or infinity.

    Source: textbook.
    """
    require_axes(activations, "activations", "[samples, columns]")
    centered = _centered(finite(activations, "activations"))
    scale = centered.square().mean(dim=0).sqrt()
    return centered / scale.masked_fill(scale == 0, 1)


def _basis(rows: Directions) -> Tensor:
    """Orthonormal rows with the same span."""
    if len(rows.unit) == 0:
        return rows.unit
    _, values, basis = torch.linalg.svd(rows.unit, full_matrices=False)
    resolved = values > values[0] * max(rows.unit.shape) * torch.finfo(values.dtype).eps
    return basis[resolved]


def _centered(values: Tensor) -> Tensor:
    """Columns minus their mean. Shifted before, so that a constant column is exactly zero."""
    if len(values) == 0:
        return values
    shifted = values - values[0]
    return shifted - shifted.mean(dim=0)


def _hsic(x: Tensor, y: Tensor) -> tuple[float, float]:
    """Biased and unbiased HSIC of centred tables, both but for factors that a ratio cancels.

    The unbiased one leaves out the diagonal of the kernels. Neither needs them whole: all sums over
    pairs of samples are sums over pairs of columns.
    """
    n = len(x)
    cross = _squared_norm_of_product(x, y)
    own_x, own_y = x.square().sum(dim=1), y.square().sum(dim=1)
    if n < 4:
        return cross, torch.nan
    # Centred kernels have zero row sums, so without their diagonals they sum to minus these.
    pairs = cross - (own_x @ own_y).item()
    total = (own_x.sum() * own_y.sum()).item() / ((n - 1) * (n - 2))
    return cross, pairs + total - 2 / (n - 2) * (own_x @ own_y).item()


def _squared_norm_of_product(x: Tensor, y: Tensor) -> float:
    """`|x^T y|_F^2`, by way of the smaller matrix."""
    n, p, q = len(x), x.shape[1], y.shape[1]
    if n * n < p * q:
        return ((x @ x.T) * (y @ y.T)).sum().item()
    return (x.T @ y).square().sum().item()


def _ratio(shared: float, own: float, other: float) -> float:
    return shared / (own * other) ** 0.5 if own > 0 and other > 0 else torch.nan
