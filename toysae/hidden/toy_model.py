"""The ReLU output model of "Toy Models of Superposition" (Elhage et al., 2022), trained as a stack.

    h = x W,   x' = ReLU(h W^T + b),   loss = mean (x - x')^2

with tied `W [n_features, d]`; the hidden layer `h` is what SAEs are trained on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least, check_positive
from toysae.draws import Draws
from toysae.generators.base import Generator
from toysae.hidden.base import HiddenConfig, HiddenSpace
from toysae.hidden.stream import BLOCK

# Restarts compete for this fraction of the steps (1 / 5), the best goes on alone.
_SELECTION = 5

# Weight of the newest batch in the running loss that restarts are compared by.
_LOSS_SMOOTHING = 0.05


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

    Defaults are those of the published runs of Anders et al. (2024):
    `W ~ U(-1/sqrt(n), 1/sqrt(n))`, AdamW with weight decay 0.01, 10,000 batches of 1,000.

    Attributes:
        d_hidden: width of the hidden layer, `>= 1`.
        steps: optimiser steps, `>= 1`.
        batch_size: samples a step, `>= 1`.
        lr: learning rate, `> 0`.
        weight_decay: decoupled weight decay, `>= 0`.
        restarts: initialisations a seed, on the same data. All are trained for a fifth of the
            steps and the one of least loss goes on, since some end in a local minimum. (The
            published code trained 5 instances to the end.)
    """

    d_hidden: int = 2
    steps: int = 10_000
    batch_size: int = 1_000
    lr: float = 1e-3
    weight_decay: float = 0.01
    restarts: int = 3

    name: ClassVar[str] = "toy_model"

    def __post_init__(self) -> None:
        check_at_least("hidden.d_hidden", self.d_hidden, 1)
        check_at_least("hidden.steps", self.steps, 1)
        check_at_least("hidden.batch_size", self.batch_size, 1)
        check_positive("hidden.lr", self.lr)
        check_at_least("hidden.weight_decay", self.weight_decay, 0)
        check_at_least("hidden.restarts", self.restarts, 1)

    def spaces(
        self, generator: Generator, seeds: Sequence[int], device: torch.device
    ) -> list[HiddenSpace]:
        sources = [Draws(seed, ("hidden",), device=device) for seed in seeds]
        weight = torch.stack([self._initial(s, generator.n_features) for s in sources])
        bias = weight.new_zeros(len(seeds), self.restarts, 1, generator.n_features)
        stack = _Stack(weight, bias, weight.new_zeros(len(seeds), self.restarts), self)
        for step, x in enumerate(self._batches(generator, sources)):
            if step == self.steps // _SELECTION:
                stack = stack.best_restarts()
            stack.step(x)
        return stack.spaces()

    def _initial(self, draws: Draws, n_features: int) -> Tensor:
        """Initial weights of all restarts of one seed, `[restarts, n_features, d]`."""
        bound = 1 / math.sqrt(n_features)
        shape = (self.restarts, n_features, self.d_hidden)
        return (2 * draws.uniform("weight", shape) - 1) * bound

    def _batches(self, generator: Generator, sources: Sequence[Draws]) -> Iterator[Tensor]:
        """Batches `[seeds, batch_size, n_features]`, every seed from its own draws."""
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


class _Stack:
    """Toy models in training, `[seeds, restarts]`, and their running loss."""

    def __init__(self, weight: Tensor, bias: Tensor, loss: Tensor, config: ToyModel) -> None:
        self._config = config
        self._weight = weight.clone().requires_grad_()
        self._bias = bias.clone().requires_grad_()
        self._loss = loss
        # AdamW acts element by element, so members of the stack do not see each other.
        self._optimizer = torch.optim.AdamW(
            [self._weight, self._bias], lr=config.lr, weight_decay=config.weight_decay
        )

    def step(self, x: Tensor) -> None:
        """One optimiser step on batches `[seeds, batch, n_features]`, shared by restarts."""
        x = x[:, None]
        output = torch.relu(x @ self._weight @ self._weight.transpose(2, 3) + self._bias)
        loss = (output - x).square().mean((2, 3))
        self._optimizer.zero_grad()
        loss.sum().backward()
        self._optimizer.step()
        self._loss = torch.lerp(self._loss, loss.detach(), _LOSS_SMOOTHING)

    def best_restarts(self) -> _Stack:
        """The restart of least loss of each seed, with a fresh optimiser."""
        seeds, kept = torch.arange(len(self._loss)), self._loss.argmin(1)
        weight, bias, loss = (
            value.detach()[seeds, kept, None] for value in (self._weight, self._bias, self._loss)
        )
        return _Stack(weight, bias, loss, self._config)

    def spaces(self) -> list[HiddenSpace]:
        """The trained models of the first restart, one a seed."""
        return [
            TrainedToyModel(weight[0].detach().clone(), bias[0, 0].detach().clone(), float(loss[0]))
            for weight, bias, loss in zip(self._weight, self._bias, self._loss)
        ]
