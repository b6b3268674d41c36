from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from toysae.errors import ConfigError, DivergenceError
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.orthonormal import Orthonormal
from toysae.runs import training
from toysae.runs.config import Measure, RunConfig
from toysae.runs.training import TrainedRun, Worlds, train_runs
from toysae.saes.relu import ReLU
from toysae.training.trainer import Trainer

RUN = RunConfig(
    generator=ComposedSets(),
    hidden=Orthonormal(d_hidden=4),
    sae=ReLU(n_latents=4),
    trainer=Trainer(steps=20, batch_size=16),
    measure=Measure(n_samples=100),
    logger=None,
    seeds=2,
    first_seed=0,
    device="cpu",
)


def with_l1(l1: float) -> RunConfig:
    return replace(RUN, sae=ReLU(n_latents=4, l1=l1))


def outcomes(configs, progress=lambda steps: None):
    return dict(train_runs(configs, threads=1, progress=progress))


def same(first, second):
    return all(
        torch.equal(first.saes[seed].params[name], second.saes[seed].params[name])
        for seed in first.saes
        for name in first.saes[seed].params
    )


def test_run_does_not_depend_on_its_company():
    together = outcomes([with_l1(0.1), with_l1(0.3), replace(RUN, sae=ReLU(n_latents=6))])
    alone = outcomes([with_l1(0.3)])[0]
    assert same(together[1], alone)
    assert not same(together[0], alone)


def test_batches_change_no_result_and_hold_whole_runs(monkeypatch):
    configs = [with_l1(l1) for l1 in (0.1, 0.2, 0.3)]
    whole = outcomes(configs)
    monkeypatch.setattr(training, "MAX_MEMBERS", 3)
    assert list(training._batches(configs)) == [[0], [1], [2]]
    cut = outcomes(configs)
    assert all(same(whole[i], cut[i]) for i in range(3))


def test_batches_of_a_gpu_are_larger(monkeypatch):
    monkeypatch.setattr(training, "MAX_MEMBERS", 3)
    monkeypatch.setattr(training, "GPU_MAX_MEMBERS", 4)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for device, expected in (("cpu", [[0], [1]]), ("auto", [[0, 1]]), ("cuda:1", [[0, 1]])):
        assert list(training._batches([replace(RUN, device=device)] * 2)) == expected


def test_run_larger_than_a_batch_is_trained_whole(monkeypatch):
    monkeypatch.setattr(training, "MAX_MEMBERS", 1)
    assert sorted(outcomes([RUN])[0].saes) == [0, 1]


def test_runs_of_one_world_share_their_streams():
    worlds = Worlds()
    first, second = worlds.start(with_l1(0.1)), worlds.start(with_l1(0.2))
    other = worlds.start(replace(RUN, generator=ComposedSets(one_hot_fraction=0.5)))
    assert first.streams == second.streams
    assert first.streams != other.streams


def test_world_that_cannot_be_made_and_divergence_fail_alone():
    bad = replace(RUN, hidden=Orthonormal(d_hidden=2))
    wild = replace(RUN, trainer=Trainer(steps=20, batch_size=16, lr=1e30))
    result = outcomes([RUN, bad, wild])
    assert isinstance(result[0], TrainedRun)
    assert isinstance(result[1], ConfigError)
    assert isinstance(result[2], DivergenceError)
    assert str(result[2]) == (
        "2 of 2 seeds diverged (seed 0 at step 1: error not finite, "
        "seed 1 at step 1: error not finite); lower trainer.lr = 1e+30"
    )


@pytest.mark.parametrize("to_blame", [0, 2])
def test_after_a_stack_fails_only_the_run_to_blame_fails(to_blame, monkeypatch):
    configs = [with_l1(l1) for l1 in (0.1, 0.2, 0.3)]
    real = training.train

    def failing(members, **options):
        if any(member.sae.l1 == configs[to_blame].sae.l1 for member in members):
            raise RuntimeError("out of memory")
        yield from real(members, **options)

    expected = outcomes(configs)
    monkeypatch.setattr(training, "train", failing)
    result = outcomes(configs)
    assert str(result.pop(to_blame)) == "out of memory"
    assert all(same(expected[i], run) for i, run in result.items())


def test_progress_adds_up_to_the_steps_of_all_seeds():
    done = []
    configs = [RUN, replace(RUN, hidden=Orthonormal(d_hidden=2))]
    outcomes(configs, done.append)
    assert sum(done) == sum(config.member_steps for config in configs) == 2 * 2 * 20
