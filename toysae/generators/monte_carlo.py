"""Estimates of what has no closed form, with their standard errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from toysae.draws import Draws
from toysae.generators.coefficients import Coefficients
from toysae.generators.truth import PairMoments, Truth

Sampler = Callable[[Draws, int], Coefficients]

#: Samples that an estimate rests on; a probability p is known to sqrt(p / 262144).
SAMPLES = 2**18
_BLOCK = 8192


def estimate_truth(
    sample: Sampler,
    names: Sequence[str],
    groups: Mapping[str, Sequence[int]],
    parents: Tensor | None = None,
    n_samples: int = SAMPLES,
) -> Truth:
    """The truth about `sample`, estimated from samples of a seed that nothing else uses.

    Standard errors are those of independent samples.

    Args:
        sample: draws coefficients.
        names, groups, parents: as of `Truth`.
        n_samples: whole blocks of 8,192.
    """
    sums = torch.zeros(3, len(names), dtype=torch.float64)
    fourth = torch.zeros(len(names), dtype=torch.float64)
    for coefficients in _blocks(sample, n_samples):
        firing = coefficients.sparse()
        values = firing.values.double()
        for total, power in zip(sums, (torch.ones_like(values), values, values.square())):
            total.index_add_(0, firing.features, power)
        fourth.index_add_(0, firing.features, values**4)
    marginals, mean, square = sums / n_samples
    return Truth(
        names,
        groups,
        marginals,
        mean,
        square,
        lambda features: _estimate_pairs(sample, features, n_samples),
        marginals_error=_error(marginals, marginals, n_samples),
        mean_error=_error(mean, square, n_samples),
        square_error=_error(square, fourth / n_samples, n_samples),
        parents=parents,
    )


def _estimate_pairs(sample: Sampler, features: Tensor, n_samples: int) -> PairMoments:
    k = len(features)
    together, product, product_square = torch.zeros(3, k, k, dtype=torch.float64)
    for coefficients in _blocks(sample, n_samples):
        values = _columns(coefficients, features)
        fires = (values > 0).float()
        together += (fires.T @ fires).double()
        product += (values.T @ values).double()
        product_square += (values.square().T @ values.square()).double()
    probabilities, products = together / n_samples, product / n_samples
    return PairMoments(
        probabilities,
        products,
        _error(probabilities, probabilities, n_samples),
        _error(products, product_square / n_samples, n_samples),
    )


def _columns(coefficients: Coefficients, features: Tensor) -> Tensor:
    """Coefficients of some features, `[n, k]`."""
    firing = coefficients.sparse()
    place = torch.full((firing.feature_count,), -1)
    place[features] = torch.arange(len(features))
    column = place[firing.features]
    wanted = column >= 0
    values = firing.values.new_zeros(firing.n_samples, len(features))
    values[firing.samples[wanted], column[wanted]] = firing.values[wanted]
    return values


def _blocks(sample: Sampler, n_samples: int) -> Iterator[Coefficients]:
    draws = Draws(0, ("truth",))
    for block in range(n_samples // _BLOCK):
        yield sample(draws.at_block(block), _BLOCK)


def _error(mean: Tensor, square: Tensor, n_samples: int) -> Tensor:
    """Standard error of a mean, given the mean of squares.

    What never happened in `n` samples has an error of `1 / n`: not happening is no proof.
    """
    return ((square - mean.square()).clamp(min=0) / n_samples).sqrt().clamp(min=1 / n_samples)
