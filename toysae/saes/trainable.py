"""What a family must add to be trained: how it starts, and what it minimises.

The loss of a member is

    error + coefficient * penalty + auxiliary + terms

`error` is the objective's error of the reconstruction, averaged over samples; `penalty` and
`auxiliary` are the family's own; `terms` are those of `toysae.saes.terms`, which any family can
add. The trainer owns the objective, the schedule of the coefficient and the care for dead latents.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from toysae.checks import check_at_least, check_choice, check_interval, check_positive
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.saes.base import Params, SAEFamily
from toysae.saes.fast import FastForm

INITIALISATIONS = ("tied", "independent")

#: Error `[M, n]` of reconstructions `[M, n, d]`, as the objective measures it.
SampleError = Callable[[Tensor], Tensor]


class Forward(NamedTuple):
    """One pass of `M` SAEs over `n` samples, as in training.

    Attributes:
        pre_activations: linear part of the encoder, `[M, n, m]`.
        latents: latent activations, `[M, n, m]`.
        reconstruction: `[M, n, d]`.
        earlier: latent activations of earlier iterations, for encoders that have some.
    """

    pre_activations: Tensor
    latents: Tensor
    reconstruction: Tensor
    earlier: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class TrainableFamily(SAEFamily):
    """A family that can be trained.

    Attributes:
        n_latents: number of latents, `m >= 1`.
        unit_norm_decoder: hold decoder rows at norm 1 and remove the parallel gradient.
        initialisation: `tied` draws decoder rows uniformly on the sphere and sets
            `W_enc = W_dec^T`; `independent` draws `W_enc` and `W_dec` from `U(-b, b)`,
            `b = sqrt(6 / (d m))`, as in the published code of Anders et al. (2024). Biases start
            at 0 in both.
        initial_decoder_norm: norm of decoder rows that start `tied`, `> 0`; 0.1 is that of
            "Circuits Updates - April 2024", Anthropic. Nothing but 1 goes with `unit_norm_decoder`.
        orthogonality_penalty: coefficient of `toysae.saes.terms.orthogonality`, `>= 0`.
        frequency_penalty: coefficient of `toysae.saes.terms.frequency_shortfall`, `>= 0`.
        frequency_floor: firing frequency below which that term acts, in (0, 1].
        frequency_epsilon: its softness: an activation `a` counts as `a / (a + epsilon)` of a
            firing, `> 0`.
    """

    n_latents: int = 8
    unit_norm_decoder: bool = True
    initialisation: str = "tied"
    initial_decoder_norm: float = 1.0
    orthogonality_penalty: float = 0.0
    frequency_penalty: float = 0.0
    frequency_floor: float = 1e-3
    frequency_epsilon: float = 0.1

    #: Fields in which members of one stack may differ; all others shape the computation itself.
    member_fields: ClassVar[tuple[str, ...]] = ("orthogonality_penalty", "frequency_penalty")

    #: Whether a factor of the inputs can be moved into the weights (`toysae.saes.folding`).
    foldable: ClassVar[bool] = True

    #: Names of parameters that no gradient changes; `update_buffers` does.
    buffers: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check_at_least("sae.n_latents", self.n_latents, 1)
        check_choice("sae.initialisation", self.initialisation, INITIALISATIONS)
        check_positive("sae.initial_decoder_norm", self.initial_decoder_norm)
        if self.unit_norm_decoder and self.initial_decoder_norm != 1:
            raise ConfigError(
                f"sae.initial_decoder_norm = {self.initial_decoder_norm}: rows of norm 1 are held "
                "with sae.unit_norm_decoder; set that to false, or this to 1"
            )
        check_at_least("sae.orthogonality_penalty", self.orthogonality_penalty, 0)
        check_at_least("sae.frequency_penalty", self.frequency_penalty, 0)
        check_positive("sae.frequency_floor", self.frequency_floor)
        check_interval("sae.frequency_floor", self.frequency_floor, 0, 1)
        check_positive("sae.frequency_epsilon", self.frequency_epsilon)

    @property
    def coefficient(self) -> float:
        """Factor of the sparsity penalty, `>= 0`; 0 where the family has none."""
        return 0.0

    @property
    def has_orthogonality(self) -> bool:
        """Whether the loss has the orthogonality term: the same for all members of a stack."""
        return self.orthogonality_penalty > 0

    @property
    def has_frequency(self) -> bool:
        """Whether the loss has the frequency term: the same for all members of a stack."""
        return self.frequency_penalty > 0

    @property
    def fast_form(self) -> FastForm | None:
        """What a compiled kernel must know of this family; None if there is none for it."""
        return None

    def kept_per_sample(self, d_hidden: int) -> int:
        """Numbers that a step keeps of each sample, beyond what a step of every family keeps.

        For the backward pass, by about. `toysae.training.memory` adds them to some numbers a latent
        and a dimension, which do for a single pass: 0 by default.
        """
        return 0

    def init(self, d_hidden: int, draws: Draws) -> Params:
        """Initial parameters of one member (no member axis), on the device of `draws`.

        `W_enc` and `W_dec` as `initialisation` says, everything else 0.
        """
        shapes = self.param_shapes(d_hidden, self.n_latents)
        params = {name: torch.zeros(shape, device=draws.device) for name, shape in shapes.items()}
        decoder, encoder = self._initial_weights(d_hidden, draws)
        params["W_dec"] = decoder
        if "W_enc" in params:
            params["W_enc"] = encoder
        return params

    def _initial_weights(self, d_hidden: int, draws: Draws) -> tuple[Tensor, Tensor]:
        """Decoder `[m, d]` and encoder `[d, m]`."""
        shape = (self.n_latents, d_hidden)
        if self.initialisation == "tied":
            directions = draws.normal("decoder", shape)
            decoder = directions / directions.norm(dim=1, keepdim=True)
            if self.initial_decoder_norm != 1:
                decoder = decoder * self.initial_decoder_norm
            return decoder, decoder.T.clone()
        bound = math.sqrt(6.0 / (d_hidden * self.n_latents))
        decoder = (2 * draws.uniform("decoder", shape) - 1) * bound
        return decoder, (2 * draws.uniform("encoder", shape[::-1]) - 1) * bound

    @abstractmethod
    def forward(self, params: Mapping[str, Tensor], x: Tensor, progress: Tensor) -> Forward:
        """One pass over `x [M or 1, n, d]` as in training.

        Args:
            params: parameters of the stack.
            x: what the SAEs read.
            progress: fraction of the training steps done, a 0-dimensional tensor in [0, 1].
        """

    def error_weight(self, x: Tensor) -> Tensor:
        """Weight of each sample's error, `[M or 1, n]`, for `x [M or 1, n, d]`: 1."""
        return torch.ones_like(x[..., 0])

    def error(
        self,
        params: Mapping[str, Tensor],
        x: Tensor,
        forward: Forward,
        sample_error: SampleError,
    ) -> Tensor:
        """Weighted mean error of the reconstruction, `[M]`."""
        return (self.error_weight(x) * sample_error(forward.reconstruction)).mean(-1)

    def penalty(
        self,
        params: Mapping[str, Tensor],
        forward: Forward,
        progress: Tensor,
        kept: Tensor,
    ) -> Tensor:
        """Sparsity penalty, before the coefficient, `[M]`: 0 where the family has none.

        Args:
            params: parameters of the stack.
            forward: the pass.
            progress: as of `forward`.
            kept: share of each latent's penalty that counts, `[M, m]` (below 1 after ghost
                gradients have revived it).
        """
        return forward.reconstruction.new_zeros(forward.reconstruction.shape[0])

    def auxiliary(self, params: Mapping[str, Tensor], x: Tensor, forward: Forward) -> Tensor | None:
        """What the family minimises beside error and penalty, `[M]`; None for nothing."""
        return None

    def constrain_(self, params: Params) -> None:
        """Bring `params` back to where they are allowed, in place: before each step and at the end.

        Decoder rows to norm 1 where that is asked for; zero rows stay zero.
        """
        if self.unit_norm_decoder:
            decoder = params["W_dec"]
            norm = decoder.norm(dim=-1, keepdim=True)
            decoder.div_(torch.where(norm > 0, norm, torch.ones_like(norm)))

    def project_gradients(self, params: Params, gradients: Params) -> Params:
        """Gradients without what `constrain_` would undo: that along unit decoder rows."""
        if not self.unit_norm_decoder:
            return gradients
        along = (gradients["W_dec"] * params["W_dec"]).sum(-1, keepdim=True)
        return {**gradients, "W_dec": gradients["W_dec"] - along * params["W_dec"]}

    def update_buffers(self, params: Params, forward: Forward) -> Params:
        """New values of the parameters named in `buffers`, after the pass of a step."""
        return {}
