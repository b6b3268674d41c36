"""What follows the hidden layer, and sees an SAE's reconstruction in its place.

An SAE that is trained end to end lowers the error of the outputs `y = act(h A + b)` and not that of
`h` (Braun et al., 2024, arXiv 2405.12241). Directions that no output sees are free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_at_least
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.hidden.haar import frame


@dataclass(frozen=True, eq=False)
class Readout:
    """A linear readout, `y = h A + b`; differentiable.

    The readouts of `M` hidden spaces can be one (`stacked`): then weights are
    `[M, d, n_outputs]`, biases `[M, 1, n_outputs]`, and hidden activations `[M, n, d]`.

    Attributes:
        weight: `A`, `[d, n_outputs]`.
        bias: `b`, `[n_outputs]`.
    """

    weight: Tensor
    bias: Tensor

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        return self.weight.shape[-1]

    def to(self, where: torch.device | torch.dtype) -> Readout:
        """The same on another device or in another precision."""
        return type(self)(self.weight.to(where), self.bias.to(where))

    def __call__(self, hidden: Tensor) -> Tensor:
        """Outputs `[..., n_outputs]` of hidden activations `[..., d]`."""
        return self.layers(hidden)[-1]

    def layers(self, hidden: Tensor) -> tuple[Tensor, ...]:
        """All that follows the hidden layer, in order, each `[..., n_outputs]`; last the outputs.

        Here the outputs alone.
        """
        return (hidden @ self.weight + self.bias,)


@dataclass(frozen=True, eq=False)
class RectifiedReadout(Readout):
    """A readout that is cut off at 0, `y = ReLU(h A + b)`; its layers are `h A + b` and `y`."""

    def layers(self, hidden: Tensor) -> tuple[Tensor, ...]:
        before = hidden @ self.weight + self.bias
        return before, torch.relu(before)


def stacked(readouts: Sequence[Readout]) -> Readout:
    """Readouts of one kind and size as one, for hidden activations `[M, n, d]`."""
    return type(readouts[0])(
        torch.stack([readout.weight for readout in readouts]),
        torch.stack([readout.bias for readout in readouts])[:, None, :],
    )


@dataclass(frozen=True)
class ReadoutConfig:
    """A random linear readout of a given rank, without bias.

    All singular values of `A` that are not 0 are 1: the readout sees `rank` directions of the
    hidden space, all equally well, and is blind to the `d - rank` others. So at `rank = d` the
    squared error of the outputs is that of the hidden activations.

    Attributes:
        outputs: number of outputs, `>= 1`.
        rank: number of hidden directions that are seen, from 1 to `min(d_hidden, outputs)`; null is
            that minimum.
    """

    outputs: int = 4
    rank: int | None = None

    name: ClassVar[str] = "linear"

    def __post_init__(self) -> None:
        check_at_least("linear.outputs", self.outputs, 1)
        if self.rank is not None:
            check_at_least("linear.rank", self.rank, 1)

    def resolved_rank(self, d_hidden: int) -> int:
        """Rank in a hidden space of `d_hidden` dimensions.

        Raises:
            ConfigError: more than that space or the outputs have room for.
        """
        most = min(d_hidden, self.outputs)
        if self.rank is not None and self.rank > most:
            raise ConfigError(
                f"hidden.readout.rank = {self.rank}: must be at most {most}, the smaller of "
                f"d_hidden = {d_hidden} and outputs = {self.outputs}"
            )
        return self.rank or most

    def readout(self, d_hidden: int, draws: Draws) -> Readout:
        """The readout of one hidden space."""
        rank = self.resolved_rank(d_hidden)
        seen = frame(draws, "readout_seen", rank, d_hidden)
        shown = frame(draws, "readout_shown", rank, self.outputs)
        return Readout(seen.T @ shown, shown.new_zeros(self.outputs))
