"""How alike latents fire by chance, and how many fire often enough by chance."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from toysae.errors import DataError
from toysae.metrics._inputs import refuse_non_finite

# Beyond so many standard deviations of a count nothing adds to a mean of numbers up to 1.
_FAR = 40


def expected_jaccard(p1: Tensor | float, p2: Tensor | float) -> Tensor:
    """Chance level of the Jaccard overlap, `p1 p2 / (p1 + p2 - p1 p2)`; in [0, 1].

    What independent latents reach on many samples; on few the exact mean is slightly higher
    (`exact_expected_jaccard`).

    Args:
        p1: firing probabilities of the first.
        p2: firing probabilities of the second.

    Returns:
        The level, float64, elementwise; NaN where both are 0.

    Raises:
        DataError: NaN, or outside [0, 1].

    Source: independent firing.
    """
    first, second = (torch.as_tensor(p, dtype=torch.float64) for p in (p1, p2))
    for p, name in ((first, "p1"), (second, "p2")):
        refuse_non_finite(p, name)
        if bool(((p < 0) | (p > 1)).any()):
            raise DataError(f"{name} leaves [0, 1]: expected firing probabilities")
    return chance_of_both(first, second)


def chance_of_both(first: Tensor, second: Tensor) -> Tensor:
    """Overlap of independent firings with these frequencies; NaN where there are none."""
    joint = first * second
    return joint / (first + second - joint)


def exact_expected_jaccard(n1: Tensor | int, n2: Tensor | int, n_samples: Tensor | int) -> Tensor:
    """Mean Jaccard overlap of two sets of given sizes, placed at random among `N` samples.

    `sum_k P(n11 = k) k / (n1 + n2 - k)` with hypergeometric `P`; in [0, 1]. For lists of pairs:
    each distinct pair of sizes takes about a millisecond.

    Args:
        n1: samples on which the first fires.
        n2: samples on which the second fires.
        n_samples: samples, `N`.

    Returns:
        The mean, float64, of the shape that the counts broadcast to; NaN where both are 0.

    Raises:
        DataError: counts that no table of samples has.

    Source: independent firing of given counts.
    """
    first, second, total = broadcast(n1, n2, n_samples)
    if not bool(((first >= 0) & (second >= 0) & (torch.maximum(first, second) <= total)).all()):
        raise DataError("counts do not fit together: expected 0 <= n1, n2 <= n_samples")
    sizes = torch.stack([x.flatten() for x in (first, second, total)]).long()
    distinct, place = sizes.unique(dim=1, return_inverse=True)
    means = torch.tensor([_mean_overlap(*pair) for pair in distinct.T.tolist()], dtype=first.dtype)
    return means.to(place.device)[place].view(first.shape)


def _mean_overlap(n1: int, n2: int, n_samples: int) -> float:
    if n1 == n2 == 0:
        return float("nan")
    mean = n1 * n2 / n_samples
    # The standard deviation is at most the root of the mean.
    reach = _FAR * (mean**0.5 + 1)
    k = np.arange(max(0, int(mean - reach)), min(n1, n2, int(mean + reach)) + 1)
    probability = stats.hypergeom.pmf(k, n_samples, n1, n2)
    return float(probability @ (k / (n1 + n2 - k)))


def survival_probability(frequency: Tensor | float, n_samples: int, minimum: int = 10) -> Tensor:
    """Probability that a latent passes the cut of `minimum` firings on `N` independent samples.

    `P(Binomial(N, f) >= minimum)`, in [0, 1]. A latent that fires 10 times on average passes a cut
    at 10 in 54 % of the samples only: what survives depends on luck near the cut.

    Args:
        frequency: firing probability, elementwise.
        n_samples: samples, `N`.
        minimum: firings that a latent needs.

    Returns:
        The probabilities, float64.

    Raises:
        DataError: NaN or outside [0, 1], or negative counts.

    Source: textbook.
    """
    share = torch.as_tensor(frequency, dtype=torch.float64)
    refuse_non_finite(share, "frequency")
    if bool(((share < 0) | (share > 1)).any()):
        raise DataError("frequency leaves [0, 1]: expected firing probabilities")
    if n_samples < 0 or minimum < 0:
        raise DataError(f"n_samples={n_samples}, minimum={minimum}: expected counts of at least 0")
    tail = stats.binom.sf(minimum - 1, n_samples, share.cpu().numpy())
    return torch.as_tensor(tail, dtype=torch.float64, device=share.device)


def broadcast(*counts: Tensor | int) -> tuple[Tensor, ...]:
    """The counts in float64, of one shape and on one device."""
    device = next((x.device for x in counts if isinstance(x, Tensor)), None)
    return torch.broadcast_tensors(
        *(torch.as_tensor(x, dtype=torch.float64, device=device) for x in counts)
    )
