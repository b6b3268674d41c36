from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.validate.__main__ import command, directory_as_key
from experiments.validate.published import Published, findings_for
from toysae.checkpoints.saelens import save
from toysae.errors import ConfigError
from toysae.saes.base import SAE
from toysae.saes.relu import ReLU
from toysae.saes.topk import TopK

ROOT = Path(__file__).parents[2]
COS_30 = 3**0.5 / 2
#: Mean best cosine of {±e1, ±e2, ±e3} and itself turned by 30 degrees about e3.
TURNED = (4 * COS_30 + 2) / 6


def signed_axes(rotation: torch.Tensor, order: list[int]) -> SAE:
    """`ReLU([x, -x])` along rotated axes: reconstructs exactly, `d` of its latents fire."""
    rows = torch.cat([rotation, -rotation])[order]
    m, d = rows.shape
    params = {
        "W_enc": rows.T[None].clone(),
        "b_enc": torch.zeros(1, m),
        "W_dec": rows[None].clone(),
        "b_dec": torch.zeros(1, d),
    }
    return SAE(ReLU(n_latents=m), params)


def turn_about_e3(degrees: float) -> torch.Tensor:
    angle = torch.deg2rad(torch.tensor(degrees))
    rotation = torch.eye(3)
    rotation[:2, :2] = torch.tensor([[angle.cos(), angle.sin()], [-angle.sin(), angle.cos()]])
    return rotation


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seeds of 3 dimensions (one permuted, one turned), an SAE of 5, and activations."""
    root = tmp_path_factory.mktemp("real")
    save(signed_axes(torch.eye(3), [0, 1, 2, 3, 4, 5]), root / "axes_0", {"hook_name": "h"})
    save(signed_axes(torch.eye(3), [4, 2, 0, 5, 1, 3]), root / "axes_1", {"hook_name": "h"})
    turned = signed_axes(turn_about_e3(30.0), [0, 1, 2, 3, 4, 5])
    save(turned, root / "deep" / "axes_2", {"hook_name": "h"})
    save(signed_axes(torch.eye(5), list(range(10))), root / "wide", {"hook_name": "h"})
    samples = np.random.default_rng(0).normal(size=(4000, 3)).astype(np.float32)
    np.save(root / "some_acts.npy", samples)
    return root


@pytest.fixture(scope="module")
def run(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "run"
    finished = in_subprocess(f"real={real}", f"hydra.run.dir={directory}")
    assert finished.returncode == 0, finished.stderr
    assert "A→B" in finished.stdout
    assert str(directory / "report.html") in finished.stdout.replace("\n", "")
    return directory


def in_subprocess(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "experiments.validate", "threads=1", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def in_process(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["validate", "threads=1", *arguments])
    command()


def rows(run: Path, table: str) -> list[dict[str, str]]:
    with (run / table).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def pair(run: Path, a: str, b: str) -> dict[str, str]:
    return next(row for row in rows(run, "pairs.csv") if (row["a"], row["b"]) == (a, b))


def numbers(row: dict[str, str], *names: str) -> list[float]:
    return [float(row[name]) for name in names]


def test_run_directory_is_complete(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    tables = {"pairs.csv", "saes.csv", "latents.csv", "replicates.csv"}
    assert names == tables | {
        "config.yaml",
        "done.json",
        "findings.json",
        "metrics.json",
        "provenance.json",
        "report.html",
        "run.log",
    }
    assert json.loads((run / "findings.json").read_text()) == []
    page = (run / "report.html").read_text()
    assert page.count("<img") == 6
    assert "some_acts.npy" in page


def test_pairs_are_those_within_a_dimension(run: Path) -> None:
    found = [(row["a"], row["b"]) for row in rows(run, "pairs.csv")]
    assert found == [
        ("axes_0", "axes_1"),
        ("axes_0", "deep/axes_2"),
        ("axes_1", "deep/axes_2"),
    ]


def test_permuted_copy_agrees_in_everything(run: Path) -> None:
    same = ["a_to_b", "b_to_a", "hungarian", "hungarian_matched", "mutual_nearest"]
    same += ["matchings_agree", "shared_a", "shared_b", "coverage_a", "coverage_b"]
    same += ["a_to_b_corrected", "jaccard_a_to_b", "jaccard_at_match_mean", "jaccard_surviving_a"]
    assert numbers(pair(run, "axes_0", "axes_1"), *same) == pytest.approx([1.0] * len(same))


def test_turned_copy_has_the_cosines_of_the_angle(run: Path) -> None:
    row = pair(run, "axes_0", "deep/axes_2")
    assert numbers(row, "a_to_b", "b_to_a", "hungarian") == pytest.approx([TURNED] * 3, abs=1e-6)
    assert numbers(row, "a_to_b_q05", "a_to_b_q95") == pytest.approx([COS_30, 1.0], abs=1e-6)
    shares = numbers(row, "a_to_b_above_0.7", "a_to_b_above_0.8", "a_to_b_above_0.9")
    assert shares == pytest.approx([1, 1, 1 / 3])


def test_chance_level_is_that_of_random_directions(run: Path) -> None:
    row = pair(run, "axes_0", "deep/axes_2")
    # In 3 dimensions a cosine is uniform on [-1, 1]: the best of 6 is expected at 5/7.
    assert float(row["a_to_b_chance"]) == pytest.approx(5 / 7)
    assert float(row["a_to_b_corrected"]) == pytest.approx((TURNED - 5 / 7) / (2 / 7), abs=1e-6)
    assert 0.5 < float(row["hungarian_chance"]) < TURNED


def test_firing_of_signed_axes(run: Path) -> None:
    by_name = {row["sae"]: row for row in rows(run, "saes.csv")}
    for name in ("axes_0", "axes_1", "deep/axes_2"):
        row = by_name[name]
        assert numbers(row, "explained_variance", "l0", "dead") == pytest.approx([1, 3, 0])
        # Corr(relu(x), relu(-x)) = -1 / (pi - 1) for Gaussian x; the axes are independent.
        expected = 1 / (1 - 1 / (np.pi - 1) ** 2)
        assert float(row["vif_q50"]) == pytest.approx(expected, abs=0.06)
        assert float(row["identifiable"]) == 1
    assert by_name["wide"]["explained_variance"] == ""


def test_best_jaccard_is_above_its_chance_level(run: Path) -> None:
    row = pair(run, "axes_0", "axes_1")
    # Independent latents that fire on half of the samples overlap by 1/3.
    assert float(row["jaccard_at_match_chance"]) == pytest.approx(1 / 3, abs=0.02)
    assert 0.3 < float(row["jaccard_a_to_b_chance"]) < 0.45


def test_latents_are_listed_with_their_replicates(run: Path) -> None:
    latents = [row for row in rows(run, "latents.csv") if row["sae"] == "axes_0"]
    assert [row["latent"] for row in latents] == [str(j) for j in range(6)]
    assert {row["replicates"] for row in latents} == {"2"}
    # e3 is in both replicates, e1 in one and turned in the other.
    assert float(latents[2]["replicates_max_cosine"]) == pytest.approx(1)
    assert float(latents[0]["replicates_max_cosine"]) == pytest.approx((1 + COS_30) / 2, abs=1e-6)
    assert sum(float(row["density"]) for row in latents) == pytest.approx(3)


def test_replicates_have_an_interval_over_seeds(run: Path) -> None:
    row = next(row for row in rows(run, "replicates.csv") if row["statistic"] == "hungarian")
    assert row["seeds"] == "3"
    # Pairs 1, T, T with T the turned cosine; without one seed T, T, 1. Student's t of 2 degrees.
    mean = (1 + 2 * TURNED) / 3
    error = (2 / 3 * (2 * (TURNED - mean) ** 2 + (1 - mean) ** 2)) ** 0.5
    half = 4.302652729696142 * error
    found = numbers(row, "mean", "low", "high")
    assert found == pytest.approx([mean, mean - half, mean + half], abs=1e-6)


def test_wide_saes_are_cut_to_the_latents_that_fire_most(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "run"
    limits = ("most_latents.jaccard=4", "most_latents.collinearity=2", "most_latents.chance=5")
    in_process(monkeypatch, f"real={real}", *limits, f"hydra.run.dir={directory}")
    row = pair(directory, "axes_0", "axes_1")
    assert row["jaccard_compared_a"] == "4"
    assert row["hungarian_chance"] == "nan"
    assert float(row["jaccard_at_match_mean"]) == pytest.approx(1)
    with_vif = [r for r in rows(directory, "latents.csv") if r["vif"] not in ("", "nan")]
    assert len(with_vif) == 3 * 2
    page = (directory / "report.html").read_text()
    assert "only the 4 latents that fire most" in page
    assert "wider than most_latents.chance" in page


def test_without_activations_the_page_says_so(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "run"
    in_process(monkeypatch, f"real={real / 'deep'}", f"hydra.run.dir={directory}")
    assert "l0" not in rows(directory, "saes.csv")[0]
    assert rows(directory, "pairs.csv") == []
    assert "holds no *acts*.npy" in (directory / "report.html").read_text()


def test_activations_that_never_vary_leave_numbers_undefined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, directory = tmp_path / "constant", tmp_path / "run"
    save(signed_axes(torch.eye(3), list(range(6))), here / "one", {"hook_name": "h"})
    save(signed_axes(torch.eye(3), list(range(6))), here / "two", {"hook_name": "h"})
    np.save(here / "acts.npy", np.ones((20, 3), dtype=np.float32))
    in_process(monkeypatch, f"real={here}", f"hydra.run.dir={directory}")
    row = rows(directory, "saes.csv")[0]
    assert row["dead"] == "3"
    undefined = {row["explained_variance"], row["vif_q50"], row["vif_above_10"]}
    assert undefined == {"nan"}
    assert float(row["identifiable"]) == 0


def test_latents_without_direction_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "run"
    for name, alive in (("one", 6), ("two", 4), ("none", 0)):
        sae = signed_axes(torch.eye(3), list(range(6)))
        sae.params["W_dec"][:, alive:] = 0
        save(sae, tmp_path / "saes" / name, {"hook_name": "h"})
    in_process(monkeypatch, f"real={tmp_path / 'saes'}", f"hydra.run.dir={directory}")
    row = pair(directory, "one", "two")
    # In 3 dimensions the best of m random cosines is expected at (m - 1) / (m + 1).
    assert numbers(row, "a_to_b_chance", "b_to_a_chance") == pytest.approx([3 / 5, 5 / 7])
    assert numbers(row, "hungarian_matched", "hungarian") == pytest.approx([1, 4 / 6])
    undefined = pair(directory, "none", "one")
    assert {undefined["a_to_b"], undefined["b_to_a_corrected"], undefined["hungarian"]} == {"nan"}


def test_duplicate_latents_are_not_identifiable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, directory = tmp_path / "doubled", tmp_path / "run"
    save(signed_axes(torch.eye(2), [0, 0, 1, 1, 2]), here / "one", {"hook_name": "h"})
    samples = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    np.save(here / "acts.npy", samples)
    in_process(monkeypatch, f"real={here}", f"hydra.run.dir={directory}")
    row = rows(directory, "saes.csv")[0]
    assert numbers(row, "vif_q50", "vif_max", "largest_condition_index") == [float("inf")] * 3
    assert float(row["identifiable"]) == pytest.approx(1 / 5)


def broken(real: Path, kind: str, tmp_path: Path) -> str:
    """Arguments of a run that cannot be: `kind` says why."""
    here = tmp_path / "broken"
    if kind == "missing":
        return f"real={here}"
    if kind == "empty":
        here.mkdir()
        return f"real={here}"
    save(signed_axes(torch.eye(3), list(range(6))), here / "one", {"hook_name": "h"})
    config = json.loads((here / "one" / "cfg.json").read_text())
    if kind == "truncated":
        weights = here / "one" / "sae_weights.safetensors"
        weights.write_bytes(weights.read_bytes()[:-20])
    if kind == "architecture":
        (here / "one" / "cfg.json").write_text(json.dumps({**config, "architecture": "magic"}))
    if kind == "dimension":
        np.save(here / "acts.npy", np.zeros((5, 4), dtype=np.float32))
    if kind == "single":
        np.save(here / "acts.npy", np.ones((1, 3), dtype=np.float32))
    if kind == "hooks":
        np.save(here / "acts.npy", np.ones((5, 3), dtype=np.float32))
        save(signed_axes(torch.eye(3), list(range(6))), here / "two", {"hook_name": "g"})
    return f"real={here}"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", ("broken", "no such directory", "SAELens checkpoints")),
        ("empty", ("broken", "no checkpoint", "cfg.json")),
        ("truncated", ("sae_weights.safetensors", "not a readable safetensors file")),
        ("architecture", ("cfg.json", "'magic'", "jumprelu", "matryoshka_batchtopk", "standard")),
        ("dimension", ("acts.npy", "dimension 4", "SAEs read 3")),
        ("single", ("acts.npy", "1 sample", "at least 2")),
        ("hooks", ("hook: not given", "'g', 'h'")),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    kind: str,
    said: tuple[str, ...],
    real: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    argument = broken(real, kind, tmp_path)
    directory = tmp_path / "runs" / "run"
    with pytest.raises(SystemExit) as ended:
        in_process(monkeypatch, argument, f"hydra.run.dir={directory}")
    message = str(ended.value.code)
    assert "\n" not in message
    assert all(part in message for part in said)
    assert not directory.exists()


def test_bad_input_ends_with_a_code(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    finished = in_subprocess(f"real={tmp_path / 'nothing'}", f"hydra.run.dir={directory}")
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    assert not directory.exists()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("min_firings=0", "min_firings = 0: must be at least 1"),
        ("same_above=2.0", "must lie in [-1, 1]"),
        ("most_latents.jaccard=0", "most_latents.jaccard = 0: must be at least 1"),
        ("hook=elsewhere", "hook = 'elsewhere': no SAE reads there; known are h"),
        ("activations=none.npy", "none.npy: no such file"),
    ],
)
def test_bad_values_name_the_key(
    override: str, said: str, real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as ended:
        in_process(monkeypatch, f"real={real}", override, f"hydra.run.dir={tmp_path / 'run'}")
    assert said in str(ended.value.code)
    assert not (tmp_path / "run").exists()


def test_only_paths_become_directories() -> None:
    assert directory_as_key("real=stories260k") == "real=stories260k"
    assert directory_as_key("real=stories260k,saelens_format") == "real=stories260k,saelens_format"
    assert directory_as_key("real=../some/where") == "real.directory='../some/where'"
    assert directory_as_key("real=it's") == r"real.directory='it\'s'"
    assert directory_as_key("samples=5") == "samples=5"


def claim(**changes: object) -> Published:
    values = {"claim": "c", "source": "s", "saes": "topk_*", "statistic": "hungarian"}
    return Published(**{**values, "low": 0.5, "high": 0.6, "digits": 2, **changes})


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0.496, 0.604), "reproduced"),
        ((0.494, 0.55), "inconclusive"),
        ((0.494, 0.606), "refuted"),
        ((float("nan"), 0.55), "inconclusive"),
    ],
)
def test_published_range_is_compared_at_its_precision(
    values: tuple[float, float], verdict: str
) -> None:
    table = [
        {"a": "topk_0", "b": "topk_1", "hungarian": values[0]},
        {"a": "topk_2", "b": "topk_3", "hungarian": values[1]},
        {"a": "topk_0", "b": "relu_0", "hungarian": 0.1},
    ]
    (finding,) = findings_for([claim()], table, [])
    assert finding.verdict == verdict


def test_what_was_not_measured_gives_no_finding() -> None:
    assert findings_for([claim(statistic="l0"), claim(saes="gated_*")], [], []) == []


def test_published_range_must_not_be_empty() -> None:
    with pytest.raises(ConfigError, match="low <= high"):
        claim(low=0.7)


@pytest.fixture(scope="module")
def stories(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (data_dir / "stories260k").is_dir():
        pytest.skip(f"optional test data not found at {data_dir / 'stories260k'}")
    directory = tmp_path_factory.mktemp("runs") / "stories"
    finished = in_subprocess(
        "real=stories260k", "most_latents.collinearity=32", f"hydra.run.dir={directory}"
    )
    assert finished.returncode == 0, finished.stderr
    return directory


@pytest.mark.parametrize(
    ("statistic", "low", "high", "digits"),
    [
        ("a_to_b", 0.592, 0.602, 3),
        ("b_to_a", 0.592, 0.602, 3),
        ("hungarian", 0.557, 0.570, 3),
        ("shared_a", 0.094, 0.133, 3),
        ("matchings_agree", 0.49, 0.65, 2),
        ("jaccard_at_match_mean", 0.207, 0.227, 3),
        ("jaccard_cosine_correlation", 0.65, 0.76, 2),
    ],
)
def test_published_range_of_topk_pairs(
    stories: Path, statistic: str, low: float, high: float, digits: int
) -> None:
    values = [
        round(float(row[statistic]), digits)
        for row in rows(stories, "pairs.csv")
        if row["replicates"] == "topk_seed*"
    ]
    assert len(values) == 6
    assert min(values) >= low
    assert max(values) <= high


def test_published_numbers_of_topk_saes(stories: Path) -> None:
    found = [row for row in rows(stories, "saes.csv") if row["family"] == TopK.name]
    assert {round(float(row["explained_variance"]), 3) for row in found} == {0.892, 0.893}
    assert {row["dead"] for row in found} == {"0"}
    # TopK keeps 8 latents; fewer fire only where a kept one is 0.
    assert [float(row["l0"]) for row in found] == pytest.approx([8] * 4, abs=0.01)


def test_published_chance_level(stories: Path) -> None:
    assert float(rows(stories, "pairs.csv")[0]["a_to_b_chance"]) == pytest.approx(0.346, abs=5e-4)


def test_all_published_numbers_are_found_again(stories: Path) -> None:
    findings = json.loads((stories / "findings.json").read_text())
    assert [finding["verdict"] for finding in findings] == ["reproduced"] * 8


def test_two_seeds_have_no_interval(stories: Path) -> None:
    found = [r for r in rows(stories, "replicates.csv") if r["replicates"] == "relu_seed*"]
    assert {row["seeds"] for row in found} == {"2"}
    assert {row["low"] for row in found} == {"nan"}
