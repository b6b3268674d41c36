"""The definition of a training step: the family's loss, torch autograd, Adam, decoder norm.

Runs every family on every device. Losses are summed over members and everything else is member by
member, so that no member sees another.
"""

from __future__ import annotations

import torch
from torch import Tensor

from toysae.saes.base import Params
from toysae.saes.trainable import TrainableFamily
from toysae.training.dead import ghost_loss
from toysae.training.state import Chunk, ChunkLoss, StackState
from toysae.training.trainer import Trainer

_ADAM_EPSILON = 1e-8


class ReferenceKernel:
    """Stacked torch with autograd."""

    name = "stacked torch (autograd)"

    def __init__(self, family: TrainableFamily, trainer: Trainer) -> None:
        self.family = family
        self.trainer = trainer

    def advance(self, state: StackState, chunk: Chunk) -> ChunkLoss:
        """Train all members on every batch of the chunk, changing `state` in place."""
        losses = [self._step(state, chunk, t) for t in range(chunk.n_steps)]
        return ChunkLoss(
            error=torch.stack([loss[0] for loss in losses], dim=1),
            penalty=torch.stack([loss[1] for loss in losses], dim=1),
        )

    def _step(self, state: StackState, chunk: Chunk, t: int) -> tuple[Tensor, Tensor]:
        if self.family.unit_norm_decoder:
            normalize_rows_(state.params["W_dec"])
        dead = self._dead_latents(state)
        kept = torch.ones_like(state.cooldown, dtype=torch.float32)
        if dead is not None and self.trainer.ghost_cooldown > 0:
            kept -= state.cooldown / self.trainer.ghost_cooldown
        x = chunk.x[chunk.stream_of, t]
        params = {name: p.detach().requires_grad_() for name, p in state.params.items()}
        forward = self.family.forward(params, x)
        weight = self.family.error_weight(x)
        squared = (forward.reconstruction - x).square().sum(-1)
        error = (weight * squared).mean(1)
        penalty = chunk.coefficient[:, t] * (
            (self.family.penalty(forward.latents) * kept[:, None, :]).sum(-1).mean(1)
        )
        total = (error + penalty).sum()
        if dead is not None and bool(dead.any()):
            total = total + ghost_loss(params, x, forward, weight, dead).sum()
        gradients = dict(zip(params, torch.autograd.grad(total, list(params.values()))))
        fired = (forward.latents.detach() > self.trainer.fire_threshold).any(1)
        state.silent_steps.add_(1).masked_fill_(fired, 0)
        was_active = state.frozen_at < 0
        finite = (error + penalty).isfinite()
        state.frozen_at[was_active & ~finite] = state.step
        self._update(state, gradients, chunk, t, was_active & finite)
        state.step += 1
        return (
            error.detach().masked_fill(~was_active, torch.nan),
            penalty.detach().masked_fill(~was_active, torch.nan),
        )

    def _dead_latents(self, state: StackState) -> Tensor | None:
        """Mask of dead latents `[M, m]`, after counting down cooldowns; None without treatment."""
        if self.trainer.dead_latents == "none":
            return None
        dead = state.silent_steps > self.trainer.dead_window
        state.cooldown.sub_(1).clamp_(min=0)
        state.cooldown.masked_fill_(dead, self.trainer.ghost_cooldown)
        return dead

    def _update(
        self, state: StackState, gradients: Params, chunk: Chunk, t: int, active: Tensor
    ) -> None:
        if self.family.unit_norm_decoder:
            decoder, gradient = state.params["W_dec"], gradients["W_dec"]
            along = (gradient * decoder).sum(-1, keepdim=True)
            gradients["W_dec"] = gradient - along * decoder
        step = state.step + 1
        step_size = (chunk.lr[:, t] / (1 - chunk.beta1**step)).float()
        root = (1 - chunk.beta2**step).sqrt().float()
        for name, p in state.params.items():
            shape = (-1,) + (1,) * (p.ndim - 1)
            beta1, beta2 = chunk.beta1.float().view(shape), chunk.beta2.float().view(shape)
            g, m, v = gradients[name], state.first_moment[name], state.second_moment[name]
            m.mul_(beta1).add_((1 - beta1) * g)
            v.mul_(beta2).add_((1 - beta2) * g * g)
            change = step_size.view(shape) * m / (v.sqrt() / root.view(shape) + _ADAM_EPSILON)
            p.sub_(torch.where(active.view(shape), change, torch.zeros_like(change)))


def normalize_rows_(decoder: Tensor) -> None:
    """Scale every row of `decoder [..., m, d]` to norm 1 in place; zero rows stay zero."""
    norm = decoder.norm(dim=-1, keepdim=True)
    decoder.div_(torch.where(norm > 0, norm, torch.ones_like(norm)))
