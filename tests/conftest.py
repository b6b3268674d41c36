"""Shared settings: one torch thread, hypothesis profiles, and where optional test data lies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

# Two threads on a busy machine collapse at toy shapes; one thread is also what makes timings sane.
torch.set_num_threads(1)

_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("dev", max_examples=40, **_COMMON)
settings.register_profile("ci", max_examples=100, derandomize=True, **_COMMON)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Trained hidden spaces are kept for the session, and never in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOYSAE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of optional real data beside the checkout; tests that need it skip without it."""
    if not DATA.is_dir():
        pytest.skip(f"optional test data not found at {DATA}")
    return DATA
