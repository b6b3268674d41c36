from __future__ import annotations

import torch
from torch import Tensor

from tests.metrics.case import TABLES, Case, Rng, normal, sparse
from toysae.metrics import board


def board_and_detectors(rng: Rng) -> list[Tensor]:
    """Two of four features have a latent that is nearly theirs."""
    coefficients = sparse(rng, 40, 4)
    noise = 0.01 * normal(rng, 40, 2).abs()
    return [coefficients, torch.cat([coefficients[:, :2] + noise, sparse(rng, 40, 4)], dim=1)]


def training_and_test_boards(rng: Rng) -> list[Tensor]:
    return [*board_and_detectors(rng), *board_and_detectors(rng)]


CASES = {
    "auroc_coverage": Case(board_and_detectors, "ab", applicable=(*TABLES, "scale_columns")),
    "board_coverage": Case(board_and_detectors, "ab", applicable=(*TABLES, "scale_columns")),
    "board_reconstruction": Case(
        training_and_test_boards,
        "abab",
        lambda *tables: board.board_reconstruction(*tables, precision=0.6, minimum=14),
        applicable=TABLES,
    ),
}
