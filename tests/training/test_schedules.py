"""Learning rates and coefficients of every step, against values by hand and torch's schedulers."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import SGD, lr_scheduler

from toysae.training.trainer import DECAYS, Trainer

HALF = math.sqrt(0.5)


def lr(**fields: float | str) -> list[float]:
    trainer = Trainer(**fields)
    return trainer.lr_factor(0, trainer.steps).tolist()


class TestLearningRate:
    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"warmup_fraction": 0, "decay_fraction": 0}, [1, 1, 1, 1]),
            ({"warmup_fraction": 1, "decay_fraction": 0}, [0.25, 0.5, 0.75, 1]),
            ({"warmup_fraction": 0, "decay_fraction": 1}, [1, 0.75, 0.5, 0.25]),
            (
                {"warmup_fraction": 0, "decay_fraction": 1, "final_lr": 0.2},
                [1, 0.8, 0.6, 0.4],
            ),
            ({"warmup_fraction": 0, "decay_fraction": 1, "final_lr": 1.0}, [1, 1, 1, 1]),
            (
                {"warmup_fraction": 0, "decay_fraction": 1, "decay": "cosine"},
                [1, (1 + HALF) / 2, 0.5, (1 - HALF) / 2],
            ),
            (
                {
                    "warmup_fraction": 0.25,
                    "decay_fraction": 0.5,
                    "decay": "cosine",
                    "final_lr": 0.1,
                },
                [1, 1, 1, 0.55],
            ),
            ({"warmup_fraction": 0.5, "decay_fraction": 0.5}, [0.5, 1, 1, 0.5]),
            ({"warmup_fraction": 0.1, "decay_fraction": 0.1}, [1, 1, 1, 1]),  # below a step
        ],
    )
    def test_by_hand(self, fields, expected):
        assert lr(steps=4, **fields) == pytest.approx(expected, rel=1e-12)

    def test_last_step_still_has_a_share(self):
        """Up over 2 of 10 steps, down over 4."""
        expected = [0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]
        assert lr(steps=10, warmup_fraction=0.2, decay_fraction=0.4) == pytest.approx(expected)

    @given(
        st.integers(1, 60), st.floats(0, 0.5), st.floats(1e-3, 0.5), st.sampled_from(DECAYS),
        st.floats(0, 1), st.data(),
    )  # fmt: skip
    def test_rises_and_falls_whatever_the_chunks(self, steps, warmup, decay, shape, final, data):
        trainer = Trainer(
            steps=steps, warmup_fraction=warmup, decay_fraction=decay, decay=shape, final_lr=final
        )
        whole = trainer.lr_factor(0, steps)
        first = data.draw(st.integers(0, steps - 1))
        assert torch.equal(trainer.lr_factor(first, steps - first), whole[first:])
        assert whole.dtype == torch.float64
        assert float(whole.min()) > 0
        assert float(whole.max()) <= 1 + 1e-12
        falls = whole.diff() < -1e-12
        rises = whole.diff() > 1e-12
        assert not bool((falls.cumsum(0) > 0).logical_and(rises).any())
        assert float(whole[-1]) >= final - 1e-12 or warmup * steps > 1


class TestOthers:
    """What other trainers do is one of these schedules."""

    STEPS = 40

    def factors(self, build) -> list[float]:
        """The learning rates that a scheduler sets for the steps of a training."""
        optimizer = SGD([torch.zeros(1)], lr=1.0)
        with warnings.catch_warnings():  # torch warns of the way SequentialLR itself steps
            warnings.simplefilter("ignore")
            scheduler = build(optimizer)
            found = []
            for _ in range(self.STEPS):
                found.append(optimizer.param_groups[0]["lr"])
                optimizer.step()
                scheduler.step()
        return found

    @pytest.mark.parametrize(("warmup", "decay"), [(0, 0), (8, 0), (0, 8), (4, 8)])
    def test_saelens_constant(self, warmup, decay):
        """`lr_warm_up_steps` from 1/steps, and `lr_decay_steps` to 0 (sae_lens.training.optim)."""

        def build(optimizer):
            parts = [lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)]
            milestones = []
            if warmup:
                parts.insert(0, lr_scheduler.LinearLR(optimizer, 1 / warmup, 1, warmup - 1))
                milestones.append(warmup)
            if decay:
                parts.append(lr_scheduler.LinearLR(optimizer, 1, 0, decay))
                milestones.append(self.STEPS - decay)
            return lr_scheduler.SequentialLR(optimizer, parts, milestones)

        ours = lr(
            steps=self.STEPS,
            warmup_fraction=warmup / self.STEPS,
            decay_fraction=decay / self.STEPS,
        )
        assert ours == pytest.approx(self.factors(build), abs=1e-9)

    @pytest.mark.parametrize("warmup", [0, 8])
    def test_saelens_cosine(self, warmup):
        """`cosineannealing` to `lr_end`, by default a tenth."""

        def build(optimizer):
            rest = self.STEPS - warmup
            parts = [lr_scheduler.CosineAnnealingLR(optimizer, T_max=rest, eta_min=0.1)]
            milestones = []
            if warmup:
                parts.insert(0, lr_scheduler.LinearLR(optimizer, 1 / warmup, 1, warmup - 1))
                milestones.append(warmup)
            return lr_scheduler.SequentialLR(optimizer, parts, milestones)

        ours = lr(
            steps=self.STEPS,
            warmup_fraction=warmup / self.STEPS,
            decay_fraction=1 - warmup / self.STEPS,
            decay="cosine",
            final_lr=0.1,
        )
        assert ours == pytest.approx(self.factors(build), abs=1e-9)

    def test_braun(self):
        """Warm-up over 5 %, then a half cosine to 10 % (their warm-up is a step behind)."""
        steps, warmup = 400, 20
        expected = [(step + 1) / warmup for step in range(warmup)]
        for step in range(warmup, steps):
            done = (step - warmup) / (steps - warmup)
            expected.append(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))
        ours = lr(
            steps=steps, warmup_fraction=0.05, decay_fraction=0.95, decay="cosine", final_lr=0.1
        )
        assert ours == pytest.approx(expected, rel=1e-9)


class TestCoefficient:
    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({}, [1] * 8),
            ({"coefficient_warmup_fraction": 0.5}, [0, 0.25, 0.5, 0.75, 1, 1, 1, 1]),
            ({"coefficient_warmup_fraction": 1.0}, [i / 8 for i in range(8)]),
            ({"coefficient_warmup_fraction": 0.01}, [0, 1, 1, 1, 1, 1, 1, 1]),  # below a step
            ({"finetune_fraction": 0.25}, [1, 1, 1, 1, 1, 1, 0, 0]),
            (
                {"coefficient_warmup_fraction": 0.5, "finetune_fraction": 0.75},
                [0, 0.25, 0, 0, 0, 0, 0, 0],
            ),
        ],
    )
    def test_by_hand(self, fields, expected):
        trainer = Trainer(steps=8, **fields)
        assert trainer.coefficient_factor(0, 8).tolist() == pytest.approx(expected)
        assert trainer.coefficient_factor(3, 4).tolist() == pytest.approx(expected[3:7])


class TestEncoderShare:
    @pytest.mark.parametrize(
        ("fraction", "trained"), [(0.0, 8), (0.25, 6), (0.5, 4), (0.1, 7), (0.05, 8), (0.99, 0)]
    )
    def test_is_one_until_the_last_fraction(self, fraction, trained):
        """The fraction in whole steps, rounded."""
        trainer = Trainer(steps=8, finetune_fraction=fraction)
        assert trainer.finetune_from == trained
        assert trainer.encoder_share(0, 8).tolist() == [1.0] * trained + [0.0] * (8 - trained)
        assert trainer.encoder_share(5, 2).tolist() == [float(s < trained) for s in (5, 6)]
