"""What may be done to any SAE without its numbers moving, and what an SAE that knows all scores.

METRICS.md, section 9: over L0, density, co-firing, explained variance, VIF, agreement and recovery,
for SAEs and worlds that hypothesis draws.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from tests.metrics.draw import SEEDS
from toysae.diagnostics.coefficients import implied_coefficients, readout_regression
from toysae.diagnostics.collinearity import condition_indices, vif
from toysae.diagnostics.pca import pca
from toysae.diagnostics.sparse import sparse_regularized_vif
from toysae.metrics.codes import SparseCodes
from toysae.metrics.cofiring import best_cofiring
from toysae.metrics.density import density, mean_l0, mean_weighted_l1
from toysae.metrics.detection import detection
from toysae.metrics.dictionary import hungarian, max_cosine
from toysae.metrics.reconstruction import explained_variance
from toysae.metrics.recovery import angle_to_nearest, feature_recovery

N, D, M, SAMPLES = 4, 6, 7, 300
FEW = settings(max_examples=20)

#: Numbers that activations alone decide.
OF_THE_ENCODER = (
    "l0", "density", "jaccard", "jaccard_of_latents", "phi", "f1", "vif", "shrunken_vif",
    "condition", "r2",
)  # fmt: skip
#: Numbers that decoder rows alone decide, whatever their order.
OF_THE_ROWS = ("cosine", "cosine_of_latents", "hungarian", "recovered", "angle")


@dataclass(frozen=True)
class Found:
    """Features and their coefficients, and an SAE that reads their hidden space.

    The readout is a direction that regressions on the latents are asked for.
    """

    features: Tensor
    coefficients: Tensor
    encoder: Tensor
    bias: Tensor
    decoder: Tensor
    readout: Tensor

    @property
    def hidden(self) -> Tensor:
        return self.coefficients @ self.features

    @property
    def latents(self) -> Tensor:
        return torch.relu(self.hidden @ self.encoder + self.bias)


def drawn(seed: int) -> Found:
    """Latents that are noisy features or nothing, all of them alive."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> Tensor:
        return torch.from_numpy(rng.normal(size=shape))

    features = normalize(normal(N, D), dim=1)
    active = torch.from_numpy(rng.random((SAMPLES, N)) < 0.4)
    coefficients = torch.from_numpy(rng.exponential(size=(SAMPLES, N))) * active
    rows = torch.cat([features + 0.2 * normal(N, D), normal(M - N, D)])
    return Found(
        features,
        coefficients,
        rows.T + 0.1 * normal(D, M),
        0.05 + 0.1 * normal(M).abs(),
        rows * torch.from_numpy(rng.uniform(0.5, 2, (M, 1))),
        normal(D),
    )


def numbers(found: Found, latents: Tensor | None = None) -> dict[str, float]:
    """Aggregates over features or latents, dead latents left out."""
    z = found.latents if latents is None else latents
    alive = ~density(z).dead
    fires = best_cofiring(*(SparseCodes.from_dense(t) for t in (found.coefficients, z)), 1)
    cosines = max_cosine(found.features, found.decoder, alive_b=alive)
    lived = z[:, alive]
    shrunken = sparse_regularized_vif(
        SparseCodes.from_dense(z), torch.tensor([0.01]), min_firings=1
    )
    angles = angle_to_nearest(found.decoder, found.features, alive=alive)
    return {
        "l0": mean_l0(z),
        "density": density(z).frequency.sum().item(),
        "weighted_l1": mean_weighted_l1(z, found.decoder),
        "jaccard": fires.jaccard.mean_a_to_b,
        "jaccard_of_latents": fires.jaccard.mean_b_to_a,
        "phi": fires.phi.mean_a_to_b,
        "f1": detection(found.coefficients, z).mean_best_f1_per_feature,
        "vif": vif(lived).vif.log().mean().item(),
        "shrunken_vif": shrunken.vif.nansum().item(),
        "condition": condition_indices(lived).indices[-1].item(),
        "r2": readout_regression(lived, found.hidden @ found.readout).r_squared,
        "ev": explained_variance(found.hidden, z @ found.decoder).item(),
        "cosine": cosines.mean_a_to_b,
        "cosine_of_latents": cosines.mean_b_to_a,
        "hungarian": hungarian(found.features, found.decoder, alive_b=alive).mean_over_max,
        "recovered": feature_recovery(found.features, found.decoder, alive=alive).fraction,
        "angle": angles.mean,
    }


def assert_same(found: Found, changed: Found, names: tuple[str, ...] = ()) -> None:
    before, after = numbers(found), numbers(changed)
    for name in names or before:
        assert after[name] == pytest.approx(before[name], rel=1e-6, abs=1e-8), name


@FEW
@given(SEEDS)
def test_an_oracle_scores_one_on_everything(seed: int) -> None:
    world = drawn(seed)
    oracle = replace(world, decoder=world.features)
    found = numbers(oracle, world.coefficients)
    for name in (
        "jaccard", "jaccard_of_latents", "phi", "f1", "ev", "cosine", "cosine_of_latents",
        "hungarian", "recovered", "r2",
    ):  # fmt: skip
        assert found[name] == pytest.approx(1), name
    assert found["angle"] == pytest.approx(0, abs=1e-5)
    assert found["l0"] == mean_l0(world.coefficients)
    assert found["vif"] == pytest.approx(vif(world.coefficients).vif.log().mean().item())
    # What its decoder implies are the true coefficients, and regression finds them.
    weights = implied_coefficients(world.features, world.readout)
    fit = readout_regression(world.coefficients, world.hidden @ world.readout)
    torch.testing.assert_close(fit.beta, weights, rtol=1e-6, atol=1e-8)


@FEW
@given(SEEDS, st.permutations(range(M)))
def test_the_order_of_latents_changes_no_aggregate(seed: int, order: list[int]) -> None:
    found = drawn(seed)
    changed = replace(
        found,
        encoder=found.encoder[:, order],
        bias=found.bias[order],
        decoder=found.decoder[order],
    )
    assert_same(found, changed)


@FEW
@given(SEEDS)
def test_a_decoder_in_another_order_keeps_what_the_encoder_and_the_rows_decide(seed: int) -> None:
    found = drawn(seed)
    changed = replace(found, decoder=found.decoder.roll(1, dims=0))
    assert_same(found, changed, (*OF_THE_ENCODER, *OF_THE_ROWS))
    # Of an SAE that is perfect it breaks what decodes.
    broken = replace(found, decoder=found.features.roll(1, dims=0))
    assert numbers(broken, found.coefficients)["ev"] < 0.9


@FEW
@given(SEEDS, st.integers(1, 4))
def test_dead_latents_change_nothing_where_they_are_masked(seed: int, n_dead: int) -> None:
    found = drawn(seed)
    changed = replace(
        found,
        encoder=torch.cat([found.encoder, torch.zeros(D, n_dead).double()], dim=1),
        bias=torch.cat([found.bias, -torch.ones(n_dead).double()]),
        decoder=torch.cat([found.decoder, found.features[:n_dead]]),
    )
    assert_same(found, changed)


@FEW
@given(SEEDS)
def test_the_scale_of_latents_changes_nothing(seed: int) -> None:
    """`z s` with `d / s`; the L1 of activations times lengths of rows among them."""
    found = drawn(seed)
    scale = torch.from_numpy(np.random.default_rng(seed + 1).uniform(0.1, 10, M))
    changed = replace(
        found,
        encoder=found.encoder * scale,
        bias=found.bias * scale,
        decoder=found.decoder / scale[:, None],
    )
    assert_same(found, changed)


@FEW
@given(SEEDS)
def test_the_whole_pipeline_in_a_rotated_space_is_the_same(seed: int) -> None:
    """Features, both sides of the SAE and the readout turn; what comes out does not."""
    found = drawn(seed)
    noise = np.random.default_rng(seed + 1).normal(size=(D, D))
    turn = torch.from_numpy(np.linalg.qr(noise)[0])
    changed = replace(
        found,
        features=found.features @ turn,
        encoder=turn.T @ found.encoder,
        decoder=found.decoder @ turn,
        readout=found.readout @ turn,
    )
    torch.testing.assert_close(changed.latents, found.latents)
    assert_same(found, changed)
    before, after = pca(found.hidden), pca(changed.hidden)
    torch.testing.assert_close(after.eigenvalues, before.eigenvalues, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(
        implied_coefficients(changed.decoder, changed.readout),
        implied_coefficients(found.decoder, found.readout),
    )
