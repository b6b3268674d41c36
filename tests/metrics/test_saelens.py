"""SAELens's numbers, written out; and the package itself where it is installed."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics.saelens import (
    SaelensClassification,
    saelens_agreement,
    saelens_classification,
    saelens_reconstruction,
)

from .draw import SEEDS, normal, pairs_of_dictionaries, tensor

E4 = torch.eye(4, dtype=torch.float64)


def means(found: SaelensClassification) -> list[float]:
    return [found.mean_precision, found.mean_recall, found.mean_f1, found.mean_accuracy]


class TestAgreement:
    def test_golden_four_latents_on_one_feature(self) -> None:
        found = saelens_agreement(E4, E4[:1].expand(4, 4))
        assert found.mean_correlation_coefficient == pytest.approx(0.25)
        assert found.uniqueness == 0.25
        assert found.matched_feature.tolist() == [0, 0, 0, 0]

    def test_golden_missing_features_cost_nothing(self) -> None:
        found = saelens_agreement(E4, E4[:2])
        assert (found.mean_correlation_coefficient, found.uniqueness) == (1, 1)

    def test_golden_garbage_latents_cost_uniqueness(self) -> None:
        garbage = tensor([[0, 0, 3, 4], [0.1, 0, 1, 0]])
        found = saelens_agreement(E4[:2], torch.cat([E4[:2], garbage]))
        assert found.mean_correlation_coefficient == pytest.approx(1)
        assert found.uniqueness == 0.5

    def test_golden_absolute_hungarian(self) -> None:
        a = tensor([[1, 0, 0], [0.8, 0.6, 0], [0, 0, 1], [0.6, 0, 0.8]])
        b = tensor([[3, 4, 0], [-2, 0, 0], [0, 5, 12]])
        found = saelens_agreement(a, b).mean_correlation_coefficient
        # Cosines .96, -1 and .923077.
        assert found == pytest.approx(0.961026, abs=1e-6)

    def test_latents_come_second(self) -> None:
        assert saelens_agreement(E4[:2], E4).uniqueness == 0.5
        assert saelens_agreement(E4, E4[:2]).uniqueness == 1

    def test_degenerate_input(self) -> None:
        zero = saelens_agreement(E4, torch.zeros(2, 4))
        assert (zero.mean_correlation_coefficient, zero.uniqueness) == (0, 0.5)
        none = saelens_agreement(E4, E4[:0])
        assert math.isnan(none.mean_correlation_coefficient)
        assert none.uniqueness == 0
        with pytest.raises(ShapeError, match="at least one feature"):
            saelens_agreement(E4[:0], E4)
        with pytest.raises(ShapeError, match="features has rows of 4"):
            saelens_agreement(E4, E4[:, :3])


class TestClassification:
    def test_golden_four_latents_on_one_feature(self) -> None:
        coefficients = torch.cat([E4, E4])
        found = saelens_classification(
            E4, E4[:1].expand(4, 4), coefficients, coefficients[:, :1].expand(8, 4)
        )
        assert means(found) == [1, 1, 1, 1]

    def test_golden_absorption(self) -> None:
        """The child is nobody's best feature: both latents are held against the parent."""
        features, decoder = tensor([[1, 0], [0, 1]]), tensor([[1, 0], [1, 1]])
        coefficients = tensor([[1, 0]] * 3 + [[1, 1]] * 3)
        latents = tensor([[1, 0]] * 3 + [[0, 2**0.5]] * 3)
        found = saelens_classification(features, decoder, coefficients, latents)
        assert means(found) == pytest.approx([1, 0.5, 0.666667, 0.5], abs=1e-6)
        agreement = saelens_agreement(features, decoder)
        assert agreement.mean_correlation_coefficient == pytest.approx(0.853553, abs=1e-6)
        assert agreement.uniqueness == 0.5

    def test_undefined_is_0_and_dead_latents_count(self) -> None:
        coefficients = tensor([[1, 0], [1, 0], [0, 0]])
        latents = tensor([[1, 0], [0, 0], [-1, 0]])
        found = saelens_classification(E4[:2, :2], E4[:2, :2], coefficients, latents)
        # Of the first: one hit, one miss, one false alarm by a negative activation.
        assert found.precision.tolist() == [0.5, 0]
        assert found.recall.tolist() == [0.5, 0]
        assert found.f1.tolist() == [0.5, 0]
        assert found.accuracy.tolist() == pytest.approx([1 / 3, 1])
        assert means(found) == pytest.approx([0.25, 0.25, 0.25, 2 / 3])

    def test_no_latents(self) -> None:
        found = saelens_classification(E4, E4[:0], torch.ones(3, 4), torch.ones(3, 0))
        assert means(found) == [0, 0, 0, 0]

    def test_bad_input_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="expected as many"):
            saelens_classification(E4, E4, torch.ones(3, 4), torch.ones(3, 3))
        with pytest.raises(ShapeError, match="3 samples and latents has 2"):
            saelens_classification(E4, E4, torch.ones(3, 4), torch.ones(2, 4))
        with pytest.raises(DataError, match="latents"):
            saelens_classification(E4, E4, torch.ones(3, 4), math.nan * torch.ones(3, 4))


class TestReconstruction:
    X, X_HAT = tensor([[2, 0], [0, 4], [1, 1]]), tensor([[1, 0], [0, 4], [1, 0]])

    def test_golden(self) -> None:
        found = saelens_reconstruction(
            self.X, self.X_HAT, tensor([[1, 0], [1, 1], [0, 0]]), tensor([[1, 0], [-2, 0], [1, 0]])
        )
        assert found.shrinkage == pytest.approx(0.735702, abs=1e-6)
        # Errors 1, 0 and 1; squares 22, less 3 times those of the mean (1, 5/3).
        assert found.explained_variance == pytest.approx(1 - 2 / (22 - 3 * (1 + 25 / 9)))
        assert found.true_l0 == 1
        assert found.sae_l0 == 1
        assert found.dead_latents == 1

    def test_samples_of_no_length_are_skipped(self) -> None:
        x = torch.cat([self.X, torch.zeros(1, 2)])
        found = saelens_reconstruction(x, 0.8 * x + tensor([0, 0]), x, x)
        assert found.shrinkage == pytest.approx(0.8)

    def test_a_large_mean_costs_no_digits(self) -> None:
        shifted = saelens_reconstruction(self.X + 1e6, self.X_HAT + 1e6, self.X, self.X)
        plain = saelens_reconstruction(self.X, self.X_HAT, self.X, self.X)
        assert shifted.explained_variance == pytest.approx(plain.explained_variance)

    def test_nothing_varies(self) -> None:
        same = torch.ones(3, 2)
        assert saelens_reconstruction(same, same, same, same).explained_variance == 1
        assert saelens_reconstruction(same, 2 * same, same, same).explained_variance == 0
        none = saelens_reconstruction(same[:0], same[:0], same[:0], same[:0])
        assert (none.true_l0, none.sae_l0, none.shrinkage, none.explained_variance) == (0, 0, 0, 0)
        assert none.dead_latents == 2


@pytest.mark.saelens
class TestPackage:
    """Held to sae-lens itself, which counts in float32."""

    @given(pairs_of_dictionaries())
    def test_agreement(self, pair: tuple[Tensor, Tensor]) -> None:
        evals = pytest.importorskip("sae_lens.synthetic.evals")
        # Not quite integers, so that no cosines tie.
        a, b = (x + 0.01 * normal(k, *x.shape) for k, x in enumerate(pair))
        found = saelens_agreement(a, b)
        expected = evals.mean_correlation_coefficient(b, a)
        assert found.mean_correlation_coefficient == pytest.approx(expected, abs=1e-6)
        assert found.uniqueness == evals.feature_uniqueness(b, a)

    @given(SEEDS)
    def test_classification(self, seed: int) -> None:
        evals = pytest.importorskip("sae_lens.synthetic.evals")
        features, decoder = normal(seed, 5, 4), normal(seed + 1, 7, 4)
        c = normal(seed + 2, 30, 5).clamp(min=0) * tensor([1, 1, 1, 1, 0])
        z = normal(seed + 3, 30, 7).clamp(min=0.5) - 0.5
        z[:, 0] = 0
        found = saelens_classification(features, decoder, c, z)
        theirs = evals.compute_classification_metrics(z, c, decoder, features)
        expected = [theirs.precision, theirs.recall, theirs.f1_score, theirs.accuracy]
        assert means(found) == pytest.approx(expected, abs=1e-6)

    @given(SEEDS)
    def test_reconstruction(self, seed: int) -> None:
        evals = pytest.importorskip("sae_lens.synthetic.evals")
        variance = pytest.importorskip("sae_lens.evals").ExplainedVarianceCalculator()
        x, x_hat = normal(seed, 30, 4) + 1, normal(seed + 1, 30, 4) + 1
        x[0] = 0
        c, z = normal(seed + 2, 30, 3).clamp(min=0), normal(seed + 3, 30, 6).clamp(min=1) - 1
        found = saelens_reconstruction(x, x_hat, c, z)
        true_l0, sae_l0 = evals.L0Calculator(), evals.L0Calculator()
        dead, shrinkage = evals.DeadLatentsCalculator(6), evals.ShrinkageCalculator()
        for calculator, batch in (
            (true_l0, (c,)),
            (sae_l0, (z,)),
            (dead, (z,)),
            (shrinkage, (x_hat, x)),
            (variance, (x_hat, x)),
        ):
            calculator.add_batch(*batch)
        assert found.true_l0 == pytest.approx(true_l0.compute(), abs=1e-6)
        assert found.sae_l0 == pytest.approx(sae_l0.compute(), abs=1e-6)
        assert found.dead_latents == dead.compute()
        assert found.shrinkage == pytest.approx(shrinkage.compute(), abs=1e-6)
        assert found.explained_variance == pytest.approx(variance.compute(), abs=1e-6)
