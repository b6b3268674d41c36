"""Exact changes of parameters that leave what an SAE computes as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

from torch import Tensor

from toysae.saes.base import SAE, Params, SAEFamily
from toysae.saes.relu import ReLU
from toysae.saes.scaling import ConstantFactor, NoScaling
from toysae.saes.selecting import SMALLEST_NORM, Selecting
from toysae.saes.tied import Tied


def with_unit_decoder(params: Mapping[str, Tensor]) -> Params:
    """Norms of decoder rows moved to `W_enc` and `b_enc`; with or without a member axis.

    Activations are multiplied by the norms, reconstructions stay. A zero row stays zero.
    """
    norms = params["W_dec"].norm(dim=-1).clamp_min(SMALLEST_NORM)
    return {
        **params,
        "W_enc": params["W_enc"] * norms[..., None, :],
        "b_enc": params["b_enc"] * norms,
        "W_dec": params["W_dec"] / norms[..., :, None],
    }


def untied(sae: SAE) -> SAE:
    """A tied SAE as a ReLU SAE with two sets of weights; others are returned as they are."""
    family = sae.family
    if not isinstance(family, Tied):
        return sae
    values = {f.name: getattr(family, f.name) for f in fields(family)}
    encoder = sae.params["W_dec"].transpose(1, 2).contiguous()
    return replace(sae, family=ReLU(**values), params={**sae.params, "W_enc": encoder})


def without_constant_factor(sae: SAE) -> SAE:
    """The same SAE with its `ConstantFactor` moved into the weights; others are returned as is.

    As SAELens does at the end of training. Tied weights become two sets.
    """
    if not isinstance(sae.scaling, ConstantFactor):
        return sae
    factors = sae.params["W_dec"].new_full((sae.n_members,), sae.scaling.factor)
    sae = untied(sae)
    return fold_factor(sae.family, sae.params, factors)


def fold_factor(family: SAEFamily, params: Mapping[str, Tensor], factors: Tensor) -> SAE:
    """SAEs that do on `x` what `params` do on `factor * x`, reconstructions divided by it.

        W_enc * factor,   W_dec / factor,   b_dec / factor

    Activations stay as they are, and so do biases and thresholds. For families that read `x`
    through `W_enc` alone.

    Args:
        family: of the SAEs.
        params: parameters of a stack.
        factors: one for each member, `[M]`, `> 0`.
    """
    if isinstance(family, Selecting) and family.rescale_by_decoder_norm:
        # Dividing W_dec would shrink activations that are measured in units of its norms.
        family, params = replace(family, rescale_by_decoder_norm=False), with_unit_decoder(params)
    factor = factors[:, None, None]
    folded = {
        "W_enc": params["W_enc"] * factor,
        "W_dec": params["W_dec"] / factor,
        "b_dec": params["b_dec"] / factors[:, None],
    }
    return SAE(family, {**params, **folded}, NoScaling())
