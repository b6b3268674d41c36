"""Data and schedules of consecutive steps, for all members of a stack."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor

import torch
from torch import Tensor

from toysae.hidden.stream import BLOCK, Stream
from toysae.training.member import Member
from toysae.training.scaling import InputScaling
from toysae.training.state import Chunk

#: Data of one chunk of steps stays below this many numbers, so that it does not leave the cache
#: hierarchy between members (measured best between 2^20 and 2^24).
CHUNK_NUMBERS = 2**22

#: A chunk has at most about this many member-steps, so that progress and Ctrl-C are prompt.
CHUNK_MEMBER_STEPS = 2**15


class _Reader:
    """Reads a stream from front to back; a block that is read in pieces is drawn once."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._start = 0
        self._kept: Tensor | None = None

    def read(self, first: int, n: int) -> Tensor:
        """Hidden activations of samples `first` to `first + n`, `[n, d]`."""
        end = first + n
        block = first - first % BLOCK
        ends_at = -(-end // BLOCK) * BLOCK
        if self._kept is None or not self._start <= first < self._start + BLOCK:
            samples = self._stream.hidden(block, ends_at - block)
        elif end <= self._start + BLOCK:
            return self._kept[first - self._start : end - self._start]
        else:
            more = self._stream.hidden(block + BLOCK, ends_at - block - BLOCK)
            samples = torch.cat([self._kept, more])
        self._start, self._kept = ends_at - BLOCK, samples[-BLOCK:].clone()
        return samples[first - block : end - block]


class Chunks:
    """Makes the chunks of one stack."""

    def __init__(self, members: Sequence[Member], scaling: InputScaling, pool: Executor) -> None:
        self._members = members
        self._scaling = scaling
        self._pool = pool
        self._device = members[0].stream.device
        self._batch = members[0].trainer.batch_size
        self._d_hidden = members[0].stream.space.d_hidden
        self.streams: dict[Stream, int] = {}
        self.stream_of = torch.tensor(
            [self.streams.setdefault(m.stream, len(self.streams)) for m in members],
            device=self._device,
        )
        self._readers = [_Reader(stream) for stream in self.streams]
        self._constant = {
            "beta1": self._per_member([m.trainer.beta1 for m in members], torch.float64),
            "beta2": self._per_member([m.trainer.beta2 for m in members], torch.float64),
            "gradient_clip": self._per_member(
                [m.trainer.gradient_clip or math.inf for m in members], torch.float32
            ),
            "target_l0": self._per_member(
                [m.trainer.target_l0 or math.nan for m in members], torch.float64
            ),
            "orthogonality": self._per_member(
                [m.sae.orthogonality_penalty for m in members], torch.float32
            ),
            "frequency": self._per_member(
                [m.sae.frequency_penalty for m in members], torch.float32
            ),
        }

    @property
    def longest(self) -> int:
        """Number of steps that a chunk has at most."""
        numbers = len(self.streams) * self._batch * self._d_hidden
        return max(1, min(CHUNK_NUMBERS // numbers, CHUNK_MEMBER_STEPS // len(self._members)))

    def chunk(self, step: int, n_steps: int) -> Chunk:
        """Steps `step` to `step + n_steps`."""
        trainers = [m.trainer for m in self._members]
        lr = [t.lr * t.lr_factor(step, n_steps) for t in trainers]
        coefficient = [
            m.sae.coefficient * m.trainer.coefficient_factor(step, n_steps) for m in self._members
        ]
        steps = torch.arange(step, step + n_steps, device=self._device)
        return Chunk(
            x=self._draw(step * self._batch, n_steps),
            stream_of=self.stream_of,
            lr=torch.stack(lr).to(self._device),
            encoder_share=torch.stack([t.encoder_share(step, n_steps) for t in trainers]).to(
                self._device
            ),
            coefficient=torch.stack(coefficient).float().to(self._device),
            step=steps,
            progress=(steps.double() / trainers[0].steps).float(),
            **self._constant,
        )

    def _draw(self, first: int, n_steps: int) -> Tensor:
        """Scaled samples from `first` on, `[streams, steps, batch, d]`, in memory batch last."""
        shape = (len(self.streams), self._d_hidden, n_steps, self._batch)
        x = torch.empty(shape, device=self._device)

        def draw(stream: Stream) -> None:
            index = self.streams[stream]
            samples = self._readers[index].read(first, n_steps * self._batch)
            x[index].copy_(self._scaling.scale(index, samples).T.reshape(shape[1:]))

        list(self._pool.map(draw, self.streams))
        return x.permute(0, 2, 3, 1)

    def _per_member(self, values: Sequence[float], dtype: torch.dtype) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=self._device)
