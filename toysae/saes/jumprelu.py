"""JumpReLU SAE: a latent fires where its pre-activation exceeds a threshold of its own.

    z = x W_enc + b_enc,   f = ReLU(z) H(z - threshold),   x_hat = f W_dec + b_dec
    loss = mean_n [ ||x_hat - x||^2 + l0 S ] + pre_activation_penalty P

with `H` the Heaviside step, `H(0) = 0`. `S` is one of

    step       L0 = sum_j H(z_j - threshold_j)
    quadratic  (2 / target_l0) (L0 - target_l0)^2
    tanh       sum_j tanh(tanh_scale f_j ||W_dec_j||)

Rajamanoharan et al., "Jumping ahead: improving reconstruction fidelity with JumpReLU sparse
autoencoders" (2024); `quadratic` as SAELens has it after Gemma Scope 2; `tanh` and `P` from
"Circuits Updates - January 2025", Anthropic:

    P = mean_n sum_j ReLU(threshold_j - z_j) ||W_dec_j||

The straight-through estimators are those of the paper, with a rectangle as the kernel:

    d H(z - t) / dt  = -1[|z - t| < bandwidth / 2] / bandwidth
    d f / dt         = -t 1[|z - t| < bandwidth / 2] / bandwidth

Thresholds are learned as they are and held at or above 0, as in SAELens; the paper learns their
logarithms, which Adam hardly moves from where they start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least, check_choice, check_positive
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.saes.base import Params, Shapes
from toysae.saes.fast import FastForm
from toysae.saes.straight_through import Jump, Step
from toysae.saes.trainable import Forward, TrainableFamily

PENALTIES = ("step", "quadratic", "tanh")


@dataclass(frozen=True)
class JumpReLU(TrainableFamily):
    """JumpReLU SAE; parameters as of the ReLU SAE and `threshold [M, m]`.

    A threshold below 0 acts like 0. An activation is 0 or greater than its threshold.

    Attributes:
        l0: factor of the penalty `S`, `>= 0`. May differ between members of a stack.
        penalty_form: what `S` is: `step`, `quadratic` or `tanh`.
        target_l0: L0 at which the `quadratic` penalty is 0, in (0, n_latents]. Null with the
            others: `trainer.target_l0` steers theirs.
        tanh_scale: slope of the `tanh` penalty at 0, `> 0`.
        initial_threshold: of all latents, `>= 0`.
        bandwidth: width of the rectangle, `> 0`.
        ste_to_input: let the estimators reach pre-activations too, as Anthropic does, and not the
            thresholds alone, as in the paper.
        pre_activation_penalty: factor of `P`, `>= 0`: pulls latents back that hardly ever fire.
    """

    l0: float = 0.1
    penalty_form: str = "step"
    target_l0: float | None = None
    tanh_scale: float = 4.0
    initial_threshold: float = 0.01
    bandwidth: float = 0.05
    ste_to_input: bool = False
    pre_activation_penalty: float = 0.0

    name: ClassVar[str] = "jumprelu"
    member_fields: ClassVar[tuple[str, ...]] = (*TrainableFamily.member_fields, "l0")

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("l0", "initial_threshold", "pre_activation_penalty"):
            check_at_least(f"sae.{field}", getattr(self, field), 0)
        for field in ("tanh_scale", "bandwidth"):
            check_positive(f"sae.{field}", getattr(self, field))
        check_choice("sae.penalty_form", self.penalty_form, PENALTIES)
        if self.penalty_form == "quadratic":
            self._check_target_l0(self.target_l0)
        elif self.target_l0 is not None:
            raise ConfigError(
                f"sae.target_l0 = {self.target_l0}: must be null with sae.penalty_form = "
                f"{self.penalty_form!r}; to steer L0 set trainer.target_l0"
            )

    def _check_target_l0(self, target_l0: float | None) -> None:
        if target_l0 is None:
            raise ConfigError(
                "sae.target_l0 = null: sae.penalty_form = 'quadratic' needs the L0 at which the "
                "penalty is 0"
            )
        check_positive("sae.target_l0", target_l0)
        if target_l0 > self.n_latents:
            raise ConfigError(
                f"sae.target_l0 = {target_l0}: must be at most sae.n_latents = {self.n_latents}"
            )

    @property
    def coefficient(self) -> float:
        return self.l0

    @property
    def fast_form(self) -> FastForm | None:
        if self.penalty_form != "step" or self.ste_to_input or self.pre_activation_penalty > 0:
            return None
        return FastForm("jumprelu", "step", bandwidth=self.bandwidth)

    def param_shapes(self, d_hidden: int, n_latents: int) -> Shapes:
        """Those of the ReLU SAE and `threshold [m]`."""
        return {**super().param_shapes(d_hidden, n_latents), "threshold": (n_latents,)}

    def init(self, d_hidden: int, draws: Draws) -> Params:
        params = super().init(d_hidden, draws)
        params["threshold"].fill_(self.initial_threshold)
        return params

    def encode(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Latent activations `[M, n, m]` of inputs `x [M or 1, n, d]`."""
        return jumped(self.pre_activations(params, x), params["threshold"])

    def forward(self, params: Mapping[str, Tensor], x: Tensor, progress: Tensor) -> Forward:
        pre = self.pre_activations(params, x)
        latents: Tensor = Jump.apply(pre, params["threshold"], self.bandwidth, self.ste_to_input)
        return Forward(pre, latents, self.decode(params, latents))

    def penalty(
        self, params: Mapping[str, Tensor], forward: Forward, progress: Tensor, kept: Tensor
    ) -> Tensor:
        if self.penalty_form == "tanh":
            scale = self.tanh_scale * params["W_dec"].norm(dim=-1)
            each = torch.tanh(scale[:, None, :] * forward.latents)
        else:
            threshold = params["threshold"]
            each = Step.apply(forward.pre_activations, threshold, self.bandwidth, self.ste_to_input)
        total = (each * kept[:, None, :]).sum(-1)
        if self.target_l0 is not None:
            total = 2 / self.target_l0 * (total - self.target_l0).square()
        return total.mean(-1)

    def auxiliary(self, params: Mapping[str, Tensor], x: Tensor, forward: Forward) -> Tensor | None:
        if self.pre_activation_penalty == 0:
            return None
        short = torch.relu(params["threshold"][:, None, :] - forward.pre_activations)
        weighted = short * params["W_dec"].norm(dim=-1)[:, None, :]
        return self.pre_activation_penalty * weighted.sum(-1).mean(-1)

    def constrain_(self, params: Params) -> None:
        """Thresholds to 0 or above, and decoder rows to norm 1 where that is asked for."""
        super().constrain_(params)
        params["threshold"].clamp_(min=0)


def jumped(pre_activations: Tensor, threshold: Tensor) -> Tensor:
    """`ReLU(z)` where `z` exceeds its threshold, 0 elsewhere, `[M, n, m]`.

    Args:
        pre_activations: `z [M, n, m]`; NaN stays NaN.
        threshold: `[M, m]`, or `[M, 1]` for one for all latents.
    """
    silent = pre_activations <= threshold[:, None, :]
    return torch.where(silent, torch.zeros_like(pre_activations), torch.relu(pre_activations))
