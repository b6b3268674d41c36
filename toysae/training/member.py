"""What is trained: one SAE with its data stream and its hyper-parameters."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields

from torch import Tensor

from toysae.hidden.stream import Stream
from toysae.saes.trainable import TrainableFamily
from toysae.training.compatibility import check_together
from toysae.training.trainer import Trainer


@dataclass(frozen=True, eq=False)
class Member:
    """One SAE to be trained.

    Attributes:
        sae: family and its hyper-parameters.
        trainer: how it is optimised.
        stream: its data.
        seed: seed of its initialisation.
        initial_decoder: start here instead of at random, `[n_latents, d]`.
    """

    sae: TrainableFamily
    trainer: Trainer
    stream: Stream
    seed: int
    initial_decoder: Tensor | None = None

    def __post_init__(self) -> None:
        check_together(self.sae, self.trainer, self.stream.space.d_hidden)

    def stack_key(self) -> Hashable:
        """Members with equal keys are trained as one tensor program."""
        return (
            type(self.sae),
            _shared_fields(self.sae),
            _shared_fields(self.trainer),
            self.sae.has_orthogonality,
            self.sae.has_frequency,
            self.stream.space.d_hidden,
            self.stream.device,
            self._readout_kind(),
        )

    def _readout_kind(self) -> Hashable:
        """Kind and size of the readout that the objective sees; None where it sees none."""
        readout = self.stream.space.readout
        if self.trainer.objective == "local" or readout is None:
            return None
        return type(readout), tuple(readout.weight.shape)


def _shared_fields(config: TrainableFamily | Trainer) -> tuple[tuple[str, object], ...]:
    return tuple(
        (f.name, getattr(config, f.name))
        for f in fields(config)
        if f.name not in config.member_fields
    )


def group_into_stacks(members: Sequence[Member]) -> list[list[int]]:
    """Indices of members that can be trained together, in order of first appearance."""
    stacks: dict[Hashable, list[int]] = {}
    for index, member in enumerate(members):
        stacks.setdefault(member.stack_key(), []).append(index)
    return list(stacks.values())
