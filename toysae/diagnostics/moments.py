"""What second moments cannot see: kurtosis of projections, four-fold symmetry, and ICA.

Two sets of one-hot features in an antipodal plane have an isotropic covariance, so PCA finds no
direction in them. Their fourth moments do single out the axes or the diagonals.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from toysae.diagnostics._inputs import ArrayLike, as_directions, as_matrix
from toysae.errors import ConfigError, DataError, ShapeError

MAX_ICA_ITERATIONS = 200
ICA_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Kurtosis:
    """Kurtosis of the data along some directions.

    Attributes:
        values: `[k]`, `E[p⁴] / E[p²]²`; NaN where the projection is zero on every sample.
        standard_errors: `[k]`, sampling standard deviation by the delta method.
        n_samples: number of samples.
    """

    values: Tensor
    standard_errors: Tensor
    n_samples: int


@dataclass(frozen=True)
class AngularMoment:
    """Fourth harmonic of a distribution in the plane: +1 on the axes, -1 on the diagonals.

    Attributes:
        weighted: `E[r⁴ cos 4θ] / E[r⁴]`, in [-1, 1]; NaN where all samples are 0.
        weighted_se: its standard error by the delta method.
        plain: `E[cos 4θ]` over the samples off the origin, in [-1, 1]; NaN where there are none.
        plain_se: its standard error.
        n_samples: number of samples.
        n_zero: samples at the origin, which have no angle.
    """

    weighted: float
    weighted_se: float
    plain: float
    plain_se: float
    n_samples: int
    n_zero: int


@dataclass(frozen=True)
class ICA:
    """Independent components of the hidden space.

    Attributes:
        directions: `[k, d]`, unit rows along which each source is mixed into the data; order and
            sign are arbitrary.
        converged: whether the fixed-point iteration settled before the last step it was allowed.
            Where it did not, the directions are only where it happened to stand.
        n_iter: iterations made.
    """

    directions: Tensor
    converged: bool
    n_iter: int


def projection_kurtosis(x: ArrayLike, directions: ArrayLike) -> Kurtosis:
    """Kurtosis `E[p⁴] / E[p²]²` about the origin of the projections `p = x · direction`.

    About the origin (not the mean) as the features of a hidden space are rays from it. Range
    [1, N]; 3 for a centred Gaussian, 1.8 for U(0, 1), `1.8 / q` for a U(0, 1) magnitude that fires
    with probability q. The length of a direction does not matter.

    Args:
        x: `[N, d]` samples as rows.
        directions: `[k, d]` rows.

    Returns:
        `[k]` values with standard errors; NaN where a direction or its projection is zero.

    Raises:
        ShapeError: `x` is not a matrix or the directions live in another space.
        DataError: NaN or infinite values.

    Source: textbook.
    """
    samples = as_matrix(x, "x")
    squares = (samples @ as_directions(directions, samples.shape[1]).T).square()
    squares = squares / squares.mean(0)
    fourths = squares.square()
    values = fourths.mean(0)
    # Influence of one sample on m4 / m2², in units of m2.
    influence = fourths - values - 2 * values * (squares - 1)
    return Kurtosis(values, influence.square().mean(0).sqrt() / len(samples) ** 0.5, len(samples))


def fourth_angular_moment(x: ArrayLike) -> AngularMoment:
    """Four-fold symmetry of a distribution in the plane, about the origin.

    `r⁴ cos 4θ = a⁴ - 6a²b² + b⁴` for a sample `(a, b)`. Turning the data by φ turns the moment by
    4φ, so it says which of axes (+) and diagonals (-) carry the mass, and is 0 for isotropy.

    Args:
        x: `[N, 2]` samples as rows.

    Returns:
        The moment weighted by `r⁴` and with every sample alike.

    Raises:
        ShapeError: `x` is not `[N, 2]`.
        DataError: NaN or infinite values.

    Source: fourth angular harmonic.
    """
    samples = as_matrix(x, "x")
    if samples.shape[1] != 2:
        raise ShapeError(f"x of shape {tuple(samples.shape)}: expected [N, 2]")
    scale = samples.abs().max()
    a, b = (samples / scale).square().T
    r4 = (a + b).square()
    harmonic = r4 - 8 * a * b
    weighted = harmonic.mean() / r4.mean()
    weighted_influence = (harmonic - weighted * r4) / r4.mean()

    nonzero = samples.abs().amax(1) > 0
    directions = samples[nonzero] / samples[nonzero].norm(dim=1, keepdim=True)
    cosines = 1 - 8 * directions.square().prod(1)
    plain = cosines.mean()
    return AngularMoment(
        weighted=float(weighted),
        weighted_se=float((weighted_influence.square().mean() / len(samples)).sqrt()),
        plain=float(plain),
        plain_se=float(((cosines - plain).square().mean() / len(cosines)) ** 0.5),
        n_samples=len(samples),
        n_zero=int((~nonzero).sum()),
    )


def ica(x: ArrayLike, n_components: int, seed: int) -> ICA:
    """Independent component analysis (FastICA with the kurtosis contrast, `fun='cube'`).

    The kurtosis contrast is what ties it to `projection_kurtosis`: for independent sources the
    directions are the extrema of kurtosis. It finds the axes of two independent one-hot sets. Two
    sets of the same magnitude are no mixture of independent sources: there the axes and the
    diagonals are both unstable points of the iteration, which then does not converge.

    Args:
        x: `[N, d]` samples as rows; the mean is removed.
        n_components: number of sources, from 1 to the rank of the centred data.
        seed: of the initial unmixing matrix.

    Returns:
        Unit mixing directions; `converged` is False instead of a warning.

    Raises:
        ShapeError: `x` is not a matrix.
        ConfigError: `n_components` is below 1.
        DataError: NaN or infinite values, or data of too low a rank.

    Source: Hyvärinen (1999), IEEE Trans. Neural Networks 10(3), as in scikit-learn.
    """
    samples = as_matrix(x, "x")
    if n_components < 1:
        raise ConfigError(f"n_components={n_components}: allowed are 1 and above")
    rank = int(torch.linalg.matrix_rank(samples - samples.mean(0)))
    if n_components > rank:
        raise DataError(f"x has rank {rank}: ask for at most that many of {n_components} sources")
    model = FastICA(
        n_components,
        fun="cube",
        whiten="unit-variance",
        max_iter=MAX_ICA_ITERATIONS,
        tol=ICA_TOLERANCE,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(samples.cpu().numpy())
    mixing = torch.as_tensor(model.mixing_.T, dtype=torch.float64).to(samples.device)
    return ICA(
        directions=mixing / mixing.norm(dim=1, keepdim=True),
        converged=model.n_iter_ < MAX_ICA_ITERATIONS,
        n_iter=int(model.n_iter_),
    )
