"""Checks that samples are what a generator's truth states, with stated error rates."""

from __future__ import annotations

from typing import NamedTuple

import torch
from scipy import stats

from toysae.draws import Draws
from toysae.generators.base import Generator

#: Statistics may lie this many standard errors away: 4e-8 a comparison.
SIGMAS = 5.5
TAIL = 2e-8


def sample(generator: Generator, n: int = 8192, seed: int = 0) -> torch.Tensor:
    """Dense coefficients, float64."""
    return generator.sample(Draws(seed), n).dense().double()


def check_truth(generator: Generator, n: int = 32768, seed: int = 0) -> None:
    """Marginals, pair probabilities and moments of samples are those that the truth states.

    Probabilities are held to exact binomial tails, moments to their standard error (or that of the
    truth, where it is an estimate).
    """
    values = sample(generator, n, seed)
    truth = generator.truth()
    pairs = truth.pair_moments(torch.arange(generator.n_features))
    assert values.shape == (n, generator.n_features) == (n, truth.n_features)
    assert len(truth.names) == generator.n_features
    assert bool((values >= 0).all())
    fires = (values > 0).double()
    _check_probabilities(fires.sum(0), n, truth.marginals, truth.marginals_error)
    _check_probabilities(fires.T @ fires, n, pairs.probabilities, pairs.probabilities_error)
    _check_mean(_summary(values), truth.mean, truth.mean_error, "mean")
    _check_mean(_summary(values**2), truth.square, truth.square_error, "square")
    _check_mean(_summary_of_products(values), pairs.products, pairs.products_error, "products")
    torch.testing.assert_close(pairs.probabilities.diagonal(), truth.marginals)
    if truth.exact:
        torch.testing.assert_close(pairs.products.diagonal(), truth.square)


def _check_probabilities(
    counts: torch.Tensor, n: int, p: torch.Tensor, error: torch.Tensor | None
) -> None:
    if error is not None and bool((error > 0).any()):
        sigma = (p * (1 - p) / n + error**2).sqrt()
        assert float(((counts / n - p).abs() - SIGMAS * sigma - 3 / n).max()) <= 0
        return
    assert bool(((p >= -1e-12) & (p <= 1 + 1e-12)).all())
    law = stats.binom(n, p.clamp(0, 1).numpy())
    assert float(law.cdf(counts).min()) > TAIL
    assert float(law.sf(counts - 1).min()) > TAIL


class Summary(NamedTuple):
    """What samples say about non-negative quantities: sample mean, mean square and so on."""

    n: int
    mean: torch.Tensor
    square: torch.Tensor
    largest: torch.Tensor
    seen: torch.Tensor


def _summary(values: torch.Tensor) -> Summary:
    """Of the columns of `[n, k]`."""
    n = len(values)
    seen = (values > 0).sum(0)
    return Summary(n, values.mean(0), values.square().mean(0), values.amax(0), seen)


def _summary_of_products(values: torch.Tensor) -> Summary:
    """Of the products of all pairs of columns, `[k, k]`; `largest` is a bound."""
    n, fires, square, largest = len(values), (values > 0).double(), values**2, values.amax(0)
    return Summary(
        n,
        values.T @ values / n,
        square.T @ square / n,
        largest[:, None] * largest[None, :],
        fires.T @ fires,
    )


def _check_mean(
    found: Summary, expected: torch.Tensor, error: torch.Tensor | None, what: str
) -> None:
    """Held to the sample's own standard error; rare events with heavy tails get some room.

    What was seen less than 30 times says little about its own size: the largest of all bounds it.
    """
    sigma = ((found.square - found.mean**2).clamp(min=0) / found.n).sqrt()
    rare = 10 * torch.where(found.seen < 30, found.largest.max(), found.largest) / found.n
    allowed = SIGMAS * (sigma if error is None else (sigma**2 + error**2).sqrt()) + rare + 1e-9
    worst = ((found.mean - expected).abs() - allowed).max()
    assert float(worst) <= 0, f"{what}: off by {float(worst):.3g} more than allowed"
