"""One-to-one matchings of two dictionaries: every row is used at most once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._directions import cosines, unit_rows_of_pair
from toysae.metrics._tables import Assignment, assign


class Matching(Assignment):
    """A one-to-one matching of two dictionaries: `rows` of `a` and `cols` of `b`."""

    @property
    def cosine(self) -> Tensor:
        """Cosine of each matched pair, `[n_matched]`; absolute for `hungarian_abs`."""
        return self.similarity


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


def hungarian(
    a: Tensor, b: Tensor, *, alive_a: Tensor | None = None, alive_b: Tensor | None = None
) -> Matching:
    """The one-to-one matching with the largest total of `max(cos, 0)`.

    Negative cosines are clipped, because the optimum on raw cosines gives up good pairs to avoid
    forced bad ones; pairs with clipped cosine 0 are unmatched. Symmetric in its arguments. Holds
    the `n x m` matrix and costs O(n^2 m). In [0, 1].

    Args:
        a: dictionary `[n, d]`.
        b: dictionary `[m, d]`.
        alive_a: bool mask `[n]`; other rows are not matched nor counted.
        alive_b: bool mask `[m]`; other rows are not matched nor counted.

    Returns:
        The matching; its sums and means are NaN where either side has nothing to match.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another length.
        DataError: NaN or infinity in either.

    Source: Kuhn 1955. Song et al. 2025 (arXiv 2505.20254) use the unclipped version.
    """
    return _as_matching(assign(cosines(*unit_rows_of_pair(a, b, alive_a, alive_b))))


def hungarian_abs(
    a: Tensor, b: Tensor, *, alive_a: Tensor | None = None, alive_b: Tensor | None = None
) -> Matching:
    """As `hungarian`, of `|cos|`: for vectors without a sign, such as principal components.

    Its `mean_over_min` is what SAELens's synthetic module calls mean correlation coefficient.

    Args:
        a: dictionary `[n, d]`.
        b: dictionary `[m, d]`.
        alive_a: bool mask `[n]`; other rows are not matched nor counted.
        alive_b: bool mask `[m]`; other rows are not matched nor counted.

    Returns:
        The matching; its sums and means are NaN where either side has nothing to match.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another length.
        DataError: NaN or infinity in either.
    """
    return _as_matching(assign(cosines(*unit_rows_of_pair(a, b, alive_a, alive_b)).abs()))


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
        DataError: NaN or infinity.

    Source: Paulo and Belrose 2025 (arXiv 2501.16615).
    """
    if len(decoder_a) != len(encoder_a) or len(decoder_b) != len(encoder_b):
        raise ShapeError(
            f"decoders have {len(decoder_a)} and {len(decoder_b)} rows, encoders {len(encoder_a)} "
            f"and {len(encoder_b)}: each SAE needs one of both a latent (pass W_enc transposed)"
        )
    decoder = cosines(*unit_rows_of_pair(decoder_a, decoder_b, alive_a, alive_b))
    encoder = cosines(*unit_rows_of_pair(encoder_a, encoder_b, alive_a, alive_b))
    defined = (~decoder.isnan()).any(dim=1) & (~encoder.isnan()).any(dim=1)
    by_decoder, by_encoder = _partners(decoder), _partners(encoder)
    decoder_cosine, encoder_cosine = _at(decoder, by_decoder), _at(encoder, by_encoder)
    return MatchingAgreement(
        by_decoder,
        by_encoder,
        decoder_cosine,
        encoder_cosine,
        _at(encoder, by_decoder),
        (by_decoder == by_encoder) & (decoder_cosine > threshold) & (encoder_cosine > threshold),
        int(defined.sum()),
    )


def _as_matching(pairs: Assignment) -> Matching:
    return Matching(pairs.rows, pairs.cols, pairs.similarity, pairs.n_rows, pairs.n_cols)


def _partners(table: Tensor) -> Tensor:
    """Column that the matching gives to each row of `table`, or -1."""
    pairs = assign(table)
    partners = pairs.cols.new_full((len(table),), -1)
    partners[pairs.rows] = pairs.cols
    return partners


def _at(table: Tensor, partners: Tensor) -> Tensor:
    """Entry of each row of `table` in the column of its partner; NaN for partner -1."""
    with_undefined = torch.cat([table, table.new_full((len(table), 1), torch.nan)], dim=1)
    # -1 wraps around to the undefined column.
    return with_undefined.gather(1, partners.remainder(table.shape[1] + 1)[:, None])[:, 0]
