"""What the documents list is all that there is."""

from __future__ import annotations

import pytest
from commands import ROOT

from toysae.cli import CONF
from toysae.config import CORRELATIONS, GENERATORS, HIDDEN_SPACES, MAGNITUDES, PROFILES

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
