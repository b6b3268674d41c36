from __future__ import annotations

import torch
from torch import Tensor

from tests.metrics.case import TABLES, Case, Rng, sparse
from toysae.metrics import splitting


def features_and_parts(rng: Rng) -> list[Tensor]:
    """Three features; the first is split at times, the second has one latent, the third none."""
    c = sparse(rng, 40, 3)
    early = (torch.arange(40) < rng.integers(5, 35))[:, None]
    noise = sparse(rng, 40, 1) * (sparse(rng, 40, 1) > 2.5)
    return [c, torch.cat([c[:, :1] * early, c[:, :1] * ~early + noise, c[:, 1:2]], dim=1)]


CASES = {
    "splitting": Case(
        features_and_parts,
        "ab",
        splitting.splitting,
        applicable=(*TABLES, "scale_columns"),
    ),
}
