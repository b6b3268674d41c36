"""Can coefficients on latents be trusted? A known linear readout regressed on truth and latents."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from toysae.diagnostics.coefficient_errors import coefficient_errors
from toysae.diagnostics.coefficients import implied_coefficients, readout_regression, sign_errors
from toysae.diagnostics.collinearity import diagnose
from toysae.draws import Draws
from toysae.metrics.density import density
from toysae.metrics.dictionary import max_cosine
from toysae.results.measurements import FIRE_THRESHOLD, EvaluationWorld
from toysae.saes.base import SAE

Row = dict[str, Any]


def trust_in_coefficients(sae: SAE, world: EvaluationWorld, seed: int) -> Row:
    """Regress `y = <a, h>` for a random unit `a` on the true features and on the latents of `sae`.

    The coefficient of true feature i is `w_i = <a, f_i>`. That of a latent is compared in sign with
    `w` of the feature nearest to its decoder row, and with the coefficient `<a, d_j>` that its own
    decoder row implies. There is no noise, so none of its error is one of sampling.
    """
    direction = Draws(seed, ("readout",)).normal("direction", (world.hidden.shape[1],))
    readout = (direction / direction.norm()).to(world.hidden.device)
    y = world.hidden @ readout
    latents, decoder = sae.encode(world.hidden)[0], sae.decoder[0]
    alive = ~density(latents, FIRE_THRESHOLD).dead
    latents, decoder = latents[:, alive], decoder[alive]
    on_truth = readout_regression(world.coefficients, y)
    true_weights = world.features @ readout
    truth_signs = sign_errors(on_truth.beta, true_weights, on_truth.standard_errors)
    of_truth = diagnose(world.coefficients)
    row: Row = {
        "r2_on_truth": on_truth.r_squared,
        "sign_errors_on_truth": truth_signs.rate,
        "vif_truth": _largest(of_truth.inflation.vif),
        "condition_index_truth": float(of_truth.condition.indices[-1]),
    }
    if not len(decoder):
        return row
    nearest = max_cosine(decoder, world.features).a_to_b_index
    on_latents = readout_regression(latents, y)
    implied = implied_coefficients(decoder, readout)
    by_feature = sign_errors(on_latents.beta, true_weights[nearest], on_latents.standard_errors)
    by_decoder = sign_errors(on_latents.beta, implied, on_latents.standard_errors)
    of_latents = diagnose(latents)
    parts = coefficient_errors(
        latents, decoder, world.coefficients, world.features, readout, nearest
    ).median_sizes
    return {
        **row,
        "r2_on_latents": on_latents.r_squared,
        "sign_errors_against_feature": by_feature.rate,
        "sign_errors_against_decoder": by_decoder.rate,
        "sign_errors_expected": float(by_feature.expected[by_feature.defined].mean()),
        **{f"coefficient_{part}": size for part, size in parts.items() if part != "sampling"},
        "vif_latents": _largest(of_latents.inflation.vif),
        "condition_index_latents": float(of_latents.condition.indices[-1]),
        "identifiable_latents": on_latents.n_identifiable / len(decoder),
    }


def _largest(values: Tensor) -> float:
    defined = values[~torch.isnan(values)]
    return float(defined.max()) if len(defined) else math.nan
