"""A controller that steers the coefficient of the sparsity penalty to a target L0."""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: The coefficient stays within a factor of a million of what was configured.
LARGEST_CONTROL = math.log(1e6)


def next_control(control: Tensor, l0: Tensor, target_l0: Tensor, rate: float) -> Tensor:
    """The next logarithm of the coefficient's factor: an integral controller.

        clip(control + rate * clip(l0 / target_l0 - 1, -1, 1), -log 1e6, log 1e6)

    With too many latents firing the coefficient grows, by at most a factor of `exp(rate)` a step.
    The outer limits keep it finite where a target is out of reach. Without a target, or where
    L0 is NaN, the control stays.

    Args:
        control: `[M]`, float64.
        l0: of the batch of this step, `[M]`.
        target_l0: NaN for no control, `[M]`, float64.
        rate: `> 0`.
    """
    step = rate * (l0.double() / target_l0 - 1).clamp(-1, 1)
    return (control + torch.nan_to_num(step, nan=0.0)).clamp(-LARGEST_CONTROL, LARGEST_CONTROL)
