"""What the documents list is all that there is."""

from __future__ import annotations

import pytest
from commands import ROOT

from toysae.cli import CONF
from toysae.config import CORRELATIONS, GENERATORS, HIDDEN_SPACES, MAGNITUDES, PROFILES, SAES
from toysae.reference import reference
from toysae.training import trainer

WORLDS = (ROOT / "docs" / "worlds.md").read_text(encoding="utf-8")
OPTIONS = [
    path.stem
    for group in ("generator", "hidden", "world")
    for path in (CONF / group).glob("*.yaml")
]
NAMES = [*GENERATORS, *HIDDEN_SPACES, *MAGNITUDES, *PROFILES, *CORRELATIONS]


@pytest.mark.parametrize("name", sorted({*OPTIONS, *NAMES}))
def test_every_world_and_law_is_listed(name):
    assert f"`{name}`" in WORLDS


TRAINING = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
PRESETS = [path.stem for group in ("sae", "trainer") for path in (CONF / group).glob("*.yaml")]
CHOICES = [*trainer.OBJECTIVES, *trainer.DEAD_LATENT_TREATMENTS, *trainer.INPUT_SCALINGS]


@pytest.mark.parametrize("name", sorted({*SAES, *PRESETS, *CHOICES}))
def test_every_family_and_way_of_training_is_listed(name):
    assert f"`{name}`" in TRAINING


def test_reference_of_metrics_is_up_to_date():
    written = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert written == reference(), "docs/metrics.md is out of date: run `make docs`"
