from __future__ import annotations

import torch
from torch import Tensor

from tests.metrics.case import SAMPLES, Case, Rng, a_table
from toysae.metrics.profiles import position_profile


def table_and_positions(rng: Rng) -> list[Tensor]:
    return [*a_table(rng), torch.from_numpy(rng.integers(0, 3, 12))]


CASES = {
    "position_profile": Case(
        table_and_positions, "a-", lambda z, p: position_profile(z, p, 3), SAMPLES
    ),
}
