"""The ReLU output model of "Toy Models of Superposition" (Elhage et al., 2022), trained.

    h = x W,   x' = ReLU(h W^T + b),   loss = mean I (x - x')^2

with `W [n_features, d]` and importance `I`; the hidden layer `h` is what SAEs are trained on.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least, check_positive
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.base import Generator
from toysae.generators.laws.profiles import Constant, Profile, numbers
from toysae.hidden.base import HiddenConfig, HiddenSpace
from toysae.hidden.cache import load_or_make, recipe
from toysae.hidden.readout import RectifiedReadout
from toysae.hidden.stream import BLOCK
from toysae.hidden.toy_model_training import CompiledSteps, Layout, Recipe, StackedSteps, Steps

# Restarts compete for this fraction of the steps (1 / 5), the best goes on alone.
_SELECTION = 5

# Weight of the newest batch in the running loss that restarts are compared by.
_LOSS_SMOOTHING = 0.05

#: Above this many weights, torch's matrix products win over the kernel's plain loops.
LARGEST_COMPILED = 512


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedToyModel(HiddenSpace):
    """Hidden space of a trained toy model; its readout is `x' = ReLU(h D^T + b)`.

    Directions are the rows of the encoder: what a feature adds to the hidden layer. They are not of
    norm 1. Where weights are not tied, the readout looks for features along other directions.

    Attributes:
        loss: mean squared error, weighted by importance, over the last batches of training.
    """

    loss: float

    @property
    def cosines(self) -> Tensor:
        """Cosine between every two feature directions, `[n_features, n_features]`."""
        unit = self.directions / self.directions.norm(dim=1, keepdim=True)
        return unit @ unit.T


@dataclass(frozen=True)
class ToyModel(HiddenConfig):
    """A ReLU output model, trained by AdamW on the generator's samples.

    Defaults are those of the published runs of Anders et al. (2024): tied weights,
    `W ~ U(-1/sqrt(n), 1/sqrt(n))`, AdamW with weight decay 0.01, 10,000 batches of 1,000.

    Trained models are kept on disk (`toysae.hidden.cache`), and loaded where all that determines
    them is the same.

    Attributes:
        d_hidden: width of the hidden layer, `>= 1`.
        steps: optimiser steps, `>= 1`.
        batch_size: samples a step, `>= 1`.
        lr: learning rate, `> 0`.
        weight_decay: decoupled weight decay, `>= 0`.
        restarts: initialisations a seed, on the same data. All are trained for a fifth of the
            steps and the one of least loss goes on, since some end in a local minimum. (The
            published code trained 5 instances to the end.)
        importance: weight of each feature's squared error, `>= 0`.
        tied: whether the readout's weights are those of the encoder; where not, they start from a
            draw of their own.
    """

    d_hidden: int = 2
    steps: int = 10_000
    batch_size: int = 1_000
    lr: float = 1e-3
    weight_decay: float = 0.01
    restarts: int = 3
    importance: Profile = Constant(1.0)
    tied: bool = True

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
        """One trained model a seed.

        Raises:
            ConfigError: an importance is negative, or their number is not that of the features.
        """
        layout = Layout(generator.n_features, self.d_hidden, self.tied)
        training = _Training(self, generator, layout, self._importance(layout), device)
        made_by = "kernel" if training.compiled else f"torch {torch.__version__}"
        recipes = [
            recipe(hidden=self, generator=generator, seed=seed, device=device.type, made_by=made_by)
            for seed in seeds
        ]
        models = load_or_make(
            "toy models", recipes, lambda missing: training.run([seeds[i] for i in missing])
        )
        return [_space(layout, model, device) for model in models]

    def _importance(self, layout: Layout) -> Tensor:
        importance = numbers("hidden.importance", self.importance, layout.n_features)
        if bool((importance < 0).any()):
            raise ConfigError(
                f"hidden.importance: found {float(importance.min()):.4g}; must be at least 0"
            )
        return importance.float()


@dataclass(frozen=True, eq=False)
class _Training:
    """The training of all seeds of one configuration."""

    config: ToyModel
    generator: Generator
    layout: Layout
    importance: Tensor
    device: torch.device

    @property
    def compiled(self) -> bool:
        """Whether the compiled kernel is what trains fastest."""
        weights = self.layout.n_features * self.layout.d_hidden
        return self.device.type == "cpu" and weights <= LARGEST_COMPILED

    def run(self, seeds: Sequence[int]) -> list[dict[str, Tensor]]:
        """Parameters and final loss of each seed."""
        if not self.compiled:
            return self._train(seeds, StackedSteps)
        with ThreadPoolExecutor(min(len(seeds), os.cpu_count() or 1)) as pool:
            return list(pool.map(lambda seed: self._train([seed], CompiledSteps)[0], seeds))

    def _train(self, seeds: Sequence[int], method: type[Steps]) -> list[dict[str, Tensor]]:
        config = self.config
        sources = [Draws(seed, ("hidden",), device=self.device) for seed in seeds]
        with_settings = Recipe(
            self.layout,
            self.importance.to(self.device),
            config.batch_size,
            config.lr,
            config.weight_decay,
        )
        parameters = torch.stack([self._initial(source) for source in sources])
        loss = parameters.new_zeros(parameters.shape[:2])
        steps = method(parameters, with_settings)
        for step, x in self._batches(sources):
            if step == config.steps // _SELECTION:
                best = torch.arange(len(seeds)), loss.argmin(1).cpu(), None
                steps, loss = method(steps.parameters[best], with_settings), loss[best]
            loss = _smooth(loss, steps.advance(x))
        return [
            {"parameters": model[0], "loss": final[0]}
            for model, final in zip(steps.parameters, loss)
        ]

    def _initial(self, draws: Draws) -> Tensor:
        """Initial parameters of all restarts of one seed, `[restarts, size]`."""
        layout = self.layout
        shape = (self.config.restarts, layout.n_features, layout.d_hidden)
        bound = 1 / math.sqrt(layout.n_features)
        parameters = torch.zeros(self.config.restarts, layout.size, device=draws.device)
        if not layout.tied:
            layout.decoder(parameters).copy_((2 * draws.uniform("decoder", shape) - 1) * bound)
        layout.encoder(parameters).copy_((2 * draws.uniform("weight", shape) - 1) * bound)
        return parameters

    def _batches(self, sources: Sequence[Draws]) -> Iterator[tuple[int, Tensor]]:
        """Stretches of steps, none across the selection of restarts.

        Yields:
            First step, and samples `[seeds, steps * batch_size, n_features]`, every seed from its
            own draws.
        """
        config = self.config
        size = config.batch_size
        per_block = max(1, BLOCK // size)
        for block, first in enumerate(range(0, config.steps, per_block)):
            values = torch.stack(
                [
                    self.generator.sample(
                        source.child("data").at_block(block), per_block * size
                    ).dense()
                    for source in sources
                ]
            )
            last = min(first + per_block, config.steps)
            selection = min(max(config.steps // _SELECTION, first), last)
            for a, b in pairwise(sorted({first, selection, last})):
                yield a, values[:, (a - first) * size : (b - first) * size]


def _smooth(loss: Tensor, batches: Tensor) -> Tensor:
    """Running loss `[seeds, restarts]` after more batches `[seeds, restarts, steps]`."""
    steps = batches.shape[-1]
    age = torch.arange(steps - 1, -1, -1, device=loss.device)
    weight = _LOSS_SMOOTHING * (1 - _LOSS_SMOOTHING) ** age
    return loss * (1 - _LOSS_SMOOTHING) ** steps + (batches * weight).sum(-1)


def _space(layout: Layout, model: dict[str, Tensor], device: torch.device) -> TrainedToyModel:
    parameters = model["parameters"].to(device)
    readout = RectifiedReadout(layout.decoder(parameters).T, layout.bias(parameters))
    return TrainedToyModel(
        directions=layout.encoder(parameters), readout=readout, loss=float(model["loss"])
    )
