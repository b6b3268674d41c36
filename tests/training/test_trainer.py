"""What a trainer may be told, and what the files under conf/trainer/ tell it."""

from __future__ import annotations

import math
from dataclasses import asdict, fields

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from toysae.cli import CONF
from toysae.config import build_trainer
from toysae.errors import ConfigError
from toysae.training.resampling import resampling_steps
from toysae.training.trainer import Trainer


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
        ({"decay": "step"}, "^trainer.decay = 'step': must be one of cosine, linear$"),
        ({"final_lr": 1.5}, r"^trainer.final_lr = 1.5: must lie in \[0, 1\]$"),
        ({"gradient_clip": 0.0}, "^trainer.gradient_clip = 0.0: must be greater than 0$"),
        ({"gradient_clip": math.inf}, "^trainer.gradient_clip = inf: must be finite$"),
        (
            {"coefficient_warmup_fraction": -0.1},
            r"^trainer.coefficient_warmup_fraction = -0.1: must lie in \[0, 1\]$",
        ),
        ({"target_l0": 0.0}, "^trainer.target_l0 = 0.0: must be greater than 0$"),
        ({"control_rate": 0.0}, "^trainer.control_rate = 0.0: must be greater than 0$"),
        ({"finetune_fraction": 1.0}, r"^trainer.finetune_fraction = 1.0: must lie in \[0, 1\)$"),
        ({"objective": "global"}, "^trainer.objective = 'global': must be one of end_to_end, "),
        ({"output_error": "l1"}, "^trainer.output_error = 'l1': must be one of kl, squared$"),
        ({"downstream": -1.0}, "^trainer.downstream = -1.0: must be at least 0$"),
        ({"input_scaling": "whiten"}, "^trainer.input_scaling = 'whiten': must be one of layer_n"),
        ({"resample_every": 0}, "^trainer.resample_every = 0: must be at least 1$"),
        ({"auxiliary_coefficient": -1.0}, "^trainer.auxiliary_coefficient = -1.0: must be at l"),
        ({"history_points": 0}, "^trainer.history_points = 0: must be at least 1$"),
        ({"decoder_bias_start": "mean"}, "^trainer.decoder_bias_start = 'mean': must be one of g"),
    ],
)
def test_bad_value(fields, message):
    with pytest.raises(ConfigError, match=message):
        Trainer(**fields)


def of_file(option: str) -> Trainer:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return build_trainer(compose("train", [f"trainer={option}"]).trainer)


class TestFiles:
    def test_plain_lists_every_field_with_its_default(self):
        plain = OmegaConf.to_container(OmegaConf.load(CONF / "trainer" / "plain.yaml"))
        assert plain.keys() == {f.name for f in fields(Trainer)}
        assert plain == asdict(Trainer())

    def test_plain_says_what_its_fields_are(self):
        text = (CONF / "trainer" / "plain.yaml").read_text()
        bare = [line for line in text.splitlines() if ":" in line and "#" not in line]
        assert {line.split(":")[0] for line in bare} == {"steps", "batch_size", "beta1", "beta2"}

    def test_april(self):
        trainer = of_file("april")
        steps = 200_000
        assert trainer.steps == steps
        assert trainer.lr_factor(0, 1).item() == 1
        assert trainer.lr_factor(160_000, 1).item() == 1
        assert trainer.lr_factor(180_000, 1).item() == pytest.approx(0.5)
        assert trainer.coefficient_factor(5_000, 1).item() == pytest.approx(0.5)
        assert trainer.coefficient_factor(10_000, 1).item() == 1

    def test_saelens(self):
        trainer = of_file("saelens")
        assert trainer.lr_factor(0, trainer.steps).unique().tolist() == [1]
        assert (trainer.lr, trainer.gradient_clip, trainer.dead_window) == (3e-4, 1.0, 1000)

    def test_end_to_end(self):
        trainer = of_file("end_to_end")
        assert trainer.lr_factor(trainer.steps - 1, 1).item() == pytest.approx(0.1, abs=1e-4)
        assert trainer.lr_factor(trainer.steps // 20 - 1, 1).item() == 1

    def test_resample_is_at_the_published_fractions(self):
        trainer = of_file("resample")
        eighths = {trainer.steps * i // 8 for i in (1, 2, 3, 4)}
        assert resampling_steps(trainer) == eighths
        assert trainer.dead_window * 2 == trainer.resample_every
