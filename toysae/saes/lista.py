"""LISTA-Matryoshka SAE: an encoder of a few iterations, trained with a decreasing `k`.

    z_0 = x W_enc + b_enc,   f_t = the floor(k n) largest of ReLU(z_t) in the batch
    z_{t+1} = z_t + step_size (x - f_t W_dec - b_dec) W_enc,   f = f_T,   x_hat = f W_dec + b_dec
    k = k_end (1 + (initial_k_factor - 1) max(0, 1 - progress / anneal_fraction))

where `k_end` is the field `k`. The iterations are those of Gregor and LeCun, "Learning fast
approximations of sparse coding" (2010), with BatchTopK in place of the soft threshold. The recipe
is that of Chanin, "Letting Claude do autonomous research to improve SAEs" (LessWrong, 2026), the
best that is published on SynthSAEBench-16k (F1 about 0.97 at L0 25). Published, in the post and its
code: one iteration of size 0.3; `k` from 60 linearly down to 25 over the whole training; levels of
128, 512, 2048 and 4096 latents, taken of the latents sorted by how often they fire; each inner
level trains only what it adds to the one before; samples weighted by `exp(tilt error / mean error)`
with `tilt` = 0.002 (tilted empirical risk); the learning rate falls over the last third. There the
bias `b_dec` is subtracted before encoding, as it is here by default.

Ours: frequencies are followed from 0 and not from the first batch's, and the order of a step is
that of the steps before it. The published code can also train `step_size`, and did not.

Once trained, iteration `t` is a JumpReLU with `threshold_t`, which follows the smallest positive
activation of its iteration as in `toysae.saes.batch_topk`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least, check_interval, check_positive
from toysae.errors import ConfigError
from toysae.saes.base import Params, Shapes
from toysae.saes.batch_topk import BatchTopK
from toysae.saes.jumprelu import jumped
from toysae.saes.nested import Nested
from toysae.saes.trainable import Forward


@dataclass(frozen=True)
class Lista(Nested, BatchTopK):
    """LISTA-Matryoshka SAE; `threshold [M, n_iterations + 1]`, `frequency [M, m]` are buffers.

    Attributes:
        n_iterations: refinements of the first guess, `>= 0`.
        step_size: of each refinement, `> 0`.
        initial_k_factor: training starts with so many times `k`, `>= 1`.
        anneal_fraction: share of the training over which `k` falls, in (0, 1].
        tilt: by how much a sample's weight rises with its error, `>= 0`; 0 is the plain mean.
        frequency_rate: how fast the firing frequencies, by which latents are sorted, follow the
            batch, in [0, 1]; 0 leaves latents in their places.
    """

    subtract_decoder_bias: bool = True
    n_iterations: int = 1
    step_size: float = 0.3
    initial_k_factor: float = 2.4
    anneal_fraction: float = 1.0
    tilt: float = 0.002
    frequency_rate: float = 0.01

    name: ClassVar[str] = "lista"
    buffers: ClassVar[tuple[str, ...]] = ("threshold", "frequency")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("sae.n_iterations", self.n_iterations, 0)
        check_positive("sae.step_size", self.step_size)
        check_at_least("sae.initial_k_factor", self.initial_k_factor, 1)
        if self.k * self.initial_k_factor > self.n_latents:
            raise ConfigError(
                f"sae.initial_k_factor = {self.initial_k_factor}: times sae.k = {self.k} it must "
                f"be at most sae.n_latents = {self.n_latents}"
            )
        check_positive("sae.anneal_fraction", self.anneal_fraction)
        check_interval("sae.anneal_fraction", self.anneal_fraction, 0, 1)
        check_at_least("sae.tilt", self.tilt, 0)
        check_interval("sae.frequency_rate", self.frequency_rate, 0, 1)

    def param_shapes(self, d_hidden: int, n_latents: int) -> Shapes:
        """Those of the ReLU SAE, `threshold [n_iterations + 1]` and `frequency [m]`."""
        return {
            **super().param_shapes(d_hidden, n_latents),
            "threshold": (self.n_iterations + 1,),
            "frequency": (n_latents,),
        }

    def kept_per_sample(self, d_hidden: int) -> int:
        """Of every refinement its latents and what they leave over, both ways."""
        return super().kept_per_sample(d_hidden) + 2 * self.n_iterations * (
            self.n_latents + d_hidden
        )

    @property
    def encodes_with_decoder(self) -> bool:
        return True

    def encode(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Latent activations `[M, n, m]` of inputs `x [M or 1, n, d]`, by the thresholds."""
        pre = self.pre_activations(params, x)
        latents = jumped(pre, params["threshold"][:, :1])
        for iteration in range(1, self.n_iterations + 1):
            pre = self._refined(params, x, pre, latents)
            latents = jumped(pre, params["threshold"][:, iteration : iteration + 1])
        return latents

    def forward(self, params: Mapping[str, Tensor], x: Tensor, progress: Tensor) -> Forward:
        pre = self.pre_activations(params, x)
        iterations = [self.select_largest(pre, progress)]
        for _ in range(self.n_iterations):
            pre = self._refined(params, x, pre, iterations[-1])
            iterations.append(self.select_largest(pre, progress))
        *earlier, latents = iterations
        return Forward(pre, latents, self.decode(params, latents), tuple(earlier))

    def _refined(
        self, params: Mapping[str, Tensor], x: Tensor, pre: Tensor, latents: Tensor
    ) -> Tensor:
        """Pre-activations after a step along what `latents` leave over."""
        residual = x - self.decode(params, latents)
        linear = {name: torch.zeros_like(params[name]) for name in ("b_enc", "b_dec")}
        return pre + self.step_size * self.pre_activations({**params, **linear}, residual)

    def select_largest(self, pre_activations: Tensor, progress: Tensor) -> Tensor:
        """The `floor(k n)` largest of each member's batch, with `k` as of `progress`."""
        samples = pre_activations.shape[1]
        count = (self.k_at(progress) * samples).floor()
        flat = torch.relu(pre_activations).flatten(1)
        largest = torch.topk(flat, int(self.k * self.initial_k_factor * samples), dim=-1)
        rank = torch.arange(largest.values.shape[-1], device=flat.device)
        values = torch.where(rank < count, largest.values, torch.zeros_like(largest.values))
        return torch.zeros_like(flat).scatter(-1, largest.indices, values).view_as(pre_activations)

    def k_at(self, progress: Tensor) -> Tensor:
        """`k` at each `progress`, of its shape, float64."""
        left = (1 - progress.double() / self.anneal_fraction).clamp(min=0)
        return self.k * (1 + (self.initial_k_factor - 1) * left)

    def in_order(self, params: Mapping[str, Tensor], forward: Forward) -> tuple[Tensor, Tensor]:
        """Latents and decoder with the latents that fire most often first."""
        order = params["frequency"].argsort(dim=-1, descending=True, stable=True)
        latents, decoder = forward.latents, params["W_dec"]
        return (
            latents.gather(-1, order[:, None, :].expand_as(latents)),
            decoder.gather(1, order[:, :, None].expand_as(decoder)),
        )

    def carried(self, reconstruction: Tensor) -> Tensor:
        """The same without a gradient: a wider level does not change the narrower ones."""
        return reconstruction.detach()

    def mean_error(self, errors: Tensor) -> Tensor:
        """Mean over samples, `[M]`, of errors `[M, n]`, in which large errors weigh more."""
        if self.tilt == 0:
            return super().mean_error(errors)
        relative = errors.detach() / errors.detach().mean(-1, keepdim=True)
        relative = torch.nan_to_num(relative)
        return (torch.softmax(self.tilt * relative, dim=-1) * errors).sum(-1)

    def update_buffers(self, params: Params, forward: Forward) -> Params:
        thresholds = []
        for iteration, latents in enumerate((*forward.earlier, forward.latents)):
            own = {"threshold": params["threshold"][:, iteration : iteration + 1]}
            after = super().update_buffers(own, forward._replace(latents=latents))
            thresholds.append(after["threshold"])
        fires = (forward.latents > 0).to(forward.latents.dtype).mean(1)
        frequency = torch.lerp(params["frequency"], fires, self.frequency_rate)
        return {"threshold": torch.cat(thresholds, -1), "frequency": frequency}
