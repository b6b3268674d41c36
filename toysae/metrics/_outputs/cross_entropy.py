"""Cross-entropies of an original and a patched model: their difference, and how to read it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from toysae.errors import DataError, ShapeError
from toysae.metrics._inputs import finite
from toysae.metrics._outputs.divergences import BLOCK, check_logits
from toysae.metrics._pairs import ratio


@dataclass(frozen=True)
class ExpectedDifference:
    """Why the cross-entropy differs, for tokens from a known distribution `pi`."""

    patched: Tensor
    """`KL(pi||q)`: how far the patched model is from the truth, `[...]`, at least 0."""
    original: Tensor
    """`KL(pi||p)`: how far the original model was, `[...]`, at least 0."""

    @property
    def difference(self) -> Tensor:
        """`E_pi[dCE] = KL(pi||q) - KL(pi||p)`, `[...]`; negative where patching helped."""
        return self.patched - self.original


@dataclass(frozen=True)
class Recovered:
    """Which share of the loss that an ablation costs is left, in two ways of averaging."""

    per_item: Tensor
    """`(CE_ablated - CE_patched) / (CE_ablated - CE_original)`; NaN where ablation costs 0."""
    ratio_of_means: Tensor
    """The same of the mean cross-entropies, `[]`; NaN where ablation costs 0 in the mean."""
    difference: Tensor
    """Mean `CE_patched - CE_original` in nats, `[]`: what to report first."""
    baseline: str
    """What the ablation put in place of the activations."""

    @property
    def mean_of_ratios(self) -> Tensor:
        """Mean of `per_item` over defined items, `[]`, as dictionary_learning averages batches."""
        return self.per_item.nanmean()

    @property
    def n_defined(self) -> int:
        """Items that are defined."""
        return int((~torch.isnan(self.per_item)).sum())


def cross_entropy(logits: Tensor, targets: Tensor, *, block: int = BLOCK) -> Tensor:
    """`-ln p(y)` of each token, in nats.

    Args:
        logits: `[..., V]` of the positions before the targets.
        targets: tokens that followed, int64 `[...]`.
        block: tokens held in float64 at once.

    Returns:
        float64 `[...]`, at least 0.

    Raises:
        ShapeError: shapes that do not fit together, or no vocabulary.
        DataError: NaN or infinity, or a target that is no token.

    Source: textbook.
    """
    _check_targets(logits, targets)
    flat = logits.reshape(-1, logits.shape[-1])
    parts = [
        -log_softmax(finite(rows, "logits"), -1).gather(1, wanted[:, None])[:, 0]
        for rows, wanted in zip(flat.split(block), targets.reshape(-1).long().split(block))
    ]
    return torch.cat(parts).reshape(targets.shape)


def cross_entropy_difference(
    original: Tensor, patched: Tensor, targets: Tensor, *, block: int = BLOCK
) -> Tensor:
    """`dCE = ln p(y) - ln q(y)` of each token: what patching costs on these data, in nats.

    Negative where the patched model does better, which is legal: `kl_divergence` shows that it
    changed all the same. Swapping the models changes the sign.

    Args:
        original: logits `[..., V]` of `p`.
        patched: logits `[..., V]` of `q`.
        targets: tokens that followed, int64 `[...]`.
        block: tokens held in float64 at once.

    Returns:
        float64 `[...]`; positive is a cost.

    Raises:
        ShapeError: shapes that do not fit together, or no vocabulary.
        DataError: NaN or infinity, or a target that is no token.

    Source: textbook.
    """
    cost = cross_entropy(patched, targets, block=block)
    return cost - cross_entropy(original, targets, block=block)


def expected_difference(
    truth: Tensor, original: Tensor, patched: Tensor, *, block: int = BLOCK
) -> ExpectedDifference:
    """The mean of `dCE` over tokens from `truth`, split into what it is the difference of.

    `E_pi[dCE] = KL(pi||q) - KL(pi||p)`.

    Args:
        truth: probabilities `pi` `[..., V]`, each row adding up to 1.
        original: logits `[..., V]` of `p`.
        patched: logits `[..., V]` of `q`.
        block: tokens held in float64 at once.

    Returns:
        Both divergences from the truth, one number a token each.

    Raises:
        ShapeError: two shapes, or no vocabulary.
        DataError: NaN or infinity, or rows of `truth` that are no distributions.

    Source: textbook.
    """
    sums = truth.sum(dim=-1, dtype=torch.float64)
    # Stored in bfloat16, probabilities add up to 1 within its rounding only.
    rounding = max(1e-6, torch.finfo(truth.dtype).eps if truth.is_floating_point() else 0.0)
    if bool((truth < 0).any()) or not torch.allclose(sums, torch.ones_like(sums), atol=rounding):
        raise DataError("truth: expected probabilities, rows that are >= 0 and add up to 1")
    truth = truth.double() / sums[..., None]
    return ExpectedDifference(
        _from_truth(truth, patched, "patched", block),
        _from_truth(truth, original, "original", block),
    )


def cross_entropy_recovered(
    original: Tensor, patched: Tensor, ablated: Tensor, *, baseline: str
) -> Recovered:
    """Share of an ablation's cost that reconstructions avoid; 1 is no cost, 0 is the ablation's.

    `(CE_ablated - CE_patched) / (CE_ablated - CE_original)`. Secondary to the difference in nats:
    it depends on what the ablation puts in place and on how much the site matters, so an SAE that
    costs more can score higher. At most 1 unless patching helps, unbounded below where ablation
    costs something. Check that all three runs treat special tokens alike: SAELens leaves them
    alone with the SAE but ablates them.

    Args:
        original: cross-entropies of the model, one an item (a token, or a batch), `[...]`.
        patched: the same with reconstructions.
        ablated: the same with the ablation.
        baseline: what the ablation puts in place, such as "zero" or "mean"; kept with the result.

    Returns:
        Both averages, and the difference; NaN where the ablation costs nothing.

    Raises:
        ShapeError: three shapes, or no items.
        DataError: NaN or infinity, or no name for the baseline.

    Source: loss recovered of dictionary_learning, SAELens and SAEBench.
    """
    if not original.shape == patched.shape == ablated.shape or not original.numel():
        raise ShapeError(
            f"cross-entropies of shapes {tuple(original.shape)}, {tuple(patched.shape)} and "
            f"{tuple(ablated.shape)}: expected the same items, at least one"
        )
    if not baseline.strip():
        raise DataError("baseline is empty: name what the ablation puts in place, such as 'zero'")
    clean, sae, without = (
        finite(values, name)
        for values, name in ((original, "original"), (patched, "patched"), (ablated, "ablated"))
    )
    return Recovered(
        ratio(without - sae, without - clean),
        ratio((without - sae).mean(), (without - clean).mean()),
        (sae - clean).mean(),
        baseline,
    )


def _from_truth(truth: Tensor, logits: Tensor, name: str, block: int) -> Tensor:
    """`KL(truth || softmax(logits))`, tokens of probability 0 adding nothing."""
    check_logits(truth, logits)
    width = truth.shape[-1]
    parts = [
        _kl_from(finite(pi, "truth"), log_softmax(finite(rows, name), -1))
        for pi, rows in zip(
            truth.reshape(-1, width).split(block), logits.reshape(-1, width).split(block)
        )
    ]
    return torch.cat(parts).reshape(truth.shape[:-1])


def _kl_from(pi: Tensor, log_q: Tensor) -> Tensor:
    return (torch.xlogy(pi, pi) - pi * log_q).sum(dim=-1).clamp(min=0)


def _check_targets(logits: Tensor, targets: Tensor) -> None:
    if logits.ndim < 1 or not logits.shape[-1] or logits.shape[:-1] != targets.shape:
        raise ShapeError(
            f"logits have shape {tuple(logits.shape)} and targets {tuple(targets.shape)}: "
            "expected [..., V] and [...]"
        )
    if targets.dtype == torch.bool or targets.dtype.is_floating_point:
        raise DataError(f"targets of type {targets.dtype}: expected integers, numbers of tokens")
    if bool(((targets < 0) | (targets >= logits.shape[-1])).any()):
        raise DataError(
            f"targets leave 0..{logits.shape[-1] - 1}: expected tokens of the vocabulary; "
            "leave out positions that nothing follows"
        )
