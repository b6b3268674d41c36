"""How good the SAEs of a stack are on their way, on samples that they are not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from toysae.hidden.stream import Stream
from toysae.training.member import Member
from toysae.training.scaling import InputScaling
from toysae.training.state import StackState

#: Fixed samples of each stream that a stack is measured on.
SAMPLES = 512

#: Members are measured in blocks, so that no tensor has more numbers than this: on the CPU what
#: its caches hold, on a GPU what keeps it busy.
BLOCK_NUMBERS = 2**18
GPU_BLOCK_NUMBERS = 2**25

#: Two measurements are at least so many steps apart.
LEAST_SPACING = 20

#: Where a member has few weights the steps of a compiled kernel are much faster than torch's
#: operations: they are at least so many steps, over the number of weights, apart.
WEIGHT_STEPS = 3200


def block_numbers(device: torch.device) -> int:
    """Largest number of numbers in a tensor of a measurement."""
    return BLOCK_NUMBERS if device.type == "cpu" else GPU_BLOCK_NUMBERS


class Probe:
    """Measures members as if their training ended here.

    `explained_variance` is pooled over the held-out samples and dimensions, 1 - SSE / SST in
    float64, at most 1; NaN where the samples do not vary. `dead` is the share of latents that were
    silent for more than `trainer.dead_after` steps of the training, in [0, 1]. `cosine_to_truth`
    is the mean over true features of the largest cosine with a decoder row, whether that latent is
    alive or not, in [-1, 1]; features without a direction are left out. All are NaN once a member
    is frozen, as its losses are.

    Args:
        members: the stack.
        scaling: of its inputs.
    """

    NAMES = ("explained_variance", "dead", "cosine_to_truth")

    def __init__(self, members: Sequence[Member], scaling: InputScaling) -> None:
        first = members[0]
        self._family = first.sae
        self._dead_after = first.trainer.dead_after
        self._scaling = scaling
        streams = list(dict.fromkeys(member.stream for member in members))
        position = {stream: i for i, stream in enumerate(streams)}
        self._stream_of = torch.tensor(
            [position[member.stream] for member in members], device=first.stream.device
        )
        held_out = [replace(stream, split="history").hidden(0, SAMPLES) for stream in streams]
        self._x = torch.stack(held_out)
        deviation = self._x.double() - self._x.double().mean(1, keepdim=True)
        self._variation = deviation.square().sum((1, 2))
        self._largest_world = max(len(stream.space.directions) for stream in streams)
        self._blocks = self._make_blocks(streams, first.sae.n_latents)

    def _make_blocks(self, streams: Sequence[Stream], n_latents: int) -> list[_Block]:
        """Few members at a time, whose worlds have equally many features."""
        sizes = torch.tensor([len(stream.space.directions) for stream in streams])
        size_of = sizes[self._stream_of.cpu()]
        numbers = SAMPLES * max(n_latents, self._x.shape[2])
        blocks = []
        for size in sizes.unique().tolist():
            alike = (sizes == size).nonzero().flatten().tolist()
            directions = torch.stack([streams[i].space.directions for i in alike])
            # NaN for a feature without a direction.
            features = directions / directions.norm(dim=-1, keepdim=True)
            place = torch.full((len(streams),), -1, device=self._x.device)
            place[alike] = torch.arange(len(alike), device=self._x.device)
            index = (size_of == size).nonzero().flatten().to(self._x.device)
            for part in index.split(max(1, block_numbers(self._x.device) // numbers)):
                blocks.append(_Block(part, features, place[self._stream_of[part]]))
        return blocks

    def spacing(self, batch_size: int) -> int:
        """Least number of steps between two measurements, so that they cost a small share."""
        weights = self._family.n_latents * self._x.shape[2]
        work = SAMPLES + self._largest_world
        return max(LEAST_SPACING, WEIGHT_STEPS // weights, LEAST_SPACING * work // (2 * batch_size))

    @torch.no_grad()
    def measure(self, state: StackState) -> dict[str, Tensor]:
        """Each of `NAMES`, `[M]`, float64, on the CPU."""
        values = torch.full((len(self.NAMES), len(state.frozen_at)), torch.nan, dtype=torch.float64)
        values = values.to(self._x.device)
        for block in self._blocks:
            values[0, block.rows], values[2, block.rows] = self._of_block(state, block)
        silent = state.silent_steps > self._dead_after
        values[1] = silent.double().mean(1)
        values.masked_fill_(state.frozen_at >= 0, torch.nan)
        return dict(zip(self.NAMES, values.cpu()))

    def _of_block(self, state: StackState, block: _Block) -> tuple[Tensor, Tensor]:
        """Explained variance and cosine to the truth of a block's members."""
        params = {name: p[block.rows] for name, p in state.params.items()}
        self._family.constrain_(params)
        stream_of = self._stream_of[block.rows]
        sae = self._scaling.finished(self._family, params, stream_of)
        x = self._x[stream_of]
        missed = (x - sae.reconstruct(x)).square().sum((1, 2), dtype=torch.float64)
        variation = self._variation[stream_of]
        explained = torch.where(variation > 0, 1 - missed / variation, torch.nan)
        return explained, _mean_largest_cosine(block.features, block.place, sae.decoder)


class _Block(NamedTuple):
    """Members that are measured together.

    Attributes:
        rows: their positions, `[b]`.
        features: unit features of some worlds, `[worlds, n_features, d]`.
        place: world of each of them among these, `[b]`.
    """

    rows: Tensor
    features: Tensor
    place: Tensor


def _mean_largest_cosine(features: Tensor, place: Tensor, decoder: Tensor) -> Tensor:
    """Mean over features of the largest cosine with rows of `decoder [b, m, d]`, `[b]`, float64.

    A zero row has cosine 0 with everything.
    """
    norms = decoder.norm(dim=-1, keepdim=True)
    rows = decoder / torch.where(norms > 0, norms, torch.ones_like(norms))
    at_once = max(1, block_numbers(rows.device) // (len(rows) * max(rows.shape[1:])))
    largest = [
        torch.matmul(part[place], rows.transpose(1, 2)).amax(-1)
        for part in features.split(at_once, dim=1)
    ]
    return torch.cat(largest, dim=1).double().nanmean(-1)
