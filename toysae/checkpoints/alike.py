"""Families that are trained differently and applied alike.

SAELens knows fewer families than there are ways to train one. Whatever the loss, a ReLU SAE is a
ReLU SAE; a tied one is a ReLU SAE with its weights written out twice; and BatchTopK and Matryoshka
SAEs are JumpReLU SAEs once they are trained.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeGuard, TypeVar

from toysae.saes.base import SAE, SAEFamily
from toysae.saes.batch_topk import BatchTopK
from toysae.saes.folding import untied, with_unit_decoder
from toysae.saes.jumprelu import JumpReLU
from toysae.saes.tied import Tied

Known = TypeVar("Known", bound=SAEFamily)

_APPLYING = ("encoder", "projections", "pre_activations", "encode", "decode")


def applies_like(family: SAEFamily, known: type[Known]) -> TypeGuard[Known]:
    """Whether `family` has, or inherits, all methods of `known` that apply an SAE."""
    return all(getattr(type(family), method) is getattr(known, method) for method in _APPLYING)


def known_to_saelens(sae: SAE) -> SAE:
    """The same activations and reconstructions by a family that SAELens has, where there is one."""
    if applies_like(sae.family, Tied):
        return untied(sae)
    if applies_like(sae.family, BatchTopK):
        return _as_jumprelu(sae, sae.family)
    return sae


def _as_jumprelu(sae: SAE, family: BatchTopK) -> SAE:
    """One threshold for every latent; norms that activations are multiplied by move to `W_enc`."""
    params = with_unit_decoder(sae.params) if family.rescale_by_decoder_norm else sae.params
    threshold = params["threshold"].expand_as(params["b_enc"])
    applied = JumpReLU(n_latents=sae.n_latents, subtract_decoder_bias=family.subtract_decoder_bias)
    return replace(sae, family=applied, params={**params, "threshold": threshold})
