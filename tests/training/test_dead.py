"""Latents that are dead at the start, under every treatment of dead latents."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from toysae.saes.relu import ReLU
from toysae.training.member import Member
from toysae.training.trainer import Trainer

from ._stacks import identical, of_member, silent_decoder, stream, train

#: As many latents as features, the first two of which point away from every sample: they are
#: missed, so that there is something to revive them for.
D, LATENTS = 4, 4
NONE = Trainer(steps=400, batch_size=64, lr=1e-2, dead_window=20)
TREATMENTS = {
    "ghost": replace(NONE, dead_latents="ghost", ghost_cooldown=50),
    "resample": replace(NONE, dead_latents="resample", resample_every=100),
    "auxiliary": replace(NONE, dead_latents="auxiliary"),
}


def members(trainer: Trainer, n: int = 8) -> list[Member]:
    start = silent_decoder(D, LATENTS)
    return [
        Member(ReLU(n_latents=LATENTS, l1=0.02), trainer, stream(D, seed), seed, start)
        for seed in range(n)
    ]


def fires(trainer: Trainer, kernel: str | None) -> Tensor:
    """Whether each latent ever fires on fresh samples, `[M, m]`."""
    some = members(trainer)
    sae = train(some, kernel).sae
    fresh = replace(some[0].stream, split="evaluation").hidden(0, 4096)
    return (sae.encode(fresh) > trainer.fire_threshold).any(1)


@pytest.fixture(params=["reference", None], ids=["reference", "chosen"])
def kernel(request) -> str | None:
    """The definition, and whichever kernel the trainer would choose."""
    return request.param


def test_without_treatment_they_stay_dead(kernel):
    alive = fires(NONE, kernel)
    assert not alive[:, :2].any()
    assert bool(alive[:, 2:].all())


@pytest.mark.parametrize("name", TREATMENTS)
def test_treatment_revives_them(name, kernel):
    """14 of 16 at least: a latent that starts anew on a sample of another's may die again."""
    alive = fires(TREATMENTS[name], kernel)
    assert int(alive[:, :2].sum()) >= 14
    assert bool(alive[:, 2:].all())


@pytest.mark.parametrize("name", TREATMENTS)
def test_treatment_is_the_same_alone_and_in_company(name):
    trainer = replace(TREATMENTS[name], steps=120, resample_every=60)
    some = members(trainer, 4)
    together = train(some, "reference")
    for i in (0, 3):
        alone = train(some[i : i + 1], "reference")
        assert identical(of_member(together, i), of_member(alone, 0))


def test_resampling_touches_nothing_where_nothing_is_dead():
    """A stack without dead latents trains as if it were never looked at."""
    start = torch.nn.functional.normalize(stream(D).space.directions, dim=1)
    trained = [
        train(
            [Member(ReLU(n_latents=4, l1=0.02), trainer, stream(D), 0, start)], "reference"
        ).sae.params
        for trainer in (replace(NONE, steps=200), replace(TREATMENTS["resample"], steps=200))
    ]
    assert identical(*trained)
