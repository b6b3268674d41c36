from __future__ import annotations

from pathlib import Path

import pytest

from toysae.checkpoints.find import find_checkpoints
from toysae.errors import CheckpointError


def make(*directories: Path) -> None:
    for directory in directories:
        directory.mkdir(parents=True)
        (directory / "cfg.json").touch()


def test_finds_at_any_depth_in_order(tmp_path: Path) -> None:
    make(tmp_path / "b", tmp_path / "a" / "z" / "y", tmp_path / "a" / "b")
    (tmp_path / "empty").mkdir()
    found = find_checkpoints(tmp_path)
    assert found == [tmp_path / "a" / "b", tmp_path / "a" / "z" / "y", tmp_path / "b"]


def test_the_root_itself_may_be_one(tmp_path: Path) -> None:
    make(tmp_path / "sae")
    assert find_checkpoints(str(tmp_path / "sae")) == [tmp_path / "sae"]


def test_half_written_ones_are_passed_over(tmp_path: Path) -> None:
    make(tmp_path / "done", tmp_path / ".other.0123.partial")
    assert find_checkpoints(tmp_path) == [tmp_path / "done"]


def test_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError,
        match=r"no checkpoint in it or below; looked for directories that hold cfg\.json and sae_w",
    ):
        find_checkpoints(tmp_path)
    with pytest.raises(CheckpointError, match="none: no such directory"):
        find_checkpoints(tmp_path / "none")
