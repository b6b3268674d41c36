"""Published worlds with SAEs to train in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from omegaconf import OmegaConf
from torch import Tensor

from toysae.cli import CONF
from toysae.config import build_generator
from toysae.draws import CPU
from toysae.generators.base import Generator
from toysae.hidden.orthonormal import Orthonormal
from toysae.hidden.stream import Stream
from toysae.metrics.uncertainty import Interval, seed_interval
from toysae.saes.base import SAE
from toysae.saes.trainable import TrainableFamily
from toysae.training.member import Member
from toysae.training.stack import train
from toysae.training.trainer import Trainer


def generator(preset: str, **fields: object) -> Generator:
    """The generator of a preset, with other values of some of its fields."""
    return build_generator(
        OmegaConf.merge(OmegaConf.load(CONF / f"generator/{preset}.yaml"), fields)
    )


def streams(world: Generator, seeds: int, *, d_hidden: int = 20) -> list[Stream]:
    """A stream for each seed, in a space of its own with orthonormal directions."""
    spaces = Orthonormal(d_hidden=d_hidden).spaces(world, list(range(seeds)), CPU)
    return [Stream(world, space, seed) for seed, space in enumerate(spaces)]


def trained(
    family: TrainableFamily, trainer: Trainer, data: Sequence[Stream], *, at_truth: bool = False
) -> SAE:
    """One SAE for each stream, in their order, from a random start or from the true directions."""
    members = [
        Member(family, trainer, stream, seed, stream.space.directions if at_truth else None)
        for seed, stream in enumerate(data)
    ]
    (stack,) = train(members, threads=1)
    assert stack.index == tuple(range(len(members)))
    assert (stack.frozen_at < 0).all()
    return stack.sae


def cosines(sae: SAE, data: Sequence[Stream]) -> Tensor:
    """Of decoder rows with the features of each stream, `[M, m, n_features]`."""
    features = torch.stack([stream.space.directions for stream in data])
    unit = [rows / rows.norm(dim=-1, keepdim=True) for rows in (sae.decoder, features)]
    return unit[0] @ unit[1].transpose(1, 2)


def unseen(data: Sequence[Stream], n: int = 4096) -> tuple[Tensor, Tensor]:
    """Which features fire, `[M, n, n_features]`, and the hidden activations, `[M, n, d]`."""
    drawn = [replace(stream, split="evaluation").samples(0, n) for stream in data]
    fires = torch.stack([coefficients.dense() > 0 for coefficients, _ in drawn])
    return fires, torch.stack([hidden for _, hidden in drawn])


def interval(of_seeds: Tensor) -> Interval:
    """95 % interval of the mean over seeds, the first axis; other axes are averaged before."""
    return seed_interval(of_seeds.double().reshape(len(of_seeds), -1).mean(1))
