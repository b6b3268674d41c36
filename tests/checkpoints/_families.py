"""A small SAE of every family that can be trained, in no special position."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch

from toysae.config import SAES
from toysae.saes.base import SAE
from toysae.saes.scaling import NoScaling, Scaling
from toysae.saes.trainable import TrainableFamily

D_HIDDEN, N_LATENTS = 5, 7

#: Options of a family that change how it is applied, by its name.
OPTIONS: dict[str, dict[str, Any]] = {
    "topk": {"rescale_by_decoder_norm": True},
    "batch_topk": {"rescale_by_decoder_norm": True},
    "matryoshka": {"rescale_by_decoder_norm": True},
    "matching_pursuit": {"max_iterations": 2, "residual_threshold": 0.5},
}
#: What makes a family possible with so few latents.
NEEDED: dict[str, dict[str, Any]] = {"lista": {"initial_k_factor": 1.5, "widths": (2, 5)}}


def families() -> list[TrainableFamily]:
    """Every family with and without `b_dec` subtracted, and with its own options."""
    found = []
    for name, family in sorted(SAES.items()):
        common = {"n_latents": N_LATENTS, **NEEDED.get(name, {})}
        found += [family(subtract_decoder_bias=subtract, **common) for subtract in (False, True)]
        if name in OPTIONS:
            found.append(family(**common, **OPTIONS[name]))
    return found


def label(family: TrainableFamily) -> str:
    """Name of a family and its fields that differ from their defaults."""
    given = [
        f"{f.name}={getattr(family, f.name)}"
        for f in fields(family)
        if getattr(family, f.name) != f.default and f.name != "n_latents"
    ]
    return "-".join([family.name, *given])


def some_sae(family: TrainableFamily, scaling: Scaling | None = None) -> SAE:
    """Decoder rows are of norm 1 only where matching pursuit needs that."""
    generator = torch.Generator().manual_seed(3)
    params = {
        name: 0.7 * torch.randn(1, *shape, generator=generator)
        for name, shape in family.param_shapes(D_HIDDEN, family.n_latents).items()
    }
    if "threshold" in params:
        params["threshold"].abs_()
    if family.name == "matching_pursuit":
        family.constrain_(params)
    return SAE(family, params, scaling or NoScaling())


def some_x() -> torch.Tensor:
    return torch.randn(50, D_HIDDEN, generator=torch.Generator().manual_seed(4))
