"""Which correlations are possible, and what is said of those that are not."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from toysae.errors import ConfigError
from toysae.generators.copula.gaussian import latent_of_phi, phi_bounds

#: An eigenvalue may be this much below 0, and phi outside its bounds: rounding of what was typed.
_ROUNDING = 1e-9
_HALVINGS = 14


def smallest_eigenvalue(matrices: Tensor) -> float:
    """The smallest eigenvalue of all symmetric matrices of a stack."""
    return float(torch.linalg.eigvalsh(matrices).min())


def is_semidefinite(matrices: Tensor) -> bool:
    """Whether all matrices of a stack are positive semi-definite, up to rounding."""
    if not bool(torch.linalg.cholesky_ex(matrices).info.any()):
        return True
    return smallest_eigenvalue(matrices) >= -_ROUNDING


def check_semidefinite(blocks: Tensor) -> None:
    """Raise `ConfigError` unless correlation matrices are those of some latents.

    The message says by how much all correlations can be multiplied so that they are.
    """
    if not is_semidefinite(blocks):
        _refuse("latents", smallest_eigenvalue(blocks), semidefinite_share(blocks))


def semidefinite_share(blocks: Tensor) -> float:
    """Largest factor in [0, 1] at which correlations times it make semi-definite matrices."""
    return min(1.0, 1 / (1 - smallest_eigenvalue(blocks)))


def scaled(blocks: Tensor, factor: float) -> Tensor:
    """Correlation matrices with all correlations multiplied by `factor`."""
    return torch.lerp(torch.eye(blocks.shape[-1], dtype=blocks.dtype), blocks, factor)


def latents_of_firings(blocks: Tensor, probabilities: Tensor) -> Tensor:
    """Correlations of latents that give firing indicators wanted correlations.

    Args:
        blocks: wanted correlations (phi) within blocks, `[n_blocks, size, size]`.
        probabilities: of firing, `[n_blocks * size]`.

    Returns:
        `[n_blocks, size, size]`, positive semi-definite.

    Raises:
        ConfigError: a pair cannot correlate as wanted (it says how far it can), or all pairs
            together cannot (it says by how much all can be multiplied so that they can).
    """
    check_attainable(blocks, probabilities)
    solved = _solve(blocks, probabilities)
    if not is_semidefinite(solved):

        def feasible(factor: float) -> bool:
            return is_semidefinite(_solve(scaled(blocks, factor), probabilities))

        _refuse("firing indicators", smallest_eigenvalue(solved), _largest(feasible))
    return solved


def check_attainable(blocks: Tensor, probabilities: Tensor) -> None:
    """Raise `ConfigError` where a pair of features cannot correlate as wanted."""
    block, i, j = _pairs(blocks)
    size = blocks.shape[-1]
    first, second, wanted = block * size + i, block * size + j, blocks[block, i, j]
    low, high = phi_bounds(probabilities[first], probabilities[second])
    attainable = (wanted >= low - _ROUNDING) & (wanted <= high + _ROUNDING)
    for k in (~attainable).nonzero()[:1, 0].tolist():
        a, b = int(first[k]), int(second[k])
        p, q = float(probabilities[a]), float(probabilities[b])
        interval = f"[{float(low[k]):.6g}, {float(high[k]):.6g}]"
        if bool(low[k].isnan()):
            interval = "none, as one of them never varies"
        raise ConfigError(
            f"generator.correlation: features {a} and {b} (probabilities {p:.4g} and {q:.4g}) "
            f"are to fire with a correlation of {float(wanted[k]):.6g}; attainable: {interval}"
        )


def _solve(blocks: Tensor, probabilities: Tensor) -> Tensor:
    """Correlation of the latents of each pair; equal pairs are solved for once."""
    block, i, j = _pairs(blocks)
    p = probabilities.view(blocks.shape[:2])
    pairs = torch.stack([p[block, i], p[block, j], blocks[block, i, j]], dim=1)
    kinds, kind_of = pairs.unique(dim=0, return_inverse=True)
    low, high = phi_bounds(kinds[:, 0], kinds[:, 1])
    solved = latent_of_phi(kinds[:, 0], kinds[:, 1], kinds[:, 2].clamp(low, high))[kind_of]
    latents = torch.eye(blocks.shape[-1], dtype=torch.float64).repeat(len(blocks), 1, 1)
    latents[block, i, j] = latents[block, j, i] = solved
    return latents


def _pairs(blocks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Block and places of all pairs that are to correlate."""
    block, i, j = blocks.triu(1).nonzero(as_tuple=True)
    return block, i, j


def _largest(feasible: Callable[[float], bool]) -> float:
    """A factor in [0, 1) that is feasible while a little more is not."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if feasible(middle) else (low, middle)
    return low


def _refuse(what: str, eigenvalue: float, factor: float) -> None:
    at_most = math.floor(1e4 * factor) / 1e4
    raise ConfigError(
        f"generator.correlation: {what} cannot all correlate like this, the smallest eigenvalue of "
        f"the latents' correlations would be {eigenvalue:.4g}, must be at least 0; multiply all "
        f"correlations by {at_most:.4f} or less"
    )
