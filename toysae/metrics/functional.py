"""Cosines in the metric of what vectors do, rather than of the space they happen to lie in.

An encoder direction matters through the pre-activations it gives: its component where the data do
not vary is free. Under end-to-end training a decoder vector matters through what the rest of the
model makes of it: its component where that is blind is free. Both are one idea, a cosine under a
positive semidefinite metric `M`, `a^T M b / sqrt(a^T M a  b^T M b)`: with `M = Cov(x)` it is the
Pearson correlation of two pre-activations, with `M = E[J^T J]` (`J` the Jacobian of the readout,
`M = A A^T` for `y = h A`) the cosine of two effects. `in_metric` turns rows so that every function
of `toysae.metrics.dictionary` computes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics._dictionaries.nearest import MaxCosine, max_cosine
from toysae.metrics._inputs import finite, vectors

_ROUNDING = 64
"""Rounding errors of the largest eigenvalue that a computed zero eigenvalue may be off by."""


@dataclass(frozen=True)
class FunctionalAgreement:
    """Agreement of decoders and of encoders, each where vectors lie and in what they do."""

    decoder: MaxCosine
    """Best cosines of decoder rows."""
    encoder: MaxCosine
    """Best cosines of encoder directions."""
    decoder_by_readout: MaxCosine
    """Best cosines of the effects of decoder rows."""
    encoder_by_covariance: MaxCosine
    """Best correlations of pre-activations."""


def in_metric(rows: Tensor, metric: Tensor) -> Tensor:
    """Rows whose ordinary cosines are those of `rows` under the metric `M`: `rows @ M^(1/2)`.

    Give the result to any function of dictionaries; both dictionaries need the same metric.

    Args:
        rows: dictionary `[n, d]`; encoder directions as rows for a covariance of inputs, decoder
            rows for a metric of the readout.
        metric: symmetric positive semidefinite `[d, d]`. Better in float64: eigenvalues up to
            64 rounding errors of its type, relative to the largest, count as 0.

    Returns:
        float64 `[n, d]`. A row that the metric does not see becomes zero, which dictionary
        functions leave out and count.

    Raises:
        ShapeError: not a matrix, or a metric of another size.
        DataError: NaN or infinity, or a metric that is not symmetric and positive semidefinite.

    Source: textbook, whitening by a root of the metric.
    """
    dictionary = vectors(rows, "rows")
    d = dictionary.shape[1]
    if tuple(metric.shape) != (d, d):
        raise ShapeError(f"metric of shape {tuple(metric.shape)}: rows need [{d}, {d}]")
    root, resolution = _root(metric)
    seen = dictionary @ root.to(dictionary.device)
    # Rounding gives rows of the null space a direction that means nothing.
    length = torch.linalg.vector_norm(dictionary, dim=1, keepdim=True)
    unseen = torch.linalg.vector_norm(seen, dim=1, keepdim=True) <= length * resolution
    return seen.masked_fill(unseen, 0)


def functional_agreement(
    decoder_a: Tensor,
    decoder_b: Tensor,
    encoder_a: Tensor,
    encoder_b: Tensor,
    *,
    covariance: Tensor,
    readout: Tensor,
    alive_a: Tensor | None = None,
    alive_b: Tensor | None = None,
) -> FunctionalAgreement:
    """`max_cosine` of two SAEs by decoder and encoder, plain and in the metric of what they do.

    Whether encoders agree where decoders do not is a question about these four: the plain encoder
    cosine counts components that no datum has, the plain decoder cosine those that the readout
    ignores. Each in [-1, 1]; swapping the SAEs swaps the two directions of each.

    Args:
        decoder_a: decoder rows of the first SAE `[n, d]`; the truth, where one side is.
        decoder_b: decoder rows of the second SAE `[m, d]`.
        encoder_a: encoder directions of the first SAE as rows `[n, d]`.
        encoder_b: encoder directions of the second SAE as rows `[m, d]`.
        covariance: of the inputs `[d, d]`.
        readout: metric of the readout `[d, d]`: `A A^T` for `y = h A`, or `E[J^T J]`.
        alive_a: bool mask `[n]`; other latents are left out.
        alive_b: bool mask `[m]`; other latents are left out.

    Returns:
        The four; NaN for latents that the metric does not see.

    Raises:
        ShapeError: widths that differ, a metric of another size, or a mask of another length.
        DataError: NaN or infinity, or a metric that is not symmetric and positive semidefinite.

    Source: the correlation of pre-activations and the Gauss-Newton metric, both textbook.
    """

    def best(a: Tensor, b: Tensor) -> MaxCosine:
        return max_cosine(a, b, alive_a=alive_a, alive_b=alive_b)

    return FunctionalAgreement(
        best(decoder_a, decoder_b),
        best(encoder_a, encoder_b),
        best(in_metric(decoder_a, readout), in_metric(decoder_b, readout)),
        best(in_metric(encoder_a, covariance), in_metric(encoder_b, covariance)),
    )


def _root(metric: Tensor) -> tuple[Tensor, float]:
    """Symmetric square root of a metric, and the length per unit that is rounding in it."""
    dtype = metric.dtype if metric.dtype.is_floating_point else torch.float64
    values = finite(metric, "metric")
    spectrum, basis = torch.linalg.eigh((values + values.T) / 2)
    tolerance = _ROUNDING * torch.finfo(dtype).eps * spectrum.abs().max().item()
    asymmetry = (values - values.T).max().item()
    if asymmetry > tolerance:
        raise DataError(
            f"metric differs from its transpose by {asymmetry:g}: expected a symmetric one, "
            "such as a covariance or A @ A.T"
        )
    if spectrum[0] < -tolerance:
        raise DataError(
            f"metric has the negative eigenvalue {spectrum[0].item():g}: expected a positive "
            "semidefinite one, such as a covariance, computed in float64"
        )
    kept = spectrum.masked_fill(spectrum <= tolerance, 0)
    return (basis * kept.sqrt()) @ basis.T, tolerance**0.5
