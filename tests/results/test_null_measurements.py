from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from toysae.draws import CPU, Draws
from toysae.generators.composed_sets import ComposedSets
from toysae.generators.independent import Independent
from toysae.generators.laws.profiles import Constant
from toysae.hidden.base import HiddenSpace
from toysae.hidden.orthonormal import Orthonormal
from toysae.hidden.stream import Stream
from toysae.results.measurements import EvaluationWorld
from toysae.results.null_measurements import (
    TRAINED,
    measure_each,
    null_rows,
    null_saes,
    with_nulls,
)
from toysae.results.recovery_measurements import measure_recovery
from toysae.saes.base import SAE
from toysae.saes.nulls import pca_sae, permuted_decoder, random_decoder, rotated_decoder
from toysae.saes.oracle import oracle
from toysae.saes.relu import ReLU

SETS = ComposedSets()
SPARSE = Independent(n_features=7, probability=Constant(0.25))
#: Seven features in five dimensions: no two alike, and none a sum of two others.
CROWDED = torch.nn.functional.normalize(Draws(2).normal("features", (7, 5)), dim=1)
PLANE = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
ROTATED = Orthonormal(d_hidden=6).spaces(SETS, [0], CPU)[0]

NAMES = [TRAINED, "oracle", "pca", "identity", "random_decoder", "rotated_decoder"]


def world(generator=SETS, space=ROTATED, n=800):
    return EvaluationWorld.sample(Stream(generator, space, seed=0, split="evaluation"), n)


def anything(d, m=6, seed=0):
    """An SAE in no special position, all of its latents alive."""
    params = ReLU(n_latents=m, initialisation="independent").init(d, Draws(seed))
    params = {name: p[None] for name, p in params.items()}
    params["b_enc"] += 0.1
    return SAE(ReLU(n_latents=m), params)


def truth(here):
    """A trained SAE could do no better: tied rows along orthonormal features."""
    params = {
        "W_enc": here.features.T[None].clone(),
        "b_enc": torch.zeros(1, len(here.features)),
        "W_dec": here.features[None].clone(),
        "b_dec": torch.zeros(1, here.features.shape[1]),
    }
    return SAE(ReLU(n_latents=len(here.features)), params)


class TestOracle:
    ONE = (
        "cosine_feature_to_latent",
        "cosine_latent_to_feature",
        "hungarian_over_matched",
        "hungarian_over_max",
        "recovered",
        "fraction_true",
        "monosemanticity",
        "feature_f1",
        "feature_auroc",
        "coefficient_r2",
        "cosine_feature_to_latent_corrected",
        "saelens/matched_abs_cosine",
        "explained_variance",
        "shrinkage",
    )
    ZERO = ("angle_to_feature", "fraction_composed", "fraction_other", "n_dead", "n_split")

    @pytest.mark.parametrize(
        ("generator", "space"),
        [
            (SETS, ROTATED),
            (SETS, HiddenSpace(PLANE)),
            (SPARSE, HiddenSpace(CROWDED)),
            (SPARSE, HiddenSpace(CROWDED, bias=torch.arange(5.0))),
        ],
        ids=["orthonormal", "antipodal", "superposition", "bias"],
    )
    def test_scores_one_on_everything(self, generator, space):
        here = world(generator, space)
        sae = oracle(here.features, here.hidden, here.coefficients)
        measured = measure_recovery(sae, here)
        summary = measured.summary
        perfect = dict.fromkeys(self.ONE, 1) | dict.fromkeys(self.ZERO, 0)
        assert {name: summary[name] for name in perfect} == pytest.approx(perfect, abs=1e-3)
        assert summary["l0"] == summary["l0_true"]
        for name in here.truth.groups:
            assert summary[f"cosine_feature_to_latent/{name}"] == pytest.approx(1)
        for latent, active in zip(measured.latents, here.coefficients.T > 0):
            assert latent["density"] == float(active.double().mean())


def measure_nulls(sae, here, seed=0, given=None):
    return measure_each(with_nulls(sae, here, seed, given), here)


class TestTable:
    HERE = world()
    SAE = anything(6)
    MEASURED = measure_nulls(SAE, HERE, seed=1)
    SUMMARY = {name: each.summary for name, each in MEASURED.items()}  # noqa: RUF012

    def test_trained_first_then_the_nulls(self):
        assert list(self.MEASURED) == [*NAMES, "permuted_decoder"]
        assert self.MEASURED[TRAINED].summary == measure_recovery(self.SAE, self.HERE).summary

    def test_permuted_decoder_keeps_what_the_encoder_does_and_loses_the_rest(self):
        """Rows as a set are the same, so agreement of directions stays; what they carry goes."""
        trained = measure_nulls(truth(self.HERE), self.HERE)
        before, after = (trained[name].summary for name in (TRAINED, "permuted_decoder"))
        for name in ("feature_f1", "monosemanticity", "l0", "n_dead", "n_dense"):
            assert after[name] == before[name], name
        for name in ("cosine_feature_to_latent", "hungarian_over_max", "fraction_true"):
            assert after[name] == pytest.approx(before[name]), name
        assert before["explained_variance"] == pytest.approx(1, abs=1e-5)
        assert after["explained_variance"] < 0.2
        assert before["error"] == pytest.approx(0, abs=1e-9)
        assert after["error"] > 0.1
        firing = [
            [row["density"] for row in trained[name].latents]
            for name in (TRAINED, "permuted_decoder")
        ]
        nearest = [
            [row["nearest_feature"] for row in trained[name].latents]
            for name in (TRAINED, "permuted_decoder")
        ]
        assert firing[0] == firing[1]
        assert all(a != b for a, b in zip(*nearest))

    def test_rotated_decoder_keeps_what_the_encoder_does_and_loses_all_directions(self):
        trained = measure_nulls(truth(self.HERE), self.HERE)
        before, after = (trained[name].summary for name in (TRAINED, "rotated_decoder"))
        for name in ("feature_f1", "monosemanticity", "l0", "n_dead", "n_dense"):
            assert after[name] == before[name], name
        assert before["recovered"] == 1
        assert after["recovered"] == 0
        assert after["cosine_feature_to_latent"] < 0.9
        assert after["explained_variance"] < 0.5

    def test_components_and_coordinates_explain_everything_with_many_latents(self):
        for name in ("pca", "identity"):
            assert self.SUMMARY[name]["explained_variance"] == pytest.approx(1, abs=1e-5)
        assert self.SUMMARY["identity"]["l0"] > self.SUMMARY["oracle"]["l0"]
        # Four features in six dimensions: the other two components have no variance.
        assert self.SUMMARY["oracle"]["l0"] == 2
        assert 3.5 < self.SUMMARY["pca"]["l0"] <= 6

    def test_random_directions_find_less_than_the_truth(self):
        assert self.SUMMARY["random_decoder"]["cosine_feature_to_latent"] < 0.95
        assert self.SUMMARY["random_decoder"]["explained_variance"] < 0.9

    def test_one_latent_has_no_permutation(self):
        assert list(null_saes(anything(6, m=1), self.HERE, seed=0)) == NAMES[1:]

    def test_seed_decides_the_random_ones_alone(self):
        again, other = (measure_nulls(self.SAE, self.HERE, seed=seed) for seed in (1, 2))
        for name, each in self.MEASURED.items():
            same = [
                a.summary == pytest.approx(each.summary, nan_ok=True)
                for a in (again[name], other[name])
            ]
            assert same == [True, name in (TRAINED, "oracle", "pca", "identity")], name

    def test_each_null_is_what_its_name_says(self):
        """Components are those of the samples; the random ones are those of the seed."""
        found = null_saes(self.SAE, self.HERE, seed=3)
        expected = {
            "pca": pca_sae(self.HERE.hidden),
            "random_decoder": random_decoder(self.SAE, 3),
            "rotated_decoder": rotated_decoder(self.SAE, 3),
            "permuted_decoder": permuted_decoder(self.SAE, 3),
        }
        for name, sae in expected.items():
            assert found[name].params.keys() == sae.params.keys()
            for key, value in sae.params.items():
                assert torch.equal(found[name].params[key], value), (name, key)

    def test_trained_nulls_are_measured_where_they_are_given(self):
        measured = measure_nulls(self.SAE, self.HERE, given={"initial": anything(6, seed=9)})
        assert list(measured)[-1] == "initial"
        alone = measure_recovery(anything(6, seed=9), self.HERE)
        assert measured["initial"].summary == alone.summary

    def test_rows_have_all_columns(self):
        rows = null_rows(self.MEASURED)
        assert [row["sae"] for row in rows] == list(self.MEASURED)
        assert len({tuple(row) for row in rows}) == 1
        assert math.isnan(rows[1]["penalty"])  # the oracle minimises nothing
        assert rows[0]["penalty"] == self.SUMMARY[TRAINED]["penalty"]


class TestMetamorphic:
    """What may be done to an SAE moves no null of it, either."""

    HERE = world(SPARSE, HiddenSpace(CROWDED))
    KEPT = ("oracle", "pca", "identity")

    def test_dead_latents_change_nothing_but_their_count(self):
        sae = anything(5)
        d, m = sae.d_hidden, sae.n_latents
        params = {
            "W_enc": torch.cat([sae.params["W_enc"], torch.zeros(1, d, 2)], dim=2),
            "b_enc": torch.cat([sae.params["b_enc"], torch.full((1, 2), -1.0)], dim=1),
            "W_dec": torch.cat([sae.decoder, Draws(0).normal("rows", (1, 2, d))], dim=1),
            "b_dec": sae.params["b_dec"],
        }
        wider = SAE(replace(sae.family, n_latents=m + 2), params)
        changed = ["n_dead", "monosemanticity_published"]
        changed += [name for name in measure_recovery(sae, self.HERE).summary if "saelens" in name]
        # With two more latents there are as many as features.
        changed += ["hedging_norm", "hedging_sign_agreement"]
        self._compare(sae, wider, (TRAINED, "rotated_decoder"), changed)

    def test_order_of_latents_changes_no_aggregate(self):
        sae = anything(5)
        order = [3, 0, 5, 1, 4, 2]
        params = dict(sae.params)
        params["W_enc"] = params["W_enc"][:, :, order]
        params["b_enc"], params["W_dec"] = params["b_enc"][:, order], params["W_dec"][:, order]
        self._compare(sae, SAE(sae.family, params), (TRAINED, "rotated_decoder"))

    def test_scale_of_latents_changes_nothing_but_the_raw_penalty(self):
        """By 8, a power of two: rounding stays as it is."""
        sae = anything(5)
        params = dict(sae.params)
        params["W_enc"], params["b_enc"] = 8 * params["W_enc"], 8 * params["b_enc"]
        params["W_dec"] = params["W_dec"] / 8
        changed = (TRAINED, "rotated_decoder", "permuted_decoder", "random_decoder")
        self._compare(sae, SAE(sae.family, params), changed, ("penalty",))

    def _compare(self, sae, changed, names, but=()):
        before, after = measure_nulls(sae, self.HERE), measure_nulls(changed, self.HERE)
        for name in (*self.KEPT, *names):
            for number in before[name].summary.keys() - set(but):
                assert after[name].summary[number] == pytest.approx(
                    before[name].summary[number], abs=1e-5, nan_ok=True
                ), (name, number)
