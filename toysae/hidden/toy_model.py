"""The ReLU output model of "Toy Models of Superposition" (Elhage et al., 2022), trained as a stack.

    h = x W,   x' = ReLU(h W^T + b),   loss = mean (x - x')^2

with tied `W [n_features, d]`; the hidden layer `h` is what SAEs are trained on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least, check_positive
from toysae.draws import Draws
from toysae.generators.base import Generator
from toysae.hidden.base import HiddenConfig, HiddenSpace
from toysae.hidden.stream import BLOCK


@dataclass(frozen=True, eq=False)
class TrainedToyModel(HiddenSpace):
    """Hidden space of a trained toy model.

    Attributes:
        bias: output bias, `[n_features]`.
        loss: mean squared error over the last batches of training.
    """

    bias: Tensor
    loss: float

    @property
    def cosines(self) -> Tensor:
        """Cosine between every two feature directions, `[n_features, n_features]`."""
        unit = self.directions / self.directions.norm(dim=1, keepdim=True)
        return unit @ unit.T


@dataclass(frozen=True)
class ToyModel(HiddenConfig):
    """A ReLU output model with tied weights, trained by AdamW on the generator's samples.

    Defaults are those of the published runs of Anders et al. (2024): `W ~ U(-1/sqrt(n), 1/sqrt(n))`,
    AdamW with weight decay 0.01, 10,000 batches of 1,000.

    Attributes:
        d_hidden: width of the hidden layer, `>= 1`.
        steps: optimiser steps, `>= 1`.
        batch_size: samples a step, `>= 1`.
        lr: learning rate, `> 0`.
        weight_decay: decoupled weight decay, `>= 0`.
    """

    d_hidden: int = 2
    steps: int = 10_000
    batch_size: int = 1_000
    lr: float = 1e-3
    weight_decay: float = 0.01

    name: ClassVar[str] = "toy_model"

    def __post_init__(self) -> None:
        check_at_least("hidden.d_hidden", self.d_hidden, 1)
        check_at_least("hidden.steps", self.steps, 1)
        check_at_least("hidden.batch_size", self.batch_size, 1)
        check_positive("hidden.lr", self.lr)
        check_at_least("hidden.weight_decay", self.weight_decay, 0)

    def spaces(
        self, generator: Generator, seeds: Sequence[int], device: torch.device
    ) -> list[HiddenSpace]:
        sources = [Draws(seed, ("hidden",), device=device) for seed in seeds]
        bound = 1 / math.sqrt(generator.n_features)
        shape = (generator.n_features, self.d_hidden)
        weight = torch.stack([(2 * s.uniform("weight", shape) - 1) * bound for s in sources])
        bias = torch.zeros(len(seeds), 1, generator.n_features, device=device)
        weight.requires_grad_()
        bias.requires_grad_()
        # AdamW acts element by element, so members of the stack do not see each other.
        optimizer = torch.optim.AdamW([weight, bias], lr=self.lr, weight_decay=self.weight_decay)
        losses = torch.zeros(len(seeds), device=device)
        tail = max(1, self.steps // 100)
        for step, x in enumerate(self._batches(generator, sources)):
            output = torch.relu(x @ weight @ weight.transpose(1, 2) + bias)
            loss = (output - x).square().mean((1, 2))
            optimizer.zero_grad()
            loss.sum().backward()
            optimizer.step()
            if step >= self.steps - tail:
                losses += loss.detach() / tail
        return [
            TrainedToyModel(weight[i].detach().clone(), bias[i, 0].detach().clone(), float(losses[i]))
            for i in range(len(seeds))
        ]

    def _batches(self, generator: Generator, sources: Sequence[Draws]):  # noqa: ANN202
        """Batches `[M, batch_size, n_features]`, every member from its own draws."""
        per_block = max(1, BLOCK // self.batch_size)
        for block in range(math.ceil(self.steps / per_block)):
            values = torch.stack(
                [
                    generator.sample(
                        s.child("data").at_block(block), per_block * self.batch_size
                    ).dense()
                    for s in sources
                ]
            )
            for i in range(min(per_block, self.steps - block * per_block)):
                yield values[:, i * self.batch_size : (i + 1) * self.batch_size]
