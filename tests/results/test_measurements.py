from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from toysae.draws import CPU, Draws
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.base import HiddenSpace
from toysae.hidden.orthonormal import Orthonormal
from toysae.hidden.stream import Stream
from toysae.metrics.chance import expected_max_cosine
from toysae.results.measurements import (
    EvaluationWorld,
    classify,
    measure_member,
    outcome_fractions,
)
from toysae.saes.base import SAE
from toysae.saes.relu import ReLU

HALF = math.sqrt(0.5)
AXES = HiddenSpace(torch.eye(4))
PLANE = HiddenSpace(torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]]))
DIAGONALS = HALF * torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
ROTATED = Orthonormal(d_hidden=6).spaces(ComposedSets(), [0], CPU)[0]
SINGLES = ComposedSets(one_hot_fraction=1.0)


def world(space, generator=None, n=1000):
    stream = Stream(generator or ComposedSets(), space, seed=0, split="evaluation")
    return EvaluationWorld.sample(stream, n)


def tied(decoder, bias=0.0):
    """An SAE with these decoder rows, the same encoder, and one encoder bias for all latents."""
    m, d = decoder.shape
    params = {
        "W_enc": decoder.T[None].clone(),
        "b_enc": torch.full((1, m), bias),
        "W_dec": decoder[None].clone(),
        "b_dec": torch.zeros(1, d),
    }
    return SAE(ReLU(n_latents=m, l1=0.2), params)


def anything(d, m=6, seed=0):
    """An SAE in no special position, all of its latents alive."""
    params = ReLU(n_latents=m, initialisation="independent").init(d, Draws(seed))
    params = {name: p[None] for name, p in params.items()}
    params["b_enc"] += 0.1
    params["b_dec"] -= 0.05
    return SAE(ReLU(n_latents=m), params)


def with_dead_latents(sae):
    """Two more latents that never fire, along a feature and along a pair."""
    m, d = sae.n_latents, sae.d_hidden
    rows = torch.zeros(1, 2, d)
    rows[0, 0, 0] = 1
    rows[0, 1, [1, 3]] = 2
    params = {
        "W_enc": torch.cat([sae.params["W_enc"], torch.zeros(1, d, 2)], dim=2),
        "b_enc": torch.cat([sae.params["b_enc"], torch.full((1, 2), -1.0)], dim=1),
        "W_dec": torch.cat([sae.decoder, rows], dim=1),
        "b_dec": sae.params["b_dec"],
    }
    return SAE(replace(sae.family, n_latents=m + 2), params)


def permuted(sae, order):
    params = dict(sae.params)
    params["W_enc"] = params["W_enc"][:, :, order]
    params["b_enc"], params["W_dec"] = params["b_enc"][:, order], params["W_dec"][:, order]
    return SAE(sae.family, params)


def assert_same(a, b, *, but=(), tolerance=1e-6):
    assert a.keys() == b.keys()
    for name in a.keys() - set(but):
        assert a[name] == pytest.approx(b[name], abs=tolerance, nan_ok=True), name


PERFECT = {
    "cosine_feature_to_latent": 1,
    "cosine_latent_to_feature": 1,
    "cosine_feature_to_latent/set_x": 1,
    "cosine_feature_to_latent/set_y": 1,
    "cosine_feature_to_latent_corrected": 1,
    "cosine_latent_to_feature_corrected": 1,
    "hungarian_over_matched": 1,
    "hungarian_over_max": 1,
    "saelens/matched_abs_cosine": 1,
    "recovered": 1,
    "fraction_true": 1,
    "fraction_composed": 0,
    "fraction_other": 0,
    "angle_to_feature": 0,
    "composed_by_score": 0,
    "monosemanticity": 1,
    "feature_f1": 1,
    "explained_variance": 1,
    "shrinkage": 1,
    "n_dead": 0,
    "error": 0,
}


class TestOracle:
    @pytest.mark.parametrize("space", [AXES, PLANE, ROTATED])
    @pytest.mark.parametrize("generator", [ComposedSets(), SINGLES])
    def test_truth_scores_one_everywhere(self, space, generator):
        here = world(space, generator)
        measured = measure_member(tied(space.directions), here)
        summary = measured.summary
        assert {name: summary[name] for name in PERFECT} == pytest.approx(PERFECT, abs=1e-3)
        assert summary["l0"] == summary["l0_true"] == (1 if generator is SINGLES else 2)
        for latent, active in zip(measured.latents, here.coefficients.T > 0):
            assert latent["density"] == float(active.double().mean())
        assert summary["penalty"] == pytest.approx(
            float(here.coefficients.sum(1).double().mean()), rel=1e-5
        )

    def test_composed_pairs_are_not_recovered_by_the_truth(self):
        summary = measure_member(tied(AXES.directions), world(AXES)).summary
        assert summary["composed_recovered"] == 0
        assert summary["angle_to_composed"] == pytest.approx(45)

    def test_without_composed_pairs_they_are_undefined(self):
        summary = measure_member(tied(AXES.directions), world(AXES, SINGLES)).summary
        assert math.isnan(summary["composed_recovered"])
        assert math.isnan(summary["angle_to_composed"])


class TestDiagonals:
    SUMMARY = measure_member(tied(DIAGONALS), world(PLANE)).summary

    def test_features_lie_45_degrees_away(self):
        for name in ("cosine_feature_to_latent", "cosine_latent_to_feature"):
            assert self.SUMMARY[name] == pytest.approx(HALF)
        assert self.SUMMARY["hungarian_over_matched"] == pytest.approx(HALF)
        assert self.SUMMARY["angle_to_feature"] == pytest.approx(45)
        assert self.SUMMARY["recovered"] == 0

    def test_every_pair_is_recovered(self):
        assert self.SUMMARY["composed_recovered"] == 1
        assert self.SUMMARY["fraction_composed"] == 1
        assert self.SUMMARY["fraction_true"] == self.SUMMARY["fraction_other"] == 0
        assert self.SUMMARY["angle_to_composed"] == pytest.approx(0, abs=1e-4)

    def test_each_latent_responds_to_two_features_alike(self):
        assert self.SUMMARY["monosemanticity"] == pytest.approx(0.5)

    def test_in_four_dimensions_the_score_says_so_too(self):
        pairs = HALF * torch.tensor([[1.0, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]])
        measured = measure_member(tied(pairs), world(AXES))
        assert measured.summary["composed_recovered"] == 1
        assert measured.summary["composed_by_score"] == 1
        assert [row["nearest_pair"] for row in measured.latents] == [
            "x1+y1", "x1+y2", "x2+y1", "x2+y2",
        ]  # fmt: skip
        assert {row["outcome"] for row in measured.latents} == {"composed"}


class TestDeadLatents:
    def test_are_counted_and_left_out(self):
        sae, here = anything(4), world(AXES)
        without = measure_member(sae, here)
        measured = measure_member(with_dead_latents(sae), here)
        changed = ["n_dead", "monosemanticity_published"]
        changed += [name for name in measured.summary if name.startswith("saelens/")]
        assert_same(measured.summary, without.summary, but=changed)
        assert without.summary["n_dead"] == 0
        assert measured.summary["n_dead"] == 2
        # The published mean counts latents that respond to nothing as 0.
        published = without.summary["monosemanticity_published"] * 6 / 8
        assert measured.summary["monosemanticity_published"] == pytest.approx(published)
        assert measured.features == without.features
        assert [row["outcome"] for row in measured.latents[6:]] == ["dead", "dead"]
        assert all(math.isnan(row["angle_to_feature"]) for row in measured.latents[6:])

    def test_of_nothing_alive_agreement_is_undefined(self):
        summary = measure_member(tied(AXES.directions, bias=-2.0), world(AXES)).summary
        undefined = {name for name, value in summary.items() if math.isnan(value)}
        assert undefined == {
            "cosine_feature_to_latent", "cosine_feature_to_latent_chance",
            "cosine_feature_to_latent_corrected", "cosine_latent_to_feature",
            "cosine_latent_to_feature_corrected", "hungarian_over_matched", "hungarian_over_max",
            "angle_to_feature", "angle_to_composed", "fraction_true", "fraction_composed",
            "fraction_other", "composed_by_score", "composed_score_decided", "monosemanticity",
            "cosine_feature_to_latent/set_x", "cosine_feature_to_latent/set_y",
        }  # fmt: skip
        assert summary["n_dead"] == 4
        assert summary["recovered"] == summary["l0"] == summary["feature_f1"] == 0


class TestInvariances:
    @pytest.mark.parametrize("seed", range(3))
    def test_order_of_latents_changes_no_aggregate(self, seed):
        sae, here = with_dead_latents(anything(4, seed=seed)), world(AXES)
        order = torch.randperm(8, generator=torch.Generator().manual_seed(seed)).tolist()
        before, after = measure_member(sae, here), measure_member(permuted(sae, order), here)
        assert_same(after.summary, before.summary)
        for position, old in enumerate(order):
            ours, theirs = after.latents[position], before.latents[old]
            assert ours["outcome"] == theirs["outcome"]
            assert ours["density"] == theirs["density"]
        for ours, theirs in zip(after.features, before.features):
            assert order[ours["latent"]] == theirs["latent"]
            assert ours["best_f1"] == theirs["best_f1"]

    def test_rotation_of_the_hidden_space_changes_nothing(self):
        sae, here = anything(4), world(AXES)
        q = Orthonormal(d_hidden=4).spaces(ComposedSets(), [3], CPU)[0].directions
        params = dict(sae.params)
        params["W_enc"] = q.T @ params["W_enc"]
        params["W_dec"], params["b_dec"] = params["W_dec"] @ q, params["b_dec"] @ q
        rotated = measure_member(SAE(sae.family, params), world(HiddenSpace(q)))
        assert_same(rotated.summary, measure_member(sae, here).summary, tolerance=1e-4)

    def test_scale_of_latents_changes_nothing_but_the_penalty(self):
        sae, here = anything(4), world(AXES)
        params = dict(sae.params)
        params["W_enc"], params["b_enc"] = 8 * params["W_enc"], 8 * params["b_enc"]
        params["W_dec"] = params["W_dec"] / 8
        before = measure_member(sae, here).summary
        after = measure_member(SAE(sae.family, params), here).summary
        assert_same(after, before, but=("penalty",))
        assert after["penalty"] == pytest.approx(8 * before["penalty"])

    def test_random_decoders_score_the_chance_level(self):
        """In three dimensions it is known: the best of m has mean cosine (m - 1) / (m + 1)."""
        generator = ComposedSets(sizes=(2, 1))
        here = world(HiddenSpace(torch.eye(3)), generator, n=20)
        scores = []
        for seed in range(100):
            params = {k: p[None] for k, p in ReLU(n_latents=4).init(3, Draws(seed)).items()}
            params["b_enc"] += 3  # alive
            scores.append(measure_member(SAE(ReLU(n_latents=4), params), here).summary)
        found = torch.tensor([s["cosine_feature_to_latent"] for s in scores])
        assert abs(float(found.mean()) - 0.6) < 5.5 * float(found.std()) / 10
        assert scores[0]["cosine_feature_to_latent_chance"] == pytest.approx(0.6)
        assert scores[0]["cosine_latent_to_feature_chance"] == pytest.approx(0.5)


class TestRows:
    def test_features_and_their_latents(self):
        """Latents are the features in the order y2, x1, y1; x2 has none of its own."""
        sae = tied(AXES.directions[[3, 0, 2]])
        boosted = ComposedSets(boosted_pairs=(("x1", "y2"),), boost=0.5)
        measured = measure_member(sae, world(AXES, boosted))
        rows = measured.features
        assert [row["feature"] for row in rows] == ["x1", "x2", "y1", "y2"]
        assert [row["latent"] for row in rows][::2] == [1, 2]
        assert rows[3]["latent"] == 0
        assert [row["recovered"] for row in rows] == [True, False, True, True]
        assert [row["group"] for row in rows] == [
            "set_x|boosted", "set_x", "set_y", "set_y|boosted",
        ]  # fmt: skip
        assert [row["marginal"] for row in rows] == pytest.approx([0.5] * 4)
        assert [row["cosine"] for row in rows] == pytest.approx([1, 0, 1, 1])
        assert [row["nearest_feature"] for row in measured.latents] == ["y2", "x1", "y1"]
        assert measured.summary["cosine_feature_to_latent"] == pytest.approx(0.75)
        assert measured.summary["cosine_feature_to_latent/boosted"] == pytest.approx(1)
        assert measured.summary["hungarian_over_max"] == pytest.approx(0.75)

    def test_l0_is_the_sum_of_densities(self):
        measured = measure_member(anything(4), world(AXES))
        densities = [row["density"] for row in measured.latents]
        assert measured.summary["l0"] == pytest.approx(sum(densities))
        assert measured.summary["n_dense"] == sum(density > 0.1 for density in densities)

    @pytest.mark.parametrize("normalize", [False, True])
    def test_loss_by_hand(self, normalize):
        sae, here = anything(4), world(AXES)
        sae = SAE(replace(sae.family, normalize_error=normalize), sae.params)
        latents = torch.relu(here.hidden @ sae.params["W_enc"][0] + sae.params["b_enc"][0])
        missing = here.hidden - latents @ sae.decoder[0] - sae.params["b_dec"][0]
        squared = missing.square().sum(1)
        if normalize:
            squared = squared / here.hidden.square().sum(1)
        summary = measure_member(sae, here).summary
        assert summary["error"] == pytest.approx(float(squared.mean()), rel=1e-4)
        assert summary["penalty"] == pytest.approx(float(latents.sum(1).mean()), rel=1e-4)

    def test_composed_scores_are_undefined_where_pairs_are_too_many(self, monkeypatch):
        monkeypatch.setattr("toysae.results.measurements.MOST_SCORED_FEATURES", 3)
        measured = measure_member(anything(4), world(AXES))
        assert math.isnan(measured.summary["composed_by_score"])
        assert measured.summary["composed_score_decided"] == 0
        assert all(math.isnan(row["s2"]) for row in measured.latents)

    def test_chance_is_that_of_the_latents_that_are_alive(self):
        summary = measure_member(with_dead_latents(anything(4)), world(AXES)).summary
        assert summary["cosine_feature_to_latent_chance"] == expected_max_cosine(4, 6)
        assert summary["cosine_latent_to_feature_chance"] == expected_max_cosine(4, 4)


class TestChance:
    def test_corrected_cosines(self):
        """In three dimensions the best of m random directions has mean cosine (m - 1) / (m + 1)."""
        here = world(HiddenSpace(torch.eye(3)), ComposedSets(sizes=(2, 1)), n=50)
        rows = torch.tensor([[1.0, 0, 0], [0, 0.6, 0.8], [0.8, 0.6, 0], [0, 0, 1]])
        summary = measure_member(tied(rows, bias=0.1), here).summary
        # Best cosines of the features are 1, .6, 1, and 3/5 is the chance of four latents.
        assert summary["cosine_feature_to_latent_corrected"] == pytest.approx(0.666667, abs=1e-6)
        # Those of the latents are 1, .8, .8, 1, and 1/2 is the chance of three features.
        assert summary["cosine_latent_to_feature_corrected"] == pytest.approx(0.8)


class TestSaelensColumn:
    def test_dead_latents_count_as_theirs_do(self):
        """Two features found exactly, two missed, and one dead latent."""
        rows = torch.cat([AXES.directions[[0, 2]], -AXES.directions[:1]])
        sae = tied(rows)
        sae.params["b_enc"][0, 2] = -1
        summary = measure_member(sae, world(AXES)).summary
        expected = {"matched_abs_cosine": 2 / 3, "uniqueness": 2 / 3, "precision": 2 / 3,
                    "recall": 2 / 3, "f1": 2 / 3}  # fmt: skip
        for name, value in expected.items():
            assert summary[f"saelens/{name}"] == pytest.approx(value), name
        assert 2 / 3 < summary["saelens/accuracy"] < 1
        assert not [name for name in summary if "mcc" in name.lower()]

    def test_in_large_worlds_it_is_undefined(self, monkeypatch):
        monkeypatch.setattr("toysae.results.saelens_column.MOST_MATCHED_FEATURES", 3)
        summary = measure_member(anything(4), world(AXES)).summary
        theirs = [value for name, value in summary.items() if name.startswith("saelens/")]
        assert len(theirs) == 6
        assert all(math.isnan(value) for value in theirs)


class TestWorld:
    def test_is_the_start_of_the_stream(self):
        stream = Stream(ComposedSets(), ROTATED, seed=4, split="evaluation")
        here = EvaluationWorld.sample(stream, 30)
        assert torch.equal(here.coefficients, stream.coefficients(0, 30).dense())
        torch.testing.assert_close(here.hidden, here.coefficients @ ROTATED.directions)

    def test_composed_directions_are_sums_of_unit_vectors_that_can_meet(self):
        generator = ComposedSets(table=((0.5, 0.0), (0.25, 0.25)))
        longer = HiddenSpace(PLANE.directions * torch.tensor([[2.0], [1], [3], [1]]))
        here = world(longer, generator)
        assert here.pairs == [(0, 2), (1, 2), (1, 3)]
        expected = torch.tensor([[1.0, 1], [-1, 1], [-1, -1]])
        torch.testing.assert_close(here.composed, expected)
        assert world(PLANE, SINGLES).composed.shape == (0, 2)

    def test_of_many_pairs_the_most_frequent_are_kept(self, monkeypatch):
        generator = ComposedSets(table=((0.4, 0.1), (0.2, 0.3)))
        monkeypatch.setattr("toysae.results.measurements.MOST_PAIRS", 3)
        assert world(PLANE, generator).pairs == [(0, 2), (1, 2), (1, 3)]
        # Marginals are .5, .5, .6, .4: the pairs of features 0, 1 and 2 remain.
        monkeypatch.setattr("toysae.results.measurements.MOST_PAIR_FEATURES", 3)
        assert world(PLANE, generator).pairs == [(0, 2), (1, 2)]


def test_outcomes_are_strictly_within_fifteen_degrees_and_true_comes_first():
    nan = math.nan
    feature = torch.tensor([14.9, 15.0, 15.0, 14.9, 60.0, nan])
    composed = torch.tensor([90.0, 14.9, 15.0, 0.0, nan, nan])
    labels = classify(feature, composed)
    assert labels == ["true", "composed", "other", "true", "other", None]
    assert outcome_fractions(labels) == {
        "fraction_true": 0.4, "fraction_composed": 0.2, "fraction_other": 0.4,
    }  # fmt: skip
    assert all(math.isnan(value) for value in outcome_fractions([None]).values())
