"""Straight-through estimators of functions that jump at a learned threshold.

Rajamanoharan et al., "Jumping ahead: improving reconstruction fidelity with JumpReLU sparse
autoencoders" (2024), section 4, with a rectangle as the kernel. The gradient with respect to `z`
is that away from the jump; with `ste_to_input`, what the threshold gets is taken from `z` in turn:
both functions jump where `z - threshold` changes sign.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_Gradients = tuple[Tensor | None, Tensor, None, None]


class Step(torch.autograd.Function):
    """`1[z > threshold]`, `[M, n, m]`, of `z [M, n, m]` and `threshold [M, m]`."""

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, threshold: Tensor, bandwidth: float, ste_to_input: bool
    ) -> Tensor:
        _remember(ctx, z, threshold, bandwidth, ste_to_input)
        return (z > threshold[:, None, :]).to(z.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> _Gradients:
        (gradient,) = gradients
        z, threshold = ctx.saved_tensors
        at_jump = _rectangle(z, threshold, ctx.bandwidth) * gradient
        return at_jump if ctx.ste_to_input else None, -at_jump.sum(1), None, None


class Jump(torch.autograd.Function):
    """`z` where `z > threshold`, else 0, `[M, n, m]`, for `threshold [M, m] >= 0`."""

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, threshold: Tensor, bandwidth: float, ste_to_input: bool
    ) -> Tensor:
        _remember(ctx, z, threshold, bandwidth, ste_to_input)
        return torch.where(z <= threshold[:, None, :], torch.zeros_like(z), z)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> _Gradients:
        (gradient,) = gradients
        z, threshold = ctx.saved_tensors
        height = threshold[:, None, :]
        at_jump = height * _rectangle(z, threshold, ctx.bandwidth) * gradient
        of_z = (z > height) * gradient
        return of_z + at_jump if ctx.ste_to_input else of_z, -at_jump.sum(1), None, None


def _remember(ctx: Any, z: Tensor, threshold: Tensor, bandwidth: float, ste_to_input: bool) -> None:
    ctx.save_for_backward(z, threshold)
    ctx.bandwidth, ctx.ste_to_input = bandwidth, ste_to_input


def _rectangle(z: Tensor, threshold: Tensor, bandwidth: float) -> Tensor:
    """A density of width `bandwidth` about the threshold: `1 / bandwidth` within it, else 0."""
    near = (z - threshold[:, None, :]).abs() < bandwidth / 2
    return near.to(z.dtype) / bandwidth
