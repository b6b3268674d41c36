"""Principal components of the hidden space, and whether the data say which ones they are.

Eigenvalues of a sample always differ, also where the truth is isotropic and every direction is as
principal as any other. So each component comes with the answer to a question: would another sample
have given the same direction?
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.special import ndtri

from toysae.diagnostics._inputs import ArrayLike, as_directions, as_matrix, as_spectrum, center
from toysae.diagnostics._spectra import spectrum_of
from toysae.errors import ConfigError, ShapeError


@dataclass(frozen=True)
class PCA:
    """Principal components of `N` samples in `d` dimensions, largest variance first.

    Attributes:
        n_samples: `N`.
        mean: `[d]`, what was subtracted; zero where the data were not centred.
        eigenvalues: `[d]`, descending variances (divisor `N - 1` centred, `N` about the origin);
            rounding noise is exactly 0.
        components: `[d, d]`, unit rows, one a component; the sign of a row is arbitrary.
        explained_variance_ratio: `[d]`, `λ_k / Σλ`; NaN for data without variance.
        participation_ratio: see the function of that name.
        effective_rank: see the function of that name.
        stable_rank: see the function of that name.
        eigenvalue_sd: `[d]`, sampling standard deviation `sqrt(Var(p_k²) / N)` of each eigenvalue,
            with `p_k` the projection on the component; no Gaussian assumption (for Gaussian data
            it is `λ sqrt(2 / N)`).
        eigenvalue_intervals: `[d, 2]`, `λ exp(∓ z sd / λ)`: normal on the log scale, so positive.
            Eigenvalues that are tied in truth spread apart in a sample, which no interval for a
            single one can undo: read them where `gap_resolved`.
        gap_p_values: `[d - 1]`, p-value of "eigenvalues k and k + 1 are equal" (see `pca`); NaN
            where `N <= d` or both are 0.
        gaps: `[d - 1]`, whether eigenvalues k and k + 1 are told apart: if so, the space of the
            first k components is determined, whatever the single ones are.
        gap_resolved: `[d]`, whether the component is separated from both of its neighbours.
        angle_sd: `[d]`, degrees, by how much the component would turn in another sample:
            `sqrt(Σ_j E[p_k² p_j²] / (N (λ_k - λ_j)²))` over the other components `j`. For two
            components with independent projections this is `sqrt(λ₁λ₂ / (N (λ₁ - λ₂)²))`. NaN
            where the gap is not resolved.
    """

    n_samples: int
    mean: Tensor
    eigenvalues: Tensor
    components: Tensor
    explained_variance_ratio: Tensor
    participation_ratio: float
    effective_rank: float
    stable_rank: float
    eigenvalue_sd: Tensor
    eigenvalue_intervals: Tensor
    gap_p_values: Tensor
    gaps: Tensor
    gap_resolved: Tensor
    angle_sd: Tensor

    @property
    def cumulative_variance_ratio(self) -> Tensor:
        """`[d]`, share of the variance in the first 1, 2, ... components: ascending to 1.

        NaN for data without variance.
        """
        return self.explained_variance_ratio.cumsum(0)

    @property
    def directions_defined(self) -> bool:
        """Whether the data determine every component, not only the space that some of them span."""
        return bool(self.gap_resolved.all())


def pca(x: ArrayLike, *, centered: bool = True, confidence: float = 0.95) -> PCA:
    """Principal component analysis that says which components the sample determines.

    For neighbours `k, k + 1` the traceless part of the covariance in their plane is the mean `m`
    of `g = ((p_k² - p_{k+1}²) / 2, p_k p_{k+1})`. Turning the plane by θ turns `g` by 2θ, so the
    statistic `N |m|²` does not depend on the basis: that the eigenvectors were chosen to make the
    two variances differ is already paid for. Where the plane is isotropic, `N |m|²` is
    asymptotically `w₁χ²₁ + w₂χ²₁` with `w` the eigenvalues of `Cov(g)`, estimated from the data
    (for Gaussian data `w₁ = w₂`, and the p-value is a χ²₂ tail). Weighting by `Cov(g)⁻¹` instead
    would also be χ²₂, but fails on sparse data, where rare joint firings leave it underestimated.

    A gap is resolved at p-value `< (1 - confidence) / (d - 1)`. The chance that any component is
    called resolved although its eigenvalue is tied is therefore at most `1 - confidence`: close to
    it at isotropy for d = 2, and well below for d > 2, where the plane spanned by neighbouring
    components shows less difference than a plane fixed in advance. The law is asymptotic: it wants
    `N` well above `d`, and nothing is resolved where `N <= d`.

    Args:
        x: `[N, d]` samples as rows, `N >= 2`.
        centered: subtract the mean; otherwise second moments about the origin.
        confidence: of the intervals, and 1 minus the error rate of `gap_resolved`; in (0, 1).

    Returns:
        The components with their uncertainty. Data without variance have NaN ratios and ranks and
        nothing resolved.

    Raises:
        ShapeError: `x` is not a matrix with two or more rows.
        DataError: `x` holds NaN or infinite values.
        ConfigError: `confidence` is outside (0, 1).

    Source: asymptotics of eigenvectors: Anderson (1963), Ann. Math. Statist. 34; without
    normality: Davis (1977), Biometrika 64.
    """
    samples = as_matrix(x, "x")
    n, d = samples.shape
    if n < 2:
        raise ShapeError(f"x has {n} sample: PCA needs at least 2")
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence={confidence}: allowed are values between 0 and 1")
    deviations, mean = center(samples) if centered else (samples, samples.new_zeros(d))
    divisor = n - 1 if centered else n
    eigenvalues, components = spectrum_of(deviations.T @ deviations / divisor, max(n, d))
    projections = deviations @ components.T

    sd = (projections.square().var(0, correction=0) / n).sqrt()
    p_values = _gap_p_values(projections, eigenvalues)
    gaps = p_values < (1 - confidence) / max(d - 1, 1)
    resolved = _separated(gaps, eigenvalues)
    return PCA(
        n_samples=n,
        mean=mean,
        eigenvalues=eigenvalues,
        components=components,
        explained_variance_ratio=eigenvalues / eigenvalues.sum(),
        participation_ratio=participation_ratio(eigenvalues),
        effective_rank=effective_rank(eigenvalues),
        stable_rank=stable_rank(eigenvalues),
        eigenvalue_sd=sd,
        eigenvalue_intervals=_log_intervals(eigenvalues, sd, confidence),
        gap_p_values=p_values,
        gaps=gaps,
        gap_resolved=resolved,
        angle_sd=torch.where(resolved, _angle_sd(projections, eigenvalues), torch.nan),
    )


def alignment(components: ArrayLike, directions: ArrayLike) -> Tensor:
    """`|cos|` between components and directions; the absolute value as PCs have no sign.

    Args:
        components: `[k, d]` rows.
        directions: `[n, d]` rows, such as true features.

    Returns:
        `[k, n]` in [0, 1]; NaN in the row or column of a zero vector.

    Raises:
        ShapeError: the two live in spaces of different dimension.
        DataError: NaN or infinite values.

    Source: textbook.
    """
    rows = as_matrix(components, "components")
    unit = as_directions(rows, rows.shape[1])
    return (unit @ as_directions(directions, rows.shape[1]).T).abs().clamp(max=1.0)


def participation_ratio(eigenvalues: Tensor) -> float:
    """`(Σλ)² / Σλ²`: of how many equal variances the spectrum is the like.

    Args:
        eigenvalues: `[d]`, variances in any order.

    Returns:
        In [1, rank]; NaN where all eigenvalues are 0.

    Raises:
        ShapeError: not one axis, or no eigenvalue.
        DataError: NaN, infinite or negative values.

    Source: textbook; the Rényi entropy of order 2.
    """
    spectrum = as_spectrum(eigenvalues)
    shares = spectrum / spectrum.sum()
    return float(1 / shares.square().sum())


def effective_rank(eigenvalues: Tensor) -> float:
    """`exp H(λ / Σλ)` with the entropy in nats.

    Args:
        eigenvalues: `[d]`, variances in any order.

    Returns:
        In [participation ratio, rank]; NaN where all eigenvalues are 0.

    Raises:
        ShapeError: not one axis, or no eigenvalue.
        DataError: NaN, infinite or negative values.

    Source: Roy & Vetterli (2007), EUSIPCO.
    """
    spectrum = as_spectrum(eigenvalues)
    return float(torch.special.entr(spectrum / spectrum.sum()).sum().exp())


def stable_rank(eigenvalues: Tensor) -> float:
    """`Σλ / max λ`.

    Args:
        eigenvalues: `[d]`, variances in any order.

    Returns:
        In [1, rank]; NaN where all eigenvalues are 0.

    Raises:
        ShapeError: not one axis, or no eigenvalue.
        DataError: NaN, infinite or negative values.

    Source: textbook.
    """
    spectrum = as_spectrum(eigenvalues)
    return float(spectrum.sum() / spectrum.max())


def _gap_p_values(projections: Tensor, eigenvalues: Tensor) -> Tensor:
    n, d = projections.shape
    if n <= d:
        return eigenvalues.new_full((d - 1,), torch.nan)
    upper, lower = projections[:, :-1], projections[:, 1:]
    spread, product = (upper.square() - lower.square()) / 2, upper * lower
    statistic = n * (spread.mean(0).square() + product.mean(0).square())

    a, b = spread - spread.mean(0), product - product.mean(0)
    var_a, var_b, covariance = a.square().mean(0), b.square().mean(0), (a * b).mean(0)
    # The eigenvalues of the 2x2 covariance of (spread, product) are average ± radius.
    average, radius = (var_a + var_b) / 2, torch.hypot((var_a - var_b) / 2, covariance)
    tail = _weighted_chi2_tail(statistic, average + radius, (average - radius).clamp(min=0))
    return torch.where(eigenvalues[:-1] > 0, tail, torch.nan)


def _weighted_chi2_tail(statistic: Tensor, w1: Tensor, w2: Tensor) -> Tensor:
    """`P(w₁χ²₁ + w₂χ²₁ > t)` for one `t`, `w₁` and `w₂` in each entry of the vectors.

    In polar coordinates the sum is `r² (w₁cos²φ + w₂sin²φ)` with `P(r² > s) = exp(-s / 2)`, so the
    tail is a mean over φ, for which the midpoint rule converges exponentially.
    """
    steps = torch.arange(256, dtype=torch.float64, device=statistic.device)
    share = ((steps + 0.5) * math.pi / 512).cos().square()
    scale = w1[:, None] * share + w2[:, None] * (1 - share)
    return torch.exp(-statistic[:, None] / (2 * scale)).mean(1)


def _separated(gaps: Tensor, eigenvalues: Tensor) -> Tensor:
    """Whether both gaps beside each component are resolved; the ends have only one neighbour."""
    edge = gaps.new_ones(1)
    return torch.cat([edge, gaps]) & torch.cat([gaps, edge]) & (eigenvalues[0] > 0)


def _log_intervals(eigenvalues: Tensor, sd: Tensor, confidence: float) -> Tensor:
    z = ndtri(eigenvalues.new_tensor((1 + confidence) / 2))
    width = torch.where(eigenvalues > 0, z * sd / eigenvalues, 0.0)
    return eigenvalues[:, None] * torch.stack([-width, width], dim=1).exp()


def _angle_sd(projections: Tensor, eigenvalues: Tensor) -> Tensor:
    squares = projections.square()
    joint = squares.T @ squares / len(projections)
    variance = joint / (eigenvalues[:, None] - eigenvalues).square()
    return torch.rad2deg((variance.fill_diagonal_(0.0).sum(1) / len(projections)).sqrt())
