"""Decoder and encoder of SAEs: whether they pair up the same latents, and whether they align."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._dictionaries.matching import Matching, match
from toysae.metrics._directions import Directions, unit_rows, unit_rows_of_pair
from toysae.metrics._inputs import refuse_nan, require_axes, require_same_width


@dataclass(frozen=True)
class MatchingAgreement:
    """Whether decoders and encoders of two SAEs pair up the same latents."""

    decoder_match: Tensor
    """Row of `b` matched to each row of `a` by decoder, `[n]`; -1 for none."""
    encoder_match: Tensor
    """Row of `b` matched to each row of `a` by encoder, `[n]`; -1 for none."""
    decoder_cosine: Tensor
    """Decoder cosine at the decoder match, `[n]`; NaN for none."""
    encoder_cosine: Tensor
    """Encoder cosine at the encoder match, `[n]`; NaN for none."""
    encoder_cosine_at_decoder_match: Tensor
    """Encoder cosine at the decoder match, `[n]`; NaN for none."""
    shared: Tensor
    """Same partner by both, and both cosines above the threshold, `[n]`, bool."""
    n_defined: int
    """Rows of `a` that could be matched by both."""

    @property
    def agreement(self) -> float:
        """Share of defined rows with the same partner by decoder and encoder; NaN if none."""
        same = (self.decoder_match == self.encoder_match) & (self.decoder_match >= 0)
        return int(same.sum()) / self.n_defined if self.n_defined else torch.nan

    @property
    def shared_fraction(self) -> float:
        """Share of defined rows that are shared latents; NaN if none is defined."""
        return int(self.shared.sum()) / self.n_defined if self.n_defined else torch.nan


def matching_agreement(
    decoder_a: Tensor,
    decoder_b: Tensor,
    encoder_a: Tensor,
    encoder_b: Tensor,
    *,
    threshold: float = 0.7,
    alive_a: Tensor | None = None,
    alive_b: Tensor | None = None,
) -> MatchingAgreement:
    """Whether decoder and encoder `hungarian` matchings of two SAEs pick the same partners.

    A latent of `a` is shared if both matchings give it the same partner and both cosines are above
    `threshold`. Rates are over the latents of `a`, in [0, 1]; symmetric only for equally many.

    Args:
        decoder_a: decoder rows of the first SAE `[n, d]`.
        decoder_b: decoder rows of the second SAE `[m, d]`.
        encoder_a: encoder directions of the first SAE as rows `[n, d]`.
        encoder_b: encoder directions of the second SAE as rows `[m, d]`.
        threshold: cosine above which a shared latent must be, strictly.
        alive_a: bool mask `[n]`; other latents are left out.
        alive_b: bool mask `[m]`; other latents are left out.

    Returns:
        Both matchings per latent of `a`; the rates are NaN where no latent can be matched.

    Raises:
        ShapeError: decoder and encoder of different lengths, or widths that differ.
        DataError: NaN or infinity, or a threshold that is NaN.

    Source: Paulo and Belrose 2025 (arXiv 2501.16615).
    """
    refuse_nan(threshold, "threshold")
    _require_both_a_latent(decoder_a, decoder_b, encoder_a, encoder_b)
    decoders = unit_rows_of_pair(decoder_a, decoder_b, alive_a, alive_b)
    encoders = unit_rows_of_pair(encoder_a, encoder_b, alive_a, alive_b)
    by_decoder, by_encoder = _partners(*decoders), _partners(*encoders)
    decoder_cosine = _cosine_with(*decoders, by_decoder)
    encoder_cosine = _cosine_with(*encoders, by_encoder)
    return MatchingAgreement(
        by_decoder,
        by_encoder,
        decoder_cosine,
        encoder_cosine,
        _cosine_with(*encoders, by_decoder),
        (by_decoder == by_encoder) & (decoder_cosine > threshold) & (encoder_cosine > threshold),
        int((_can_be_matched(*decoders) & _can_be_matched(*encoders)).sum()),
    )


def joint_matching(
    decoder_a: Tensor,
    decoder_b: Tensor,
    encoder_a: Tensor,
    encoder_b: Tensor,
    *,
    alive_a: Tensor | None = None,
    alive_b: Tensor | None = None,
) -> Matching:
    """The one-to-one matching of latents with the largest total of their mean cosine.

    `max over p of sum_i max((C_dec + C_enc)_ip(i) / 2, 0)`: one partner a latent where the decoder
    and the encoder matching disagree. Symmetric under a swap of the two SAEs. In [0, 1].

    Args:
        decoder_a: decoder rows of the first SAE `[n, d]`.
        decoder_b: decoder rows of the second SAE `[m, d]`.
        encoder_a: encoder directions of the first SAE as rows `[n, e]`.
        encoder_b: encoder directions of the second SAE as rows `[m, e]`.
        alive_a: bool mask `[n]`; other latents are left out.
        alive_b: bool mask `[m]`; other latents are left out.

    Returns:
        The matching, `cosine` being the mean of both cosines. A latent whose decoder or encoder is
        zero has none; sums and means are NaN where either side has nothing to match.

    Raises:
        ShapeError: decoder and encoder of different lengths, or widths that differ.
        DataError: NaN or infinity.

    Source: Paulo and Belrose 2025 (arXiv 2501.16615) for the two matchings that it joins.
    """
    _require_both_a_latent(decoder_a, decoder_b, encoder_a, encoder_b)
    decoders = unit_rows_of_pair(decoder_a, decoder_b, alive_a, alive_b)
    encoders = unit_rows_of_pair(encoder_a, encoder_b, alive_a, alive_b)
    a, b = (_joined(decoder, encoder) for decoder, encoder in zip(decoders, encoders))
    return match(a, b, torch.positive)


def paired_cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine of each row of `a` with the same row of `b`, `<a_i, b_i> / (|a_i| |b_i|)`.

    Of encoder and decoder it is the alignment of each latent: 1 where a latent reads what it
    writes. Of a decoder and its initial weights it is how little training moved. Swapping the
    arguments changes nothing.

    Args:
        a: vectors `[n, d]`, such as the encoder directions as rows.
        b: as many vectors `[n, d]`, such as the decoder.

    Returns:
        float64 `[n]` in [-1, 1]; NaN where either row is zero.

    Raises:
        ShapeError: not two matrices of the same shape.
        DataError: NaN or infinity in either.

    Source: arXiv 2605.18629, there the alignment score of a latent.
    """
    for value, name in ((a, "a"), (b, "b")):
        require_axes(value, name, "[rows, dimensions]")
    require_same_width(a, b, ("a", "b"))
    if len(a) != len(b):
        raise ShapeError(f"a has {len(a)} rows and b has {len(b)}: both need one row a latent")
    first, second = unit_rows(a, "a"), unit_rows(b, "b")
    units = (kept.spread(kept.unit, torch.nan) for kept in (first, second))
    return torch.linalg.vecdot(*units).clamp_(-1, 1)


def _require_both_a_latent(
    decoder_a: Tensor, decoder_b: Tensor, encoder_a: Tensor, encoder_b: Tensor
) -> None:
    if len(decoder_a) != len(encoder_a) or len(decoder_b) != len(encoder_b):
        raise ShapeError(
            f"decoders have {len(decoder_a)} and {len(decoder_b)} rows, encoders {len(encoder_a)} "
            f"and {len(encoder_b)}: each SAE needs one of both a latent (pass W_enc transposed)"
        )


def _joined(decoder: Directions, encoder: Directions) -> Directions:
    """Decoder and encoder of a latent side by side: products are means of both cosines."""
    of_decoder = decoder.spread(decoder.unit, torch.nan)
    both = torch.cat([of_decoder, encoder.spread(encoder.unit, torch.nan)], dim=1) / math.sqrt(2)
    index = torch.nonzero(~both.isnan().any(dim=1))[:, 0]
    return Directions(both[index], index, decoder.n_rows, decoder.n_zero)


def _partners(a: Directions, b: Directions) -> Tensor:
    """Row of `b` matched to each row of `a`, or -1."""
    pairs = match(a, b, torch.positive)
    partners = a.index.new_full((a.n_rows,), -1)
    partners[pairs.rows] = pairs.cols
    return partners


def _cosine_with(a: Directions, b: Directions, partners: Tensor) -> Tensor:
    """Cosine of each row of `a` with its partner in `b`; NaN for partner -1 and zero rows."""
    cosine = a.unit.new_full((a.n_rows,), torch.nan)
    position = b.spread(torch.arange(len(b.unit), device=b.index.device), -1)
    paired = position[partners[a.index]] if b.n_rows else partners[a.index]
    known = (paired >= 0) & (partners[a.index] >= 0)
    ours, theirs = a.unit[known], b.unit[paired[known]]
    cosine[a.index[known]] = torch.linalg.vecdot(ours, theirs).clamp_(-1, 1)
    return cosine


def _can_be_matched(a: Directions, b: Directions) -> Tensor:
    """Which rows of `a` have a direction, where any row of `b` has one."""
    return a.spread(torch.full_like(a.index, len(b.unit) > 0, dtype=torch.bool), False)
