from __future__ import annotations

import torch
from torch import Tensor

from tests.metrics.case import ROWS, Case, Rng, normal, two_saes
from toysae.metrics import functional


def two_saes_in_use(rng: Rng) -> list[Tensor]:
    """Two SAEs, the inputs that they read and the vectors that their output is read along."""
    return [*two_saes(rng), normal(rng, 9, 4) * torch.arange(1, 5), normal(rng, 2, 4)]


def second_moment(vectors: Tensor) -> Tensor:
    return torch.einsum("...i,...j->ij", vectors.double(), vectors.double())


def agreement(
    decoder_a: Tensor,
    decoder_b: Tensor,
    encoder_a: Tensor,
    encoder_b: Tensor,
    inputs: Tensor,
    readout: Tensor,
) -> functional.FunctionalAgreement:
    return functional.functional_agreement(
        decoder_a,
        decoder_b,
        encoder_a,
        encoder_b,
        covariance=second_moment(inputs),
        readout=second_moment(readout),
    )


CASES = {
    "functional_agreement": Case(
        two_saes_in_use,
        "ababcc",
        agreement,
        applicable=(*ROWS, "joint_rotation", "pad_dimensions"),
    ),
}
