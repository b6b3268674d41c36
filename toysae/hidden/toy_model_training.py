"""How toy models are trained: the loss, and two ways to take steps that lower it.

    h = x E,   x' = ReLU(h D^T + b),   loss = mean over samples and features of I (x - x')^2

with encoder `E` and decoder `D`, `[n_features, d]` each; tied models have `D = E`. `mean_error` is
the definition, and tests hold the gradients of both ways equal to what autograd makes of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Where the parameters of a toy model lie in one flat vector.

    Encoder, then the decoder unless it is tied, then the bias.

    Attributes:
        n_features, d_hidden: shape.
        tied: whether the decoder is the encoder.
    """

    n_features: int
    d_hidden: int
    tied: bool = True

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.decoder_at + (self.d_hidden + 1) * self.n_features

    @property
    def decoder_at(self) -> int:
        """Where the decoder begins."""
        return 0 if self.tied else self.n_features * self.d_hidden

    def encoder(self, parameters: Tensor) -> Tensor:
        """View of `[..., size]` as `[..., n_features, d]`."""
        return self._matrix(parameters, 0)

    def decoder(self, parameters: Tensor) -> Tensor:
        """View of `[..., size]` as `[..., n_features, d]`."""
        return self._matrix(parameters, self.decoder_at)

    def bias(self, parameters: Tensor) -> Tensor:
        """View of `[..., size]` as `[..., n_features]`."""
        return parameters[..., -self.n_features :]

    def _matrix(self, parameters: Tensor, at: int) -> Tensor:
        shape = (self.n_features, self.d_hidden)
        return parameters[..., at : at + shape[0] * shape[1]].unflatten(-1, shape)


@dataclass(frozen=True, eq=False)
class Recipe:
    """What steps are taken with.

    Attributes:
        layout: of the parameters.
        importance: weight of each feature's squared error, `[n_features]`, float32.
        batch_size: samples a step.
        lr, weight_decay: of AdamW.
    """

    layout: Layout
    importance: Tensor
    batch_size: int
    lr: float
    weight_decay: float


def mean_error(parameters: Tensor, layout: Layout, importance: Tensor, x: Tensor) -> Tensor:
    """The loss.

    Args:
        parameters: `[..., size]`.
        layout: of the parameters.
        importance: `[n_features]`.
        x: coefficients, `[..., batch, n_features]`.

    Returns:
        `[...]`.
    """
    hidden = x @ layout.encoder(parameters)
    before = hidden @ layout.decoder(parameters).mT + layout.bias(parameters)[..., None, :]
    return (importance * (torch.relu(before) - x).square()).mean((-2, -1))


class Steps(ABC):
    """A stack of toy models in training, `[seeds, restarts]`; restarts of a seed share its data.

    Attributes:
        parameters: `[seeds, restarts, size]`.
    """

    def __init__(self, parameters: Tensor, recipe: Recipe) -> None:
        self.parameters = parameters.clone()
        self._recipe = recipe

    @abstractmethod
    def advance(self, x: Tensor) -> Tensor:
        """One AdamW step on every batch.

        Args:
            x: batches one after another, `[seeds, steps * batch_size, n_features]`.

        Returns:
            Loss of each batch before its step, `[seeds, restarts, steps]`.
        """


class CompiledSteps(Steps):
    """One model after another through `toy_model_kernel`: for small models on the CPU.

    A model's numbers do not depend on its company.
    """

    def __init__(self, parameters: Tensor, recipe: Recipe) -> None:
        super().__init__(parameters, recipe)
        self._first = torch.zeros_like(self.parameters)
        self._second = torch.zeros_like(self.parameters)
        self._done = 0

    def advance(self, x: Tensor) -> Tensor:
        from toysae.hidden.toy_model_kernel import train_batches  # Numba is slow to import

        recipe = self._recipe
        seeds, restarts, _ = self.parameters.shape
        steps = x.shape[1] // recipe.batch_size
        loss = np.empty((seeds, restarts, steps), np.float32)
        for seed, restart in np.ndindex(seeds, restarts):
            train_batches(
                x[seed].contiguous().numpy(),
                recipe.batch_size,
                self.parameters[seed, restart].numpy(),
                self._first[seed, restart].numpy(),
                self._second[seed, restart].numpy(),
                recipe.layout.decoder_at,
                recipe.importance.numpy(),
                self._done,
                recipe.lr,
                recipe.weight_decay,
                loss[seed, restart],
            )
        self._done += steps
        return torch.from_numpy(loss)


class StackedSteps(Steps):
    """All models at once as torch operations, on any device.

    AdamW acts element by element, so models of a stack do not see each other.
    """

    def __init__(self, parameters: Tensor, recipe: Recipe) -> None:
        super().__init__(parameters, recipe)
        self._optimizer = torch.optim.AdamW(
            [self.parameters], lr=recipe.lr, weight_decay=recipe.weight_decay
        )

    def advance(self, x: Tensor) -> Tensor:
        return torch.stack(
            [self._step(batch[:, None]) for batch in x.split(self._recipe.batch_size, dim=1)], -1
        )

    def _step(self, x: Tensor) -> Tensor:
        """One step on `[seeds, 1, batch, n_features]`, with the gradient in closed form."""
        layout = self._recipe.layout
        encoder, decoder = layout.encoder(self.parameters), layout.decoder(self.parameters)
        hidden = x @ encoder
        before = hidden @ decoder.mT + layout.bias(self.parameters)[..., None, :]
        error = torch.relu(before) - x
        weighted = self._recipe.importance * error
        loss = (weighted * error).mean((-2, -1))
        by_output = weighted * (before > 0) * (2 / x[0, 0].numel())
        gradient = torch.zeros_like(self.parameters)
        layout.bias(gradient).add_(by_output.sum(-2))
        layout.encoder(gradient).add_(x.mT @ (by_output @ decoder))
        layout.decoder(gradient).add_(by_output.mT @ hidden)
        self.parameters.grad = gradient
        self._optimizer.step()
        return loss
