"""What a trainer may be told, and what the files under conf/trainer/ tell it."""

from __future__ import annotations

import math
from dataclasses import asdict, fields, replace

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from toysae.cli import CONF
from toysae.config import build_sae, build_trainer
from toysae.errors import ConfigError
from toysae.generators.groups import GroupsExactlyOne
from toysae.generators.laws import magnitudes, profiles
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import Stream
from toysae.saes.relu import ReLU
from toysae.training.member import Member
from toysae.training.scaling import InputScaling
from toysae.training.trainer import Trainer

from ._stacks import stream, train


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


RESAMPLE = {"dead_latents": "resample", "steps": 100, "dead_window": 10}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"decay": "cosine", "decay_fraction": 0.0},
            "^trainer.decay = 'cosine': does nothing with trainer.decay_fraction = 0",
        ),
        (
            {"final_lr": 0.1, "decay_fraction": 0.0},
            "^trainer.final_lr = 0.1: does nothing with trainer.decay_fraction = 0",
        ),
        (
            {"output_error": "kl"},
            "^trainer.output_error = 'kl': must be squared with trainer.objective = 'local'",
        ),
        (
            {"downstream": 2.0},
            "^trainer.downstream = 2.0: must be 1 with trainer.objective = 'local'",
        ),
        (
            {"downstream": 0.0, "objective": "end_to_end"},
            "^trainer.downstream = 0.0: must be 1 with trainer.objective = 'end_to_end'",
        ),
        (
            {"frozen": "encoder", "target_l0": 2.0},
            "^trainer.target_l0 = 2.0: must be null with trainer.frozen = 'encoder'",
        ),
        (
            {"dead_latents": "ghost", "steps": 100, "dead_window": 99},
            "^trainer.dead_window = 99: must be less than trainer.steps - 1 = 99 with "
            "trainer.dead_latents = 'ghost'",
        ),
        (
            {"dead_latents": "auxiliary", "steps": 100},
            "^trainer.dead_window = 400: .* trainer.dead_latents = 'auxiliary'",
        ),
        (
            {**RESAMPLE, "dead_window": 50},
            "^trainer.dead_window = 50: must be less than 50, the number of steps before the last",
        ),
        (
            {**RESAMPLE, "resample_every": 40, "dead_window": 40},
            "^trainer.dead_window = 40: must be less than 40",
        ),
        (
            {**RESAMPLE, "finetune_fraction": 0.5},
            "^trainer.finetune_fraction = 0.5: must be less than 0.5 with trainer.dead_latents = "
            "'resample', because latents are resampled up to step 50",
        ),
        ({**RESAMPLE, "steps": 1}, "^trainer.resample_every = None: must be at most 0, half of"),
    ],
)
def test_what_would_do_nothing_is_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        Trainer(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"decay_fraction": 0.0},
        {"objective": "end_to_end", "output_error": "kl"},
        {"objective": "end_to_end_downstream", "downstream": 0.0},
        {"frozen": "decoder", "target_l0": 2.0},
        {"dead_latents": "ghost", "steps": 100, "dead_window": 98},
        {**RESAMPLE, "dead_window": 49},
        {**RESAMPLE, "finetune_fraction": 0.49},
        {"dead_latents": "none", "steps": 100, "dead_window": 400},
    ],
)
def test_what_does_something_is_not(fields):
    Trainer(**fields)


def of_file(option: str, *overrides: str) -> Trainer:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return build_trainer(compose("train", [f"trainer={option}", *overrides]).trainer)


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
        assert (trainer.steps, trainer.lr, trainer.gradient_clip) == (200_000, 5e-5, 1)
        assert (trainer.beta1, trainer.beta2) == (0.9, 0.999)
        assert (trainer.dead_latents, trainer.decoder_bias_start) == ("none", "zero")
        assert trainer.lr_factor(0, 1).item() == 1
        assert trainer.lr_factor(160_000, 1).item() == 1
        assert trainer.lr_factor(180_000, 1).item() == pytest.approx(0.5)
        assert trainer.coefficient_factor(5_000, 1).item() == pytest.approx(0.5)
        assert trainer.coefficient_factor(10_000, 1).item() == 1

    def test_april_scales_inputs_to_a_mean_norm_of_the_root_of_their_dimension(self):
        scaling = InputScaling(of_file("april").input_scaling, [stream(4)])
        norms = scaling.scale(0, stream(4).hidden(0, 8192)).norm(dim=1)
        assert float(norms.mean()) == pytest.approx(4**0.5, rel=1e-5)

    def test_sae_of_april(self):
        with initialize_config_dir(str(CONF), version_base="1.3"):
            family = build_sae(compose("train", ["sae=relu_april"]).sae)
        assert family == ReLU(
            l1=5.0, penalty_by_decoder_norm=True, unit_norm_decoder=False, initial_decoder_norm=0.1
        )

    @pytest.mark.parametrize(("d", "missing"), [(16, 2.5), (4, 1.5)])
    def test_coefficient_of_april_takes_half_of_itself_off_a_feature(self, d, missing):
        """One feature a sample, of norm `sqrt(d)` once scaled.

        In 4 dimensions that is less than 2.5: nothing fires, and the mean of 0.5 is all there is.
        """
        one = GroupsExactlyOne(
            n_groups=1,
            size=d,
            probability=profiles.Constant(1.0),
            magnitude=magnitudes.Constant(profiles.Constant(1.0)),
        )
        family = ReLU(n_latents=d, l1=5.0, penalty_by_decoder_norm=True, unit_norm_decoder=False)
        trainer = replace(of_file("april"), steps=1000, lr=1e-2, batch_size=64)
        data = Stream(one, HiddenSpace(torch.eye(d)), 0)
        sae = train([Member(family, trainer, data, 0, 0.1 * torch.eye(d))]).sae
        left = d**0.5 * (torch.eye(d) - sae.reconstruct(torch.eye(d))[0]).diagonal()
        torch.testing.assert_close(left, torch.full((d,), missing), rtol=0, atol=0.1)

    def test_saelens(self):
        trainer = of_file("saelens")
        assert trainer.lr_factor(0, trainer.steps).unique().tolist() == [1]
        assert (trainer.lr, trainer.gradient_clip, trainer.dead_window) == (3e-4, 1.0, 1000)

    def test_end_to_end(self):
        trainer = of_file("end_to_end")
        assert trainer.lr_factor(trainer.steps - 1, 1).item() == pytest.approx(0.1, abs=1e-4)
        assert trainer.lr_factor(trainer.steps // 20 - 1, 1).item() == 1

    @pytest.mark.parametrize("steps", [10_000, 200_000, 1001, 16])
    def test_resample_is_at_the_published_fractions_of_any_number_of_steps(self, steps):
        trainer = of_file("resample", f"trainer.steps={steps}")
        assert trainer.resampled_at == {int(steps * eighths / 8) for eighths in (1, 2, 3, 4)}
        assert trainer.dead_after == steps // 8 // 2

    def test_resample_takes_numbers_of_steps(self):
        trainer = of_file("resample", "trainer.resample_every=2000", "trainer.dead_window=300")
        assert trainer.resampled_at == {2000, 4000}
        assert trainer.dead_after == 300
        assert replace(trainer, dead_window=None).dead_after == 1000
