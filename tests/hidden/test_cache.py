from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.commands import environment
from toysae.generators.composed_sets import ComposedSets
from toysae.generators.laws import magnitudes, profiles
from toysae.generators.union import Union
from toysae.hidden.cache import cache_directory, load_or_make, recipe
from toysae.hidden.toy_model import ToyModel


@pytest.fixture(autouse=True)
def directory(monkeypatch, tmp_path):
    monkeypatch.setenv("TOYSAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Maker:
    """Makes tensors and counts how often it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, positions):
        self.asked.append(positions)
        return [{"a": torch.full((2,), float(i)), "b": torch.tensor(0.1)} for i in positions]


def stored(directory):
    return sorted(directory.rglob("*"))


def test_what_was_made_is_loaded(directory):
    maker, recipes = Maker(), ["one", "two"]
    made = load_or_make("things", recipes, maker)
    loaded = load_or_make("things", recipes, maker)
    assert maker.asked == [[0, 1]]
    for there, here in zip(made, loaded):
        assert there.keys() == here.keys()
        assert all(torch.equal(there[name], here[name]) for name in there)
    assert [path.suffix for path in stored(directory / "hidden")] == [".safetensors"] * 2


def test_only_what_is_missing_is_made():
    maker = Maker()
    load_or_make("things", ["one"], maker)
    found = load_or_make("things", ["zero", "one", "two"], maker)
    assert maker.asked == [[0], [0, 2]]
    assert [float(tensors["a"][0]) for tensors in found] == [0, 0, 2]


def test_what_has_no_recipe_is_not_kept(directory):
    maker = Maker()
    for _ in range(2):
        load_or_make("things", [None], maker)
    assert maker.asked == [[0], [0]]
    assert not directory.exists()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x08\0\0\0\0\0\0\0{}      "])
def test_damaged_file_is_made_again_with_a_warning(content, directory, caplog):
    maker = Maker()
    load_or_make("things", ["one"], maker)
    (path,) = directory.rglob("*.safetensors")
    whole = path.read_bytes()
    path.write_bytes(content)
    (tensors,) = load_or_make("things", ["one"], maker)
    assert tensors["a"].tolist() == [0, 0]
    assert maker.asked == [[0], [0]]
    assert path.read_bytes() == whole
    (warning,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert f"{path} cannot be used (" in warning.getMessage()


def test_file_of_another_recipe_is_not_believed(directory, caplog):
    maker = Maker()
    load_or_make("things", ["one"], maker)
    (path,) = directory.rglob("*.safetensors")
    save_file({"a": torch.ones(2)}, path, {"recipe": "two"})
    (tensors,) = load_or_make("things", ["one"], maker)
    assert tensors["a"].tolist() == [0, 0]
    assert "it holds something else" in caplog.text


def test_directory_that_cannot_be_written_costs_a_warning(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TOYSAE_CACHE", str(tmp_path / "file"))
    (tensors,) = load_or_make("things", ["one"], Maker())
    assert tensors["a"].tolist() == [0, 0]
    assert "cannot be written" in caplog.text


def test_directory_is_chosen_by_the_environment(monkeypatch, tmp_path):
    assert cache_directory() == tmp_path / "cache"
    monkeypatch.delenv("TOYSAE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "toysae"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory() == tmp_path / ".cache" / "toysae"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.1, 0.1 + 2**-55),
        (1, 1.0),
        (1, True),
        ("1", 1),
        (None, "None"),
        ((1, 2), ((1,), 2)),
        (profiles.Constant(1.0), magnitudes.Constant(profiles.Constant(1.0))),
        (profiles.Array((1.0, 2.0)), profiles.Array((2.0, 1.0))),
        (ComposedSets(), ComposedSets(one_hot_fraction=0.1)),
        (Union({"a": ComposedSets()}), Union({"b": ComposedSets()})),
        (
            Union({"a": ComposedSets(), "b": ComposedSets((1, 2))}),
            Union({"b": ComposedSets((1, 2)), "a": ComposedSets()}),
        ),
        (ToyModel(), ToyModel(importance=profiles.Constant(2.0))),
    ],
)
def test_different_things_have_different_recipes(one, other):
    assert recipe(x=one) != recipe(x=other)
    assert recipe(x=one) != recipe(y=one)


def test_recipe_is_the_same_in_another_process():
    code = (
        "from toysae.hidden.cache import recipe;"
        "from toysae.hidden.toy_model import ToyModel;"
        "from toysae.generators.composed_sets import ComposedSets;"
        "import sys; sys.stdout.write(recipe(hidden=ToyModel(), generator=ComposedSets()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == recipe(hidden=ToyModel(), generator=ComposedSets())


@dataclass(frozen=True)
class Foreign:
    """Not of toysae: its code may change without notice."""

    size: int = 1


@pytest.mark.parametrize("value", [Foreign(), torch.zeros(2), object(), Path("a"), (Foreign(),)])
def test_what_cannot_be_written_down_has_no_recipe(value):
    assert recipe(x=value) is None


def test_tests_do_not_touch_the_cache_of_the_user():
    assert cache_directory() != Path.home() / ".cache" / "toysae"
    assert environment()["TOYSAE_CACHE"] == str(cache_directory())
