from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from toysae.hidden.readout import Readout
from toysae.training import memory, stack
from toysae.training.kernels.blocked import Blocked

from .._stacks import GHOSTS, KERNELS, difference, identical, members, of_member, train


def trained(some, at_once, monkeypatch, threads=1):
    """By autograd, so many members at a time."""
    batch, n_latents = some[0].trainer.batch_size, some[0].sae.n_latents
    monkeypatch.setattr(memory, "CPU_LATENT_BYTES", 4 * batch * n_latents * at_once)
    return train(some, "reference", threads=threads)


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("at_once", [1, 2, 3, 6])
def test_blocks_change_no_result(at_once, silent, monkeypatch):
    some = members(7, d=4, trainer=GHOSTS, silent=silent)
    whole = trained(some, 7, monkeypatch)
    cut = trained(some, at_once, monkeypatch)
    for i in range(7):
        assert difference(of_member(cut, i), of_member(whole, i)) < 1e-5
    for name, values in whole.history.items():
        assert torch.allclose(cut.history[name], values, rtol=1e-4, atol=1e-6, equal_nan=True)


def test_threads_change_no_bit(monkeypatch):
    some = members(7, d=4)
    one, several = (trained(some, 2, monkeypatch, threads) for threads in (1, 3))
    assert identical(one.sae.params, several.sae.params)


def test_every_block_has_the_readouts_of_its_members(monkeypatch):
    """End to end, with a readout a stream that sees one coordinate only."""
    some = []
    for i, member in enumerate(members(6, d=4, streams=1)):
        seen = torch.eye(4)[:, i % 4 : i % 4 + 1]
        space = replace(member.stream.space, readout=Readout(seen, torch.zeros(1)))
        trainer = replace(member.trainer, objective="end_to_end")
        member = replace(member, stream=replace(member.stream, space=space), trainer=trainer)
        some.append(member)
    whole, cut = trained(some, 6, monkeypatch), trained(some, 2, monkeypatch)
    assert difference(cut.sae.params, whole.sae.params) < 1e-5


def test_only_autograd_in_large_stacks_goes_in_blocks(monkeypatch):
    made = []

    class Recorded(Blocked):
        def __init__(self, make, n_members, at_once, threads):
            made.append((n_members, at_once))
            super().__init__(make, n_members, at_once, threads)

    monkeypatch.setattr(stack, "Blocked", Recorded)
    monkeypatch.setattr(memory, "CPU_LATENT_BYTES", 4 * 32 * 4 * 3)
    for kernel in KERNELS:
        train(members(5), kernel)
        train(members(3), kernel)
    assert made == [(5, 3)]


def test_blocks_are_near_equal_and_cover_all():
    taken = []

    class Kernel:
        name = "counts"

        def __init__(self, rows):
            taken.append(rows)

    Blocked(Kernel, 10, 4, 1)
    assert taken == [slice(0, 3), slice(3, 6), slice(6, 10)]
