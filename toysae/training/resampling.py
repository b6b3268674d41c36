"""Resampling: dead latents start anew on samples that are reconstructed badly.

Bricken et al., "Towards monosemanticity: decomposing language models with dictionary learning"
(2023), "Neuron resampling". A latent is dead if it fired in none of the last `dead_window` steps.
Each dead latent is given a sample, drawn with a probability proportional to the square of the error
that the SAE makes on it:

    decoder row       the sample at unit norm
    encoder column    the sample at 0.2 of the mean norm of live latents' encoder columns
    biases            as at the start of the training: 0
    Adam's moments    0, for everything that was changed

They did so at a quarter, half, three quarters and all of the first half of the training, with a
window of half the time between, and drew from 819,200 samples; here from at least as many blocks of
8192 as make more samples than there are latents, and without replacement. A decoder that is free
gets a row of the norm that rows start with (`sae.initial_decoder_norm`); thresholds start anew like
biases; where encoder and decoder are one, the row is all there is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from toysae.draws import Draws
from toysae.hidden.stream import BLOCK, Stream
from toysae.saes.base import Params
from toysae.training.member import Member
from toysae.training.objectives import build_objective
from toysae.training.state import StackState

logger = logging.getLogger(__name__)

_ENCODER_SHARE = 0.2

#: Errors are computed for so many samples at once, to bound memory.
_AT_ONCE = 1024


def resample(
    state: StackState, members: Sequence[Member], scale: Callable[[Stream, Tensor], Tensor]
) -> None:
    """Start dead latents anew, in place; each member by itself, with draws keyed by its seed.

    Members that diverged are left alone. Samples that are zero or reconstructed without error are
    not drawn: if there are fewer others than dead latents, some stay as they are.

    Args:
        state: of the stack.
        members: the stack.
        scale: what the SAEs read of samples `[n, d]` of a stream.
    """
    dead = state.silent_steps > members[0].trainer.dead_after
    dead &= (state.frozen_at < 0)[:, None]
    samples: dict[Stream, Tensor] = {}
    for index in torch.nonzero(dead.any(1)).flatten().tolist():
        member = members[index]
        if member.stream not in samples:
            samples[member.stream] = scale(member.stream, _fresh_samples(member, state.step))
        x = samples[member.stream].to(state.params["W_dec"].dtype)
        params = {name: p[index : index + 1] for name, p in state.params.items()}
        draws = Draws(member.seed, ("resampling",), block=state.step, device=x.device)
        wanted = torch.nonzero(dead[index]).flatten()
        picked = draw_by_squared_error(
            sample_errors(member, params, x), len(wanted), draws.uniform("samples", (len(x),))
        )
        _restart(state, index, member, wanted[: len(picked)], x[picked])
    logger.info("step %d: %d dead latents were resampled", state.step, int(dead.sum()))


def _fresh_samples(member: Member, step: int) -> Tensor:
    """Samples of the member's world that only resampling at this step sees, `[n, d]`."""
    n = BLOCK * (1 + member.sae.n_latents // BLOCK)
    return replace(member.stream, split="resampling").hidden(step * n, n)


def sample_errors(member: Member, params: Params, x: Tensor) -> Tensor:
    """Weighted error of each sample, `[n]`; 0 for a sample that is zero and so has no direction.

    Args:
        member: says what an error is.
        params: of this member, with a member axis of 1.
        x: what the SAE reads, `[n, d]`.
    """
    family = member.sae
    objective = build_objective(member.trainer, [member.stream.space])
    errors = []
    for part in x.split(_AT_ONCE):
        truth = part[None]
        made = family.decode(params, family.encode(params, truth))
        errors.append((family.error_weight(truth) * objective.sample_error(truth, made))[0])
    return torch.cat(errors).masked_fill((x == 0).all(1), 0)


def draw_by_squared_error(error: Tensor, n: int, uniform: Tensor) -> Tensor:
    """Positions of `n` samples, one after another without replacement, `p ~ error^2`.

    Args:
        error: of each sample, `[samples]`, `>= 0`.
        n: number wanted; there are fewer where fewer samples have an error above 0.
        uniform: a uniform draw for each sample, `[samples]`, in [0, 1).
    """
    # Exponential waiting times of rate error^2: their order is that of such draws.
    waiting = -torch.log1p(-uniform.double()) / error.double().square()
    possible = error > 0
    order = waiting.masked_fill(~possible, torch.inf).argsort()
    return order[: min(n, int(possible.sum()))]


def _restart(
    state: StackState, index: int, member: Member, latents: Tensor, samples: Tensor
) -> None:
    """Start `latents` of member `index` on `samples`, one each, `[len(latents), d]`."""
    rows = samples / samples.norm(dim=1, keepdim=True)
    family, d_hidden = member.sae, rows.shape[1]
    initial = family.init(d_hidden, Draws(member.seed, ("initialisation",), device=rows.device))
    for name in state.first_moment.keys() - {"b_dec"}:
        axis = 0
        if name == "W_dec":
            value = family.initial_decoder_norm * rows
        elif name == "W_enc":
            axis = 1
            value = _ENCODER_SHARE * _mean_live_norm(state.params[name][index], latents) * rows.T
        else:
            value = initial[name][latents].to(rows.dtype)
        state.params[name][index].index_copy_(axis, latents, value)
        for moments in (state.first_moment, state.second_moment):
            moments[name][index].index_fill_(axis, latents, 0)
    state.silent_steps[index].index_fill_(0, latents, 0)


def _mean_live_norm(encoder: Tensor, dead: Tensor) -> Tensor:
    """Mean norm of the columns of `encoder [d, m]` that are not `dead`; of all if none is live."""
    norms = encoder.norm(dim=0)
    live = torch.ones_like(norms).index_fill_(0, dead, 0)
    if not live.any():
        return norms.mean()
    return (norms * live).sum() / live.sum()
