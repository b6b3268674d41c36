"""Terms that any family can add to its loss.

loss + orthogonality_penalty * orthogonality + frequency_penalty * frequency_shortfall
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_SMALLEST = 1e-12


def orthogonality(decoder: Tensor) -> Tensor:
    """Mean over latents of the largest absolute cosine with another latent, `[M]`, in [0, 1].

        1/m sum_i max_{j != i} |cos(W_dec_i, W_dec_j)|

    The regulariser that Demian Till proposed in "Do sparse autoencoders find 'true features'?"
    (2024), with |cosine| as Logan Riggs suggested in its comments: on decoder rows, because encoder
    rows of composed latents can be orthogonal already. 0 for a single latent; zero rows count as
    orthogonal to all. Equally near neighbours share the gradient.

    The code of Anders et al. (2024) has `(m + sum_{j < i} |cos_ij|) / m^2` in its place, which does
    not single out the nearest neighbour.

    Args:
        decoder: rows `[M, m, d]`.
    """
    members, latents, _ = decoder.shape
    if latents == 1:
        return decoder.new_zeros(members)
    unit = decoder / decoder.norm(dim=-1, keepdim=True).clamp_min(_SMALLEST)
    cosines = (unit @ unit.transpose(1, 2)).abs()
    itself = torch.eye(latents, dtype=torch.bool, device=decoder.device)
    return cosines.masked_fill(itself, 0).amax(-1).mean(-1)


def frequency_shortfall(latents: Tensor, floor: float, epsilon: float) -> Tensor:
    """By how many orders of magnitude latents fire more rarely than `floor`, summed, `[M]`.

        sum_j ReLU(log10 floor - log10 nu_j),   nu_j = mean_n f_nj / (f_nj + epsilon)

    The sparsity-frequency penalty of Farrell, "Experiments with an alternative method to promote
    sparsity in sparse autoencoders" (2024), with the batch mean of the soft count
    `f / (f + epsilon)` as the frequency. 0 where every latent fires often enough. A latent that is
    silent on the whole batch counts as one of frequency 1e-12, and gets no gradient.

    Args:
        latents: `[M, n, m]`, `>= 0`.
        floor: in (0, 1].
        epsilon: `> 0`.
    """
    frequency = (latents / (latents + epsilon)).mean(1)
    shortfall = math.log10(floor) - torch.log10(frequency.clamp_min(_SMALLEST))
    return torch.relu(shortfall).sum(-1)
