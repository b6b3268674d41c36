"""The one feature that improves a non-negative fit most."""

from __future__ import annotations

import math

import torch
from scipy.optimize import nnls
from torch import Tensor

from toysae.metrics._composition.composed import MIN_IMPROVEMENT
from toysae.metrics._composition.residual import beyond


def one_more(
    latents: Tensor, features: Tensor, scores: Tensor, atoms: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Best fit of each latent by the features of the fit before and one more.

    The fit of all of them is by non-negative least squares, so that features may drop out.

    Args:
        latents: unit rows `[b, d]`.
        features: unit rows `[n, d]`.
        scores: cosines that the fits before reach, `[b]`.
        atoms: their features, `[b, k]`; -1 for none.

    Returns:
        Cosines `[b]`, features `[b, k + 1]` and weights `[b, k + 1]`; the cosine of before where
        nothing is better, with features and weights that are not to be used.
    """
    everything = torch.ones(1, dtype=torch.bool, device=latents.device)
    left = beyond(latents, features, atoms, everything.expand(len(latents), len(features)))
    # Least squares without signs reach this, so signs can only reach less.
    added = (left.length[:, None] * left.cosine).square()
    bounds = (scores[:, None].square() + added).sqrt().masked_fill(~(left.cosine > 0), -torch.inf)
    best = scores.clone()
    chosen = torch.nn.functional.pad(torch.full_like(atoms, -1), (0, 1), value=-1)
    weights = latents.new_zeros(chosen.shape)
    for row in (bounds > scores[:, None] + MIN_IMPROVEMENT).any(dim=1).nonzero().flatten().tolist():
        score, support, fitted = _best_extension(
            latents[row], features, atoms[row], float(scores[row]), bounds[row]
        )
        best[row] = score
        chosen[row, : len(support)] = support
        weights[row, : len(support)] = fitted
    return best, chosen, weights


def _best_extension(
    latent: Tensor, features: Tensor, atoms: Tensor, score: float, bounds: Tensor
) -> tuple[float, Tensor, Tensor]:
    """Branch and bound over the feature to add: none is left out that could still be the best."""
    used = atoms[atoms >= 0]
    best = score, used, latent.new_zeros(len(used))
    for j in bounds.argsort(descending=True, stable=True):
        if float(bounds[j]) <= best[0] + MIN_IMPROVEMENT:
            break
        candidates = torch.cat([used, j[None]]).sort().values
        weights, error = nnls(features[candidates].T.cpu().numpy(), latent.cpu().numpy())
        reached = math.sqrt(max(0.0, 1 - error**2))
        if reached > best[0] + MIN_IMPROVEMENT:
            fitted = torch.from_numpy(weights).to(latent)
            best = reached, candidates[fitted > 0], fitted[fitted > 0]
    return best
