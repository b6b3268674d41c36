"""Data and schedules of consecutive steps, for all members of a stack."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from threading import Lock

import torch
from torch import Tensor

from toysae.hidden.stream import BLOCK, Stream
from toysae.training.member import Member
from toysae.training.scaling import InputScaling
from toysae.training.state import Chunk

#: Data of one chunk of steps stays below this many numbers, so that it does not leave the cache
#: hierarchy between members (measured best between 2^20 and 2^24).
CHUNK_NUMBERS = 2**22

#: Where one batch alone leaves a core's own cache, a chunk may have more: what it costs to begin
#: and to end one is shared by more steps.
LARGE_BATCH_NUMBERS = 2**19
LONG_CHUNK_NUMBERS = 2**24

#: Chunks whose data are drawn while one is trained, so that no core waits for another.
CHUNKS_AHEAD = 3

#: A chunk has at most about this many member-steps, so that progress and Ctrl-C are prompt.
CHUNK_MEMBER_STEPS = 2**15

#: The same on a GPU, which has no such caches, makes more member-steps a second, and waits while a
#: chunk begins and ends. Chosen for a second or so and 128 MB a chunk, not measured.
GPU_CHUNK_NUMBERS = 2**25
GPU_CHUNKS_AHEAD = 1
GPU_CHUNK_MEMBER_STEPS = 2**18
GPU_CHUNK_STEPS = 1024


def chunks_ahead(device: torch.device) -> int:
    """Number of chunks whose data are drawn while one is trained."""
    return CHUNKS_AHEAD if device.type == "cpu" else GPU_CHUNKS_AHEAD


def longest_chunk(
    n_members: int, n_streams: int, batch_size: int, d_hidden: int, device: torch.device
) -> int:
    """Number of steps that a chunk of such a stack has at most, at least 1."""
    batch_numbers = batch_size * d_hidden
    if device.type != "cpu":
        room = GPU_CHUNK_NUMBERS // (n_streams * batch_numbers)
        return max(1, min(room, GPU_CHUNK_MEMBER_STEPS // n_members, GPU_CHUNK_STEPS))
    limit = CHUNK_NUMBERS if batch_numbers < LARGE_BATCH_NUMBERS else LONG_CHUNK_NUMBERS
    return max(1, min(limit // (n_streams * batch_numbers), CHUNK_MEMBER_STEPS // n_members))


class _Reader:
    """Reads a stream block by block; a block that is read in pieces is drawn once.

    Attributes:
        lock: held by who reads.
    """

    def __init__(self, stream: Stream) -> None:
        self.lock = Lock()
        self._stream = stream
        self._kept: tuple[int, Tensor] | None = None

    def pieces(self, first: int, n: int) -> Iterator[Tensor]:
        """Hidden activations of samples `first` to `first + n`, a few at a time, `[., d]`."""
        end = first + n
        for start in range(first - first % BLOCK, end, BLOCK):
            if self._kept is None or self._kept[0] != start:
                self._kept = start, self._stream.hidden(start, BLOCK)
            yield self._kept[1][max(first - start, 0) : end - start]


class _Schedules:
    """What changes from step to step, for all members of a stack.

    Members of a sweep have few different schedules: each is worked out once, for all steps.
    """

    def __init__(self, members: Sequence[Member], device: torch.device) -> None:
        distinct: dict[tuple[object, ...], int] = {}
        trainers = []
        which = []
        for member in members:
            key = member.trainer.schedule
            if key not in distinct:
                distinct[key] = len(distinct)
                trainers.append(member.trainer)
            which.append(distinct[key])
        self._which = torch.tensor(which, device=device)
        self._lr = torch.stack([t.lr_factor(0, t.steps) for t in trainers]).to(device)
        self._share = torch.stack([t.encoder_share(0, t.steps) for t in trainers]).to(device)
        self._coefficient = torch.stack([t.coefficient_factor(0, t.steps) for t in trainers]).to(
            device
        )
        self._peak_lr = torch.tensor(
            [m.trainer.lr for m in members], dtype=torch.float64, device=device
        )[:, None]
        self._full_coefficient = torch.tensor(
            [m.sae.coefficient for m in members], dtype=torch.float64, device=device
        )[:, None]

    def at(self, steps: slice) -> dict[str, Tensor]:
        """Learning rates, shares of the encoder and coefficients of some steps, each `[M, .]`."""
        return {
            "lr": self._peak_lr * self._lr[self._which, steps],
            "encoder_share": self._share[self._which, steps],
            "coefficient": (self._full_coefficient * self._coefficient[self._which, steps]).float(),
        }


@dataclass(frozen=True)
class _Drawing:
    """Samples that are being drawn.

    Attributes:
        x: `[streams, steps, batch, d]`, in memory batch last.
        tasks: write them.
    """

    x: Tensor
    tasks: list[Future[None]]

    def wait(self) -> Tensor:
        """The samples, once they are there."""
        for task in self.tasks:
            task.result()
        return self.x


class Chunks:
    """Makes the chunks of one stack."""

    def __init__(self, members: Sequence[Member], scaling: InputScaling, pool: Executor) -> None:
        self._members = members
        self._scaling = scaling
        self._pool = pool
        self._device = members[0].stream.device
        self._batch, self._steps = members[0].trainer.batch_size, members[0].trainer.steps
        self._d_hidden = members[0].stream.space.d_hidden
        self.streams: dict[Stream, int] = {}
        self.stream_of = torch.tensor(
            [self.streams.setdefault(m.stream, len(self.streams)) for m in members],
            device=self._device,
        )
        self._readers = [_Reader(stream) for stream in self.streams]
        self._ahead: dict[tuple[int, int], _Drawing] = {}
        self._schedules = _Schedules(members, self._device)
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
        return longest_chunk(
            len(self._members), len(self.streams), self._batch, self._d_hidden, self._device
        )

    def prepare(self, step: int, n_steps: int) -> None:
        """Begin to draw the data of these steps, while earlier ones are trained."""
        if (step, n_steps) not in self._ahead:
            self._ahead[step, n_steps] = self._begin(step * self._batch, n_steps)

    def wait(self) -> None:
        """Until all that was begun is drawn."""
        for drawing in self._ahead.values():
            drawing.wait()

    def chunk(self, step: int, n_steps: int) -> Chunk:
        """Steps `step` to `step + n_steps`."""
        self.prepare(step, n_steps)
        x = self._ahead.pop((step, n_steps)).wait()
        steps = torch.arange(step, step + n_steps, device=self._device)
        return Chunk(
            x=x,
            stream_of=self.stream_of,
            **self._schedules.at(slice(step, step + n_steps)),
            step=steps,
            progress=(steps.double() / self._steps).float(),
            **self._constant,
        )

    def _begin(self, first: int, n_steps: int) -> _Drawing:
        """Draw scaled samples from `first` on, each stream in a task of its own.

        On a GPU threads share the device's default stream unless they choose another, which none
        does: what a task has asked for is done before what its end lets others ask for.
        """
        shape = (len(self.streams), self._d_hidden, n_steps * self._batch)
        x = torch.empty(shape, device=self._device)

        def draw(index: int) -> None:
            at, reader = 0, self._readers[index]
            with reader.lock:
                for piece in reader.pieces(first, shape[2]):
                    x[index, :, at : at + len(piece)] = self._scaling.scale(index, piece).T
                    at += len(piece)

        tasks = [self._pool.submit(draw, index) for index in range(len(self.streams))]
        return _Drawing(x.view(*shape[:2], n_steps, self._batch).permute(0, 2, 3, 1), tasks)

    def _per_member(self, values: Sequence[float], dtype: torch.dtype) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=self._device)
