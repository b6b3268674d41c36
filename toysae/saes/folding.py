"""Exact changes of parameters that leave what an SAE computes as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from toysae.saes.base import SAE, Params
from toysae.saes.scaling import ConstantFactor, NoScaling
from toysae.saes.topk import SMALLEST_NORM, TopK


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


def without_constant_factor(sae: SAE) -> SAE:
    """The same SAE with its `ConstantFactor` moved into the weights; others are returned as is.

    `W_enc * s`, `W_dec / s`, `b_dec / s`, as SAELens does at the end of training.
    """
    if not isinstance(sae.scaling, ConstantFactor):
        return sae
    family, params = sae.family, sae.params
    if isinstance(family, TopK) and family.rescale_by_decoder_norm:
        # Dividing W_dec would shrink activations that are measured in units of its norms.
        family, params = replace(family, rescale_by_decoder_norm=False), with_unit_decoder(params)
    factor = sae.scaling.factor
    folded = {
        "W_enc": params["W_enc"] * factor,
        "W_dec": params["W_dec"] / factor,
        "b_dec": params["b_dec"] / factor,
    }
    return SAE(family, {**params, **folded}, NoScaling())


def fold_factor(params: Mapping[str, Tensor], factors: Tensor) -> Params:
    """Parameters that do on `x` what `params` do on `factor * x`, reconstructions divided by it.

    Activations stay as they are. For families that read `x` through `W_enc` alone.

    Args:
        params: parameters of a stack.
        factors: one for each member, `[M]`, `> 0`.
    """
    factor = factors[:, None, None]
    return {
        **params,
        "W_enc": params["W_enc"] * factor,
        "W_dec": params["W_dec"] / factor,
        "b_dec": params["b_dec"] / factors[:, None],
    }
