"""Absorption and hedging: what SAEs are known to get wrong where features are correlated.

Chanin et al., "A is for absorption" (2024, arXiv 2409.14507) and "Feature hedging" (2025, arXiv
2505.11756): two orthonormal features in 50 dimensions, `f0` on a quarter of the samples, ReLU SAEs
whose L1 is weighted by decoder norms.
"""

from __future__ import annotations

import pytest
import torch
from hydra import compose, initialize_config_dir

from toysae.cli import CONF
from toysae.draws import CPU, Draws
from toysae.hidden.stream import Stream
from toysae.metrics.uncertainty import seed_interval
from toysae.runs.config import parse
from toysae.saes.relu import ReLU
from toysae.training.member import Member
from toysae.training.stack import train
from toysae.training.trainer import Trainer

SEEDS = 6


def trained(world, n_latents, l1, *, steps=3000, lr=2e-3):
    """SAEs that start near the true features, and those features `[M, 2, d]`.

    From random starts the same comes out, but some latents die: they begin with a negative
    component along all that fires.
    """
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = parse(compose("train", [f"world={world}"]))
    spaces = config.hidden.spaces(config.generator, list(range(SEEDS)), CPU)
    family = ReLU(n_latents=n_latents, l1=l1, unit_norm_decoder=False, penalty_by_decoder_norm=True)
    trainer = Trainer(steps=steps, batch_size=256, lr=lr)
    members = [
        Member(
            family,
            trainer,
            Stream(config.generator, space, seed),
            seed,
            space.directions[:n_latents]
            + 0.02 * Draws(seed).normal("start", (n_latents, space.d_hidden)),
        )
        for seed, space in enumerate(spaces)
    ]
    (stack,) = train(members, threads=1)
    return stack.sae, torch.stack([space.directions for space in spaces])


def components(sae, features):
    """Of unit decoder rows along the features, `[M, m, 2]`."""
    unit = sae.decoder / sae.decoder.norm(dim=2, keepdim=True)
    return unit @ features.transpose(1, 2)


class TestAbsorption:
    """`f1` fires only with `f0`, on a fifth of its samples."""

    def test_latent_of_the_child_absorbs_the_parent(self):
        """It points along the sum of both, and the parent's latent is silent where the child is."""
        sae, features = trained("absorption", 2, 1e-3, steps=4000, lr=4e-3)
        parent, child = components(sae, features).unbind(1)
        torch.testing.assert_close(parent, torch.tensor([[1.0, 0.0]] * SEEDS), rtol=0, atol=0.02)
        torch.testing.assert_close(child, torch.full((SEEDS, 2), 0.5**0.5), rtol=0, atol=0.05)
        alone = sae.encode(features[:, :1])[:, 0, 0]
        with_child = sae.encode(features.sum(1, keepdim=True))[:, 0, 0]
        torch.testing.assert_close(
            alone * sae.decoder[:, 0].norm(dim=1), torch.ones(SEEDS), rtol=0, atol=0.02
        )
        assert float((with_child / alone).max()) < 0.1

    def test_independent_features_are_left_apart(self):
        sae, features = trained("hedging_independent", 2, 1e-3)
        torch.testing.assert_close(
            components(sae, features), torch.eye(2).expand(SEEDS, 2, 2), rtol=0, atol=0.03
        )


class TestHedging:
    """One latent for two features: it takes `f0`, and a share of `f1` by their correlation."""

    def share(self, world, l1):
        """Component along `f1` over that along `f0`, of each seed."""
        sae, features = trained(world, 1, l1)
        first, second = components(sae, features)[:, 0].unbind(1)
        assert float(first.min()) > 0.95
        return sae, features, (second / first).tolist()

    def test_nothing_of_an_independent_feature(self):
        """Which goes to the decoder bias, at its probability: .2."""
        sae, features, shares = self.share("hedging_independent", 1e-3)
        assert max(map(abs, shares)) < 0.03
        bias = (features @ sae.params["b_dec"][:, :, None])[..., 0]
        expected = torch.tensor([[0.0, 0.2]] * SEEDS)
        torch.testing.assert_close(bias, expected, rtol=0, atol=0.02)

    @pytest.mark.parametrize(
        ("world", "l1", "sign"),
        [
            ("hedging_hierarchical", 1e-3, 1),
            ("hedging_positive", 1e-3, 1),
            ("hedging_negative", 2e-2, -1),
        ],
    )
    def test_a_share_of_a_correlated_one(self, world, l1, sign):
        """With the sign of the correlation in all six seeds; by chance in 1 of 64."""
        _, _, shares = self.share(world, l1)
        interval = seed_interval(shares)
        assert all(sign * share > 0.05 for share in shares)
        assert 0.08 < sign * interval.mean < 0.3

    @pytest.mark.parametrize(
        ("world", "l1"), [("hedging_positive", 1e-3), ("hedging_negative", 2e-2)]
    )
    def test_none_where_both_have_a_latent(self, world, l1):
        sae, features = trained(world, 2, l1)
        mixed = components(sae, features)[:, [0, 1], [1, 0]]
        assert float(mixed.abs().max()) < 0.05
