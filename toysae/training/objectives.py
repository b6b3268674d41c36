"""What reconstructions are for: the activations themselves, or what follows them.

Braun, Taylor, Goldowsky-Dill and Sharkey, "Identifying functionally important features with
end-to-end sparse dictionary learning" (2024, arXiv 2405.12241), in a hidden space with a readout.
Sums over outputs and dimensions (the published code: means), errors of single samples.

Two things stay as they are whatever the objective: the weight of a sample with
`sae.normalize_error`, one over the squared norm of its hidden activations; and an auxiliary loss of
the family's own (gated SAEs), which is about hidden activations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from toysae.errors import ConfigError
from toysae.hidden.base import HiddenSpace
from toysae.hidden.readout import Readout, stacked
from toysae.training.trainer import Trainer


class Objective(ABC):
    """The error of a reconstruction."""

    @abstractmethod
    def sample_error(self, x: Tensor, reconstruction: Tensor) -> Tensor:
        """Error of each sample, `[M, n]`, `>= 0`; 0 for a perfect reconstruction.

        Args:
            x: hidden activations `[M or 1, n, d]`: the truth.
            reconstruction: `[M, n, d]`.
        """


class Local(Objective):
    """`||x_hat - x||^2`."""

    def sample_error(self, x: Tensor, reconstruction: Tensor) -> Tensor:
        return _squared_distance(reconstruction, x)


@dataclass(frozen=True, eq=False)
class EndToEnd(Objective):
    """The error of the outputs: `||y_hat - y||^2`, or `KL(softmax(y) || softmax(y_hat))` in nats.

    Hidden directions that no output sees are free: they get no gradient.

    Attributes:
        readout: of all members, `toysae.hidden.readout.stacked`.
        output_error: `squared` or `kl`.
    """

    readout: Readout
    output_error: str

    def sample_error(self, x: Tensor, reconstruction: Tensor) -> Tensor:
        readout = self.readout.to(x.dtype)
        return self._output_error(readout(x), readout(reconstruction))

    def _output_error(self, truth: Tensor, output: Tensor) -> Tensor:
        if self.output_error == "squared":
            return _squared_distance(output, truth)
        truth, output = truth.log_softmax(-1), output.log_softmax(-1)
        return (truth.exp() * (truth - output)).sum(-1)


@dataclass(frozen=True, eq=False)
class EndToEndDownstream(EndToEnd):
    """The error of the outputs, and of every layer that leads to them.

        output error + downstream / K sum_{k = 1..K} ||a_hat_k - a_k||^2

    The layers `a_1, ..., a_K` are those of `Readout.layers`: they end with the outputs.

    Attributes:
        downstream: `>= 0`.
    """

    downstream: float

    def sample_error(self, x: Tensor, reconstruction: Tensor) -> Tensor:
        readout = self.readout.to(x.dtype)
        truth, made = readout.layers(x), readout.layers(reconstruction)
        distances = torch.stack([_squared_distance(a, b) for a, b in zip(made, truth)])
        return self._output_error(truth[-1], made[-1]) + self.downstream * distances.mean(0)


def build_objective(trainer: Trainer, spaces: Sequence[HiddenSpace]) -> Objective:
    """The objective of a stack whose members live in `spaces`.

    Raises:
        ConfigError: an end-to-end objective, and a space has no readout or one of another kind or
            size than the others.
    """
    if trainer.objective == "local":
        return Local()
    readout = _common_readout(trainer.objective, spaces)
    if trainer.objective == "end_to_end":
        return EndToEnd(readout, trainer.output_error)
    return EndToEndDownstream(readout, trainer.output_error, trainer.downstream)


def _common_readout(objective: str, spaces: Sequence[HiddenSpace]) -> Readout:
    readouts = [space.readout for space in spaces if space.readout is not None]
    if len(readouts) < len(spaces):
        raise ConfigError(
            f"trainer.objective = {objective!r}: the hidden space has no readout; use "
            "hidden=toy_model, or hidden.readout={name: linear, outputs: 4}"
        )
    kinds = {(type(r).__name__, tuple(r.weight.shape)) for r in readouts}
    if len(kinds) > 1:
        found = ", ".join(f"{name} {shape}" for name, shape in sorted(kinds))
        raise ConfigError(
            f"trainer.objective = {objective!r}: members of one stack have readouts of different "
            f"kind or size ({found}); group them by `Member.stack_key`"
        )
    return stacked(readouts)


def _squared_distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum(-1)
