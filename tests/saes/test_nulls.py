from __future__ import annotations

import pytest
import torch

from toysae.checkpoints.saelens import load, save
from toysae.config import SAES
from toysae.draws import Draws
from toysae.errors import DataError, ShapeError
from toysae.saes.base import SAE
from toysae.saes.nulls import (
    Redecoded,
    identity_sae,
    pca_sae,
    permuted_decoder,
    random_decoder,
    rotated_decoder,
)
from toysae.saes.relu import ReLU
from toysae.saes.topk import TopK

D, M, MEMBERS = 4, 6, 2
X = Draws(0).normal("x", (40, D))


def sae_of(family):
    """Two SAEs in no special position, whose decoder rows have norms of their own."""
    draws = Draws(1)
    params = {
        name: draws.normal(name, (MEMBERS, *shape))
        for name, shape in family.param_shapes(D, M).items()
    }
    params["W_dec"] = params["W_dec"] * (1 + draws.uniform("norms", (MEMBERS, M, 1)))
    return SAE(family, params)


EVERY = [pytest.param(family(n_latents=M), id=name) for name, family in SAES.items()] + [
    pytest.param(TopK(n_latents=M, rescale_by_decoder_norm=True), id="rescaled")
]
OTHER_DECODERS = (permuted_decoder, rotated_decoder)


class TestPCA:
    #: Variance 9 along (.6, .8) and 1 across, around (1, 2).
    AXES = torch.tensor([[0.6, 0.8], [-0.8, 0.6]])
    DATA = torch.tensor([[3.0, 1], [3, -1], [-3, 1], [-3, -1]]) @ AXES + torch.tensor([1.0, 2])

    def test_rows_are_components_and_their_opposites_by_variance(self):
        sae = pca_sae(self.DATA)
        rows = sae.decoder[0]
        torch.testing.assert_close(rows[::2], -rows[1::2])
        torch.testing.assert_close((rows[::2] @ self.AXES.T).abs(), torch.eye(2))
        torch.testing.assert_close(sae.encoder_rows[0], rows)
        torch.testing.assert_close(sae.params["b_dec"][0], torch.tensor([1.0, 2]))

    def test_latents_are_the_positive_parts_of_the_scores(self):
        sae = pca_sae(self.DATA)
        latents = sae.encode(self.DATA)[0]
        first = latents[:, :2].sort(dim=1, descending=True).values
        torch.testing.assert_close(first, torch.tensor([[3.0, 0]] * 4))
        torch.testing.assert_close(latents[:, 2:].sum(1), torch.ones(4))

    def test_reconstructs_everything_with_half_of_its_latents(self):
        sae = pca_sae(X)
        torch.testing.assert_close(sae.reconstruct(X)[0], X)
        assert sae.n_latents == 2 * D
        assert ((sae.encode(X)[0] > 0).sum(1) == D).all()

    def test_few_components_are_those_of_the_largest_variance(self):
        sae = pca_sae(self.DATA, n_components=1)
        assert sae.n_latents == 2
        left = self.DATA - sae.reconstruct(self.DATA)[0]
        torch.testing.assert_close(left @ self.AXES.T, torch.tensor([[0.0, 1], [0, -1]] * 2))

    def test_is_a_checkpoint_like_any_other(self, tmp_path):
        sae = pca_sae(X)
        read = load(save(sae, tmp_path / "pca")).sae
        torch.testing.assert_close(read.encode(X), sae.encode(X))
        torch.testing.assert_close(read.reconstruct(X), sae.reconstruct(X))

    def test_refuses_what_has_no_components(self):
        for n_components in (0, 3):
            with pytest.raises(ShapeError, match="n_components"):
                pca_sae(self.DATA, n_components)
        with pytest.raises(ShapeError, match="at least one sample"):
            pca_sae(torch.zeros(0, 3))
        with pytest.raises(DataError, match="NaN"):
            pca_sae(torch.tensor([[1.0, float("nan")]]))


def test_identity_is_the_coordinates_with_both_signs():
    sae = identity_sae(2)
    x = torch.tensor([[3.0, -4.0]])
    assert sae.encode(x).tolist() == [[[3, 0, 0, 4]]]
    assert torch.equal(sae.reconstruct(x)[0], x)


def test_identity_of_no_dimension_is_refused():
    with pytest.raises(ShapeError, match="d_hidden = 0: must be at least 1"):
        identity_sae(0)


class TestRandomDecoder:
    def test_unit_rows_tied_of_the_same_size(self):
        null = random_decoder(sae_of(ReLU(n_latents=M)), seed=3)
        assert null.decoder.shape == (MEMBERS, M, D)
        torch.testing.assert_close(null.decoder.norm(dim=-1), torch.ones(MEMBERS, M))
        torch.testing.assert_close(null.encoder_rows, null.decoder)
        assert not torch.allclose(null.decoder[0], null.decoder[1])
        torch.testing.assert_close(null.encode(X), torch.relu(X @ null.decoder.transpose(1, 2)))

    def test_is_a_function_of_the_seed(self):
        sae = sae_of(ReLU(n_latents=M))
        assert torch.equal(random_decoder(sae, 3).decoder, random_decoder(sae, 3).decoder)
        assert not torch.equal(random_decoder(sae, 3).decoder, random_decoder(sae, 4).decoder)


class TestOtherDecoders:
    @pytest.mark.parametrize("family", EVERY)
    @pytest.mark.parametrize("other", OTHER_DECODERS)
    def test_activations_stay_whatever_the_family(self, family, other):
        """A new family is tested here as soon as it is registered."""
        sae = sae_of(family)
        null = other(sae, seed=5)
        latents = sae.encode(X)
        assert latents.any()
        torch.testing.assert_close(null.encode(X), latents)
        torch.testing.assert_close(null.encoder_rows, sae.encoder_rows)
        before, after = sae.reconstruct(X), null.reconstruct(X)
        assert not torch.allclose(before, after, atol=1e-2)

    @pytest.mark.parametrize("family", EVERY)
    def test_reconstructions_are_those_of_the_new_rows(self, family):
        """As decoding the permuted activations with the rows where they were."""
        sae = sae_of(family)
        null = permuted_decoder(sae, seed=5)
        same = (null.decoder[:, :, None] == sae.decoder[:, None]).all(-1)
        assert (same.sum(1) == 1).all()
        assert (same.sum(2) == 1).all()
        assert not same.diagonal(dim1=1, dim2=2).any()
        assert torch.equal(same[0], same[1])
        if not getattr(family, "rescale_by_decoder_norm", False):
            moved = null.encode(X) @ same.to(X.dtype)
            torch.testing.assert_close(null.reconstruct(X), sae.decode(moved))

    @pytest.mark.parametrize("seed", range(5))
    def test_no_latent_keeps_its_row_in_any_order(self, seed):
        for m in (2, 3, 7):
            sae = random_decoder(identity_sae(m), 0)
            null = permuted_decoder(sae, seed)
            assert (null.decoder != sae.decoder).any(-1).all()

    def test_rotation_keeps_all_products_of_rows(self):
        sae = sae_of(ReLU(n_latents=M))
        null = rotated_decoder(sae, seed=5)
        before, after = (each.decoder @ each.decoder.transpose(1, 2) for each in (sae, null))
        torch.testing.assert_close(after, before)
        assert torch.equal(null.params["b_dec"], sae.params["b_dec"])

    def test_rotation_is_that_of_the_seed(self):
        sae = sae_of(ReLU(n_latents=M))
        assert torch.equal(rotated_decoder(sae, 1).decoder, rotated_decoder(sae, 1).decoder)
        for other in OTHER_DECODERS:
            assert not torch.allclose(other(sae, 1).decoder, other(sae, 2).decoder)

    @pytest.mark.parametrize("name", ["relu", "tied", "gated", "jumprelu", "topk", "batch_topk"])
    def test_are_checkpoints_where_the_encoder_is_its_own(self, name, tmp_path):
        null = permuted_decoder(sae_of(SAES[name](n_latents=M)).members([0]), seed=5)
        read = load(save(null, tmp_path / name)).sae
        torch.testing.assert_close(read.reconstruct(X), null.reconstruct(X))

    def test_encoders_that_read_the_decoder_keep_the_old_one(self):
        sae = sae_of(SAES["matching_pursuit"](n_latents=M))
        null = permuted_decoder(sae, seed=5)
        assert isinstance(null.family, Redecoded)
        assert torch.equal(null.params["W_dec_of_encoder"], sae.decoder)
        assert null.family.param_shapes(D, M) == {
            "W_dec": (M, D), "b_dec": (D,), "W_dec_of_encoder": (M, D),
        }  # fmt: skip
        twice = permuted_decoder(null, seed=6)
        torch.testing.assert_close(twice.encode(X), sae.encode(X))

    def test_one_latent_has_no_other_order(self):
        params = {name: p[None] for name, p in ReLU(n_latents=1).init(D, Draws(0)).items()}
        with pytest.raises(ShapeError, match="at least 2"):
            permuted_decoder(SAE(ReLU(n_latents=1), params), seed=0)
