from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.errors import ConfigError
from toysae.training.trainer import Trainer


def factors(trainer, first=0, n=None):
    return trainer.lr_factor(first, trainer.steps if n is None else n).tolist()


def test_schedule_by_hand():
    """Up over 2 of 10 steps, down over 4: the last step still has a quarter."""
    trainer = Trainer(steps=10, warmup_fraction=0.2, decay_fraction=0.4)
    assert factors(trainer) == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


@pytest.mark.parametrize(
    ("warmup", "decay", "expected"),
    [
        (0, 0, [1, 1, 1, 1]),
        (1, 0, [0.25, 0.5, 0.75, 1]),
        (0, 1, [1, 0.75, 0.5, 0.25]),
        (0.5, 0.5, [0.5, 1, 1, 0.5]),
        (0.1, 0.1, [1, 1, 1, 1]),  # shorter than a step
    ],
)
def test_schedule_at_its_limits(warmup, decay, expected):
    trainer = Trainer(steps=4, warmup_fraction=warmup, decay_fraction=decay)
    assert factors(trainer) == pytest.approx(expected)


@given(st.integers(1, 60), st.floats(0, 0.5), st.floats(0, 0.5), st.data())
def test_schedule_is_a_trapezium_whatever_the_chunks(steps, warmup, decay, data):
    trainer = Trainer(steps=steps, warmup_fraction=warmup, decay_fraction=decay)
    whole = trainer.lr_factor(0, steps)
    first = data.draw(st.integers(0, steps - 1))
    assert torch.equal(trainer.lr_factor(first, steps - first), whole[first:])
    assert whole.dtype == torch.float64
    assert float(whole.min()) > 0
    assert float(whole.max()) <= 1
    signs = whole.diff().sign().tolist()
    assert signs == sorted(signs, reverse=True)  # up, level, down


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": 0}, "^trainer.steps = 0: must be at least 1$"),
        ({"batch_size": 0}, "^trainer.batch_size = 0: must be at least 1$"),
        ({"lr": 0.0}, "^trainer.lr = 0.0: must be greater than 0$"),
        ({"lr": math.nan}, "^trainer.lr = nan: must be greater than 0$"),
        ({"beta1": 1.0}, r"^trainer.beta1 = 1.0: must lie in \[0, 1\)$"),
        ({"beta2": -0.1}, r"^trainer.beta2 = -0.1: must lie in \[0, 1\)$"),
        ({"warmup_fraction": 1.5}, r"^trainer.warmup_fraction = 1.5: must lie in \[0, 1\]$"),
        ({"decay_fraction": -0.5}, r"^trainer.decay_fraction = -0.5: must lie in \[0, 1\]$"),
        (
            {"warmup_fraction": 0.6, "decay_fraction": 0.5},
            r"^trainer.warmup_fraction \+ trainer.decay_fraction = 1.1: must be at most 1$",
        ),
        (
            {"dead_latents": "revive"},
            "^trainer.dead_latents = 'revive': must be one of auxiliary, ghost",
        ),
        ({"dead_window": 0}, "^trainer.dead_window = 0: must be at least 1$"),
        ({"ghost_cooldown": -1}, "^trainer.ghost_cooldown = -1: must be at least 0$"),
        ({"fire_threshold": -1.0}, "^trainer.fire_threshold = -1.0: must be at least 0$"),
        ({"decoder_bias_start": "mean"}, "^trainer.decoder_bias_start = 'mean': must be one of g"),
    ],
)
def test_bad_value(fields, message):
    with pytest.raises(ConfigError, match=message):
        Trainer(**fields)
