from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from commands import ROOT, read_json, run_apart, run_here
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from scipy import stats

from experiments.describe.__main__ import main
from experiments.describe.agreement import (
    SIGMAS,
    Comparison,
    chance_band,
    compare,
    estimate_size,
    expected_largest,
    mean_sigmas,
    probability_sigmas,
)
from experiments.describe.config import DescribeConfig, parse
from experiments.describe.plots import independent_l0, point_features
from experiments.describe.sampling import draw
from experiments.describe.selection import MOST_GROUPS, select
from experiments.describe.space import nearest_cosines
from experiments.describe.tree import TreeCounts, depth_rows, in_trees, roots_and_depths
from toysae import config as registry
from toysae.draws import CPU, Draws
from toysae.generators.base import Generator
from toysae.generators.coefficients import DenseCoefficients, SparseCoefficients
from toysae.generators.monte_carlo import estimate_truth
from toysae.generators.truth import PairMoments, Truth

FILES = {
    "comparisons.csv", "config.yaml", "done.json", "features.csv", "figures", "groups.csv",
    "metrics.json", "pairs.csv", "provenance.json", "report.html", "run.log",
}  # fmt: skip
FIGURES = ["densities", "l0", "magnitudes", "phi", "raster", "realised_against_stated"]
QUICK = ("threads=1", "device=cpu", "n_samples=8192")


def vector(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@dataclass(frozen=True)
class Chain(Generator):
    """A root at .5, its child at .25, and a loner at .2; coefficients are all 1.

    Attributes:
        lie: added to the probability of the loner that is stated.
        shared: samples that share all of their draws.
    """

    lie: float = 0.0
    shared: int = 1
    estimated: bool = False

    name: ClassVar[str] = "chain"

    @property
    def n_features(self) -> int:
        return 3

    def sample(self, draws: Draws, n: int) -> SparseCoefficients:
        uniform = draws.uniform("u", (n // self.shared, 3)).repeat_interleave(self.shared, 0)
        fires = uniform < torch.tensor([0.5, 0.5, 0.2])
        fires[:, 1] &= fires[:, 0]
        return DenseCoefficients(fires.float()).sparse()

    def truth(self) -> Truth:
        names, groups = ("root", "child", "loner"), {"tree": (0, 1), "rest": (2,)}
        if self.estimated:
            return estimate_truth(self.sample, names, groups, self.parents)
        p = vector(0.5, 0.25, 0.2 + self.lie)
        pairs = p[:, None] * p[None, :]
        pairs[0, 1] = pairs[1, 0] = 0.25
        pairs.diagonal().copy_(p)

        def moments(features: torch.Tensor) -> PairMoments:
            block = pairs[features[:, None], features[None, :]]
            return PairMoments.exact(block, block)

        return Truth(names, groups, p, p, p, moments, parents=self.parents)

    @property
    def parents(self) -> torch.Tensor:
        return torch.tensor([-1, 0, -1])


def look_at(generator: Generator, blocks: int = 1, most_features: int = 60):
    config = DescribeConfig(generator, 8192 * blocks, most_features, 0, "cpu", None)
    truth = generator.truth()
    selection = select(truth, most_features)
    realised = draw(config, truth, selection, CPU)
    return truth, selection, realised


def comparisons(generator: Generator, blocks: int = 1):
    truth, selection, realised = look_at(generator, blocks)
    pairs = truth.pair_moments(selection.shown)
    return {found.name: found for found in compare(truth, pairs, selection, realised)}


# The command.


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("describe")
    ended = run_apart(
        "experiments.describe", directory, *QUICK, "generator.sizes=[3,4]", "hidden=orthonormal",
        "hidden.d_hidden=9", "hydra.run.dir=here",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "As stated: no deviation of more than 5.5 sigmas." in ended.stdout
    assert "report: here/report.html" in ended.stdout.replace(f"{directory}/", "")
    assert "Largest |cos| with another feature" in ended.stdout
    return directory / "here"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_directory_is_complete_and_done_comes_last(run):
    assert {path.name for path in run.iterdir()} == FILES
    drawn = sorted(path.stem for path in (run / "figures").iterdir())
    assert drawn == sorted([*FIGURES, "nearest_directions", "spectrum"])
    done = (run / "done.json").stat().st_mtime_ns
    assert all(path.stat().st_mtime_ns <= done for path in run.rglob("*"))
    assert (run / "report.html").read_text().count("<img") == len(drawn)


def test_tables_hold_what_is_stated_beside_what_is_realised(run):
    features = rows(run / "features.csv")
    assert [row["name"] for row in features] == ["x1", "x2", "x3", "y1", "y2", "y3", "y4"]
    assert [row["groups"] for row in features] == ["set_x"] * 3 + ["set_y"] * 4
    stated = [float(row["marginal_stated"]) for row in features]
    assert stated == pytest.approx([1 / 3] * 3 + [1 / 4] * 4)
    assert [float(row["mean_stated"]) for row in features] == pytest.approx(
        [1 / 6] * 3 + [1 / 8] * 4
    )
    assert sum(float(row["marginal_realised"]) for row in features) == pytest.approx(2)
    pairs = rows(run / "pairs.csv")
    assert len(pairs) == 21
    # Two of three exclusive features of 1/3: (0 - 1/9) / (1/3 * 2/3).
    assert float(pairs[0]["phi_stated"]) == pytest.approx(-1 / 2)
    assert {pairs[0]["a"], pairs[0]["b"]} <= {"x1", "x2", "x3"}
    across = next(row for row in pairs if (row["a"], row["b"]) == ("x1", "y1"))
    assert float(across["phi_stated"]) == pytest.approx(0)
    assert float(across["b_given_a_stated"]) == pytest.approx(1 / 4)
    assert float(across["both_stated"]) == pytest.approx(1 / 12)
    assert float(across["product_stated"]) == pytest.approx(1 / 48)


def test_scalars(run):
    metrics = read_json(run / "metrics.json")
    assert metrics["as_stated"] is True
    assert metrics["truth_exact"] is True
    assert metrics["n_samples"] == 8192
    l0 = metrics["l0"]
    assert (l0["stated"], l0["realised"], l0["sd"], l0["q50"]) == pytest.approx((2, 2, 0, 2))
    # Variances of independent features: 3 * 1/3 * 2/3 + 4 * 1/4 * 3/4.
    assert l0["sd_if_independent"] == pytest.approx((2 / 3 + 3 / 4) ** 0.5)
    assert metrics["pair_probabilities/comparisons"] == 21
    assert metrics["hidden/nearest_cosine"] == pytest.approx(0, abs=1e-6)


def test_generator_alone_needs_no_hidden_space(tmp_path):
    ended = run_here(main, tmp_path, *QUICK, "hydra.run.dir=here")
    assert ended.code == 0
    assert sorted(path.stem for path in (tmp_path / "here/figures").iterdir()) == FIGURES
    assert "Hidden space" not in (tmp_path / "here" / "report.html").read_text()


def test_sweep_describes_every_generator(tmp_path):
    ended = run_here(
        main, tmp_path, "-m", *QUICK, "generator.one_hot_fraction=0.0,0.5", "hydra.sweep.dir=all"
    )
    assert ended.code == 0
    table = rows(tmp_path / "all" / "results.csv")
    assert [row["generator.one_hot_fraction"] for row in table] == ["0.0", "0.5"]
    assert [float(row["l0.stated"]) for row in table] == [2, 1.5]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["generator=nothing"], ("generator=nothing: unknown; known:", "composed_sets")),
        (["hidden=nothing"], ("hidden=nothing: unknown; known:", "orthonormal")),
        (["generator.sizes=[2,0]"], ("generator.sizes", "must be at least 1")),
        (["hidden=orthonormal", "hidden.d_hidden=2"], ("hidden.d_hidden = 2", "at least 4")),
        (["most_features=1"], ("most_features = 1: must lie in [2, 1000]",)),
        (["n_samples=0"], ("n_samples = 0: must be at least 1",)),
        (["seed=-1"], ("seed = -1: must be at least 0",)),
        (["n_sample=5"], ("n_sample", "unknown key; known:", "n_samples")),
        (["device=abacus"], ("device = 'abacus'",)),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(overrides, said, tmp_path):
    ended = run_here(main, tmp_path, *overrides)
    assert ended.code == 1
    assert "\n" not in ended.message
    assert all(part in ended.message for part in said)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(run):
    before = (run / "report.html").read_bytes()
    ended = run_here(main, ROOT, *QUICK, f"hydra.run.dir={run}")
    assert ended.code == 1
    assert "nothing is overwritten" in ended.message
    assert (run / "report.html").read_bytes() == before


def test_tree_is_drawn_and_kept_to(tmp_path, monkeypatch):
    monkeypatch.setitem(registry.GENERATORS, Chain.name, Chain)
    from experiments.describe.study import describe
    from experiments.describe.terminal import show

    node = OmegaConf.create(
        {
            "generator": {"name": "chain"}, "n_samples": 8192, "most_features": 60, "seed": 0,
            "device": "cpu", "threads": None,
        }
    )  # fmt: skip
    found = describe(node, tmp_path / "here", [])
    show(found, tmp_path / "here")
    assert (tmp_path / "here" / "figures" / "tree.png").is_file()
    metrics = read_json(tmp_path / "here" / "metrics.json")
    assert metrics["tree/child_firings"] == pytest.approx(8192 / 4, rel=0.2)
    assert metrics["tree/without_parent"] == metrics["tree/beside_sibling"] == 0
    page = (tmp_path / "here" / "report.html").read_text()
    assert "0 happened without the parent" in page
    assert [row["depth"] for row in found.depths] == [0, 1, "outside"]


# Stated against realised.


def test_truth_is_found_true_and_a_lie_is_found_out():
    assert all(found.as_stated for found in comparisons(Chain(), 4).values())
    lied = comparisons(Chain(lie=0.02), 4)
    assert not lied["firing probabilities"].as_stated
    assert lied["firing probabilities"].worst == "loner"
    assert lied["firing probabilities"].largest < -SIGMAS
    # Coefficients are still 1 whenever a feature fires.
    assert lied["mean magnitudes"].as_stated


def test_estimated_truth_carries_its_errors():
    found = comparisons(Chain(estimated=True))
    assert all(one.as_stated for one in found.values())
    assert found["firing probabilities"].n == 3
    assert found["firing probabilities"].verdict == "as stated"
    assert Comparison("none", vector(math.nan), [""]).verdict == "not compared"


def test_samples_that_share_their_draws_count_as_fewer():
    _, _, alone = look_at(Chain(), 8)
    assert alone.dispersion == 1
    _, _, shared = look_at(Chain(shared=64), 8)
    assert 16 < shared.dispersion < 256
    assert all(found.as_stated for found in comparisons(Chain(shared=64), 8).values())


@given(count=st.integers(0, 50), p=st.floats(0, 1))
@settings(max_examples=50)
def test_sigmas_of_exact_probabilities_are_binomial_tails(count, p):
    (sigma,) = probability_sigmas(vector(count), 50, vector(p), None).tolist()
    law = stats.binom(50, p)
    low, high = law.cdf(count), law.sf(count - 1)
    if sigma == 0:
        assert min(low, high) >= 0.5 - 1e-9
    elif math.isfinite(sigma):
        assert stats.norm.sf(abs(sigma)) == pytest.approx(low if sigma < 0 else high)
    else:
        assert (low if sigma < 0 else high) == 0


def test_what_cannot_be_is_infinitely_far():
    impossible = probability_sigmas(vector(1, 0, 9, 10), 10, vector(0, 0, 1, 1), None)
    assert impossible.tolist() == [math.inf, 0, -math.inf, 0]


def test_sigmas_of_estimates_are_those_of_two_samples():
    """Shares .11 and .10 of 40,000 samples each: z = .01 / sqrt(2 * .105 * .895 / 40,000)."""
    error = vector((0.1 * 0.9 / 40_000) ** 0.5)
    sigma = probability_sigmas(vector(4400), 40_000, vector(0.1), error)
    assert float(sigma) == pytest.approx(0.01 / (2 * 0.105 * 0.895 / 40_000) ** 0.5, rel=1e-3)
    never = probability_sigmas(vector(2), 10_000, vector(0), vector(1 / 20_000))
    assert 1 < float(never) < 3


@pytest.mark.parametrize("error", [0.0, 0.3])
def test_mean_is_compared_by_its_standard_error(error):
    """100 numbers, half 1 and half 3: mean 2, variance 1, mean square 5."""
    count, total, square = vector(100, 100), vector(200, 200), vector(500, 500)
    # The relative spread of all: their mean square over the stated one, (5 + 5) / (1.6^2 + 3^2).
    relative = 10 / (1.6**2 + 3**2) - 1
    assert relative * 1.6**2 < 1
    t = np.array([0.4, -1.0]) / (1 / 100 + error**2) ** 0.5
    found = mean_sigmas(count, total, square, vector(1.6, 3), vector(error, error))
    expected = np.sign(t) * stats.norm.isf(stats.t.sf(np.abs(t), 99))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_small_spread_of_one_mean_is_replaced_by_that_of_all():
    """The first 50 numbers are all 1, the others 0 and 2: relative variances 0 and 1."""
    count = vector(50, 50)
    found = mean_sigmas(count, vector(50, 50), vector(50, 100), vector(0.9, 1), vector(0, 0))
    variance = (150 / (50 * 0.81 + 50) - 1) * 0.81
    t = 0.1 / (variance / 50) ** 0.5
    assert float(found[0]) == pytest.approx(stats.norm.isf(stats.t.sf(t, 49)), rel=1e-6)
    assert float(found[1]) == 0


def test_means_of_few_numbers_or_of_nothing_are_not_compared():
    few = mean_sigmas(
        vector(29, 50), vector(29, 50), vector(29, 50), vector(1, math.nan), vector(0, 0)
    )
    assert few.isnan().all()


def test_magnitudes_of_constant_value_do_not_deviate_by_rounding():
    tenth = float(np.float32(0.1))
    sigma = mean_sigmas(
        vector(1e6), vector(1e6 * tenth), vector(1e6 * tenth**2), vector(0.1), vector(0)
    )
    assert abs(float(sigma)) < 1


@pytest.mark.parametrize("n", [1, 10, 1000, 1_000_000])
def test_expected_largest_is_the_median_of_the_largest(n):
    z = expected_largest(n)
    assert (1 - 2 * stats.norm.sf(z)) ** n == pytest.approx(0.5)
    assert math.isnan(expected_largest(0))


def test_band_is_where_sigmas_end():
    p, n = vector(0.001, 0.01, 0.3), 10_000
    for size, error in ((math.inf, None), (40_000, (p * (1 - p) / 40_000).sqrt())):
        low, high = chance_band(p, n, size)
        inside = [probability_sigmas(edge * n, n, p, error) for edge in (low, high)]
        below, above = (
            probability_sigmas(edge * n + step, n, p, error)
            for edge, step in ((low, -3), (high, 3))
        )
        assert all(bool((sigma.abs() < SIGMAS + 0.3).all()) for sigma in inside)
        assert bool((below[1:] < -SIGMAS + 0.3).all())
        assert bool((above > SIGMAS - 0.3).all())


def test_size_of_an_estimate_is_told_by_its_errors():
    truth = Chain(estimated=True).truth()
    assert estimate_size(truth) == pytest.approx(2**18, rel=1e-6)
    assert estimate_size(Chain().truth()) == math.inf


# What is shown.


def some_truth(
    marginals: Sequence[float],
    groups: dict[str, Sequence[int]],
    parents: Sequence[int] | None = None,
) -> Truth:
    p = vector(*marginals)
    return Truth(
        [f"f{i}" for i in range(len(p))], groups, p, p, p,
        lambda features: PairMoments.exact(*[torch.diag(p[features])] * 2),
        parents=None if parents is None else torch.tensor(parents),
    )  # fmt: skip


def test_shown_are_the_most_frequent_of_every_group_in_equal_numbers():
    truth = some_truth([0.1, 0.2, 0.3, 0.4, 0.01, 0.02], {"a": (0, 1, 2, 3), "b": (4, 5)})
    assert select(truth, 4).shown.tolist() == [2, 3, 4, 5]
    assert select(truth, 3).shown.tolist() == [2, 3, 5]
    # What one group lacks, the other makes up for.
    assert select(truth, 5).shown.tolist() == [1, 2, 3, 4, 5]
    assert select(truth, 4).shown_groups() == {"a": [0, 1], "b": [2, 3]}


def test_children_are_shown_before_the_next_root():
    truth = some_truth([0.3, 0.5, 0.2, 0.1, 0.4], {}, parents=[-1, -1, 1, 2, 1])
    assert select(truth, 4).shown.tolist() == [1, 2, 3, 4]
    assert select(truth, 2).shown.tolist() == [1, 4]


def test_features_belong_to_their_first_group_and_the_groups_are_few():
    groups = {f"g{i}": (i,) for i in range(8)}
    truth = some_truth([0.1 * (i + 1) for i in range(9)], {**groups, "late": (7, 8)})
    selection = select(some_truth([0.1] * 3, {"a": (1,), "b": (0, 1)}), 3)
    assert selection.names == ("a", "b", "no group")
    assert selection.group_of.tolist() == [1, 0, 2]
    selection = select(truth, 9)
    assert len(selection.names) == MOST_GROUPS
    # The largest first, then in their own order: late, g0 ... g6; of these the ones that fire most.
    assert selection.names == ("late", "g3", "g4", "g5", "g6", "3 other groups")
    assert selection.group_of.tolist() == [5, 5, 5, 1, 2, 3, 4, 0, 0]


def test_many_small_groups_give_way_to_the_one_that_holds_them():
    groups = {f"g{i}": (i,) for i in range(8)}
    selection = select(some_truth([0.1] * 9, {**groups, "all": range(8)}), 9)
    assert selection.names == ("all", "no group")


def test_without_groups_all_are_features():
    assert select(some_truth([0.1, 0.2], {}), 2).names == ("features",)


def test_roots_depths_and_who_is_in_a_tree():
    parents = torch.tensor([-1, 0, 1, -1, 1])
    root, depth = roots_and_depths(parents)
    assert root.tolist() == [0, 0, 0, 3, 0]
    assert depth.tolist() == [0, 1, 2, 0, 2]
    assert in_trees(parents).tolist() == [True, True, True, False, True]


def test_depths_add_up():
    truth = some_truth([0.4, 0.2, 0.1, 0.3], {}, parents=[-1, 0, 0, -1])
    table = depth_rows(truth, vector(0.5, 0.1, 0.1, 0.2))
    assert [row["features"] for row in table] == [1, 2, 1]
    assert [row["l0_stated"] for row in table] == pytest.approx([0.4, 0.3, 0.3])
    assert [row["density_realised"] for row in table] == pytest.approx([0.5, 0.1, 0.2])


def test_children_without_parents_and_beside_siblings_are_counted():
    fires = torch.tensor([[1.0, 1, 1], [1, 1, 0], [0, 1, 0], [1, 0, 0]])
    counts = TreeCounts(torch.tensor([-1, 0, 0]))
    counts.add(DenseCoefficients(fires).sparse())
    assert (counts.child_firings, counts.without_parent, counts.beside_sibling) == (4, 1, 2)


def test_sums_are_those_of_the_samples():
    truth, selection, realised = look_at(Chain(), 2)
    draws = Draws(0, ("data", "describe"))
    values = torch.cat([Chain().sample(draws.at_block(b), 8192).dense() for b in (0, 1)]).double()
    fires = (values > 0).double()
    torch.testing.assert_close(realised.features.firings, fires.sum(0))
    torch.testing.assert_close(realised.features.fourth, (values**4).sum(0))
    torch.testing.assert_close(realised.pairs.together, fires.T @ fires)
    torch.testing.assert_close(realised.l0.double(), fires.sum(1))
    torch.testing.assert_close(realised.first, values[:60])
    assert len(realised.magnitudes["tree"]) == int(fires[:, :2].sum())
    assert truth.n_features == len(selection.shown)


def test_many_features_are_drawn_in_part_with_those_that_deviate_most():
    n = 50_000
    sigmas = torch.zeros(n, dtype=torch.float64)
    sigmas[12_345] = -9
    found = SimpleNamespace(
        truth=SimpleNamespace(n_features=n, marginals=torch.arange(1, n + 1).double() ** -0.5),
        comparisons=[Comparison("firing probabilities", sigmas, range(n))],
    )
    points = point_features(found).tolist()
    assert {0, 12_345, n - 1} <= set(points)
    assert len(points) <= 20_100
    assert sum(point < 5000 for point in points) > 2000


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=6))
@settings(max_examples=30)
def test_law_of_independent_firings_is_the_convolution(p):
    law = np.ones(1)
    for one in p:
        law = np.convolve(law, [1 - one, one])
    found = independent_l0(vector(*p))
    np.testing.assert_allclose(found, law, atol=1e-9)


def test_nearest_cosines_leave_out_the_feature_itself_and_the_zero_direction():
    directions = torch.tensor([[1.0, 0], [0, 2], [-3, 3], [0, 0]])
    half = 0.5**0.5
    found = nearest_cosines(directions, torch.arange(4), block=2)
    assert found[:3].tolist() == pytest.approx([half] * 3)
    assert found[3].isnan()
    assert nearest_cosines(directions[:1], torch.tensor([0])).isnan().all()


def test_seed_changes_the_samples_only():
    config = DescribeConfig(Chain(), 8192, 60, 0, "cpu", None)
    truth = Chain().truth()
    selection = select(truth, 60)
    first, again, other = (
        draw(one, truth, selection, CPU).features.firings
        for one in (config, config, replace(config, seed=1))
    )
    assert first.tolist() == again.tolist() != other.tolist()


def test_blocks_are_whole():
    node = OmegaConf.create(
        {
            "generator": {"name": "composed_sets"}, "n_samples": 8193, "most_features": 60,
            "seed": 0, "device": "cpu", "threads": None,
        }
    )  # fmt: skip
    assert parse(node).blocks == 2
