"""What the data themselves look like: second and fourth moments, ICA, collinearity."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from experiments.composed_features.config import StudyConfig
from experiments.composed_features.runs import World, diagonals, generator_of
from toysae.diagnostics.collinearity import diagnose
from toysae.diagnostics.moments import ica, projection_kurtosis
from toysae.diagnostics.pca import alignment, pca
from toysae.draws import Draws
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import Stream
from toysae.hidden.toy_model import TrainedToyModel
from toysae.metrics.density import density
from toysae.results.measurements import FIRE_THRESHOLD, OUTCOME_DEGREES, EvaluationWorld
from toysae.saes.base import SAE

# FastICA needs few samples and may use all of its iterations.
_ICA_SAMPLES = 10_000

Row = dict[str, Any]


def describe_world(study: StudyConfig, world: World, seed: int, space: HiddenSpace) -> Row:
    """One row of facts about a world's hidden activations, from samples no SAE is trained on."""
    stream = Stream(generator_of(study, world), space, seed, split="diagnostics")
    coefficients, hidden = stream.samples(0, study.diagnostic_samples)
    features, sums = space.directions, diagonals(study, space)
    components = pca(hidden)
    first = components.components[:1]
    kurtosis_true = projection_kurtosis(hidden, features).values
    kurtosis_composed = projection_kurtosis(hidden, sums).values
    sources = ica(hidden[:_ICA_SAMPLES], _ica_rank(hidden), Draws(seed).integer_seed("ica") % 2**32)
    of_truth = diagnose(coefficients.dense())
    return {
        "geometry": world.geometry,
        "law": world.law,
        "one_hot": world.one_hot,
        "boost": world.boost,
        "seed": seed,
        "eigenvalues": components.eigenvalues.tolist(),
        "eigenvalue_intervals": components.eigenvalue_intervals.tolist(),
        "pcs_defined": components.directions_defined,
        "first_pc_resolved": bool(components.gap_resolved[0]),
        "first_pc_angle_to_feature": _angle(first, features),
        "first_pc_angle_to_composed": _angle(first, sums),
        "isotropy_deviation": float((components.eigenvalues * len(components.eigenvalues)
                                     / components.eigenvalues.sum() - 1).abs().max()),
        "mean_eigenvalue": float(components.eigenvalues.mean()),
        "participation_ratio": components.participation_ratio,
        "kurtosis_true": float(kurtosis_true.mean()),
        "kurtosis_composed": float(kurtosis_composed.mean()),
        "ica_converged": sources.converged,
        "ica_angle_to_feature": _mean_angle(sources.directions, features),
        "ica_angle_to_composed": _mean_angle(sources.directions, sums),
        "vif_true_max": float(of_truth.inflation.vif.max()),
        "condition_index_true": float(of_truth.condition.indices[-1]),
    }  # fmt: skip


def toy_model_row(world: World, seed: int, model: TrainedToyModel) -> Row:
    """How a trained toy model stores the features."""
    cosines = model.cosines
    n = len(cosines)
    paired = cosines.new_zeros(n, n)
    for i in range(0, n, 2):
        paired[i : i + 2, i : i + 2] = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    nearest = cosines.round()
    return {
        "geometry": world.geometry,
        "law": world.law,
        "one_hot": world.one_hot,
        "boost": world.boost,
        "seed": seed,
        "loss": model.loss,
        "antipodal_deviation": float((cosines - paired).abs().max()) if n == 4 else torch.nan,
        "square_deviation": float((cosines - nearest).abs().max()),
        "norm_min": float(model.directions.norm(dim=1).min()),
        "norm_max": float(model.directions.norm(dim=1).max()),
    }


def share_along_components(sae: SAE, world: EvaluationWorld) -> float:
    """Share of alive latents within 15 degrees of a principal component, up to sign.

    NaN where no latent is alive. Components that the data do not determine count as well: the
    question is whether latents lie along what PCA would return.
    """
    alive = ~density(sae.encode(world.hidden)[0], FIRE_THRESHOLD).dead
    if not bool(alive.any()):
        return math.nan
    components = pca(world.hidden).components
    degrees = torch.rad2deg(torch.arccos(alignment(sae.decoder[0][alive], components)))
    return float((degrees.min(dim=1).values < OUTCOME_DEGREES).double().mean())


def _ica_rank(hidden: Tensor) -> int:
    """Rank of the centred data, which is as many sources as ICA can separate."""
    centred = hidden[:_ICA_SAMPLES].double()
    return int(torch.linalg.matrix_rank(torch.cov(centred.T), rtol=1e-6))


def _angle(component: Tensor, directions: Tensor) -> float:
    """Angle of one component to the nearest direction up to sign, in degrees."""
    return float(torch.rad2deg(torch.arccos(alignment(component, directions).max())))


def _mean_angle(components: Tensor, directions: Tensor) -> float:
    """Mean over components of the angle to the nearest direction up to sign, in degrees."""
    best = alignment(components, directions).max(dim=1).values
    return float(torch.rad2deg(torch.arccos(best.clamp(max=1))).mean())
