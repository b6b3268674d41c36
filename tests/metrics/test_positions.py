from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics import outputs
from toysae.metrics.positions import (
    ExplainedVarianceByPosition,
    PerPosition,
    explained_variance_by_position,
    per_position,
)
from toysae.metrics.reconstruction import explained_variance, squared_error

from .draw import SEEDS, normal, tensor

NAN = math.nan
# The first position is BOS: large, and hardly different from sequence to sequence.
BOS = tensor([[[100, 0], [1, 0]], [[100, 2], [3, 0]]])
BOS_HAT = tensor([[[99, 1], [1, 1]], [[99, 1], [2, 0]]])


class TestPerPosition:
    def test_golden(self) -> None:
        values = tensor([[1, 2, NAN], [3, NAN, NAN], [5, 8, NAN]])
        found = per_position(values)
        assert found.value[:2].tolist() == [3, 5]
        assert math.isnan(found.value[2])
        assert found.count.tolist() == [3, 2, 0]
        assert found.n_sequences == 3
        assert found.over().mean == pytest.approx(19 / 5)
        assert found.over(slice(1, None)).mean == pytest.approx(5)
        assert found.over([0]).mean == found.over(torch.tensor([True, False, False])).mean == 3
        assert math.isnan(found.over([2]).mean)
        assert found.over([2]).n == 3

    def test_padding_does_not_count(self) -> None:
        counted = torch.tensor([[True, True], [True, False]])
        found = per_position(tensor([[1, 2], [3, math.inf]]), counted)
        assert found.value.tolist() == [2, 2]
        assert found.count.tolist() == [2, 1]

    @given(SEEDS, st.lists(st.integers(0, 4), min_size=1, max_size=4))
    def test_batches_do_not_matter(self, seed: int, sizes: list[int]) -> None:
        values = normal(seed, sum(sizes) + 2, 3)
        values[0, 1] = NAN
        accumulator = PerPosition(resamples=20, seed=7)
        for part in values.split([2, *sizes]):
            accumulator.update(part)
        streamed, whole = accumulator.profile(), per_position(values, resamples=20, seed=7)
        assert torch.allclose(streamed.value, whole.value)
        assert torch.equal(streamed.count, whole.count)
        assert torch.allclose(streamed.sums, whole.sums)
        assert torch.equal(streamed.counts, whole.counts)
        assert streamed.n_sequences == len(values)

    def test_the_seed_decides(self) -> None:
        values = normal(0, 30, 4)
        first, again, other = (
            per_position(values, resamples=50, seed=seed).over() for seed in (1, 1, 2)
        )
        assert first == again
        assert first.low != other.low
        assert first.mean == other.mean == pytest.approx(values.mean().item())
        assert per_position(values, resamples=50).sums.shape == (50, 4)

    def test_bounds_are_those_of_the_sequences(self) -> None:
        """At one position all values are independent: about `mean +- 1.96 sd / sqrt(S)`."""
        values = normal(0, 400, 3) * tensor([1, 3, 0])
        low, high = per_position(values, resamples=4000).bounds()
        half = 1.96 * values.std(dim=0) / 20
        assert torch.allclose(high - low, 2 * half, rtol=0.06)
        assert torch.allclose((high + low) / 2, values.mean(dim=0), atol=0.03)
        narrow_low, narrow_high = per_position(values, resamples=4000).bounds(0.5)
        assert (narrow_high - narrow_low)[0] < 0.4 * (high - low)[0]

    def test_sequences_are_the_unit(self) -> None:
        """Tokens that copy each other are worth one: 32 of them give no narrower an interval."""
        one = normal(0, 200, 1)
        alone = per_position(one, resamples=2000).over()
        copies = per_position(one.expand(200, 32), resamples=2000).over()
        assert (copies.low, copies.high) == pytest.approx((alone.low, alone.high))

    def test_coverage(self) -> None:
        """95% intervals of 40 sequences cover in 90 to 97%; those of their tokens in 64%.

        Eight tokens of correlation .5 have a design effect of 4.5: `P(|z| < 1.96 / sqrt(4.5))`.
        """
        covered = flattered = 0
        for seed in range(300):
            values = normal(seed, 40, 1) + normal(seed + 10_000, 40, 8)
            interval = per_position(values, resamples=200, seed=seed).over()
            covered += interval.low <= 0 <= interval.high
            flattered += abs(values.mean().item()) <= 1.96 * values.std().item() / math.sqrt(320)
        assert 0.90 <= covered / 300 <= 0.97
        assert flattered / 300 == pytest.approx(0.644, abs=0.08)

    def test_any_number_a_token(self) -> None:
        p, q = normal(0, 5, 3, 6), normal(1, 5, 3, 6)
        kl = outputs.kl_divergence(p, q)
        assert per_position(kl).value[1].item() == pytest.approx(kl[:, 1].mean().item())
        same = outputs.top1_agreement(p, p)
        assert per_position(same).value.tolist() == [1, 1, 1]
        error = squared_error(p, q).per_sample
        assert per_position(error).count.tolist() == [5, 5, 5]
        l0 = (p > 0).sum(dim=-1)
        assert per_position(l0).value[0].item() == pytest.approx((p[:, 0] > 0).sum().item() / 5)

    def test_nothing_seen(self) -> None:
        assert PerPosition().profile().n_sequences == 0
        empty = per_position(torch.ones(0, 3))
        assert torch.isnan(empty.value).all()
        assert math.isnan(empty.over().low)

    def test_bad_input_is_refused(self) -> None:
        accumulator = PerPosition()
        accumulator.update(torch.ones(2, 3))
        with pytest.raises(ShapeError, match="4 positions after batches of 3"):
            accumulator.update(torch.ones(2, 4))
        with pytest.raises(ShapeError, match="expected two axes"):
            per_position(torch.ones(3))
        with pytest.raises(DataError, match="infinite"):
            per_position(tensor([[math.inf]]))
        with pytest.raises(DataError, match=r"torch\.bool"):
            per_position(torch.ones(2, 3), torch.ones(2, 3))
        with pytest.raises(ShapeError, match="counted has shape"):
            per_position(torch.ones(2, 3), torch.ones(2, 2) > 0)
        for positions in ([3], [-1]):
            with pytest.raises(ShapeError, match="there are 3, counted from 0"):
                per_position(torch.ones(2, 3)).over(positions)
        with pytest.raises(ShapeError, match="positions has shape"):
            per_position(torch.ones(2, 3)).over(torch.tensor([True]))
        for confidence in (0.0, 1.0):
            with pytest.raises(DataError, match="confidence"):
                per_position(torch.ones(2, 3)).over(confidence=confidence)
            with pytest.raises(DataError, match="confidence"):
                per_position(torch.ones(2, 3)).bounds(confidence)


class TestExplainedVarianceByPosition:
    def test_golden(self) -> None:
        """BOS: deviations 0 + 2, errors 4; the other: deviations 2, errors 2."""
        assert explained_variance_by_position(BOS, BOS_HAT).tolist() == pytest.approx([-1, 0])

    def test_golden_with_and_without_bos(self) -> None:
        accumulator = ExplainedVarianceByPosition()
        accumulator.update(BOS, BOS_HAT)
        # Means (51, .5); deviations 49^2 * 2 + 50^2 + 48^2 and .25 * 3 + 2.25; errors 4 + 2.
        assert accumulator.over().item() == pytest.approx(1 - 6 / 9609)
        assert accumulator.over(slice(1, None)).item() == pytest.approx(0)
        assert accumulator.over([0]).item() == pytest.approx(-1)
        assert accumulator.count.tolist() == [2, 2]

    @given(SEEDS, st.lists(st.integers(0, 4), min_size=1, max_size=4), st.booleans())
    def test_is_explained_variance_of_what_counts(
        self, seed: int, sizes: list[int], shifted: bool
    ) -> None:
        s = sum(sizes) + 2
        x = normal(seed, s, 3, 2) + (1000 if shifted else 0)
        x_hat = x + 0.3 * normal(seed + 1, s, 3, 2)
        counted = normal(seed + 2, s, 3) > -0.5
        counted[:2] = True
        accumulator = ExplainedVarianceByPosition()
        batches = [2, *sizes]
        for part in zip(x.split(batches), x_hat.split(batches), counted.split(batches)):
            accumulator.update(*part)
        for t, value in enumerate(accumulator.compute()):
            rows = counted[:, t]
            expected = explained_variance(x[rows, t], x_hat[rows, t]).item()
            assert value.item() == pytest.approx(expected, abs=1e-9)
        assert accumulator.over().item() == pytest.approx(
            explained_variance(x[counted], x_hat[counted]).item(), abs=1e-9
        )
        late = counted.clone()
        late[:, 0] = False
        assert accumulator.over(slice(1, None)).item() == pytest.approx(
            explained_variance(x[late], x_hat[late]).item(), abs=1e-9
        )
        assert accumulator.count.tolist() == counted.sum(dim=0).tolist()

    def test_a_bos_that_never_varies_is_undefined(self) -> None:
        x = normal(0, 5, 2, 3)
        x[:, 0] = 0.1
        found = explained_variance_by_position(x, x + 0.1)
        assert math.isnan(found[0])
        assert found[1].item() < 1

    def test_padding_may_hold_anything(self) -> None:
        counted = torch.tensor([[True, True], [True, True], [True, False]])
        x, x_hat = normal(0, 3, 2, 4), normal(1, 3, 2, 4)
        x[2, 1], x_hat[2, 1] = NAN, math.inf
        found = explained_variance_by_position(x, x_hat, counted)
        assert found[1].item() == pytest.approx(explained_variance(x[:2, 1], x_hat[:2, 1]).item())
        for bad, name in ((x, "x: "), (x_hat, "x_hat: ")):
            pair = (bad, normal(1, 3, 2, 4)) if bad is x else (normal(1, 3, 2, 4), bad)
            with pytest.raises(DataError, match=name):
                explained_variance_by_position(*pair)

    def test_nothing_counts(self) -> None:
        accumulator = ExplainedVarianceByPosition()
        assert math.isnan(accumulator.over())
        accumulator.update(BOS, BOS_HAT, torch.zeros(2, 2, dtype=torch.bool))
        assert torch.isnan(accumulator.compute()).all()
        accumulator.update(BOS, BOS_HAT)
        assert accumulator.compute().tolist() == pytest.approx([-1, 0])

    @pytest.mark.parametrize(
        "shapes",
        [((2, 3), (2, 3)), ((2, 3, 4), (2, 3, 5))],
    )
    def test_other_shapes_are_refused(
        self, shapes: tuple[tuple[int, ...], tuple[int, ...]]
    ) -> None:
        with pytest.raises(ShapeError, match=r"expected \[sequences, positions, d\]"):
            explained_variance_by_position(*(torch.ones(shape) for shape in shapes))

    def test_other_shapes_later_are_refused(self) -> None:
        accumulator = ExplainedVarianceByPosition()
        accumulator.update(BOS, BOS_HAT)

        def more(*shape: int) -> tuple[Tensor, Tensor]:
            return torch.ones(shape), torch.ones(shape)

        with pytest.raises(ShapeError, match="3 positions after batches of 2"):
            accumulator.update(*more(2, 3, 2))
        with pytest.raises(ShapeError, match="tokens of 5 dimensions after 2"):
            accumulator.update(*more(2, 2, 5))


def test_weights_are_those_of_a_poisson_bootstrap() -> None:
    """Each resample of three equal tokens counts them as often as numpy's draws say."""
    weights = np.random.default_rng(5).poisson(1.0, size=(3, 4))
    found = per_position(torch.ones(3, 1), resamples=4, seed=5)
    assert found.counts[:, 0].tolist() == weights.sum(axis=0).tolist()
