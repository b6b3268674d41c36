"""What must hold of any SAE: an oracle is perfect, and harmless changes change nothing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from toysae.metrics.absorption import absorption
from toysae.metrics.board import auroc_coverage, board_coverage, board_reconstruction
from toysae.metrics.coefficient_fit import coefficient_fit
from toysae.metrics.composition import composed_score
from toysae.metrics.detection import best_detection, detection
from toysae.metrics.dictionary import hungarian, max_cosine
from toysae.metrics.hedging import hedging
from toysae.metrics.matching_keys import matching_keys
from toysae.metrics.monosemanticity import purity
from toysae.metrics.ranking import ranking, ranking_table
from toysae.metrics.recovery import feature_recovery, joint_recovery, recovery_curve
from toysae.metrics.saelens import saelens_agreement, saelens_classification
from toysae.metrics.splitting import splitting

from .cases.absorption import FAMILIES, parents_and_children
from .draw import SEEDS, normal, tensor

N = 5
FEATURES = normal(0, N, 4)
COEFFICIENTS = (normal(1, 200, N) - 0.3).clamp(min=0)


def scores(decoder: Tensor, latents: Tensor) -> dict[str, float]:
    """Numbers that ask of each feature whether it was found, by name."""
    cosines = feature_recovery(FEATURES, decoder)
    joint = joint_recovery(FEATURES, decoder, COEFFICIENTS, latents)
    keys = matching_keys(FEATURES, decoder, COEFFICIENTS, latents)
    return {
        "curve": recovery_curve(cosines.cosine).area,
        "joint": joint.fraction,
        "f1": detection(COEFFICIENTS, latents).mean_best_f1_per_feature,
        "best_f1": best_detection(COEFFICIENTS, latents).per_feature.mean_f1,
        "auroc": ranking_table(COEFFICIENTS, latents).auroc.amax(dim=1).mean().item(),
        "auroc_coverage": auroc_coverage(COEFFICIENTS, latents).fraction,
        "coverage": board_coverage(COEFFICIENTS, latents).mean,
        "board": board_reconstruction(COEFFICIENTS, latents, COEFFICIENTS, latents).best,
        "purity": purity(COEFFICIENTS, latents).mean_purity,
        "token_precision": purity(COEFFICIENTS, latents).mean_token_precision,
        "keys": keys.all_agree_on_features,
    }


IMPERFECT = (
    torch.cat([FEATURES[:4] + 0.3 * normal(2, 4, 4), normal(3, 2, 4)]),
    torch.cat([COEFFICIENTS[:, :4], normal(4, 200, 2)], dim=1).clamp(min=0.4) - 0.4,
)


def test_an_oracle_is_perfect() -> None:
    assert scores(FEATURES, COEFFICIENTS) == pytest.approx(dict.fromkeys(scores(*IMPERFECT), 1))
    index = torch.arange(N)
    fit = coefficient_fit(COEFFICIENTS, COEFFICIENTS, index, index)
    assert (fit.mean_r2_identity, fit.mean_r2_gain) == (1, 1)
    assert fit.mean_r2 == pytest.approx(1)
    assert fit.gain.tolist() == fit.slope_detected.tolist() == [1] * N
    pairs = ranking(COEFFICIENTS, COEFFICIENTS, index, index)
    assert pairs.mean_auroc == pairs.mean_best_f1 == 1
    assert saelens_agreement(FEATURES, FEATURES).mean_correlation_coefficient == pytest.approx(1)
    theirs = saelens_classification(FEATURES, FEATURES, COEFFICIENTS, COEFFICIENTS)
    assert theirs.mean_f1 == theirs.mean_accuracy == 1


def test_an_imperfect_sae_is_not() -> None:
    assert all(value < 1 for value in scores(*IMPERFECT).values())


def test_order_of_latents_changes_nothing() -> None:
    decoder, latents = IMPERFECT
    order = [3, 5, 0, 1, 4, 2]
    assert scores(decoder[order], latents[:, order]) == pytest.approx(scores(*IMPERFECT))


def test_dead_latents_change_nothing() -> None:
    decoder, latents = IMPERFECT
    more = torch.cat([decoder, 0 * decoder[:2]]), torch.cat([latents, 0 * latents[:, :2]], dim=1)
    assert scores(*more) == pytest.approx(scores(*IMPERFECT))


def test_scale_may_move_between_activation_and_decoder() -> None:
    decoder, latents = IMPERFECT
    scale = tensor([0.1, 2, 30, 4, 0.5, 6])
    assert scores(decoder / scale[:, None], latents * scale) == pytest.approx(scores(*IMPERFECT))


def test_a_permuted_decoder_is_seen_by_what_looks_at_both() -> None:
    oracle = scores(FEATURES, COEFFICIENTS)
    permuted = scores(FEATURES[[1, 2, 3, 4, 0]], COEFFICIENTS)
    changed = {name for name in oracle if permuted[name] != pytest.approx(oracle[name])}
    assert changed == {"joint", "keys"}


class Learned(NamedTuple):
    """An SAE by its decoder and its latents on the samples of a world, and which are alive."""

    decoder: Tensor
    latents: Tensor
    alive: Tensor


TREE = normal(5, 5, 8)
"""Two parents with a child each, and a feature of its own."""


def learned(seed: int) -> tuple[Tensor, Learned]:
    """Coefficients, and an SAE that absorbs, splits feature 4, composes, and misses feature 3."""
    rng = np.random.default_rng(seed)
    c, z = parents_and_children(rng)
    alone = torch.from_numpy(rng.exponential(size=40) * (rng.random(40) < 0.6))
    half = torch.from_numpy(rng.random(40) < 0.5)
    latents = torch.cat([z[:, :3], torch.stack([alone * half, alone * ~half], dim=1)], dim=1)
    rows = torch.stack([TREE[0], TREE[0] + TREE[1], TREE[2] + 0.5 * TREE[3], TREE[4], TREE[4]])
    decoder = rows + 0.05 * torch.from_numpy(rng.normal(size=rows.shape))
    return torch.cat([c, alone[:, None]], dim=1), Learned(
        decoder, latents, torch.ones(len(rows), dtype=torch.bool)
    )


def structure(coefficients: Tensor, sae: Learned) -> dict[str, float]:
    """Numbers about how features are shared out among latents, by name."""
    decoder, latents, alive = sae
    absorbed = absorption(coefficients, latents, TREE, decoder, FAMILIES)
    split = splitting(coefficients, latents)
    matching = hungarian(TREE, decoder, alive_b=alive)
    assigned = torch.full((len(decoder),), -1)
    near = matching.cosine > 0.5  # else the second latent of feature 4 stands for feature 3
    assigned[matching.cols[near]] = matching.rows[near]
    hedged = hedging(decoder, TREE, assigned, coefficients)
    composed = composed_score(decoder, TREE, alive=alive)
    nearest = max_cosine(TREE, decoder, alive_b=alive)
    return {
        "absorbed": absorbed.mean_rate,
        "asymmetry": absorbed.mean_asymmetry,
        "split": split.fraction,
        "parts": float(split.count.sum()),
        "union": split.union_f1.nansum().item(),
        "hedging": hedged.mean_norm,
        "signs": hedged.sign_agreement,
        "composed": composed.fraction_composed,
        "s1": composed.s1.nanmean().item(),
        "s2": composed.s2.nanmean().item(),
        "matched": matching.mean_over_matched,
        "over_max": matching.mean_over_max,
        "forth": nearest.mean_a_to_b,
        "back": nearest.mean_b_to_a,
    }


def test_the_structure_is_there() -> None:
    """Else it would be no wonder that it does not change."""
    found = [structure(*learned(seed)) for seed in range(10)]
    for name in ("absorbed", "split", "hedging", "composed"):
        assert max(each[name] for each in found) > 0.1, name


@settings(max_examples=25)
@given(SEEDS, st.permutations(range(5)))
def test_order_of_latents_changes_no_structure(seed: int, order: list[int]) -> None:
    c, sae = learned(seed)
    other = Learned(sae.decoder[order], sae.latents[:, order], sae.alive)
    assert structure(c, other) == pytest.approx(structure(c, sae), nan_ok=True)


@settings(max_examples=25)
@given(SEEDS, st.integers(1, 4))
def test_dead_latents_change_no_structure(seed: int, n_dead: int) -> None:
    """Wherever they point: along a feature, along a sum, or nowhere."""
    c, sae = learned(seed)
    rows = torch.cat([TREE[3:4], TREE[2:3] + TREE[3:4], 0 * TREE[:1], normal(seed, 1, 8)])
    more = Learned(
        torch.cat([sae.decoder, rows[:n_dead]]),
        torch.cat([sae.latents, torch.zeros(40, n_dead, dtype=torch.float64)], dim=1),
        torch.cat([sae.alive, torch.zeros(n_dead, dtype=torch.bool)]),
    )
    assert structure(c, more) == pytest.approx(structure(c, sae), nan_ok=True)


@settings(max_examples=25)
@given(SEEDS, st.lists(st.floats(1e-3, 1e3), min_size=5, max_size=5))
def test_scale_changes_no_structure(seed: int, scales: list[float]) -> None:
    c, sae = learned(seed)
    scale = tensor(scales)
    other = Learned(sae.decoder / scale[:, None], sae.latents * scale, sae.alive)
    assert structure(c, other) == pytest.approx(structure(c, sae), nan_ok=True)
