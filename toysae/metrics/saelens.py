"""The numbers that SAELens reports on synthetic data, for comparison with what it published.

These are its conventions, not ours, as in `sae_lens.synthetic.evals` of version 6.54.12: latents
are matched to features by |decoder cosine|, means are over all latents, dead ones included, and
whatever is undefined is 0. So none of these numbers falls when features are missing: four latents
that all equal one feature of four have precision, recall and F1 of 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._inputs import (
    finite,
    require_axes,
    require_same_samples,
    require_same_width,
    vectors,
)

__all__ = [
    "SaelensAgreement",
    "SaelensClassification",
    "SaelensReconstruction",
    "saelens_agreement",
    "saelens_classification",
    "saelens_reconstruction",
]

# Lengths, variances and errors below these count as none.
_SHORTEST_ROW = 1e-8
_SHORTEST_SAMPLE = 1e-6
_LEAST_VARIANCE = 1e-10


@dataclass(frozen=True)
class SaelensAgreement:
    """What SAELens says about a decoder and the true features."""

    mean_correlation_coefficient: float
    """Mean |cosine| of the best one-to-one matching, over `min(n, m)`: its "MCC"."""
    uniqueness: float
    """Different features among the latents' best ones, over the number of latents; 0 for none."""
    matched_feature: Tensor
    """Feature of the largest |cosine| with each latent, `[m]`."""


@dataclass(frozen=True)
class SaelensClassification:
    """What SAELens says about latents as detectors of their matched features."""

    precision: Tensor
    """Of each latent, `[m]`; 0 for a dead one."""
    recall: Tensor
    """Of each latent, `[m]`; 0 for a feature that is never active."""
    f1: Tensor
    """Of each latent, `[m]`; 0 where precision and recall are."""
    accuracy: Tensor
    """Share of samples on which latent and feature agree, `[m]`."""

    @property
    def mean_precision(self) -> float:
        """Mean over all latents, as reported; 0 without latents."""
        return _mean(self.precision)

    @property
    def mean_recall(self) -> float:
        """Mean over all latents, as reported; 0 without latents."""
        return _mean(self.recall)

    @property
    def mean_f1(self) -> float:
        """Mean over all latents, as reported; 0 without latents."""
        return _mean(self.f1)

    @property
    def mean_accuracy(self) -> float:
        """Mean over all latents, as reported; 0 without latents."""
        return _mean(self.accuracy)


@dataclass(frozen=True)
class SaelensReconstruction:
    """What SAELens says about activity and reconstruction."""

    true_l0: float
    """Mean number of active features."""
    sae_l0: float
    """Mean number of latents that are not 0."""
    dead_latents: int
    """Latents that are 0 on all samples."""
    shrinkage: float
    """Mean of `|x_hat| / |x|` over samples longer than 1e-6; 0 without such."""
    explained_variance: float
    """`1 - E|x - x_hat|^2 / Var x`; without variance 1 for no error and 0 else."""


def saelens_agreement(features: Tensor, decoder: Tensor) -> SaelensAgreement:
    """Mean matched |cosine| and uniqueness as SAELens computes them.

    `max_pi sum |cos(d_j, f_pi(j))| / min(n, m)` and `#{argmax_i |cos(d_j, f_i)|} / m`, in [0, 1].
    Blind to features that no latent is left for: two exact latents of four features score 1.
    `dictionary.hungarian` and `dictionary.max_cosine` are the values to rely on.

    Args:
        features: truth `[n, d]`, at least one.
        decoder: learned `[m, d]`; zero rows have cosine 0.

    Returns:
        Both, and the feature of each latent, the lowest among ties. Without latents the mean is NaN
        and the uniqueness 0, as there.

    Raises:
        ShapeError: not two matrices of the same width, or no features.
        DataError: NaN or infinity.

    Source: SAELens 6.54.12, `mean_correlation_coefficient` and `feature_uniqueness`.
    """
    table = _abs_cosines(features, decoder)
    matched = table.argmax(dim=1)
    rows, columns = linear_sum_assignment(table.cpu(), maximize=True)
    unique = len(matched.unique()) / len(matched) if len(matched) else 0.0
    return SaelensAgreement(table[rows, columns].mean().item(), unique, matched)


def saelens_classification(
    features: Tensor, decoder: Tensor, coefficients: Tensor, latents: Tensor
) -> SaelensClassification:
    """Precision, recall, F1 and accuracy of each latent for its feature of largest |cosine|.

    With `[z_j != 0]` and `[c_i > 0]`; undefined is 0, and means are over all latents. In [0, 1].
    A feature that is nobody's best is never looked at. `detection.detection` asks both ways.

    Args:
        features: truth `[n, d]`, at least one.
        decoder: learned `[m, d]`.
        coefficients: truth `[N, n]`.
        latents: activations `[N, m]` of the same samples.

    Returns:
        Per latent, and the means that SAELens reports.

    Raises:
        ShapeError: shapes that do not belong together, or no features.
        DataError: NaN or infinity.

    Source: SAELens 6.54.12, `ClassificationMetricsCalculator`.
    """
    matched = _abs_cosines(features, decoder).argmax(dim=1)
    for value, name in ((coefficients, "coefficients"), (latents, "latents")):
        require_axes(value, name, "[samples, columns]")
    require_same_samples(coefficients, latents, ("coefficients", "latents"))
    if (coefficients.shape[1], latents.shape[1]) != (len(features), len(decoder)):
        raise ShapeError(
            f"{len(features)} features and {len(decoder)} decoder rows, but coefficients of "
            f"{coefficients.shape[1]} features and {latents.shape[1]} latents: expected as many"
        )
    active = (finite(coefficients, "coefficients") > 0)[:, matched]
    fires = finite(latents, "latents") != 0
    hits = (active & fires).sum(dim=0)
    precision = _or_zero(hits, fires.sum(dim=0))
    recall = _or_zero(hits, active.sum(dim=0))
    f1 = _or_zero(2 * precision * recall, precision + recall)
    return SaelensClassification(
        precision, recall, f1, _or_zero((active == fires).sum(dim=0), torch.tensor(len(active)))
    )


def saelens_reconstruction(
    x: Tensor, x_hat: Tensor, coefficients: Tensor, latents: Tensor
) -> SaelensReconstruction:
    """L0, dead latents, shrinkage and explained variance as SAELens reports them.

    Args:
        x: hidden activations `[N, d]`.
        x_hat: their reconstructions `[N, d]`.
        coefficients: truth `[N, n]`.
        latents: activations `[N, m]`.

    Returns:
        Both L0, in [0, n] and [0, m]; dead latents, 0 to `m`; shrinkage, at least 0, 1 for none;
        and explained variance, at most 1, which is best. Where there is nothing to divide by they
        are 0 (see each), as there.

    Raises:
        ShapeError: not two axes, different samples, or reconstructions of another width.
        DataError: NaN or infinity.

    Source: SAELens 6.54.12, `eval_sae_on_synthetic_data`; `sae_lens.evals` for the variance.
    """
    require_axes(x, "x", "[samples, dimensions]")
    for value, name in ((x_hat, "x_hat"), (coefficients, "coefficients"), (latents, "latents")):
        require_axes(value, name, "[samples, columns]")
        require_same_samples(x, value, ("x", name))
    require_same_width(x, x_hat, ("x", "x_hat"))
    x, x_hat = finite(x, "x"), finite(x_hat, "x_hat")
    active = finite(coefficients, "coefficients") != 0
    fires = finite(latents, "latents") != 0
    lengths = x.norm(dim=1)
    ratios = (x_hat.norm(dim=1) / lengths)[lengths > _SHORTEST_SAMPLE]
    return SaelensReconstruction(
        true_l0=_mean(active.sum(dim=1).double()),
        sae_l0=_mean(fires.sum(dim=1).double()),
        dead_latents=int((~fires.any(dim=0)).sum()),
        shrinkage=_mean(ratios),
        explained_variance=_explained_variance(x, x_hat),
    )


def _explained_variance(x: Tensor, x_hat: Tensor) -> float:
    if not len(x):
        return 0.0
    variance = (x - x.mean(dim=0)).square().sum(dim=1).mean().item()
    error = (x - x_hat).square().sum(dim=1).mean().item()
    if variance < _LEAST_VARIANCE:
        return float(error < _LEAST_VARIANCE)
    return 1 - error / variance


def _abs_cosines(features: Tensor, decoder: Tensor) -> Tensor:
    """|cosine| of all pairs, `[m, n]`, latents first; 0 for zero rows."""
    truth, learned = vectors(features, "features"), vectors(decoder, "decoder")
    require_same_width(truth, learned, ("features", "decoder"))
    if not len(truth):
        raise ShapeError("features has no rows: expected at least one feature to match with")
    unit = [
        rows / rows.norm(dim=1, keepdim=True).clamp(min=_SHORTEST_ROW) for rows in (learned, truth)
    ]
    return (unit[0] @ unit[1].T).abs()


def _or_zero(part: Tensor, whole: Tensor) -> Tensor:
    """`part / whole`, and 0 where both are 0."""
    return (part.double() / whole).nan_to_num(nan=0.0)


def _mean(values: Tensor) -> float:
    return values.mean().item() if len(values) else 0.0
