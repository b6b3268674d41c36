"""Every file under conf/ composes, and what it composes to can be built."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir

from experiments.composed_features.config import parse as parse_study
from experiments.describe.config import parse as parse_describe
from experiments.validate.config import parse as parse_validate
from toysae.cli import CONF
from toysae.runs.config import parse, parse_threads

PRIMARY = sorted(path.stem for path in CONF.glob("*.yaml") if path.stem != "base")
GROUPS = ("generator", "hidden", "sae", "trainer", "measure", "logger", "world")
OPTIONS = [(group, path.stem) for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]


@pytest.fixture
def composed():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield lambda name, *overrides: compose(name, list(overrides))


@pytest.mark.parametrize("name", PRIMARY)
def test_experiment_composes_and_goes_to_a_directory_of_its_own(name, composed):
    assert composed(name)
    hydra = compose(name, return_hydra_config=True).hydra
    assert hydra.output_subdir is None
    assert f"outputs/{name}/" in hydra.run.dir
    assert hydra.job_logging.root.handlers == ["console"]


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_option_builds(group, option, composed, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    config = composed("train", f"{group}={option}")
    run = parse(config)
    assert run.seed_list == [0, 1, 2, 3, 4, 5]
    assert parse_threads(config) is None


@pytest.mark.parametrize(
    ("group", "option"), [(g, o) for g, o in OPTIONS if g in ("generator", "hidden", "world")]
)
def test_option_can_be_described(group, option, composed):
    described = parse_describe(composed("describe", f"{group}={option}"))
    assert (described.hidden is None) == (group == "generator")


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_key_of_an_option_says_what_it_is(group, option):
    """A comment at the head of the file; the fields are explained where they are defined."""
    assert (CONF / group / f"{option}.yaml").read_text().startswith("# ")


@pytest.mark.parametrize("size", sorted(path.stem for path in (CONF / "size").glob("*.yaml")))
def test_size_of_the_study_builds(size, composed):
    study = parse_study(composed("composed_features", f"size={size}"))
    assert study.seeds >= 6


@pytest.mark.parametrize("real", sorted(path.stem for path in (CONF / "real").glob("*.yaml")))
def test_real_saes_build(real, composed):
    overrides = [f"real={real}"]
    if real == "saelens_format":
        overrides.append("real.directory=somewhere")
    assert parse_validate(composed("validate", *overrides)).real.directory


def test_no_file_is_left_out():
    """A new file under conf/ must come under one of the tests of this module."""
    tested = {f"{name}.yaml" for name in (*PRIMARY, "base")}
    tested |= {f"{group}/{option}.yaml" for group, option in OPTIONS}
    tested |= {
        str(path.relative_to(CONF))
        for group in ("size", "real")
        for path in (CONF / group).iterdir()
    }
    # Every primary configuration includes these two.
    tested |= {f"hydra/{kind}_logging/console.yaml" for kind in ("job", "hydra")}
    assert {str(path.relative_to(CONF)) for path in CONF.rglob("*.yaml")} == tested


def test_no_group_of_train_is_left_out(composed):
    """A world leaves no node of its own: it sets the generator and the hidden space."""
    groups = {key for key, node in composed("train").items() if hasattr(node, "keys")}
    assert groups | {"world"} == set(GROUPS)
