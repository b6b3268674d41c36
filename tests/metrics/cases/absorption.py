from __future__ import annotations

import torch
from torch import Tensor

from tests.metrics.case import SAMPLES, Case, Rng, sparse
from toysae.metrics import absorption

FEATURES = torch.tensor(
    [[1, 0, 0, 0], [0.2, 1, 0, 0], [0, 0.1, 1, 0.3], [0, 0, 0, 1]], dtype=torch.float64
)
DECODER = torch.cat([FEATURES[:1], FEATURES[:1] + FEATURES[1:2], FEATURES[2:]])
FAMILIES = [(0, 1), (2, 3)]


def parents_and_children(rng: Rng) -> list[Tensor]:
    """Children of which a random part takes the parent's latent with it."""
    c = sparse(rng, 40, 4)
    c[:, 1] *= c[:, 0] > 0
    c[:, 3] *= c[:, 2] > 0
    z = c.clone()
    for parent, child in FAMILIES:
        absorbed = (c[:, child] > 0) & torch.from_numpy(rng.random(40) < 0.6)
        z[absorbed, parent] = 0
    return [c, z]


APPLICABLE = (*SAMPLES, "joint_scale", "scale_columns")

CASES = {
    "absorption": Case(
        parents_and_children,
        "ab",
        lambda c, z: absorption.absorption(c, z, FEATURES, DECODER, FAMILIES),
        applicable=APPLICABLE,
    ),
    "saebench_absorption": Case(
        parents_and_children,
        "ab",
        lambda c, z: absorption.saebench_absorption(
            c, z, FEATURES, DECODER, c.double() @ FEATURES, FAMILIES
        ),
        applicable=APPLICABLE,
    ),
}
