from __future__ import annotations

import torch
from torch import Tensor

from tests.metrics.case import SAMPLES, TABLES, Case, two_tables
from toysae.metrics import ranking


def of_equal_index(coefficients: Tensor, latents: Tensor) -> ranking.Ranking:
    index = torch.arange(min(coefficients.shape[-1], latents.shape[-1]))
    return ranking.ranking(coefficients, latents, index, index)


CASES = {
    "ranking": Case(two_tables, "ab", of_equal_index, applicable=(*SAMPLES, "scale_columns")),
    "ranking_table": Case(two_tables, "ab", applicable=(*TABLES, "scale_columns")),
}
