"""How SAEs are optimised, whatever their family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least, check_choice, check_interval, check_positive
from toysae.errors import ConfigError
from toysae.training.contradictions import check_consistent

DECAYS = ("linear", "cosine")
DEAD_LATENT_TREATMENTS = ("none", "ghost", "resample", "auxiliary")
DECODER_BIAS_STARTS = ("zero", "geometric_median")
INPUT_SCALINGS = ("none", "unit_mean_norm", "layer_norm")
OBJECTIVES = ("local", "end_to_end", "end_to_end_downstream")
OUTPUT_ERRORS = ("squared", "kl")
FROZEN = ("none", "decoder", "encoder")


@dataclass(frozen=True)
class Trainer:
    """Adam on fresh samples.

    The learning rate rises linearly over the first `warmup_fraction` of the steps, is constant, and
    falls over the last `decay_fraction`, linearly or along a half cosine, to `final_lr` of its
    peak.

    A setting that another one makes void is refused; see `toysae.training.contradictions`.

    Attributes:
        steps: optimiser steps, `>= 1`.
        batch_size: samples a step, `>= 1`.
        lr: peak learning rate, `> 0`.
        beta1, beta2: Adam's decay rates, in [0, 1).
        warmup_fraction, decay_fraction: in [0, 1], together at most 1.
        decay: `linear` or `cosine`.
        final_lr: where the decay ends, as a fraction of the peak, in [0, 1].
        gradient_clip: largest Euclidean norm of a member's whole gradient, `> 0`; null is none.
        coefficient_warmup_fraction: the family's coefficient rises linearly from 0 over this
            fraction of the steps, in [0, 1].
        target_l0: steer the coefficient until so many latents fire on a sample, `> 0`; null is no
            control. See `toysae.training.control`.
        control_rate: largest relative change of the coefficient in a step, `> 0`.
        finetune_fraction: over the last so large a fraction of the steps only the decoder (`W_dec`,
            `b_dec`) is trained, without the penalty, in [0, 1). It undoes shrinkage where rows are
            free to grow: with `unit_norm_decoder` they only turn. With
            `sae.subtract_decoder_bias` activations still follow `b_dec`.
        frozen: what stays where it starts, for nulls: `none`; `decoder`, which is `W_dec`; or
            `encoder`, all that is learned but `W_dec` and `b_dec`. Buffers (thresholds of
            BatchTopK, thresholds and frequencies of LISTA) follow what a frozen encoder does: it
            could not be applied without. What is frozen has no part in `gradient_clip`. Goes with
            no `finetune_fraction` and not with `dead_latents` `resample`; `encoder` goes with no
            `target_l0`.
        objective: what the reconstruction is for: `local`, `end_to_end` or
            `end_to_end_downstream`. See `toysae.training.objectives`. The last two go with no
            `input_scaling`, and with `dead_latents` `none` or `resample`.
        output_error: how the end-to-end objectives compare outputs: `squared` or `kl`; `squared`
            with `local`.
        downstream: weight of the error of what follows the hidden layer, `>= 0`, with
            `end_to_end_downstream`; 1 with the others.
        input_scaling: `none`; `unit_mean_norm` divides by the mean norm and multiplies by
            `sqrt(d)`; `layer_norm` standardises every sample.
        dead_latents: `none`; `ghost` gradients; `resample`; `auxiliary` loss. See
            `toysae.training.ghost`, `toysae.training.resampling`, `toysae.training.auxiliary`.
        dead_window: a latent that was silent for more steps than this is dead, `>= 1`; null is half
            the time between two resamplings.
        ghost_cooldown: steps over which the penalty of a revived latent returns; 0 is at once.
        resample_every: with `resample`, dead latents are started anew after every so many steps,
            in the first half of the training: at most `steps / 2`; null is an eighth of the steps.
        auxiliary_coefficient: factor of the auxiliary loss, `>= 0`.
        fire_threshold: a latent fires on a sample above this value.
        decoder_bias_start: `zero`, or `geometric_median` of the first 5,000 samples.
        history_points: number of stretches of the training whose losses are kept, `>= 1`.
    """

    steps: int = 10_000
    batch_size: int = 1024
    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    warmup_fraction: float = 0.1
    decay_fraction: float = 0.2
    decay: str = "linear"
    final_lr: float = 0.0
    gradient_clip: float | None = None
    coefficient_warmup_fraction: float = 0.0
    target_l0: float | None = None
    control_rate: float = 0.01
    finetune_fraction: float = 0.0
    frozen: str = "none"
    objective: str = "local"
    output_error: str = "squared"
    downstream: float = 1.0
    input_scaling: str = "none"
    dead_latents: str = "none"
    dead_window: int | None = 400
    ghost_cooldown: int = 1000
    resample_every: int | None = None
    auxiliary_coefficient: float = 1 / 32
    fire_threshold: float = 1e-6
    decoder_bias_start: str = "zero"
    history_points: int = 50

    #: Fields in which members of one stack may differ.
    member_fields: ClassVar[tuple[str, ...]] = (
        "lr",
        "beta1",
        "beta2",
        "warmup_fraction",
        "decay_fraction",
        "decay",
        "final_lr",
        "gradient_clip",
        "coefficient_warmup_fraction",
        "target_l0",
        "finetune_fraction",
    )

    def __post_init__(self) -> None:
        for name, allowed in (
            ("decay", DECAYS),
            ("frozen", FROZEN),
            ("objective", OBJECTIVES),
            ("output_error", OUTPUT_ERRORS),
            ("input_scaling", INPUT_SCALINGS),
            ("dead_latents", DEAD_LATENT_TREATMENTS),
            ("decoder_bias_start", DECODER_BIAS_STARTS),
        ):
            check_choice(f"trainer.{name}", getattr(self, name), allowed)
        for name in ("steps", "batch_size", "history_points"):
            check_at_least(f"trainer.{name}", getattr(self, name), 1)
        for name in ("dead_window", "resample_every"):
            if getattr(self, name) is not None:
                check_at_least(f"trainer.{name}", getattr(self, name), 1)
        for name in ("downstream", "ghost_cooldown", "auxiliary_coefficient", "fire_threshold"):
            check_at_least(f"trainer.{name}", getattr(self, name), 0)
        for name in ("lr", "control_rate"):
            check_positive(f"trainer.{name}", getattr(self, name))
        for name in ("gradient_clip", "target_l0"):
            if getattr(self, name) is not None:
                check_positive(f"trainer.{name}", getattr(self, name))
        for name in (
            "warmup_fraction",
            "decay_fraction",
            "final_lr",
            "coefficient_warmup_fraction",
        ):
            check_interval(f"trainer.{name}", getattr(self, name), 0, 1)
        if self.warmup_fraction + self.decay_fraction > 1:
            raise ConfigError(
                f"trainer.warmup_fraction + trainer.decay_fraction = "
                f"{self.warmup_fraction + self.decay_fraction:g}: must be at most 1"
            )
        for name in ("beta1", "beta2", "finetune_fraction"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise ConfigError(f"trainer.{name} = {value}: must lie in [0, 1)")
        check_consistent(self)

    @property
    def schedule(self) -> tuple[object, ...]:
        """What `lr_factor`, `coefficient_factor` and `encoder_share` depend on."""
        return (
            self.steps,
            self.warmup_fraction,
            self.decay_fraction,
            self.decay,
            self.final_lr,
            self.coefficient_warmup_fraction,
            self.finetune_fraction,
        )

    @property
    def finetune_from(self) -> int:
        """First step at which only the decoder is trained; `steps` if there is none."""
        return self.steps - round(self.finetune_fraction * self.steps)

    @property
    def resampled_at(self) -> frozenset[int]:
        """Numbers of steps done at which dead latents are resampled."""
        if self.dead_latents != "resample":
            return frozenset()
        if self.resample_every is None:
            return frozenset(self.steps * eighths // 8 for eighths in (1, 2, 3, 4)) - {0}
        return frozenset(range(self.resample_every, self.steps // 2 + 1, self.resample_every))

    @property
    def dead_after(self) -> int:
        """A latent that was silent for more steps than this is dead: `dead_window`, if given."""
        if self.dead_window is not None:
            return self.dead_window
        return max(1, (self.resample_every or self.steps // 8) // 2)

    def lr_factor(self, first_step: int, n_steps: int) -> Tensor:
        """Learning rate over its peak for steps `first_step` onwards, `[n_steps]`, float64."""
        step = _steps(first_step, n_steps)
        factor = torch.ones(n_steps, dtype=torch.float64)
        if self.decay_fraction > 0:
            left = ((self.steps - step) / (self.decay_fraction * self.steps)).clamp(max=1)
            if self.decay == "cosine":
                left = (1 - torch.cos(torch.pi * left)) / 2
            factor = self.final_lr + (1 - self.final_lr) * left
        if self.warmup_fraction > 0:
            factor = torch.minimum(factor, (step + 1) / (self.warmup_fraction * self.steps))
        return factor

    def coefficient_factor(self, first_step: int, n_steps: int) -> Tensor:
        """Coefficient over its final value, `[n_steps]`, float64; 0 in the fine-tuning."""
        step = _steps(first_step, n_steps)
        factor = torch.ones(n_steps, dtype=torch.float64)
        if self.coefficient_warmup_fraction > 0:
            factor = (step / (self.coefficient_warmup_fraction * self.steps)).clamp(max=1)
        return torch.where(step < self.finetune_from, factor, torch.zeros_like(factor))

    def encoder_share(self, first_step: int, n_steps: int) -> Tensor:
        """Share of the learning rate that the encoder has: 1, 0 in the fine-tuning, `[n_steps]`."""
        return (_steps(first_step, n_steps) < self.finetune_from).double()


def _steps(first_step: int, n_steps: int) -> Tensor:
    return torch.arange(first_step, first_step + n_steps, dtype=torch.float64)
