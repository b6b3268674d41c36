"""Measurements of single SAEs that take longer, on worlds in which they are known."""

from __future__ import annotations

import math

import pytest
import torch

from toysae.generators.composed_sets import ComposedSets
from toysae.generators.tree import Tree
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import Stream
from toysae.results.measurements import EvaluationWorld, measure_member
from toysae.results.recovery_measurements import measure_recovery
from toysae.saes.base import SAE
from toysae.saes.relu import ReLU

AXES = HiddenSpace(torch.eye(4))
SUMMARY = {"feature_auroc", "coefficient_r2", "n_split"}
ABSORPTION = {"absorption_rate", "absorption_asymmetry"}
HEDGING = {"hedging_norm", "hedging_sign_agreement"}
COLUMNS = {"auroc", "coefficient_r2", "split_into"}


def world(generator=None, space=AXES, n=1000):
    stream = Stream(generator or ComposedSets(), space, seed=0, split="evaluation")
    return EvaluationWorld.sample(stream, n)


def sae_of(encoder, decoder, bias=0.0):
    params = {
        "W_enc": encoder.T[None].clone(),
        "b_enc": (torch.zeros(len(decoder)) + bias)[None],
        "W_dec": decoder[None].clone(),
        "b_dec": torch.zeros(1, decoder.shape[1]),
    }
    return SAE(ReLU(n_latents=len(decoder)), params)


TRUTH = sae_of(AXES.directions, AXES.directions)


def test_all_that_measure_member_says_and_more():
    member, found = measure_member(TRUTH, world()), measure_recovery(TRUTH, world())
    assert found.summary.keys() - member.summary.keys() == SUMMARY
    for name, value in member.summary.items():
        assert found.summary[name] == pytest.approx(value, nan_ok=True)
    for before, after in zip(member.features, found.features, strict=True):
        assert after.keys() - before.keys() == COLUMNS
        assert before.items() <= after.items()
    assert str(found.latents) == str(member.latents)  # NaN among them


def test_the_truth_is_perfect():
    found = measure_recovery(TRUTH, world())
    assert [found.summary[name] for name in ("feature_auroc", "coefficient_r2")] == pytest.approx(
        [1, 1], abs=1e-5
    )
    assert found.summary["n_split"] == 0
    assert [row["split_into"] for row in found.features] == [0] * 4


def test_information_without_the_right_scale_counts():
    """Feature 0 by a third, feature 1 not at all: the coefficient is another's beside it."""
    encoder = AXES.directions * torch.tensor([[1 / 3], [1.0], [1], [1]])
    encoder[1] = 0
    decoder = AXES.directions
    found = measure_recovery(sae_of(encoder, decoder, torch.tensor([0, 0.5, 0, 0])), world())
    r2 = [row["coefficient_r2"] for row in found.features]
    assert r2[0] == pytest.approx(1, abs=1e-5)
    assert math.isnan(r2[1])  # a constant
    assert found.summary["coefficient_r2"] == pytest.approx(1, abs=1e-5)
    # Features 0 and 1 exclude each other: low latent 0 says that feature 1 may be there, no more.
    assert [row["auroc"] for row in found.features][:1] == pytest.approx([1])
    assert found.features[1]["auroc"] < 0.9


def test_a_feature_shared_by_two_latents_is_split():
    """Latent 0 fires for the x1 that are weaker than .5, latent 4 for the others."""
    here = world()
    strong = here.coefficients[:, 0] > 0.5
    latents = here.coefficients.clone()
    latents[strong, 0] = 0
    latents = torch.cat([latents, (here.coefficients[:, 0] * strong)[:, None]], dim=1)

    class Told(SAE):
        def apply(self, x):
            applied = super().apply(x)
            return applied._replace(latents=latents[None])

    decoder = torch.cat([AXES.directions, AXES.directions[:1]])
    told = sae_of(decoder, decoder)
    found = measure_recovery(Told(told.family, told.params), here)
    assert found.summary["n_split"] == 1
    assert [row["split_into"] for row in found.features] == [2, 0, 0, 0]


class TestTree:
    """A parent of one child, and the SAE that absorbs it: its latent is silent with the child."""

    GENERATOR = Tree(n_features=2, roots=1, branching=1, depth=1)
    SPACE = HiddenSpace(torch.eye(2))

    def test_the_truth_absorbs_nothing(self):
        found = measure_recovery(sae_of(torch.eye(2), torch.eye(2)), self.here())
        assert found.summary.keys() >= ABSORPTION
        assert found.summary["absorption_rate"] == 0
        assert found.summary["absorption_asymmetry"] == 0

    def test_an_absorbing_sae_does(self):
        encoder, decoder = torch.tensor([[1.0, -99], [0, 1]]), torch.tensor([[1.0, 0], [1, 1]])
        found = measure_recovery(sae_of(encoder, decoder), self.here())
        # Where the child is weaker than .4 of its parent, its latent carries too little of it.
        assert found.summary["absorption_rate"] > 0.7
        assert found.summary["absorption_asymmetry"] > 0.9

    def here(self):
        return world(self.GENERATOR, self.SPACE, n=3000)


class TestHedging:
    def test_a_narrow_sae_leans_towards_what_fires_along(self):
        """x1 and y2 fire together; the only latent of x1 holds some of y2."""
        here = world(ComposedSets(boosted_pairs=(("x1", "y2"),), boost=0.5))
        rows = AXES.directions[:3].clone()
        rows[0, 3] = 0.75
        found = measure_recovery(sae_of(rows, rows), here)
        assert found.summary.keys() >= HEDGING
        assert found.summary["hedging_norm"] == pytest.approx(0.2)  # .6, and two latents with none
        assert found.summary["hedging_sign_agreement"] == 1

    def test_it_is_asked_of_narrow_ones_only(self):
        assert not measure_recovery(TRUTH, world()).summary.keys() & HEDGING


def test_dead_latents_change_nothing():
    rows = torch.cat([AXES.directions[:3], torch.tensor([[1.0, 0, 1, 0]])])
    narrow, here = sae_of(rows[:3], rows[:3]), world()
    wider = sae_of(rows, rows, torch.tensor([0, 0, 0, -9.0]))
    before, after = (measure_recovery(sae, here).summary for sae in (narrow, wider))
    for name in SUMMARY:
        assert after[name] == pytest.approx(before[name]), name


def test_of_nothing_alive_all_is_undefined():
    dead = sae_of(AXES.directions[:3], AXES.directions[:3], -9.0)
    found = measure_recovery(dead, world())
    for name in (SUMMARY | HEDGING) - {"n_split"}:
        assert math.isnan(found.summary[name]), name
    assert found.summary["n_split"] == 0
    tree = TestTree()
    absorbed = measure_recovery(sae_of(torch.eye(2), torch.eye(2), -9.0), tree.here()).summary
    assert all(math.isnan(absorbed[name]) for name in ABSORPTION)


def test_large_worlds_are_left_out(monkeypatch):
    monkeypatch.setattr("toysae.results.recovery_measurements.MOST_FEATURES", 3)
    found, member = measure_recovery(TRUTH, world()), measure_member(TRUTH, world())
    assert found.summary.keys() == member.summary.keys()
    assert found.features == member.features
