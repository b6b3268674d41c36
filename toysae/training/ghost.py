"""Ghost gradients: a second chance for dead latents.

Introduced in Anthropic's January 2024 update, here in the form of the published code of Anders,
Neo, Hoelscher-Obermaier and Howard (2024), which differs in that the residual is not detached.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from toysae.saes.trainable import Forward

_EPSILON = 1e-6


def ghost_loss(
    params: Mapping[str, Tensor],
    x: Tensor,
    forward: Forward,
    error_weight: Tensor,
    dead: Tensor,
) -> Tensor:
    """Error of the dead latents at predicting what the others leave over, per member `[M]`.

    With `r` the (weighted) residual of a sample, dead latents are activated by `exp` instead of
    ReLU; their decoded sum is scaled to half the norm of `r` (the scale is a constant for the
    gradient) to give `g`; the loss is `||r - g||^2`, rescaled to be as large as `||r||^2` (again by
    a constant), averaged over samples.

    Args:
        params: parameters of the stack.
        x: inputs `[M or 1, n, d]`.
        forward: the pass that left the residual.
        error_weight: weight of each sample's squared error, `[M or 1, n]`.
        dead: mask `[M, m]`; a member without dead latents has loss 0.
    """
    residual = (x - forward.reconstruction) * error_weight.sqrt()[..., None]
    # Masked before exp: a live latent may be large enough to overflow, and 0 * inf is NaN.
    exponent = forward.pre_activations.masked_fill(~dead[:, None, :], -torch.inf)
    output = torch.matmul(exponent.exp(), params["W_dec"])
    size = residual.norm(dim=-1, keepdim=True).detach()
    scale = size / (_EPSILON + 2 * output.detach().norm(dim=-1, keepdim=True))
    squared = (residual - scale * output).square().sum(-1)
    factor = size[..., 0].square() / (_EPSILON + squared.detach())
    return (factor * squared).mean(-1) * dead.any(-1)
