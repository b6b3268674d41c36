"""What a family must add to be trained: how it starts, and what it minimises."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from torch import Tensor

from toysae.draws import Draws
from toysae.saes.base import Params, SAEFamily


class Forward(NamedTuple):
    """One pass of `M` SAEs over `n` samples.

    Attributes:
        pre_activations: linear part of the encoder, `[M, n, m]`.
        latents: latent activations, `[M, n, m]`.
        reconstruction: `[M, n, d]`.
    """

    pre_activations: Tensor
    latents: Tensor
    reconstruction: Tensor


@dataclass(frozen=True)
class TrainableFamily(SAEFamily):
    """A family that can be trained.

    Its loss is always `mean_n error + coefficient * mean_n sum_j weight_j penalty_j`; the family
    says what error and penalty are, the trainer owns the coefficient's schedule and the weights.

    Attributes:
        n_latents: number of latents, `m >= 1`.
        unit_norm_decoder: hold decoder rows at norm 1 and remove the parallel gradient.
    """

    n_latents: int = 8
    unit_norm_decoder: bool = True

    #: Fields in which members of one stack may differ; all others shape the computation itself.
    member_fields: ClassVar[tuple[str, ...]] = ()

    @property
    @abstractmethod
    def coefficient(self) -> float:
        """Factor of the sparsity penalty, `>= 0`."""

    @abstractmethod
    def init(self, d_hidden: int, draws: Draws) -> Params:
        """Initial parameters of one member (no member axis), on the device of `draws`."""

    @abstractmethod
    def forward(self, params: Mapping[str, Tensor], x: Tensor) -> Forward:
        """One pass over `x [M or 1, n, d]`."""

    @abstractmethod
    def error_weight(self, x: Tensor) -> Tensor:
        """Weight of each sample's squared error, `[M or 1, n]`, for `x [M or 1, n, d]`."""

    @abstractmethod
    def penalty(self, latents: Tensor) -> Tensor:
        """Sparsity penalty of every latent on every sample, `[M, n, m]`."""
