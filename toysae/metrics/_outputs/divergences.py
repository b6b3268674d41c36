"""Divergences of one next-token distribution from another, from logits, token by token."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from toysae.errors import ShapeError
from toysae.metrics._inputs import finite
from toysae.metrics._progress import Report, reported

Measures = Callable[[Tensor, Tensor], tuple[Tensor, ...]]

#: Tokens held in float64 at once: 64 of a vocabulary of 50,000 are 26 MB a table.
BLOCK = 64


@dataclass(frozen=True)
class OutputChange:
    """How far the patched distribution is from the original one, token by token."""

    kl: Tensor
    """`KL(p||q)`, `[...]`, at least 0."""
    reverse_kl: Tensor
    """`KL(q||p)`, `[...]`, at least 0."""
    jensen_shannon: Tensor
    """`(KL(p||m) + KL(q||m)) / 2` with `m = (p + q) / 2`, `[...]`, in [0, ln 2]."""
    total_variation: Tensor
    """`sum |p - q| / 2`, `[...]`, in [0, 1]."""
    same_top: Tensor
    """Whether both have the same most likely token, bool `[...]`."""


def output_change(
    original: Tensor, patched: Tensor, *, block: int = BLOCK, report: Report | None = None
) -> OutputChange:
    """Every divergence of the patched outputs from the original ones, in one pass over the logits.

    Args:
        original: logits `[..., V]` of `p`.
        patched: logits `[..., V]` of `q`.
        block: tokens held in float64 at once.
        report: called as `(blocks done, blocks)`.

    Returns:
        All of them, one number a token.

    Raises:
        ShapeError: two shapes, or no vocabulary.
        DataError: NaN or infinity.

    Source: as the single metrics.
    """

    def measures(log_p: Tensor, log_q: Tensor) -> tuple[Tensor, ...]:
        return (
            _kl(log_p, log_q),
            _kl(log_q, log_p),
            _jensen_shannon(log_p, log_q),
            _total_variation(log_p, log_q),
            _same_top(log_p, log_q),
        )

    return OutputChange(*_by_token(measures, original, patched, block, report))


def kl_divergence(original: Tensor, patched: Tensor, *, block: int = BLOCK) -> Tensor:
    """`KL(p||q) = sum_v p_v (ln p_v - ln q_v)` of each token; `kl_divergence(q, p)` is the reverse.

    Equals `torch.nn.functional.kl_div(log q, log p, log_target=True)`, whose arguments are the
    other way round. Invariant to a constant added to the logits of a token.

    Args:
        original: logits `[..., V]` of `p`, the distribution that weighs.
        patched: logits `[..., V]` of `q`.
        block: tokens held in float64 at once.

    Returns:
        float64 `[...]`, at least 0, 0 only for equal distributions; finite for finite logits.

    Raises:
        ShapeError: two shapes, or no vocabulary.
        DataError: NaN or infinity.

    Source: Kullback and Leibler 1951.
    """
    return _one(_kl, original, patched, block)


def jensen_shannon(original: Tensor, patched: Tensor, *, block: int = BLOCK) -> Tensor:
    """`(KL(p||m) + KL(q||m)) / 2` with `m = (p + q) / 2` of each token. Symmetric.

    The square of scipy's `scipy.spatial.distance.jensenshannon`.

    Args:
        original: logits `[..., V]`.
        patched: logits `[..., V]`.
        block: tokens held in float64 at once.

    Returns:
        float64 `[...]` in [0, ln 2]; 0 for equal distributions.

    Raises:
        ShapeError: two shapes, or no vocabulary.
        DataError: NaN or infinity.

    Source: Lin 1991, "Divergence measures based on the Shannon entropy".
    """
    return _one(_jensen_shannon, original, patched, block)


def total_variation(original: Tensor, patched: Tensor, *, block: int = BLOCK) -> Tensor:
    """`sum_v |p_v - q_v| / 2` of each token. Symmetric.

    Args:
        original: logits `[..., V]`.
        patched: logits `[..., V]`.
        block: tokens held in float64 at once.

    Returns:
        float64 `[...]` in [0, 1]; 0 for equal distributions.

    Raises:
        ShapeError: two shapes, or no vocabulary.
        DataError: NaN or infinity.

    Source: textbook.
    """
    return _one(_total_variation, original, patched, block)


def top1_agreement(original: Tensor, patched: Tensor, *, block: int = BLOCK) -> Tensor:
    """Whether both put the same token first. Symmetric; ties go to the lowest token.

    Args:
        original: logits `[..., V]`.
        patched: logits `[..., V]`.
        block: tokens held in float64 at once.

    Returns:
        bool `[...]`.

    Raises:
        ShapeError: two shapes, or no vocabulary.
        DataError: NaN or infinity.

    Source: textbook.
    """
    return _one(_same_top, original, patched, block)


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    return (log_p.exp() * (log_p - log_q)).sum(dim=-1).clamp(min=0)


def _jensen_shannon(log_p: Tensor, log_q: Tensor) -> Tensor:
    middle = torch.logaddexp(log_p, log_q) - math.log(2)
    return ((_kl(log_p, middle) + _kl(log_q, middle)) / 2).clamp(max=math.log(2))


def _total_variation(log_p: Tensor, log_q: Tensor) -> Tensor:
    return ((log_p.exp() - log_q.exp()).abs().sum(dim=-1) / 2).clamp(max=1)


def _same_top(log_p: Tensor, log_q: Tensor) -> Tensor:
    return log_p.argmax(dim=-1) == log_q.argmax(dim=-1)


def _one(
    measure: Callable[[Tensor, Tensor], Tensor], original: Tensor, patched: Tensor, block: int
) -> Tensor:
    (values,) = _by_token(lambda p, q: (measure(p, q),), original, patched, block, None)
    return values


def _by_token(
    measures: Measures, original: Tensor, patched: Tensor, block: int, report: Report | None
) -> list[Tensor]:
    """Each of the measures of the log-probabilities, block by block of tokens."""
    check_logits(original, patched)
    shape = original.shape[:-1]
    pairs = list(
        zip(
            original.reshape(-1, original.shape[-1]).split(block),
            patched.reshape(-1, patched.shape[-1]).split(block),
        )
    )
    found = [
        measures(log_softmax(finite(p, "original"), -1), log_softmax(finite(q, "patched"), -1))
        for p, q in reported(pairs, len(pairs), report)
    ]
    return [torch.cat(parts).reshape(shape) for parts in zip(*found)]


def check_logits(first: Tensor, second: Tensor) -> None:
    """Raises `ShapeError` unless both are `[..., V]` with a vocabulary."""
    if first.shape != second.shape or first.ndim < 1 or not first.shape[-1]:
        raise ShapeError(
            f"shapes {tuple(first.shape)} and {tuple(second.shape)}: expected [..., V] twice, "
            "one number for each token of the vocabulary"
        )
