"""How the share of a latent is spread over the features that it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import factorial

import torch
from torch import Tensor
from torch.nn.functional import pad

from toysae.errors import ShapeError
from toysae.metrics._directions import unit_rows
from toysae.metrics._inputs import refuse_infinite, require_axes, require_same_width

_MOST_ATOMS = 12


@dataclass(frozen=True)
class Energy:
    """How the energy `w_i^2` of each latent's weights is spread."""

    shares: Tensor
    """`p_i = w_i^2 / sum w^2`, `[m, k]`, adding up to 1; NaN without weights."""
    entropy: Tensor
    """`H = -sum p_i ln p_i`, in nats, `[m]`, in [0, ln k]; NaN without weights."""
    participation: Tensor
    """`1 / sum p_i^2`, `[m]`, in [1, k], at most `effective_order`; NaN without weights."""

    @property
    def effective_order(self) -> Tensor:
        """`exp H`, `[m]`, in [1, k]: features that share the energy alike have this number."""
        return self.entropy.exp()

    @property
    def mean_effective_order(self) -> float:
        """Mean over latents with weights; NaN without any."""
        return self.effective_order.nanmean().item()

    @property
    def mean_participation(self) -> float:
        """Mean over latents with weights; NaN without any."""
        return self.participation.nanmean().item()


def energy(weights: Tensor) -> Energy:
    """Shares, entropy and effective number of the features that a latent is made of.

    `p_i = w_i^2 / sum w^2`, `H = -sum p_i ln p_i`, effective order `exp H`, participation
    `1 / sum p_i^2`. Energies add up to the squared length of the latent only where the features
    are orthogonal; for coherent ones use `shapley_shares`, or the weights themselves.

    Args:
        weights: of unit features, `[m, k]`; 0 for those not used, NaN for undefined latents.

    Returns:
        One entry a latent, shares in [0, 1] and effective numbers of at least 1; NaN where all
        weights are 0 or any is NaN.

    Raises:
        ShapeError: not two axes.
        DataError: infinity.

    Source: Shannon 1948 for the entropy; participation ratio.
    """
    require_axes(weights, "weights", "[latents, features of each]")
    weights = weights.detach().to(torch.float64)
    refuse_infinite(weights, "weights")
    relative = weights / weights.abs().amax(dim=1, keepdim=True) if weights.shape[1] else weights
    shares = relative.square() / relative.square().sum(dim=1, keepdim=True)
    undefined = shares.isnan().any(dim=1) | (weights.shape[1] == 0)
    return Energy(
        shares,
        torch.special.entr(shares).sum(dim=1).masked_fill(undefined, torch.nan),
        1 / shares.square().sum(dim=1).masked_fill(undefined, torch.nan),
    )


def shapley_shares(decoder: Tensor, features: Tensor, atoms: Tensor) -> Tensor:
    """How much of each latent each of its features explains, fair where features are coherent.

    The mean, over all orders in which the features can enter, of what a feature adds to the R^2
    of a least-squares fit (Shapley value; LMG in regression). They add up to the R^2 of all
    together. For orthogonal features they are the squared cosines.

    Args:
        decoder: latents `[m, d]`.
        features: truth `[n, d]`.
        atoms: features of each latent, `[m, k]` with `k` up to 12; -1 for none, as in
            `Composition.atoms[:, k - 1]`.

    Returns:
        Shares `[m, k]` in [0, 1]; 0 where there is no feature, NaN for zero latents.

    Raises:
        ShapeError: dictionaries of other widths, `atoms` of another shape or with features that
            are not there, or more than 12 of them.
        DataError: NaN or infinity.

    Source: Shapley 1953; Lindeman, Merenda and Gold 1980.
    """
    latents, truth = unit_rows(decoder, "decoder"), unit_rows(features, "features")
    require_same_width(decoder, features, ("decoder", "features"))
    _require_atoms(atoms, len(decoder), len(features))
    # -1 takes the last row, which is none.
    unit = pad(truth.spread(truth.unit, 0.0), (0, 0, 0, 1))
    k = atoms.shape[1]
    rows = unit[atoms]
    targets = torch.einsum("mkd,md->mk", rows, latents.spread(latents.unit, torch.nan))
    shares = torch.zeros_like(targets)
    for members in product((False, True), repeat=k):
        size = sum(members)
        mask = torch.tensor(members, device=rows.device)
        explained = _r_squared(rows * mask[:, None], targets * mask)[:, None]
        # Each subset is met as what a member was added to, and as what an outsider is added to.
        if size:
            shares += explained * mask * (factorial(size - 1) * factorial(k - size) / factorial(k))
        if size < k:
            shares -= explained * ~mask * (factorial(size) * factorial(k - size - 1) / factorial(k))
    return shares


def _require_atoms(atoms: Tensor, m: int, n: int) -> None:
    if atoms.ndim != 2 or len(atoms) != m or atoms.shape[1] > _MOST_ATOMS:
        raise ShapeError(
            f"atoms have shape {tuple(atoms.shape)}: expected [{m}, at most {_MOST_ATOMS}]"
        )
    if atoms.numel() and not (int(atoms.min()) >= -1 and int(atoms.max()) < n):
        raise ShapeError(
            f"atoms from {int(atoms.min())} to {int(atoms.max())}: expected -1 to {n - 1}"
        )


def _r_squared(rows: Tensor, targets: Tensor) -> Tensor:
    """R^2 of unit vectors on `rows [m, k, d]`, given their products `targets [m, k]`."""
    inverse = torch.linalg.pinv(rows @ rows.mT, hermitian=True)
    return torch.einsum("mi,mij,mj->m", targets, inverse, targets)
