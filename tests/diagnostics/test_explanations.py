from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from toysae.diagnostics import explanations
from toysae.diagnostics.explanations import (
    class_alignment,
    eigenspace_overlap,
    expected_max_abs_cosine_of_basis,
    explain_latents,
)
from toysae.diagnostics.pca import PCA, pca
from toysae.errors import ConfigError, DataError, ShapeError
from toysae.metrics.chance import expected_max_abs_cosine

SPREAD = np.array([4.0, 3, 2, 1])


def resolved_components() -> PCA:
    """Components along the axes of a space of 4 dimensions, all of them determined."""
    return pca(np.random.default_rng(0).standard_normal((5000, 4)) * SPREAD)


def test_correction_by_hand() -> None:
    # In 3 dimensions |cos| of one direction is uniform on [0, 1]: the best of k is k / (k + 1).
    found = class_alignment(np.array([[3.0, 4, 0]]), np.eye(3) * 2, "axes")
    assert found.n_candidates == 3
    assert found.chance == pytest.approx(3 / 4)
    assert found.best.tolist() == pytest.approx([0.8])
    assert found.candidate.tolist() == [1]
    assert found.corrected.tolist() == pytest.approx([(0.8 - 0.75) / 0.25])
    assert found.mean == pytest.approx(0.2)
    assert found.name == "axes"


def test_chance_of_a_basis_by_hand() -> None:
    # In the plane: 4/π times the integral of cos from 0 to π/4. On a line: always 1.
    assert expected_max_abs_cosine_of_basis(2, 2) == pytest.approx(4 / math.pi * math.sqrt(0.5))
    assert expected_max_abs_cosine_of_basis(1, 1) == pytest.approx(1)
    # One direction: |cos| is uniform in 3 dimensions.
    assert expected_max_abs_cosine_of_basis(3, 1) == pytest.approx(0.5)
    assert expected_max_abs_cosine_of_basis(9, 1) == pytest.approx(expected_max_abs_cosine(9, 1))
    assert math.isnan(expected_max_abs_cosine_of_basis(3, 0))
    u = np.random.default_rng(0).standard_normal((200_000, 7))
    u = np.abs(u / np.linalg.norm(u, axis=1, keepdims=True))
    for k in (3, 7):
        simulated = u[:, :k].max(1).mean()
        assert expected_max_abs_cosine_of_basis(7, k) == pytest.approx(simulated, abs=1e-3)
    with pytest.raises(ShapeError, match="at most"):
        expected_max_abs_cosine_of_basis(3, 4)
    with pytest.raises(ShapeError, match="d=0, k=0"):
        expected_max_abs_cosine_of_basis(0, 0)


def test_zero_rows_and_empty_classes_are_undefined() -> None:
    latents = np.array([[0.0, 0, 0], [0, -1, 0]])
    found = class_alignment(latents, np.array([[0.0, 0, 0], [0, 2, 0]]))
    assert found.n_candidates == 1
    assert found.chance == pytest.approx(0.5)
    assert found.candidate.tolist() == [-1, 1]
    np.testing.assert_allclose(found.corrected, [math.nan, 1])
    assert found.n_defined == 1
    nothing = class_alignment(latents, np.zeros((1, 3)))
    assert nothing.n_defined == 0
    assert nothing.candidate.tolist() == [-1, -1]
    assert math.isnan(nothing.mean)


def test_each_class_has_its_own_number_of_candidates() -> None:
    found = explain_latents(np.eye(4), np.eye(4), resolved_components())
    assert [one.n_candidates for one in found.classes] == [4, 6, 4, 6]
    assert found.pairs.tolist() == [list(pair) for pair in itertools.combinations(range(4), 2)]
    # Four directions in a space of four: a basis is closer to everything than random ones.
    assert found.composed.chance > found.true.chance
    assert found.components.chance == pytest.approx(0.779123, abs=1e-6)
    assert found.true.chance == pytest.approx(expected_max_abs_cosine(4, 4))
    np.testing.assert_allclose(found.composed.best, math.sqrt(0.5))


def test_composed_latents_are_told_from_components_where_both_exist() -> None:
    # Matched pairs of two orthogonal sets: the first PC is 1/√2 from the composed feature.
    features = np.eye(4)
    composed = features[[0, 1]] + features[[2, 3]]
    found = explain_latents(composed, features, resolved_components())
    assert found.winner == "composed"
    assert found.recovers_components is False
    assert found.pairs[found.composed.candidate].tolist() == [[0, 2], [1, 3]]


def rotated(features: np.ndarray, seed: int) -> np.ndarray:
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(features),) * 2))[0]
    return features @ turn


def test_components_win_only_where_they_are_determined() -> None:
    rng = np.random.default_rng(0)
    features = rotated(np.eye(4), 1)
    determined = resolved_components()
    found = explain_latents(determined.components, features, determined)
    assert found.winner == "components"
    assert found.recovers_components is True
    isotropic = pca(rng.standard_normal((5000, 4)))
    assert not isotropic.gap_resolved.all()
    found = explain_latents(isotropic.components, features, isotropic)
    assert found.winner == "components"
    assert found.recovers_components is False


def test_a_latent_without_direction_is_close_to_no_component() -> None:
    """Nor to the last one, which is not resolved."""
    found = pca(np.random.default_rng(0).standard_normal((5000, 4)) * [9, 4, 1, 1])
    assert found.gap_resolved.tolist() == [True, True, False, False]
    latents = np.vstack([found.components[:2], np.zeros(4)])
    assert explain_latents(latents, rotated(np.eye(4), 1), found).recovers_components is True


def test_one_dimension_explains_nothing() -> None:
    """Every direction of a line is every other: chance is 1 and no class can win."""
    x = np.random.default_rng(0).standard_normal((50, 1))
    found = explain_latents(np.array([[2.0], [-1.0]]), np.array([[1.0]]), pca(x))
    assert [one.n_defined for one in found.classes] == [0, 0, 0, 0]
    assert found.winner == ""
    assert found.recovers_components is None
    assert expected_max_abs_cosine_of_basis(1, 1) == 1


def test_components_do_not_win_a_draw() -> None:
    determined = resolved_components()
    found = explain_latents(determined.components, determined.components, determined)
    assert found.components.mean == pytest.approx(1)
    assert found.recovers_components is False


def test_random_directions_reach_what_chance_says() -> None:
    rng = np.random.default_rng(3)
    latents, features = rng.standard_normal((600, 6)), rng.standard_normal((30, 6))
    found = explain_latents(latents, features, pca(rng.standard_normal((500, 6))))
    assert abs(found.true.mean) < 0.1
    assert abs(found.components.mean) < 0.05
    assert abs(found.random.mean) < 0.05
    # Sums of few features are no independent directions: they stay below chance.
    assert found.composed.mean < -0.05
    assert found.random.n_candidates == 30 * 29 // 2


@pytest.mark.parametrize("at_once", [1, 5, 2**20])
def test_the_first_of_equal_candidates_is_named(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explanations, "_COSINES_AT_ONCE", at_once)
    axes = np.eye(3)
    candidates = [axes[0], axes[1], axes[1], -axes[0], axes[0], np.zeros(3), axes[2]]
    found = class_alignment(axes, np.array(candidates))
    assert found.candidate.tolist() == [0, 1, 6]


def test_chosen_pairs() -> None:
    found = explain_latents(np.eye(4), np.eye(4), resolved_components(), pairs=[(3, 1)])
    assert found.composed.n_candidates == 1
    none = explain_latents(np.eye(4), np.eye(4), resolved_components(), pairs=[])
    assert math.isnan(none.composed.mean)
    assert none.winner == "true"


def test_eigenspaces_by_hand() -> None:
    first, second = resolved_components(), resolved_components()
    assert eigenspace_overlap(first, second, 2) == pytest.approx(1)
    swapped = pca(np.random.default_rng(1).standard_normal((5000, 4)) * SPREAD[[0, 2, 1, 3]])
    # The planes share the first axis and nothing else.
    assert eigenspace_overlap(first, swapped, 2) == pytest.approx(0.5, abs=0.01)
    assert eigenspace_overlap(first, swapped, 4) == pytest.approx(1)


def test_a_tied_plane_is_compared_as_a_plane() -> None:
    planes = [
        pca(np.random.default_rng(seed).standard_normal((5000, 3)) * [3, 3, 1]) for seed in (0, 1)
    ]
    assert math.isnan(eigenspace_overlap(*planes, 1))
    assert eigenspace_overlap(*planes, 2) == pytest.approx(1, abs=0.01)


def test_errors() -> None:
    components = resolved_components()
    with pytest.raises(ShapeError, match="outside 0 to 3"):
        explain_latents(np.eye(4), np.eye(4), components, pairs=[(0, 4)])
    with pytest.raises(ShapeError, match="twice"):
        explain_latents(np.eye(4), np.eye(4), components, pairs=[(1, 1)])
    with pytest.raises(ShapeError, match=r"\[k, 4\]"):
        class_alignment(np.eye(4), np.eye(3))
    with pytest.raises(DataError, match="NaN"):
        class_alignment(torch.full((1, 2), torch.nan), np.eye(2))
    with pytest.raises(ConfigError, match="allowed are 1 to 4"):
        eigenspace_overlap(components, components, 5)
    with pytest.raises(ShapeError, match="4 and 2 dimensions"):
        eigenspace_overlap(components, pca(np.eye(2)), 1)
