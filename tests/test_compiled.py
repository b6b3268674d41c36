"""Compiled code of older sources is forgotten."""

from __future__ import annotations

import pytest

from toysae import compiled


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A package with one kernel and what Numba keeps of it."""
    for folder in ("__pycache__", "generators/__pycache__"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "draws_kernel.py").write_text("1")
    (tmp_path / "generators" / "some_kernel.py").write_text("2")
    monkeypatch.setattr(compiled, "_LIBRARY", tmp_path)
    monkeypatch.setattr(compiled, "_STAMP", tmp_path / "__pycache__" / "kernels.digest")
    compiled._forget_stale()
    (tmp_path / "generators" / "__pycache__" / "some_kernel.nbi").write_text("index")
    return tmp_path


def kept(library):
    compiled._forget_stale()
    return (library / "generators" / "__pycache__" / "some_kernel.nbi").exists()


def test_is_kept_while_nothing_changes(library):
    assert kept(library)
    assert kept(library)


def test_change_of_another_source_makes_it_stale(library):
    (library / "draws_kernel.py").write_text("3")
    assert not kept(library)


def test_new_source_makes_it_stale(library):
    (library / "generators" / "other_kernel.py").write_text("4")
    assert not kept(library)


def test_change_of_what_is_not_compiled_does_not(library):
    (library / "config.py").write_text("5")
    assert kept(library)
