"""Fewer latents than features fire make wrong latents: Chanin and Garriga-Alonso (2025).

"Sparse but wrong" (arXiv 2508.16560): five features fire in .4 of the samples each, L0 2, and the
first is correlated with the other four. With `k` = 2 a BatchTopK SAE has the features. With `k` =
1.8, even from the truth, every other latent takes up a part of the first feature, with the sign of
the correlation.

Intervals over six seeds are at 95 %. A sign that were a coin's for each seed would be right in all
six with probability 1/64.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pytest
import torch
from torch import Tensor

from toysae.hidden.stream import Stream
from toysae.saes.base import Params
from toysae.saes.batch_topk import BatchTopK
from toysae.training.trainer import Trainer

from ._worlds import cosines, generator, interval, streams, trained, unseen

SEEDS = 6
TRAINER = Trainer(steps=300, batch_size=256, lr=5e-3, warmup_fraction=0.05)


def data(correlations: Sequence[float]) -> list[Stream]:
    """Six streams for each correlation of the first feature with the others."""
    laws = [{"name": "hub", "correlation": correlation} for correlation in correlations]
    worlds = [generator("sparse_but_wrong_5", correlation=law) for law in laws]
    return [stream for world in worlds for stream in streams(world, SEEDS)]


@cache
def from_truth(k: float) -> dict[float, Tensor]:
    """Cosines of latents with features, `[seeds, 5, 5]`, by correlation."""
    correlations = (-0.4, 0.0, 0.4)
    drawn = data(correlations)
    found = cosines(trained(BatchTopK(n_latents=5, k=k), TRAINER, drawn, at_truth=True), drawn)
    return dict(zip(correlations, found.split(SEEDS), strict=True))


@pytest.mark.parametrize("correlation", [-0.4, 0.0, 0.4])
def test_at_the_true_l0_the_truth_is_kept(correlation):
    found = from_truth(2.0)[correlation]
    assert found.diagonal(dim1=1, dim2=2).min() > 0.995
    assert found[:, 1:, 0].abs().max() < 0.05


@pytest.mark.parametrize("correlation", [-0.4, 0.4])
def test_below_it_every_latent_takes_up_the_correlated_feature(correlation):
    sign = 1 if correlation > 0 else -1
    component = sign * from_truth(1.8)[correlation][:, 1:, 0]
    assert component.min() > 0.15
    assert 0.2 < interval(component).low < interval(component).high < 0.32


def test_below_it_independent_features_stay_apart():
    assert from_truth(1.8)[0.0][:, 1:, 0].abs().max() < 0.05


def test_at_the_true_l0_the_truth_is_found():
    """By the best of six random starts; some end in a local minimum, as the authors note too."""
    drawn, family = data([0.4]), BatchTopK(n_latents=5, k=2)
    sae = trained(family, TRAINER, drawn)
    best = int(errors(family, sae.params, drawn).argmin())
    assert cosines(sae, drawn)[best].amax(dim=0).min() > 0.98


def test_below_it_the_wrong_latents_reconstruct_better_than_the_truth():
    drawn, family = data([0.4]), BatchTopK(n_latents=5, k=1.8)
    learned = trained(family, TRAINER, drawn, at_truth=True).params
    assert interval(error_of_the_truth(family, learned, drawn)).low > 1.1


def error_of_the_truth(family: BatchTopK, learned: Params, drawn: Sequence[Stream]) -> Tensor:
    """Of an SAE whose weights are the features, over that of the learned one, `[M]`."""
    directions = torch.stack([stream.space.directions for stream in drawn])
    truth = {name: torch.zeros_like(value) for name, value in learned.items()}
    truth.update(W_enc=directions.transpose(1, 2), W_dec=directions)
    return errors(family, truth, drawn) / errors(family, learned, drawn)


def errors(family: BatchTopK, params: Params, drawn: Sequence[Stream]) -> Tensor:
    """Mean squared error of each member, `[M]`, with just `k` latents a sample as in training."""
    _, hidden = unseen(drawn)
    made = family.forward(params, hidden, torch.tensor(1.0)).reconstruction
    return (made - hidden).square().sum(-1).mean(-1)


@pytest.mark.slow
class TestFiftyFeatures:
    """The large toy: 50 features in 100 dimensions with random correlations, true L0 10.95.

    The published protocol, scaled down: random starts, 2,000 steps of 256 in place of 14,648 of
    1,024, at ten times the learning rate. Found in six seeds, as the share of features with a
    latent of cosine above .95, and as the mean over features of the largest cosine:

        k    random start           start at the truth
        11   .84-.96   .91-.97      1         1.000        published: correct
        5    0-.02     .70-.75      0-.04     .79-.80      published: mixed

    So with `k` = 11 the truth is kept, but two to eight features of a seed are missed from a random
    start. With `k` = 5 the truth has 1.67 to 1.73 times the error of what is learned from a random
    start, 1.78 to 1.81 of that from the truth (published: about 2).
    """

    TRAINER = Trainer(steps=2000, batch_size=256, lr=3e-3)

    @staticmethod
    @cache
    def data() -> list[Stream]:
        return streams(generator("sparse_but_wrong_50"), SEEDS, d_hidden=100)

    def largest(self, k: float, *, at_truth: bool = False) -> tuple[Tensor, Params]:
        """Of each feature with a latent, `[seeds, 50]`; and the parameters."""
        drawn = self.data()
        sae = trained(BatchTopK(n_latents=50, k=k), self.TRAINER, drawn, at_truth=at_truth)
        return cosines(sae, drawn).amax(dim=1), sae.params

    def test_l0_is_that_of_the_publication(self):
        fires, _ = unseen(self.data())
        assert float(fires.double().sum(-1).mean()) == pytest.approx(10.95, abs=0.1)

    def test_near_the_true_l0_features_are_found(self):
        found, _ = self.largest(11)
        assert float((found > 0.95).double().mean(1).min()) > 0.75
        assert interval(found).low > 0.88

    def test_near_the_true_l0_the_truth_is_kept(self):
        assert float(self.largest(11, at_truth=True)[0].min()) > 0.99

    def test_far_below_it_latents_are_mixed(self):
        found, learned = self.largest(5)
        assert float((found > 0.95).double().mean(1).max()) < 0.1
        assert interval(found).high < 0.8
        ratio = error_of_the_truth(BatchTopK(n_latents=50, k=5), learned, self.data())
        assert interval(ratio).low > 1.5

    def test_far_below_it_the_truth_is_left(self):
        """Even from it."""
        assert float(self.largest(5, at_truth=True)[0].mean(1).max()) < 0.85
