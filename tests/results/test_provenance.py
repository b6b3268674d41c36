from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from toysae.draws import CPU
from toysae.results import provenance as module
from toysae.results.provenance import provenance


def test_torch_is_named_by_its_own_word_which_says_the_build(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "__version__", "2.6.0+somebuild")
    assert provenance([], CPU)["packages"]["torch"] == "2.6.0+somebuild"


def test_version_of_everything_that_numbers_depend_on_is_there():
    packages = provenance([], CPU)["packages"]
    assert set(packages) == {
        "toysae", "numpy", "scipy", "scikit-learn", "hydra-core", "numba", "torch",
    }  # fmt: skip
    assert packages["numpy"]


def test_package_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_PACKAGES", ("no-such-package",))
    assert provenance([], CPU)["packages"]["no-such-package"] is None


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
class TestGit:
    @pytest.fixture
    def checkout(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A repository of one file, in the place of our own."""

        def git(*arguments: str) -> None:
            person = ("-c", "user.name=a", "-c", "user.email=a@b")
            subprocess.run(["git", "-C", str(tmp_path), *person, *arguments], check=True)

        monkeypatch.setattr(module, "__file__", str(tmp_path / "a" / "b" / "c.py"))
        (tmp_path / "code.py").write_text("1\n")
        git("init", "-q")
        git("add", "code.py")
        git("commit", "-q", "-m", "one")
        return tmp_path

    def test_unchanged_code_is_its_commit(self, checkout: Path):
        recorded = provenance([], CPU)["git"]
        assert len(recorded["commit"]) == 40
        assert recorded["uncommitted_changes"] is None

    def test_uncommitted_changes_are_told_apart(self, checkout: Path):
        hashes = set()
        for text in ("2\n", "3\n"):
            (checkout / "code.py").write_text(text)
            hashes.add(provenance([], CPU)["git"]["uncommitted_changes"])
        assert len(hashes) == 2
        assert None not in hashes


def test_outside_of_a_checkout_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(module, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    assert provenance([], CPU)["git"] is None
