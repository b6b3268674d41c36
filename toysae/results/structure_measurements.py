"""How the latents of an SAE fire together, depend on each other, point, and serve as predictors.

What `measure_member` leaves out because it takes pairs of latents or regressions: co-firing with
the features, collinearity, alignment with principal components, and trust in coefficients.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from toysae.diagnostics.coefficients import implied_coefficients, readout_regression, sign_errors
from toysae.diagnostics.explanations import explain_latents
from toysae.diagnostics.large import sparse_collinearity
from toysae.diagnostics.pca import pca
from toysae.draws import Draws
from toysae.metrics.codes import SparseCodes
from toysae.metrics.cofiring import best_cofiring
from toysae.metrics.dictionary import max_cosine
from toysae.results.measurements import FIRE_THRESHOLD, EvaluationWorld
from toysae.saes.base import SAE

#: With more latents than this, what takes their cube is left undefined.
MOST_LATENTS = 1024

#: Standard deviation of the noise on a readout, as a share of that of the readout itself.
READOUT_NOISE = 0.1


def measure_structure(sae: SAE, world: EvaluationWorld, seed: int) -> dict[str, float]:
    """Co-firing, collinearity, alignment and coefficient trust of one SAE (`M = 1`).

    Latents that never fire are left out. The readout is `y = <a, h> + noise` with a random unit `a`
    that is the same for all SAEs of a seed; a latent is compared in sign with `<a, f>` of the
    feature nearest to its decoder row.

    Args:
        sae: one member.
        world: where it is measured.
        seed: of the readout and its noise.

    Returns:
        Numbers by name; NaN where one is undefined or would take too long.
    """
    latents, decoder = sae.encode(world.hidden)[0].cpu(), sae.decoder[0].cpu()
    # A few latents are soon done on the CPU, and linear algebra of single matrices is no work for
    # a GPU.
    world = world.on_cpu()
    codes = SparseCodes.from_dense(latents, FIRE_THRESHOLD)
    alive = codes.firings > 0
    decoder = decoder[alive]
    few = 0 < len(decoder) <= MOST_LATENTS
    return {
        **_cofiring(codes, world),
        **(_collinearity(codes) if few else dict.fromkeys(_COLLINEARITY, math.nan)),
        **(_alignment(decoder, world) if len(decoder) else dict.fromkeys(_ALIGNMENT, math.nan)),
        **(
            _trust(latents[:, alive], decoder, world, seed)
            if few
            else dict.fromkeys(_TRUST, math.nan)
        ),
    }


def _cofiring(codes: SparseCodes, world: EvaluationWorld) -> dict[str, float]:
    found = best_cofiring(SparseCodes.from_dense(world.coefficients), codes)
    return {
        "jaccard_feature_to_latent": found.jaccard.mean_a_to_b,
        "jaccard_latent_to_feature": found.jaccard.mean_b_to_a,
        "phi_feature_to_latent": found.phi.mean_a_to_b,
        "phi_latent_to_feature": found.phi.mean_b_to_a,
        "surviving_latents": found.surviving_b,
    }


_COLLINEARITY = ("vif_median", "vif_largest", "identifiable_latents", "condition_index")


def _collinearity(codes: SparseCodes) -> dict[str, float]:
    found = sparse_collinearity(codes)
    inflation = found.centered.vif
    known = inflation[~inflation.isnan()]
    values = (
        (known.median(), known.max(), found.identifiable[~inflation.isnan()].double().mean())
        if len(known)
        else (math.nan,) * 3
    )
    return dict(zip(_COLLINEARITY, (*map(float, values), float(found.condition_indices[-1]))))


_ALIGNMENT = ("aligned_true", "aligned_composed", "aligned_components", "recovers_components")


def _alignment(decoder: Tensor, world: EvaluationWorld) -> dict[str, float]:
    found = explain_latents(decoder, world.features, pca(world.hidden), pairs=world.pairs)
    recovers = found.recovers_components
    values = (found.true.mean, found.composed.mean, found.components.mean)
    return dict(zip(_ALIGNMENT, (*values, math.nan if recovers is None else float(recovers))))


_TRUST = ("readout_r2", "sign_errors", "sign_errors_expected", "sign_errors_of_decoder")


def _trust(latents: Tensor, decoder: Tensor, world: EvaluationWorld, seed: int) -> dict[str, float]:
    draws = Draws(seed, ("readout",))
    readout = draws.normal("direction", (world.hidden.shape[1],)).to(world.hidden)
    readout = readout / readout.norm()
    signal = world.hidden @ readout
    noise = draws.normal("noise", (len(signal),)).to(signal) * signal.std(correction=0)
    fit = readout_regression(latents, signal + READOUT_NOISE * noise)
    nearest = max_cosine(decoder, world.features).a_to_b_index
    weights = (world.features @ readout)[nearest.clamp(min=0)]
    weights = torch.where(nearest < 0, torch.nan, weights)
    by_feature = sign_errors(fit.beta, weights, fit.standard_errors)
    implied = implied_coefficients(decoder, readout)
    of_decoder = sign_errors(implied, weights, fit.standard_errors)
    values = (
        fit.r_squared,
        by_feature.rate,
        float(by_feature.expected[by_feature.defined].mean()),
        of_decoder.rate,
    )
    return dict(zip(_TRUST, values))
