"""How SAEs are optimised, whatever their family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least, check_choice, check_interval, check_positive
from toysae.errors import ConfigError

DEAD_LATENT_TREATMENTS = ("none", "ghost")
DECODER_BIAS_STARTS = ("zero", "geometric_median")


@dataclass(frozen=True)
class Trainer:
    """Adam on fresh samples, with a trapezoidal learning rate.

    The learning rate rises linearly over the first `warmup_fraction` of the steps, is constant, and
    falls linearly to 0 over the last `decay_fraction`.

    Attributes:
        steps: optimiser steps, `>= 1`.
        batch_size: samples a step, `>= 1`.
        lr: peak learning rate, `> 0`. May differ between members of a stack.
        beta1, beta2: Adam's decay rates, in [0, 1). May differ between members of a stack.
        warmup_fraction, decay_fraction: in [0, 1], together at most 1.
        dead_latents: `none`, or `ghost` for ghost gradients (see `toysae.training.dead`).
        dead_window: with `ghost`, a latent that was silent for more steps than this is dead.
        ghost_cooldown: steps over which the penalty of a revived latent returns; 0 is at once.
        fire_threshold: a latent fires on a sample above this value.
        decoder_bias_start: `zero`, or `geometric_median` of the first 5,000 samples.
    """

    steps: int = 10_000
    batch_size: int = 1024
    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    warmup_fraction: float = 0.1
    decay_fraction: float = 0.2
    dead_latents: str = "none"
    dead_window: int = 400
    ghost_cooldown: int = 1000
    fire_threshold: float = 1e-6
    decoder_bias_start: str = "zero"

    #: Fields in which members of one stack may differ.
    member_fields: ClassVar[tuple[str, ...]] = ("lr", "beta1", "beta2")

    def __post_init__(self) -> None:
        check_at_least("trainer.steps", self.steps, 1)
        check_at_least("trainer.batch_size", self.batch_size, 1)
        check_positive("trainer.lr", self.lr)
        check_choice("trainer.dead_latents", self.dead_latents, DEAD_LATENT_TREATMENTS)
        check_choice("trainer.decoder_bias_start", self.decoder_bias_start, DECODER_BIAS_STARTS)
        check_at_least("trainer.dead_window", self.dead_window, 1)
        check_at_least("trainer.ghost_cooldown", self.ghost_cooldown, 0)
        check_at_least("trainer.fire_threshold", self.fire_threshold, 0)
        for name in ("warmup_fraction", "decay_fraction"):
            check_interval(f"trainer.{name}", getattr(self, name), 0, 1)
        if self.warmup_fraction + self.decay_fraction > 1:
            raise ConfigError(
                f"trainer.warmup_fraction + trainer.decay_fraction = "
                f"{self.warmup_fraction + self.decay_fraction:g}: must be at most 1"
            )
        for name in ("beta1", "beta2"):
            beta = getattr(self, name)
            if not 0 <= beta < 1:
                raise ConfigError(f"trainer.{name} = {beta}: must lie in [0, 1)")

    def lr_factor(self, first_step: int, n_steps: int) -> Tensor:
        """Learning rate over its peak for steps `first_step` onwards, `[n_steps]`, float64."""
        step = torch.arange(first_step, first_step + n_steps, dtype=torch.float64)
        factor = torch.ones(n_steps, dtype=torch.float64)
        if self.warmup_fraction > 0:
            factor = torch.minimum(factor, (step + 1) / (self.warmup_fraction * self.steps))
        if self.decay_fraction > 0:
            factor = torch.minimum(factor, (self.steps - step) / (self.decay_fraction * self.steps))
        return factor
