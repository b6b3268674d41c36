"""How the common tests call a metric, and the inputs that they draw for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

Rng = np.random.Generator


@dataclass(frozen=True)
class Case:
    """How to call a metric: inputs from a generator, and the side `a` or `b` of each."""

    draw: Callable[[Rng], list[Any]]
    sides: str
    call: Callable[..., Any] | None = None
    applicable: tuple[str, ...] = ()


ROWS = ("permute_rows_a", "permute_rows_b")
SPACE = ("scale_rows", "flip_rows", "joint_rotation", "pad_dimensions")
DICTIONARIES = ROWS + SPACE
SAMPLES = ("permute_samples", "repeat_samples")
TABLES = (*SAMPLES, "permute_columns_a", "permute_columns_b")
ONE_TABLE = (*SAMPLES, "permute_columns_a", "scale_columns")
RECONSTRUCTIONS = (
    *SAMPLES,
    "scale_rows",
    "joint_rotation",
    "pad_dimensions",
    "joint_scale",
    "joint_shift",
)
SEED_LIST = (*SAMPLES, "joint_scale", "joint_shift")


def normal(rng: Rng, *shape: int) -> Tensor:
    return torch.from_numpy(rng.normal(size=shape))


def sparse(rng: Rng, *shape: int) -> Tensor:
    return torch.from_numpy(rng.exponential(size=shape) * (rng.random(shape) < 0.4))


def a_dictionary(rng: Rng) -> list[Tensor]:
    return [normal(rng, 5, 4)]


def two_dictionaries(rng: Rng) -> list[Tensor]:
    return [normal(rng, 5, 4), normal(rng, 7, 4)]


def mixtures_and_features(rng: Rng) -> list[Tensor]:
    """Latents that are single features, sums of two, or noise."""
    features = normal(rng, 6, 8)
    mixing = torch.cat([torch.eye(6)[:2], torch.eye(6)[2:4] + torch.eye(6)[4:6]]).double()
    return [torch.cat([mixing @ features, normal(rng, 2, 8)]), features]


def features_and_noisy_latents(rng: Rng) -> list[Tensor]:
    features = normal(rng, 5, 4)
    return [features, torch.cat([features[:3] + 0.1 * normal(rng, 3, 4), normal(rng, 4, 4)])]


def two_saes(rng: Rng) -> list[Tensor]:
    decoder, encoder = normal(rng, 5, 4), normal(rng, 5, 4)
    more = normal(rng, 2, 4)
    return [
        decoder,
        torch.cat([decoder[:4] + 0.1 * normal(rng, 4, 4), more]),
        encoder,
        torch.cat([encoder[:2], normal(rng, 4, 4)]),
    ]


def two_tables(rng: Rng) -> list[Tensor]:
    return [sparse(rng, 25, 4), sparse(rng, 25, 6)]


def two_firing_tables(rng: Rng) -> list[Tensor]:
    return [table > 0 for table in two_tables(rng)]


def a_table(rng: Rng) -> list[Tensor]:
    return [sparse(rng, 12, 5)]


def data_and_reconstruction(rng: Rng) -> list[Tensor]:
    x = normal(rng, 9, 4) + 1
    return [x, x + 0.5 * normal(rng, 9, 4)]


def counts(rng: Rng) -> list[Tensor]:
    first, second = torch.from_numpy(rng.random((2, 30)) < 0.5)
    return [(first & second).sum(), first.sum(), second.sum(), torch.tensor(30)]


def seed_values(rng: Rng) -> list[Tensor]:
    return [normal(rng, 8)]


def sizes(rng: Rng) -> list[Any]:
    return [int(rng.integers(1, 900)), int(rng.integers(1, 9000))]
