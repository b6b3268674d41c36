"""Small members to train, and the kernels to train them with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from toysae.draws import CPU, Draws
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.base import HiddenSpace
from toysae.hidden.orthonormal import Orthonormal
from toysae.hidden.stream import Stream
from toysae.saes.base import Params
from toysae.saes.relu import ReLU
from toysae.training import stack
from toysae.training.kernels.choice import Kernel
from toysae.training.kernels.fused import FusedKernel
from toysae.training.kernels.reference import ReferenceKernel
from toysae.training.member import Member
from toysae.training.objectives import Objective
from toysae.training.stack import TrainedStack
from toysae.training.state import Chunk
from toysae.training.trainer import Trainer

KERNELS: dict[str, Callable[[Member, Objective, int], tuple[Kernel, str]]] = {
    "fused": lambda member, objective, threads: (
        FusedKernel(member.sae, member.trainer, threads),
        "",
    ),
    "reference": lambda member, objective, threads: (
        ReferenceKernel(member.sae, member.trainer, objective),
        "",
    ),
}

#: x1 = -x2 and y1 = -y2, on the axes of the plane.
PLANE = HiddenSpace(torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]]))

# Three features in three dimensions, and four in four.
THREE = ComposedSets(sizes=(2, 1))
CUBE = Orthonormal(d_hidden=3).spaces(THREE, [0], CPU)[0]
FOUR = Orthonormal(d_hidden=4).spaces(ComposedSets(), [0], CPU)[0]

TRAINER = Trainer(steps=50, batch_size=32, lr=3e-3, dead_window=10, history_points=100)
GHOSTS = replace(TRAINER, dead_latents="ghost", dead_window=5, ghost_cooldown=10)


def stream(d: int = 2, seed: int = 0) -> Stream:
    generator, space = {2: (ComposedSets(), PLANE), 3: (THREE, CUBE), 4: (ComposedSets(), FOUR)}[d]
    return Stream(generator, space, seed)


def silent_decoder(d: int, n_latents: int) -> Tensor:
    """Unit rows of which the first two never fire at first: they point away from every sample.

    Only in spaces where features do not cancel, `d = 3` and `4`; and with tied encoder rows. The
    others are no features: at the optimum gradients vanish, and Adam makes rounding errors large.
    """
    features = stream(d).space.directions
    away = -features.sum(0)
    others = Draws(0).normal("rows", (n_latents - 2, d)).abs() @ features[:d]
    rows = torch.cat([away[None], away[None] - 0.4 * features[:1], others])
    return rows / rows.norm(dim=1, keepdim=True)


def members(
    n: int,
    *,
    d: int = 2,
    n_latents: int = 4,
    trainer: Trainer = TRAINER,
    silent: bool = False,
    streams: int = 2,
    **family: bool | str,
) -> list[Member]:
    """Members that differ in seed, l1, lr, beta1 and stream."""
    start = silent_decoder(d, n_latents) if silent else None
    return [
        Member(
            ReLU(n_latents=n_latents, l1=0.02 * (i + 1), **family),
            replace(trainer, lr=trainer.lr * (1 + 0.5 * i), beta1=(0.9, 0.0)[i % 2]),
            stream(d, seed=i % streams),
            seed=10 + i,
            initial_decoder=start,
        )
        for i in range(n)
    ]


def train(
    members: Sequence[Member], kernel: str | None = None, *, threads: int = 1
) -> TrainedStack:
    """The one stack that all members are trained in, by a kernel of one's choice."""
    with pytest.MonkeyPatch.context() as patch:
        if kernel is not None:
            patch.setattr(stack, "choose_kernel", KERNELS[kernel])
        (trained,) = stack.train(members, threads=threads)
    return trained


def chunk_of(
    x: Tensor,
    *,
    members: int = 1,
    coefficient: float = 0.0,
    lr: float = 1e-3,
    beta1: float = 0.9,
    first_step: int = 0,
) -> Chunk:
    """A chunk of given batches `[streams, steps, batch, d]`; all members read the first stream."""
    steps = x.shape[1]
    each = torch.ones(members, dtype=torch.float64)
    every = each[:, None].expand(-1, steps).contiguous()
    return Chunk(
        x=x,
        stream_of=torch.zeros(members, dtype=torch.int64),
        lr=lr * every,
        encoder_share=every,
        coefficient=(coefficient * every).to(x.dtype),
        step=torch.arange(first_step, first_step + steps),
        progress=torch.zeros(steps),
        beta1=beta1 * each,
        beta2=0.999 * each,
        gradient_clip=(math.inf * each).to(x.dtype),
        target_l0=math.nan * each,
        orthogonality=(0 * each).to(x.dtype),
        frequency=(0 * each).to(x.dtype),
    )


def of_member(trained: TrainedStack, i: int) -> Params:
    """Parameters of the member that was given at position `i`."""
    return trained.sae.members([trained.index.index(i)]).params


def difference(a: Params, b: Params) -> float:
    """Largest difference of a parameter, over the largest parameter."""
    size = max(float(value.abs().max()) for value in b.values())
    return max(float((a[name] - b[name]).abs().max()) for name in a) / size


def identical(a: Params, b: Params) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)
