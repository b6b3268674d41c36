"""The decoder alone, at the end: without the penalty, so that it undoes shrinkage."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from toysae.errors import ConfigError
from toysae.generators.independent import Independent
from toysae.generators.laws.profiles import Constant
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import Stream
from toysae.saes.base import SAE
from toysae.saes.gated import Gated
from toysae.saes.lista import Lista
from toysae.saes.matching_pursuit import MatchingPursuit
from toysae.saes.relu import ReLU
from toysae.saes.tied import Tied
from toysae.saes.topk import TopK
from toysae.saes.trainable import TrainableFamily
from toysae.training.kernels.reference import ReferenceKernel
from toysae.training.member import Member
from toysae.training.stack import TrainedStack
from toysae.training.state import Chunk, StackState
from toysae.training.trainer import Trainer

from ._stacks import train

FEATURES = 4
WORLD = Independent(n_features=FEATURES, probability=Constant(0.2))
SPACE = HiddenSpace(torch.eye(FEATURES))
FREE = ReLU(n_latents=FEATURES, l1=0.3, unit_norm_decoder=False, penalty_by_decoder_norm=True)
PLAIN = Trainer(steps=600, batch_size=128, lr=1e-2, history_points=8)
TUNED = replace(PLAIN, finetune_fraction=0.25)


def member(family: TrainableFamily, trainer: Trainer, seed: int = 0) -> Member:
    return Member(family, trainer, Stream(WORLD, SPACE, seed), seed, torch.eye(FEATURES))


@cache
def trained(trainer: Trainer) -> TrainedStack:
    return train([member(FREE, trainer)], "reference")


@cache
def fresh() -> Tensor:
    return Stream(WORLD, SPACE, 0, split="evaluation").hidden(0, 8192)


def shrinkage(sae: SAE) -> Tensor:
    """Least-squares slope of reconstructions on the truth, `[M]`: 1 is none."""
    x = fresh()
    centred = x - x.mean(0)
    return (sae.reconstruct(x) * centred).sum((1, 2)) / (x * centred).sum()


def error(sae: SAE) -> Tensor:
    return (sae.reconstruct(fresh()) - fresh()).square().sum(-1).mean(-1)


@pytest.mark.parametrize(
    "family", [FREE, ReLU(n_latents=FEATURES), Gated(n_latents=FEATURES)], ids=lambda f: f.name
)
def test_encoder_keeps_its_bits_over_the_last_fraction(family, monkeypatch):
    """All but `W_dec` and `b_dec`: the state is looked at after every step."""
    trainer = replace(TUNED, steps=40, batch_size=64)
    seen: list[dict[str, Tensor]] = []
    step = ReferenceKernel.step

    def watched(self: ReferenceKernel, state: StackState, chunk: Chunk, t: int):
        out = step(self, state, chunk, t)
        seen.append({name: value.clone() for name, value in state.params.items()})
        return out

    monkeypatch.setattr(ReferenceKernel, "step", watched)
    train([member(family, trainer)], "reference")
    assert len(seen) == 40
    for name in seen[0]:
        changed = [not torch.equal(a[name], b[name]) for a, b in pairwise(seen)]
        if name in ("W_dec", "b_dec"):
            assert all(changed)
        else:
            # The first of the fine-tuning is step 30, with the parameters after step 29 before it.
            assert changed == [True] * 29 + [False] * 10, name


@pytest.mark.parametrize(
    "family",
    [
        Tied(n_latents=FEATURES),
        MatchingPursuit(n_latents=FEATURES),
        Lista(n_latents=FEATURES, k=1.0),
        TopK(n_latents=FEATURES, unit_norm_decoder=False, rescale_by_decoder_norm=True),
    ],
    ids=lambda f: f.name,
)
def test_encoder_that_follows_the_decoder_is_refused(family):
    """To train the decoder would train it too."""
    with pytest.raises(
        ConfigError, match=rf"^trainer.finetune_fraction = 0.25: must be 0 with {family.name} "
    ):
        member(family, TUNED)
    member(family, PLAIN)


def test_nothing_is_asked_of_the_penalty_there():
    history = trained(TUNED).history["penalty"][0]
    assert float(history[:6].min()) > 0
    assert history[6:].tolist() == [0, 0]


def test_l1_shrinkage_is_undone():
    """With l1 = 0.3 a feature is reconstructed too small; with the same encoder it need not be."""
    plain, tuned = trained(PLAIN).sae, trained(TUNED).sae
    before, after = float(shrinkage(plain)), float(shrinkage(tuned))
    assert before < 0.9
    assert abs(after - 1) < 0.5 * abs(before - 1)
    assert float(error(tuned)) < float(error(plain))


def test_error_does_not_rise():
    history = trained(TUNED).history["error"][0]
    assert float(history[6:].max()) < float(history[5])


def test_unit_rows_only_turn():
    sae = train([member(replace(FREE, unit_norm_decoder=True), TUNED)], "reference").sae
    torch.testing.assert_close(sae.decoder.norm(dim=-1), torch.ones(1, FEATURES))
    assert float(shrinkage(sae)) < 0.9


def test_fraction_may_differ_between_members():
    """And each is trained as alone."""
    some = [member(FREE, trainer, seed) for seed, trainer in enumerate((PLAIN, TUNED))]
    some = [replace(m, trainer=replace(m.trainer, steps=40)) for m in some]
    both = train(some, "reference").sae
    for i, one in enumerate(some):
        alone = train([one], "reference").sae.params
        for name, value in both.members([i]).params.items():
            assert torch.equal(value, alone[name])
