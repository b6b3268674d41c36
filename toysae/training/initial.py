"""Where the members of a stack start."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from toysae.draws import Draws
from toysae.errors import ShapeError
from toysae.hidden.stream import Stream
from toysae.saes.base import SAE, Params
from toysae.training.member import Member
from toysae.training.scaling import InputScaling

_MEDIAN_SAMPLES = 5_000


def initial_params(
    members: Sequence[Member],
    device: torch.device,
    scale: Callable[[Stream, Tensor], Tensor] = lambda stream, x: x,
) -> Params:
    """Initial parameters of all members, each tensor `[M, ...]`.

    A member with an `initial_decoder` starts there, with `W_enc = W_dec^T` and zero encoder bias.

    Args:
        members: the stack.
        device: where the parameters go.
        scale: what the SAEs read of samples `[n, d]` of a stream.

    Raises:
        ShapeError: an `initial_decoder` that is not `[n_latents, d]`.
    """
    medians: dict[Stream, Tensor] = {}
    for stream in {m.stream for m in members if m.trainer.decoder_bias_start != "zero"}:
        medians[stream] = geometric_median(scale(stream, stream.hidden(0, _MEDIAN_SAMPLES)))
    each = [_initial(member, device, medians) for member in members]
    return {name: torch.stack([params[name] for params in each]).contiguous() for name in each[0]}


def untrained(members: Sequence[Member]) -> SAE:
    """The SAEs that training starts from, as it would return them after no step.

    What a trained SAE shares with these it did not learn: its null for the same seed.

    Args:
        members: of one stack, which `group_into_stacks` says.

    Raises:
        ShapeError: no member, or some cannot be trained together.
    """
    if len({member.stack_key() for member in members}) != 1:
        raise ShapeError("members of several stacks or none: give those of one stack")
    first = members[0]
    streams = list(dict.fromkeys(member.stream for member in members))
    scaling = InputScaling(first.trainer.input_scaling, streams)
    params = initial_params(
        members, first.stream.device, lambda stream, x: scaling.scale(streams.index(stream), x)
    )
    first.sae.constrain_(params)
    stream_of = torch.tensor([streams.index(member.stream) for member in members])
    return scaling.finished(first.sae, params, stream_of.to(first.stream.device))


def _initial(member: Member, device: torch.device, medians: dict[Stream, Tensor]) -> Params:
    """Initial parameters of one member; `medians` are those of the streams that need one."""
    d_hidden = member.stream.space.d_hidden
    params = member.sae.init(d_hidden, Draws(member.seed, ("initialisation",), device=device))
    if member.initial_decoder is not None:
        expected = tuple(params["W_dec"].shape)
        if tuple(member.initial_decoder.shape) != expected:
            raise ShapeError(
                f"initial decoder {tuple(member.initial_decoder.shape)}: must be {expected}"
            )
        params["W_dec"] = member.initial_decoder.to(device, torch.float32).clone()
        if "W_enc" in params:
            params["W_enc"] = params["W_dec"].T.clone()
    if member.trainer.decoder_bias_start == "geometric_median":
        params["b_dec"] = medians[member.stream].to(device)
    return params


def geometric_median(points: Tensor, *, iterations: int = 100, tolerance: float = 1e-5) -> Tensor:
    """The point of least mean distance to `points [n, d]`, by Weiszfeld's iteration; `[d]`.

    Starts at the mean; stops when the relative gain in mean distance is below `tolerance`.
    """
    median = points.mean(0)
    last = torch.inf
    for _ in range(iterations):
        distance = (points - median).norm(dim=1).clamp(min=1e-8)
        total = float(distance.mean())
        if last - total <= tolerance * total:
            break
        last = total
        weight = 1 / distance
        median = (points * weight[:, None]).sum(0) / weight.sum()
    return median
