from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from commands import run_apart
from hydra import compose, initialize_config_dir

from experiments.composed_features.claims_optimum import CROSSINGS
from experiments.composed_features.config import StudyConfig, parse
from experiments.composed_features.runs import World, diagonals, make_member, plan
from experiments.composed_features.selection import crossing_by_seed
from experiments.composed_features.worlds import describe_world
from toysae.cli import CONF
from toysae.errors import ConfigError
from toysae.hidden.base import HiddenSpace
from toysae.metrics.dictionary import max_cosine
from toysae.training.stack import train

TINY = [
    "size=demo",
    "seeds=2",
    "control_seeds=3",
    "grid.lr=[1e-3]",
    "grid.l1=[0.1]",
    "grid.one_hot=[0,0.75,1]",
    "crossing.one_hot=[0,0.5]",
    "crossing.steps=40",
    "widths=[4,8]",
    "evaluation_samples=300",
    "diagnostic_samples=1000",
    "geometries.antipodal.steps=60",
    "protocols.plain.trainer.steps=40",
    "protocols.published.trainer.steps=40",
    "protocols.published.trainer.dead_window=20",
]

#: x1, x2, y1, y2 as the toy model stores them.
ANTIPODAL = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])


def study(*overrides: str) -> StudyConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return parse(compose("composed_features", list(overrides)))


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """One tiny study through the command line: its directory and what it printed."""
    directory = tmp_path_factory.mktemp("study")
    ended = run_apart("experiments.composed_features", directory, *TINY, "hydra.run.dir=first")
    assert ended.returncode == 0, ended.stderr
    return directory / "first", ended


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("size", sorted(path.stem for path in (CONF / "size").glob("*.yaml")))
def test_every_size_builds(size):
    runs = plan(study(f"size={size}"))
    assert len(runs) == len(set(runs))
    assert {run.world.geometry for run in runs} == {"antipodal", "orthonormal"}


def test_full_study_is_the_published_grid_with_eight_seeds():
    full = study()
    assert full.grid.lr == (3e-5, 1e-4, 3e-4, 1e-3, 3e-3)
    assert full.grid.l1 == (0.01, 0.03, 0.1, 0.3, 1.0)
    cells = Counter(
        (run.protocol, run.world, run.lr, run.l1)
        for run in plan(full)
        if run.start == "random" and run.world == run.space_world and run.world.boost == 0
        and run.n_latents == full.protocols[run.protocol].sae.n_latents
    )  # fmt: skip
    for protocol, geometries in (("plain", 2), ("published", 1)):
        grid = {key: n for key, n in cells.items() if key[0] == protocol and key[3] in full.grid.l1}
        assert len(grid) == geometries * 7 * 25
        assert min(grid.values()) == 8
    control = [n for key, n in cells.items() if key[1].one_hot == 1 and key[2:] == (1e-3, 0.1)]
    assert control == [16, 16, 16]


def test_published_protocol_is_the_published_one():
    protocol = study().protocols["published"]
    assert (protocol.sae.n_latents, protocol.sae.normalize_error) == (4, True)
    assert (protocol.trainer.beta1, protocol.trainer.beta2) == (0.0, 0.999)
    assert (protocol.trainer.warmup_fraction, protocol.trainer.decay_fraction) == (0.1, 0.2)
    assert (protocol.trainer.dead_latents, protocol.trainer.dead_window) == ("ghost", 400)
    assert protocol.trainer.ghost_cooldown == 1000


def test_everything_is_written_and_the_report_is_named(outcome):
    directory, ended = outcome
    names = {path.name for path in directory.iterdir()}
    assert {
        "config.yaml", "provenance.json", "runs.csv", "reference_cells.csv", "worlds.csv",
        "reference_features.csv", "reference_latents.csv",
        "toy_models.csv", "findings.json", "findings.md", "report.html", "metrics.json",
        "run.log", "done.json", "stack_00.safetensors",
    } <= names  # fmt: skip
    assert not [name for name in names if "partial" in name]
    assert "reproduced" in ended.stdout
    assert "report.html" in ended.stdout
    assert len(rows(directory / "runs.csv")) == len(plan(study(*TINY)))


def test_findings_say_what_they_rest_on(outcome):
    found = json.loads((outcome[0] / "findings.json").read_text())
    assert len(found) >= 25
    for finding in found:
        assert finding["verdict"] in ("reproduced", "refuted", "inconclusive")
        assert all(finding[key] for key in ("claim", "source", "statistic", "threshold"))
        assert len(finding["interval"]) == 2


def test_same_configuration_gives_the_same_tables(outcome):
    directory, _ = outcome
    again = directory.with_name("second")
    ended = run_apart(
        "experiments.composed_features",
        directory.parent,
        *TINY,
        "hydra.run.dir=second",
        "threads=1",
    )
    assert ended.returncode == 0, ended.stderr
    for name in ("runs.csv", "worlds.csv", "toy_models.csv", "findings.json"):
        assert (again / name).read_bytes() == (directory / name).read_bytes()


def test_existing_results_are_not_overwritten(outcome):
    directory, _ = outcome
    before = {path.name: path.stat().st_mtime_ns for path in directory.iterdir()}
    ended = run_apart(
        "experiments.composed_features", directory.parent, *TINY, "hydra.run.dir=first"
    )
    assert ended.returncode != 0
    assert "nothing is overwritten" in ended.stderr
    assert {path.name: path.stat().st_mtime_ns for path in directory.iterdir()} == before


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("grid.one_hot=[0,0.5]", r"grid.one_hot = \[0.0, 0.5\]: must hold 0 .* and 1"),
        ("grid.one_hot=[0,1,1.5]", r"grid.one_hot = 1.5: must lie in \[0, 1\]"),
        ("boosts=[2]", r"boosts = 2.0: must lie in \[0, 1\]"),
        ("seeds=1", "seeds = 1: must be at least 2"),
        ("protocols.plain.sae.l1=-1", "protocols.plain.sae.l1 = -1.0: must be at least 0"),
        (
            "protocols.published.trainer.beta1=1",
            r"protocols.published.trainer.beta1 = 1.0: must lie",
        ),
        ("geometries.orthonormal.d_hidden=0", "geometries.orthonormal.d_hidden = 0: must be at"),
        ("crossing.geometries=[plane]", "crossing.geometries = plane: must hold antipodal"),
        ("reference.lr=0.5", "must be in grid"),
    ],
)
def test_a_wrong_value_names_its_key(override, message):
    with pytest.raises(ConfigError, match=message):
        study(override)


def test_refused_configuration_leaves_nothing(tmp_path):
    ended = run_apart("experiments.composed_features", tmp_path, "generator.one_hot_fraction=1.5")
    assert ended.returncode == 1
    assert ended.stderr.strip() == "generator.one_hot_fraction = 1.5: must lie in [0, 1]"
    assert not list(tmp_path.iterdir())


def test_analytic_crossings():
    assert CROSSINGS[1.0] == pytest.approx(0.585786, abs=1e-6)
    assert CROSSINGS[0.0] == pytest.approx(0.216388, abs=1e-6)


def test_crossing_is_read_where_both_starts_stayed():
    settings = study("seeds=2", "crossing.one_hot=[0,0.2,0.4]")

    def row(seed: int, start: str, q: float, loss: float, stayed: bool = True) -> dict[str, object]:
        return {
            "geometry": "antipodal", "law": "shared", "boost": 0.0, "protocol": "plain",
            "lr": 1e-3, "l1": 0.03, "n_latents": 4, "start": start, "seed": seed, "one_hot": q,
            "own_space": q == 0, "loss": loss,
            "fraction_true": float(stayed and start == "truth"),
            "fraction_composed": float(stayed and start == "diagonals"),
        }  # fmt: skip

    runs = [row(seed, "diagonals", q, 1.0) for seed in (0, 1) for q in (0, 0.2, 0.4)]
    runs += [row(0, "truth", 0, 1.0, stayed=False), row(0, "truth", 0.2, 1.3)]
    runs += [row(0, "truth", 0.4, 0.9)]
    runs += [row(1, "truth", q, 2.0) for q in (0, 0.2, 0.4)]
    # Seed 0: +0.3 at 0.2, -0.1 at 0.4, so zero three quarters of the way; seed 1 never crosses.
    assert crossing_by_seed(settings, runs, "shared") == {0: pytest.approx(0.35), 1: None}


@pytest.mark.parametrize(("law", "diagonal_kurtosis"), [("shared", 3.6), ("independent", 2.4)])
def test_moments_of_the_uniform_plane(law, diagonal_kurtosis):
    settings = study("diagnostic_samples=200000")
    row = describe_world(settings, World("antipodal", law, 0.0), 3, HiddenSpace(ANTIPODAL))
    assert row["mean_eigenvalue"] == pytest.approx(1 / 3, abs=0.005)
    assert row["isotropy_deviation"] < 0.01
    assert not row["pcs_defined"]
    assert row["kurtosis_true"] == pytest.approx(1.8, abs=0.02)
    assert row["kurtosis_composed"] == pytest.approx(diagonal_kurtosis, abs=0.05)


def test_boosted_pair_turns_pcs_to_the_diagonals():
    settings = study("diagnostic_samples=100000")
    world = World("antipodal", "independent", 0.0, boost=0.3)
    row = describe_world(settings, world, 3, HiddenSpace(ANTIPODAL))
    assert row["first_pc_resolved"]
    assert row["first_pc_angle_to_composed"] < 1
    orthonormal = World("orthonormal", "independent", 0.0, boost=0.3)
    row = describe_world(settings, orthonormal, 3, HiddenSpace(torch.eye(4)))
    assert row["first_pc_angle_to_composed"] == pytest.approx(45, abs=1)


def test_diagonals_are_unit_sums():
    sums = diagonals(study(), HiddenSpace(torch.eye(4) * 3))
    root = 0.5**0.5
    expected = [[root, 0, root, 0], [root, 0, 0, root], [0, root, root, 0], [0, root, 0, root]]
    torch.testing.assert_close(sums, torch.tensor(expected))


def test_plain_protocol_passes_its_positive_control():
    """At least 95 % of the features of one-hot data, over 16 seeds, at cosine above 0.97."""
    settings = study()
    space = HiddenSpace(ANTIPODAL)
    runs = [
        run
        for run in plan(settings)
        if run.protocol == "plain" and run.world == World("antipodal", "one-hot", 1.0)
        and (run.lr, run.l1, run.n_latents) == (1e-3, 0.1, 8)
    ]  # fmt: skip
    assert len(runs) == 16
    members = [make_member(settings, run, space) for run in runs]
    (stack,) = train(members, threads=1)
    found = [
        float((max_cosine(ANTIPODAL, decoder).a_to_b > 0.97).double().mean())
        for decoder in stack.sae.decoder
    ]
    assert sum(found) / 16 >= 0.95
