from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from test_null_measurements import CROWDED, SPARSE, anything, truth, world

from toysae.hidden.base import HiddenSpace
from toysae.results import structure_measurements
from toysae.results.null_measurements import structure_rows, with_nulls
from toysae.results.structure_measurements import measure_structure
from toysae.saes.base import SAE
from toysae.saes.nulls import pca_sae
from toysae.saes.oracle import oracle

HERE = world()
INDEPENDENT = world(SPARSE, HiddenSpace(torch.eye(7)), n=4000)


def test_oracle_has_the_structure_of_the_truth():
    sae = oracle(INDEPENDENT.features, INDEPENDENT.hidden, INDEPENDENT.coefficients)
    found = measure_structure(sae, INDEPENDENT, seed=0)
    one = (
        "jaccard_feature_to_latent",
        "jaccard_latent_to_feature",
        "phi_feature_to_latent",
        "phi_latent_to_feature",
        "surviving_latents",
        "aligned_true",
        "identifiable_latents",
    )
    for name in one:
        assert found[name] == pytest.approx(1, abs=1e-3), name
    assert 1 <= found["vif_median"] <= found["vif_largest"] < 1.05
    assert (found["sign_errors"], found["sign_errors_of_decoder"]) == (0, 0)
    # Noise of a tenth of the readout's deviation leaves 1 / 1.01 of the variance.
    assert found["readout_r2"] == pytest.approx(1 / 1.01, abs=0.005)
    assert found["recovers_components"] == 0


def test_latents_that_are_the_features_are_as_collinear_as_these_are():
    """One feature of each set is always active, with a magnitude of its own: VIF 1.5625."""
    found = measure_structure(truth(HERE), HERE, seed=0)
    assert found["phi_feature_to_latent"] == pytest.approx(1)
    assert found["vif_median"] == pytest.approx(1.5625, abs=0.15)


def test_components_are_recognised():
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(4000, 5, generator=generator) * torch.tensor([5.0, 4, 3, 2, 1])
    features = torch.nn.functional.normalize(torch.randn(7, 5, generator=generator), dim=1)
    here = replace(world(SPARSE, HiddenSpace(CROWDED), 4000), hidden=hidden, features=features)
    found = measure_structure(pca_sae(hidden), here, seed=0)
    assert found["recovers_components"] == 1
    assert found["aligned_components"] == pytest.approx(1, abs=1e-3)
    # A component and its opposite add up to no constant, so both have a coefficient.
    assert found["identifiable_latents"] == 1


def test_rows_of_all_nulls_have_the_same_columns():
    saes = with_nulls(anything(6), HERE, 1, {"initial": anything(6, seed=9)})
    rows = structure_rows(saes, HERE, seed=1)
    assert [row["sae"] for row in rows] == [
        "trained", "oracle", "pca", "identity", "random_decoder", "rotated_decoder",
        "permuted_decoder", "initial",
    ]  # fmt: skip
    assert len({tuple(row) for row in rows}) == 1
    named = {row["sae"]: row for row in rows}
    # The encoder is the same, so is all that takes activations only.
    for name in ("phi_feature_to_latent", "vif_largest", "condition_index", "readout_r2"):
        for null in ("rotated_decoder", "permuted_decoder"):
            assert named[null][name] == pytest.approx(named["trained"][name], nan_ok=True), name


def test_rows_are_of_the_readout_of_their_seed():
    rows = [structure_rows({"a": anything(6)}, HERE, seed)[0] for seed in (1, 2)]
    for seed, row in zip((1, 2), rows):
        assert row == {"sae": "a", **measure_structure(anything(6), HERE, seed)}
    assert rows[0]["readout_r2"] != rows[1]["readout_r2"]


def test_dead_latents_change_nothing():
    sae = anything(6)
    params = {
        "W_enc": torch.cat([sae.params["W_enc"], torch.zeros(1, 6, 2)], dim=2),
        "b_enc": torch.cat([sae.params["b_enc"], torch.full((1, 2), -1.0)], dim=1),
        "W_dec": torch.cat([sae.decoder, torch.ones(1, 2, 6)], dim=1),
        "b_dec": sae.params["b_dec"],
    }
    wider = SAE(replace(sae.family, n_latents=8), params)
    before, after = (measure_structure(each, HERE, seed=2) for each in (sae, wider))
    surviving = before.pop("surviving_latents"), after.pop("surviving_latents")
    assert surviving == (1, 6 / 8)
    assert after == pytest.approx(before, nan_ok=True)


def test_what_takes_too_long_and_what_is_dead_is_undefined(monkeypatch):
    monkeypatch.setattr(structure_measurements, "MOST_LATENTS", 5)
    found = measure_structure(anything(6), HERE, seed=0)
    for name in ("vif_median", "condition_index", "readout_r2", "sign_errors"):
        assert math.isnan(found[name]), name
    assert not math.isnan(found["aligned_true"])
    silent = anything(6)
    silent.params["b_enc"] -= 100
    found = measure_structure(silent, HERE, seed=0)
    assert {name for name, value in found.items() if not math.isnan(value)} == {"surviving_latents"}
