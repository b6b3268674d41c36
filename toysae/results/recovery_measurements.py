"""What takes as long again as `measure_member`: for SAEs that are reported one by one."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from toysae.metrics.absorption import absorption
from toysae.metrics.board import auroc_coverage
from toysae.metrics.codes import SparseCodes
from toysae.metrics.coefficient_fit import coefficient_fit
from toysae.metrics.dictionary import hungarian
from toysae.metrics.hedging import hedging
from toysae.metrics.recovery import feature_recovery
from toysae.metrics.splitting import splitting
from toysae.results.measurements import (
    FIRE_THRESHOLD,
    EvaluationWorld,
    Measurement,
    measure_member,
)
from toysae.saes.base import SAE

#: In worlds of more features these measurements are left out: they hold tables of all features
#: with all latents, look at features one by one, or invert their directions.
MOST_FEATURES = 2048


def measure_recovery(sae: SAE, world: EvaluationWorld) -> Measurement:
    """`measure_member`, and how the coefficients of features come out of the latents.

    - `feature_auroc`: mean over features of the best AUROC of a latent; column `auroc`.
    - `coefficient_r2`: mean over features of the squared correlation of their coefficients with the
      activations of the latent of largest cosine; column `coefficient_r2`.
    - `n_split`: features that several latents share; column `split_into`, how many do.
    - `absorption_rate`, `absorption_asymmetry`: means over parents and children, where the truth
      has a tree.
    - `hedging_norm`, `hedging_sign_agreement`: of the one-to-one matching, for SAEs of fewer
      latents than the world has features.

    Latents that never fire are left out of all.
    """
    measured = measure_member(sae, world)
    if len(world.features) > MOST_FEATURES:
        return measured
    activations = sae.apply(world.hidden).latents[0]
    alive = (activations.abs() > FIRE_THRESHOLD).any(dim=0)
    decoder = sae.decoder[0][alive]
    latents = SparseCodes.from_dense(activations[:, alive], FIRE_THRESHOLD)
    truth = SparseCodes.from_dense(world.coefficients)
    columns = _columns(truth, latents, world.features, decoder)
    summary = {
        **measured.summary,
        "feature_auroc": columns["auroc"].nanmean().item(),
        "coefficient_r2": columns["coefficient_r2"].nanmean().item(),
        "n_split": float((columns["split_into"] > 0).sum()),
    }
    pairs = _parents_and_children(world)
    if pairs:
        absorbed = absorption(truth, latents, world.features, decoder, pairs)
        summary["absorption_rate"] = absorbed.mean_rate
        summary["absorption_asymmetry"] = absorbed.mean_asymmetry
    if sae.n_latents < len(world.features):
        hedged = hedging(decoder, world.features, _matched(world.features, decoder), truth)
        summary["hedging_norm"] = hedged.mean_norm
        summary["hedging_sign_agreement"] = hedged.sign_agreement
    rows = [
        {**row, **{name: float(values[i]) for name, values in columns.items()}}
        for i, row in enumerate(measured.features)
    ]
    return replace(measured, summary=summary, features=rows)


def _columns(
    truth: SparseCodes, latents: SparseCodes, features: Tensor, decoder: Tensor
) -> dict[str, Tensor]:
    """One number a feature, by the name of its column; NaN where undefined."""
    nearest = feature_recovery(features, decoder).latent
    fit = coefficient_fit(truth, latents, torch.arange(len(features)), nearest)
    found = splitting(truth, latents)
    return {
        "auroc": auroc_coverage(truth, latents).auroc,
        "coefficient_r2": fit.r2,
        "split_into": found.count.double().masked_fill(found.single_f1.isnan(), torch.nan),
    }


def _parents_and_children(world: EvaluationWorld) -> list[tuple[int, int]]:
    parents = world.truth.parents
    if parents is None:
        return []
    return [(parent, child) for child, parent in enumerate(parents.tolist()) if parent >= 0]


def _matched(features: Tensor, decoder: Tensor) -> Tensor:
    """Feature of each latent in the one-to-one matching, `[m]`; -1 for none."""
    matching = hungarian(features, decoder)
    assigned = torch.full((len(decoder),), -1, device=decoder.device)
    assigned[matching.cols] = matching.rows
    return assigned
