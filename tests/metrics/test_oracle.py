"""What must hold of any SAE: an oracle is perfect, and harmless changes change nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from toysae.metrics.board import auroc_coverage, board_coverage, board_reconstruction
from toysae.metrics.coefficient_fit import coefficient_fit
from toysae.metrics.detection import best_detection, detection
from toysae.metrics.matching_keys import matching_keys
from toysae.metrics.monosemanticity import purity
from toysae.metrics.ranking import ranking, ranking_table
from toysae.metrics.recovery import feature_recovery, joint_recovery, recovery_curve
from toysae.metrics.saelens import saelens_agreement, saelens_classification

from .draw import normal, tensor

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
