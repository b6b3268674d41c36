"""The definition of a training step: the family's loss, torch autograd, Adam.

Runs every family on every device and in every precision. Losses are summed over members and
everything else is member by member, so that no member sees another. Nothing is read back to the
host within a step, so that a step can be captured in a CUDA graph.
"""

from __future__ import annotations

import torch
from torch import Tensor

from toysae.saes.base import Params
from toysae.saes.terms import frequency_shortfall, orthogonality
from toysae.saes.trainable import Forward, TrainableFamily
from toysae.training.auxiliary import auxiliary_loss
from toysae.training.control import next_control
from toysae.training.ghost import ghost_loss
from toysae.training.objectives import Objective
from toysae.training.state import Chunk, ChunkLoss, StackState
from toysae.training.trainer import Trainer

_ADAM_EPSILON = 1e-8
_DECODER = ("W_dec", "b_dec")


class ReferenceKernel:
    """Stacked torch with autograd."""

    name = "stacked torch (autograd)"

    def __init__(self, family: TrainableFamily, trainer: Trainer, objective: Objective) -> None:
        self.family = family
        self.trainer = trainer
        self.objective = objective

    def advance(self, state: StackState, chunk: Chunk) -> ChunkLoss:
        """Train all members on every batch of the chunk, changing `state` in place."""
        if all_frozen(state):
            return self.pass_over(state, chunk)
        losses = [self.step(state, chunk, t) for t in range(chunk.n_steps)]
        state.step += chunk.n_steps
        error, penalty, l0 = (torch.stack(parts, dim=1) for parts in zip(*losses))
        return ChunkLoss(error, penalty, l0)

    def pass_over(self, state: StackState, chunk: Chunk) -> ChunkLoss:
        """What `advance` comes to once every member has diverged, without its work."""
        for _ in range(chunk.n_steps):
            # Of all that a step does, this alone moves what is frozen: by its rounding.
            self.family.constrain_(state.params)
        state.step += chunk.n_steps
        return ChunkLoss(*chunk.x.new_full((3, len(state.frozen_at), chunk.n_steps), torch.nan))

    def step(self, state: StackState, chunk: Chunk, t: int) -> tuple[Tensor, Tensor, Tensor]:
        """Step `t` of the chunk, but for `state.step`: error, penalty and L0, each `[M]`."""
        self.family.constrain_(state.params)
        dead, kept = self._care_for_dead_latents(state)
        x = chunk.x[chunk.stream_of, t]
        params = {name: p.detach() for name, p in state.params.items()}
        learned = {name: params[name].requires_grad_() for name in state.first_moment}
        progress = chunk.progress[t]
        forward = self.family.forward(params, x, progress)
        error = self.family.error(
            params, x, forward, lambda made: self.objective.sample_error(x, made)
        )
        coefficient = chunk.coefficient[:, t] * state.control.exp().to(x.dtype)
        penalty = coefficient * self.family.penalty(params, forward, progress, kept)
        total = error + penalty
        total = total + self._extras(params, x, forward, chunk, dead)
        gradients = dict(zip(learned, _gradients(total.sum(), list(learned.values()))))
        with torch.no_grad():
            self._record_firing(state, forward)
            l0 = self._l0(forward)
            was_active = state.frozen_at < 0
            finite = (error + penalty).isfinite()
            state.frozen_at.copy_(torch.where(was_active & ~finite, chunk.step[t], state.frozen_at))
            active = was_active & finite
            self._update(state, gradients, forward, chunk, t, active)
            state.control.copy_(
                torch.where(
                    active,
                    next_control(state.control, l0, chunk.target_l0, self.trainer.control_rate),
                    state.control,
                )
            )
            return (
                error.detach().masked_fill(~was_active, torch.nan),
                penalty.detach().masked_fill(~was_active, torch.nan),
                l0.masked_fill(~was_active, torch.nan),
            )

    def _extras(
        self, params: Params, x: Tensor, forward: Forward, chunk: Chunk, dead: Tensor
    ) -> Tensor:
        """Everything that is minimised beside error and penalty, `[M]`."""
        family, trainer = self.family, self.trainer
        extras = forward.reconstruction.new_zeros(forward.reconstruction.shape[0])
        own = family.auxiliary(params, x, forward)
        if own is not None:
            extras = extras + own
        if family.has_orthogonality:
            extras = extras + chunk.orthogonality * orthogonality(params["W_dec"])
        if family.has_frequency:
            extras = extras + chunk.frequency * frequency_shortfall(
                forward.latents, family.frequency_floor, family.frequency_epsilon
            )
        if trainer.dead_latents in ("none", "resample") or self._certainly_none(dead):
            return extras
        if trainer.dead_latents == "ghost":
            extras = extras + ghost_loss(params, x, forward, family.error_weight(x), dead)
        if trainer.dead_latents == "auxiliary":
            extras = extras + trainer.auxiliary_coefficient * auxiliary_loss(
                family, params, x, forward, dead
            )
        return extras

    def _certainly_none(self, dead: Tensor) -> bool:
        """Whether no latent is dead, where looking is free: on a GPU it would stop the queue."""
        return dead.device.type == "cpu" and not bool(dead.any())

    def _care_for_dead_latents(self, state: StackState) -> tuple[Tensor, Tensor]:
        """Mask of dead latents, and the share of each latent's penalty that counts, `[M, m]`."""
        dead = state.silent_steps > self.trainer.dead_after
        kept = torch.ones_like(dead, dtype=state.params["W_dec"].dtype)
        if self.trainer.dead_latents == "ghost":
            state.cooldown.sub_(1).clamp_(min=0)
            state.cooldown.masked_fill_(dead, self.trainer.ghost_cooldown)
            if self.trainer.ghost_cooldown > 0:
                kept = kept - state.cooldown / self.trainer.ghost_cooldown
        return dead, kept

    def _record_firing(self, state: StackState, forward: Forward) -> None:
        fired = (forward.latents > self.trainer.fire_threshold).any(1)
        state.silent_steps.add_(1).masked_fill_(fired, 0)

    def _l0(self, forward: Forward) -> Tensor:
        fires = forward.latents > self.trainer.fire_threshold
        return fires.to(forward.latents.dtype).sum(-1).mean(-1)

    def _update(
        self,
        state: StackState,
        gradients: Params,
        forward: Forward,
        chunk: Chunk,
        t: int,
        active: Tensor,
    ) -> None:
        gradients = self.family.project_gradients(state.params, gradients)
        gradients = without_frozen(gradients, self.trainer.frozen)
        gradients = clipped(gradients, chunk.gradient_clip)
        buffers = self.family.update_buffers(state.params, forward)
        dtype = state.params["W_dec"].dtype
        step = (chunk.step[t] + 1).double()
        step_size = chunk.lr[:, t] / (1 - chunk.beta1**step)
        root = (1 - chunk.beta2**step).sqrt().to(dtype)
        for name, g in gradients.items():
            p, m, v = state.params[name], state.first_moment[name], state.second_moment[name]
            shape = (-1,) + (1,) * (p.ndim - 1)
            beta1, beta2 = chunk.beta1.to(dtype).view(shape), chunk.beta2.to(dtype).view(shape)
            m.mul_(beta1).add_((1 - beta1) * g)
            v.mul_(beta2).add_((1 - beta2) * g * g)
            size = step_size if name in _DECODER else step_size * chunk.encoder_share[:, t]
            change = size.to(dtype).view(shape) * m / (v.sqrt() / root.view(shape) + _ADAM_EPSILON)
            p.sub_(torch.where(active.view(shape), change, torch.zeros_like(change)))
        for name, value in buffers.items():
            p = state.params[name]
            shape = (-1,) + (1,) * (p.ndim - 1)
            p.copy_(torch.where(active.view(shape), value, p))


def all_frozen(state: StackState) -> bool:
    """Whether every member has diverged: asked once a chunk, since a GPU waits for the answer."""
    return bool((state.frozen_at >= 0).all())


def _gradients(total: Tensor, learned: list[Tensor]) -> list[Tensor]:
    """Gradients of `total`; 0 for a parameter that the loss does not depend on."""
    gradients = torch.autograd.grad(total, learned, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(learned, gradients)]


def without_frozen(gradients: Params, frozen: str) -> Params:
    """Gradients with 0 for what `Trainer.frozen` says: Adam leaves it where it is."""
    kept = {"none": (), "decoder": ("W_dec",), "encoder": tuple(gradients.keys() - set(_DECODER))}
    return gradients | {name: torch.zeros_like(gradients[name]) for name in kept[frozen]}


def clipped(gradients: Params, largest: Tensor) -> Params:
    """Gradients scaled down, member by member, to a norm of at most `largest`, `[M]`.

    The norm is over all parameters of a member. As `torch.nn.utils.clip_grad_norm_`, which adds
    1e-6 to the norm that it divides by.
    """
    squares = [g.flatten(1).square().sum(1) for g in gradients.values()]
    norm = torch.stack(squares).sum(0).sqrt()
    factor = (largest / (norm + 1e-6)).clamp(max=1).to(norm.dtype)
    return {name: g * factor.view((-1,) + (1,) * (g.ndim - 1)) for name, g in gradients.items()}
