"""What `train` yields: stacks, their history, and SAEs that learned."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from toysae.draws import CPU
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.stream import BLOCK, Stream
from toysae.saes.base import SAE
from toysae.saes.relu import ReLU
from toysae.training import chunks, stack
from toysae.training.history import History
from toysae.training.initial import initial_params
from toysae.training.member import Member
from toysae.training.trainer import Trainer

from ._stacks import KERNELS, PLANE, TRAINER, identical, members, of_member, train

DIAGONALS = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]]) / 2**0.5


@pytest.mark.parametrize("kernel", KERNELS)
class TestHistory:
    def test_starts_with_the_loss_of_the_initial_sae(self, kernel):
        some = members(2, normalize_error=True)
        trained = train(some, kernel)
        assert trained.history_steps.tolist() == list(range(1, 51))
        for i, member in enumerate(some):
            x = member.stream.hidden(0, 32)
            sae = SAE(member.sae, initial_params([member], CPU))
            latents, reconstructions = (part[0] for part in sae.apply(x))
            error = ((reconstructions - x).square().sum(1) / x.square().sum(1)).mean()
            assert float(trained.history["error"][i, 0]) == pytest.approx(float(error), rel=1e-4)
            penalty = member.sae.l1 * float(latents.sum(1).mean())
            assert float(trained.history["penalty"][i, 0]) == pytest.approx(penalty, rel=1e-4)

    @pytest.mark.parametrize("steps", [1, 99, 100, 101, 250])
    @pytest.mark.parametrize("numbers", [1, 64 * 37, 10**6])
    def test_points_are_means_over_stretches_of_steps(self, kernel, steps, numbers, monkeypatch):
        trainer = replace(TRAINER, steps=steps, batch_size=4)
        one = members(1, trainer=trainer)
        every = train(
            [replace(m, trainer=replace(trainer, history_points=steps)) for m in one], kernel
        )
        monkeypatch.setattr(chunks, "CHUNK_NUMBERS", numbers)
        trained = train(one, kernel)
        assert trained.history_steps[-1] == steps
        first = 0
        for point, end in enumerate(trained.history_steps.tolist()):
            for name in History.LOSSES:
                ours = trained.history[name]
                assert ours.shape == (1, min(steps, 100))
                expected = float(every.history[name][0, first:end].mean())
                assert float(ours[0, point]) == pytest.approx(expected, rel=1e-4, abs=1e-6)
            first = end


class TestStacks:
    MIXED = (*members(2), *members(1, n_latents=5), *members(2)[1:], *members(1, d=4))

    def test_each_is_yielded_once_with_the_positions_of_its_members(self):
        trained = list(stack.train(self.MIXED, threads=1))
        assert [t.index for t in trained] == [(0, 1, 3), (2,), (4,)]
        assert [t.sae.n_members for t in trained] == [3, 1, 1]
        assert [t.sae.n_latents for t in trained] == [4, 5, 4]
        assert all(t.seconds > 0 for t in trained)
        assert identical(of_member(trained[0], 1), of_member(trained[0], 3))
        assert not identical(of_member(trained[0], 0), of_member(trained[0], 1))

    def test_next_stack_waits_until_it_is_asked_for(self):
        done: list[int] = []
        stacks = stack.train(self.MIXED, threads=1, progress=done.append)
        assert not done
        next(stacks)
        assert sum(done) == 3 * 50

    def test_progress_adds_up_whatever_the_chunks(self, monkeypatch):
        monkeypatch.setattr(chunks, "CHUNK_NUMBERS", 32 * 2 * 2 * 7)
        done: list[int] = []
        list(stack.train(self.MIXED, threads=1, progress=done.append))
        assert sum(done) == 5 * 50
        assert len(done) > 5

    def test_nothing_to_train(self):
        assert list(stack.train([], threads=1)) == []

    def test_stream_that_members_share_is_drawn_once(self, monkeypatch):
        drawn = []
        original = Stream.hidden

        def hidden(self, start, n):
            if self.split == "train":
                drawn.append((self.seed, start, n))
            return original(self, start, n)

        monkeypatch.setattr(Stream, "hidden", hidden)
        train(members(6, streams=2))
        assert sorted(drawn) == [(0, 0, BLOCK), (1, 0, BLOCK)]

    def test_default_is_a_thread_a_core(self, monkeypatch):
        """And as many threads come to the same as one."""
        asked = []
        original = stack.choose_kernel

        def choose(member, objective, threads):
            asked.append(threads)
            return original(member, objective, threads)

        monkeypatch.setattr(stack, "choose_kernel", choose)
        monkeypatch.setattr("os.cpu_count", lambda: 3)
        (several,) = stack.train(members(4))
        (one,) = stack.train(members(4), threads=1)
        assert asked == [3, 1]
        assert identical(several.sae.params, one.sae.params)


class TestOutcome:
    """Eight SAEs of eight latents in the antipodal plane, lambda = 0.1: the positive control."""

    def worst_cosines(self, generator, targets):
        """For each SAE, the cosine of the worst found of `targets`."""
        trainer = Trainer(steps=4000, batch_size=256, lr=3e-3)
        family = ReLU(n_latents=8, l1=0.1)
        trained = train(
            [Member(family, trainer, Stream(generator, PLANE, seed), seed) for seed in range(8)]
        )
        return (targets @ trained.sae.decoder.transpose(1, 2)).amax(2).amin(1)

    def test_single_features_are_found(self):
        worst = self.worst_cosines(ComposedSets(one_hot_fraction=1.0), PLANE.directions)
        assert float(worst.min()) > 0.99

    def test_features_of_one_amplitude_are_found_composed(self):
        generator = ComposedSets(amplitude_correlation=1.0)
        assert float(self.worst_cosines(generator, DIAGONALS).min()) > 0.97

    def test_features_of_independent_amplitudes_are_found_composed(self):
        """In most seeds; the others keep a true feature in place of a diagonal."""
        worst = self.worst_cosines(ComposedSets(), DIAGONALS)
        assert int((worst > 0.97).sum()) >= 5


@pytest.mark.parametrize(
    "fields",
    [
        {"warmup_fraction": 0.3},
        {"decay_fraction": 0.6},
        {"decay": "cosine"},
        {"final_lr": 0.5},
        {"coefficient_warmup_fraction": 0.5},
        {"finetune_fraction": 0.5},
    ],
)
def test_every_member_has_its_own_schedule(fields):
    plain = replace(TRAINER, steps=20, history_points=1)
    (one, other) = members(2, trainer=plain, streams=1)
    other = replace(other, sae=one.sae, trainer=replace(one.trainer, **fields), seed=one.seed)
    together = train([one, other], "reference")
    for i, alone in enumerate((one, other)):
        assert identical(of_member(together, i), of_member(train([alone], "reference"), 0))
    assert not identical(of_member(together, 0), of_member(together, 1))
