"""One large SAE at a time, its step spread over threads by samples and by latents.

Only the encoder's product is dense. Where the CPU multiplies bfloat16 several times as fast, such a
product tells which latents may fire, by a bound that misses none, and those alone are computed in
full (`wide_screen.py`); elsewhere BLAS has it at full speed. Decoding, errors and gradients touch
the latents that fire alone, and a latent's gradient is used up by Adam while it is in the cache.
Where more than `DENSE_SHARE` of the latents fire, as in the first steps, the same closed-form
gradients are dense products too.

Samples and latents are cut into ranges of fixed lengths, each computed by one thread, and what is
summed over ranges is summed in their order: a member's bits depend neither on the number of threads
nor on its company nor on the chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from toysae.saes.rectified import Rectified
from toysae.saes.trainable import TrainableFamily
from toysae.training.control import next_control
from toysae.training.member import Member
from toysae.training.objectives import Local, Objective
from toysae.training.state import Chunk, ChunkLoss, StackState
from toysae.training.trainer import Trainer

if TYPE_CHECKING:
    from toysae.training.kernels.wide_loops import Array
    from toysae.training.kernels.wide_member import StepRates
    from toysae.training.kernels.wide_step import Spread, WideStep

_ACTIVATIONS = ("relu", "topk", "jumprelu")


class WideKernel:
    """One member after another, all threads on each."""

    name = "wide CPU kernel (BLAS, Numba)"

    def __init__(self, family: TrainableFamily, trainer: Trainer, threads: int) -> None:
        self.family = family
        self.trainer = trainer
        self.threads = threads
        self._step: WideStep | None = None

    @staticmethod
    def refusal(member: Member, objective: Objective) -> str:
        """Why this kernel cannot train a stack like `member`; empty if it can."""
        family, trainer = member.sae, member.trainer
        form = family.fast_form
        if member.stream.device.type != "cpu":
            return "the wide kernel runs on the CPU"
        if form is None or form.activation not in _ACTIVATIONS:
            return f"no wide kernel for {family.name}"
        if family.has_orthogonality or family.has_frequency:
            return "no orthogonality and frequency terms in the wide kernel"
        if trainer.frozen != "none":
            return "nothing frozen in the wide kernel"
        if not isinstance(objective, Local):
            return "only the local objective in the wide kernel"
        if trainer.dead_latents in ("ghost", "auxiliary"):
            return f"no dead_latents: {trainer.dead_latents} in the wide kernel"
        return ""

    def advance(self, state: StackState, chunk: Chunk) -> ChunkLoss:
        """Train all members on every batch of the chunk, changing `state` in place."""
        members = len(state.frozen_at)
        losses = torch.full((3, members, chunk.n_steps), torch.nan)
        threads = torch.get_num_threads()
        # Every thread of the pool has BLAS to itself. This number is of the calling thread, but
        # also the default of new ones: it is put back.
        with ThreadPoolExecutor(self.threads, "wide", torch.set_num_threads, (1,)) as pool:

            def spread(work: Callable[..., Any], parts: Sequence[tuple[Any, ...]]) -> list[Any]:
                return list(pool.map(lambda part: work(*part), parts))

            for i in range(members):
                if state.frozen_at[i] < 0:
                    losses[:, i] = self._advance_member(state, chunk, i, spread)
        torch.set_num_threads(threads)
        state.step += chunk.n_steps
        return ChunkLoss(*losses)

    def _advance_member(self, state: StackState, chunk: Chunk, i: int, spread: Spread) -> Tensor:
        """Train one member; error, penalty and L0 of each step, `[3, steps]`."""
        # Loading what is compiled takes time: only when used.
        from toysae.training.kernels.wide_member import WideMember

        x = _samples_innermost(chunk.x[chunk.stream_of[i]])
        losses = torch.full((3, chunk.n_steps), torch.nan)
        step = self._step_for(*chunk.x.shape[2:])
        member = WideMember.of_stack(state, i, step.encoders, spread)
        for t in range(chunk.n_steps):
            rates = self._rates(state, chunk, i, t)
            loss = step.forward(member, x, t, rates, spread)
            losses[:, t] = torch.tensor(loss)
            if not loss.is_finite:
                state.frozen_at[i] = rates.step
                break
            step.learn(member, rates, spread)
            state.control[i] = next_control(
                state.control[i], losses[2, t], chunk.target_l0[i], self.trainer.control_rate
            )
        member.write_back(state, i, spread)
        return losses

    def _step_for(self, batch: int, d: int) -> WideStep:
        """The step for such batches, with memory that is kept between chunks."""
        from toysae.training.kernels.wide_step import WideStep

        if self._step is None or self._step.shape[:2] != (batch, d):
            self._step = WideStep(self.family, self.trainer, batch, d)
        return self._step

    def _rates(self, state: StackState, chunk: Chunk, i: int, t: int) -> StepRates:
        """What the schedules say of step `t` of member `i`."""
        from toysae.training.kernels.wide_member import StepRates

        parameter = 0.0
        if isinstance(self.family, Rectified):
            parameter = float(self.family.penalty_parameter(chunk.progress[t]))
        return StepRates(
            coefficient=float(chunk.coefficient[i, t] * state.control[i].exp().float()),
            parameter=parameter,
            lr=float(chunk.lr[i, t]),
            encoder_share=float(chunk.encoder_share[i, t]),
            beta1=float(chunk.beta1[i]),
            beta2=float(chunk.beta2[i]),
            gradient_clip=float(chunk.gradient_clip[i]),
            step=int(chunk.step[t]),
        )


def _samples_innermost(x: Tensor) -> Array:
    """Samples `[steps, batch, d]` as `[d, steps * batch]`: as a chunk has them in memory."""
    return x.flatten(0, 1).T.contiguous().numpy()
