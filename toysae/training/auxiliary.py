"""The auxiliary loss: dead latents learn to predict what the others leave over.

Gao et al., "Scaling and evaluating sparse autoencoders" (2024), appendix A.2, in the form of
SAELens: at most `d / 2` of the dead latents, those of the largest pre-activations, reconstruct the
(detached) residual of a sample; the loss is scaled down where few are dead.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from toysae.saes.trainable import Forward, TrainableFamily


def auxiliary_loss(
    family: TrainableFamily,
    params: Mapping[str, Tensor],
    x: Tensor,
    forward: Forward,
    dead: Tensor,
) -> Tensor:
    """Squared error of the dead latents' reconstruction of the residual, `[M]`, before its factor.

        min(n_dead / k, 1) mean_n || (x - x_hat) - sum_{j in the k largest dead} z_j W_dec_j ||^2

    with `k = max(d // 2, 1)`, and `z` the pre-activations of dead latents. 0 for a member without
    dead latents.

    Args:
        family: decodes.
        params: parameters of the stack.
        x: inputs `[M or 1, n, d]`.
        forward: the pass that left the residual.
        dead: mask `[M, m]`.
    """
    residual = (x - forward.reconstruction).detach()
    k = max(x.shape[-1] // 2, 1)
    n_dead = dead.to(x.dtype).sum(-1)
    ranked = forward.pre_activations.masked_fill(~dead[:, None, :], -torch.inf)
    largest = ranked.topk(min(k, dead.shape[-1]), dim=-1)
    values = torch.where(largest.values.isfinite(), largest.values, 0)
    acts = torch.zeros_like(ranked).scatter(-1, largest.indices, values)
    linear = {**params, "b_dec": torch.zeros_like(params["b_dec"])}
    predicted = family.decode(linear, acts)
    squared = (predicted - residual).square().sum(-1).mean(-1)
    return torch.where(n_dead > 0, (n_dead / k).clamp(max=1) * squared, 0)
