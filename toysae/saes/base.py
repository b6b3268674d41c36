"""What an SAE family is, and an SAE that is ready to be applied.

A family is a frozen dataclass: its fields are hyper-parameters, its methods are pure functions of
parameters that live outside of it. Every parameter carries a leading member axis `M`; a single SAE
is `M = 1`. Shapes follow SAELens: `W_enc [M, d, m]`, `b_enc [M, m]`, `W_dec [M, m, d]`,
`b_dec [M, d]`, for `d` hidden dimensions and `m` latents.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from toysae.errors import ShapeError
from toysae.saes.scaling import NoScaling, Scaling

Params = dict[str, Tensor]
Shapes = Mapping[str, tuple[int, ...]]


class Applied(NamedTuple):
    """What `M` SAEs make of `n` samples.

    Attributes:
        latents: latent activations, `[M, n, m]`.
        reconstructions: in the space of the inputs, `[M, n, d]`.
    """

    latents: Tensor
    reconstructions: Tensor


@dataclass(frozen=True)
class SAEFamily(ABC):
    """One kind of SAE, as far as applying it goes.

    Attributes:
        subtract_decoder_bias: encode `x - b_dec` instead of `x` (SAELens: `apply_b_dec_to_input`).
    """

    subtract_decoder_bias: bool = False

    name: ClassVar[str]

    def param_shapes(self, d_hidden: int, n_latents: int) -> Shapes:
        """Name and shape of every parameter of one member, without the member axis."""
        return {
            "W_enc": (d_hidden, n_latents),
            "b_enc": (n_latents,),
            "W_dec": (n_latents, d_hidden),
            "b_dec": (d_hidden,),
        }

    @property
    def encodes_with_decoder(self) -> bool:
        """Whether activations depend on decoder rows: by default where there is no `W_enc`."""
        return "W_enc" not in self.param_shapes(1, 1)

    def encoder(self, params: Mapping[str, Tensor]) -> Tensor:
        """Encoder directions, one column a latent, `[M, d, m]`."""
        return params["W_enc"]

    def projections(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Inputs `x [M or 1, n, d]` along the encoder directions, `[M, n, m]`; no encoder bias."""
        if self.subtract_decoder_bias:
            x = x - params["b_dec"][:, None, :]
        return torch.matmul(x, self.encoder(params))

    def pre_activations(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Linear part of the encoder, `[M, n, m]`, for inputs `x [M or 1, n, d]`."""
        return self.projections(params, x) + params["b_enc"][:, None, :]

    @abstractmethod
    def encode(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Latent activations `[M, n, m]` of inputs `x [M or 1, n, d]`."""

    def decode(self, params: Mapping[str, Tensor], latents: Tensor) -> Tensor:
        """Reconstructions `[M, n, d]` from latent activations `[M, n, m]`."""
        return torch.matmul(latents, params["W_dec"]) + params["b_dec"][:, None, :]


@dataclass(frozen=True)
class SAE:
    """`M` SAEs of one family with their parameters, ready to be applied.

    Attributes:
        family: says how to encode and decode.
        params: tensors with a leading member axis.
        scaling: applied to the inputs before encoding, undone on the reconstructions.
    """

    family: SAEFamily
    params: Params
    scaling: Scaling = field(default_factory=NoScaling)

    @property
    def n_members(self) -> int:
        """Number of SAEs, `M`."""
        return self.params["W_dec"].shape[0]

    @property
    def n_latents(self) -> int:
        """Number of latents of each SAE, `m`."""
        return self.params["W_dec"].shape[1]

    @property
    def d_hidden(self) -> int:
        """Dimension of the activations that the SAEs read, `d`."""
        return self.params["W_dec"].shape[2]

    @property
    def decoder(self) -> Tensor:
        """Decoder rows `[M, m, d]`."""
        return self.params["W_dec"]

    @property
    def encoder_rows(self) -> Tensor:
        """Encoder directions with one row a latent, `[M, m, d]` (the transpose of `W_enc`)."""
        return self.family.encoder(self.params).transpose(1, 2)

    def members(self, index: Sequence[int] | slice) -> SAE:
        """The SAEs at `index` as a smaller stack."""
        params = {name: value[index] for name, value in self.params.items()}
        return replace(self, params=params)

    def encode(self, x: Tensor) -> Tensor:
        """Latent activations `[M, n, m]` of `x`, which is `[n, d]` (shared) or `[M, n, d]`."""
        return self.family.encode(self.params, self.scaling.scale(self._stacked(x)).x)

    def decode(self, latents: Tensor) -> Tensor:
        """Reconstructions `[M, n, d]` of latent activations `[M, n, m]`, in the scaled space.

        How to undo the scaling depends on the inputs: `apply` and `reconstruct` do.
        """
        return self.family.decode(self.params, latents)

    def apply(self, x: Tensor) -> Applied:
        """Latent activations and reconstructions of `x`, which is `[n, d]` or `[M, n, d]`."""
        scaled = self.scaling.scale(self._stacked(x))
        latents = self.family.encode(self.params, scaled.x)
        return Applied(latents, scaled.undo(self.family.decode(self.params, latents)))

    def reconstruct(self, x: Tensor) -> Tensor:
        """Reconstructions `[M, n, d]` of `x`, which is `[n, d]` or `[M, n, d]`."""
        return self.apply(x).reconstructions

    def _stacked(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.d_hidden or x.ndim not in (2, 3):
            raise ShapeError(
                f"inputs of shape {tuple(x.shape)}: expected [n, {self.d_hidden}] or "
                f"[{self.n_members}, n, {self.d_hidden}]"
            )
        return x if x.ndim == 3 else x[None]


def stack(saes: Sequence[SAE]) -> SAE:
    """One stack of all members of `saes`, in their order.

    Raises:
        ShapeError: nothing to stack, or the SAEs differ in family, scaling, or in the name or shape
            of a parameter.
    """
    if not saes:
        raise ShapeError("no SAEs to stack: give at least one")
    first = saes[0]
    for position, sae in enumerate(saes):
        if _common_traits(sae) != _common_traits(first):
            raise ShapeError(
                f"SAE {position} does not fit SAE 0 in one stack: {_common_traits(sae)} differs "
                f"from {_common_traits(first)}"
            )
    params = {name: torch.cat([sae.params[name] for sae in saes]) for name in first.params}
    return replace(first, params=params)


def _common_traits(sae: SAE) -> tuple[SAEFamily, Scaling, Shapes]:
    """What the members of a stack share."""
    shapes = {name: tuple(value.shape[1:]) for name, value in sae.params.items()}
    return sae.family, sae.scaling, shapes
