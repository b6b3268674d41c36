from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.errors import ShapeError
from toysae.metrics.codes import SparseCodes
from toysae.metrics.detection import best_detection, detection
from toysae.metrics.dictionary import max_cosine
from toysae.metrics.matching_keys import KEYS, matching_keys

from .draw import SEEDS, firing_tables, normal, tensor

E4 = torch.eye(4, dtype=torch.float64)

# A parent alone on three samples, with its child on three; the child's latent absorbs the parent.
FEATURES, DECODER = tensor([[1, 0], [0, 1]]), tensor([[1, 0], [1, 1]])
COEFFICIENTS = tensor([[1, 0]] * 3 + [[1, 1]] * 3)
LATENTS = tensor([[1, 0]] * 3 + [[0, 2**0.5]] * 3)


class TestMatchingKeys:
    def test_golden_absorption(self) -> None:
        """The direction of the child's latent ties between both, and the parent comes first."""
        keys = matching_keys(FEATURES, DECODER, COEFFICIENTS, LATENTS)
        assert {key: keys.per_latent[key].partner.tolist() for key in KEYS} == {
            "decoder": [0, 0],
            "correlation": [1, 1],
            "f1": [0, 1],
        }
        # The parent is always active, so nothing correlates with it.
        assert {key: keys.per_feature[key].partner.tolist() for key in KEYS} == {
            "decoder": [0, 1],
            "correlation": [-1, 0],
            "f1": [0, 1],
        }
        assert keys.latent_agreement == {
            "decoder correlation": 0,
            "decoder f1": 0.5,
            "correlation f1": 0.5,
        }
        assert keys.feature_agreement == {
            "decoder correlation": 0,
            "decoder f1": 1,
            "correlation f1": 0,
        }
        assert keys.all_agree_on_latents == 0
        assert keys.all_agree_on_features == 0

    def test_features_themselves_agree(self) -> None:
        order = [2, 0, 3, 1]
        codes = normal(0, 40, 4).clamp(min=0)
        keys = matching_keys(E4, E4[order], codes, codes[:, order])
        for key in KEYS:
            assert keys.per_latent[key].partner.tolist() == order
            assert keys.per_feature[key].partner.tolist() == [1, 3, 0, 2]
            assert keys.per_latent[key].similarity.tolist() == pytest.approx([1] * 4)
        assert keys.all_agree_on_features == keys.all_agree_on_latents == 1

    @given(SEEDS, st.integers(1, 5))
    def test_keys_are_the_single_metrics(self, seed: int, block: int) -> None:
        features, decoder = normal(seed, 4, 5), normal(seed + 1, 3, 5)
        c, z = normal(seed + 2, 30, 4).clamp(min=0), normal(seed + 3, 30, 3).clamp(min=0)
        keys = matching_keys(features, decoder, c, z, threshold=0.2, block=block)
        cosine, detected = max_cosine(features, decoder), detection(c, z, threshold=0.2)
        correlation = torch.corrcoef(torch.cat([c, z], dim=1).T)[:4, 4:].abs()
        expected = {
            "decoder": (cosine.a_to_b, cosine.b_to_a),
            "correlation": (correlation.amax(dim=1), correlation.amax(dim=0)),
            "f1": (detected.best_f1_per_feature, detected.best_f1_per_latent),
        }
        for key, (rows, columns) in expected.items():
            for found, best in ((keys.per_feature[key], rows), (keys.per_latent[key], columns)):
                resembles = best > 1e-6
                assert torch.allclose(found.similarity[resembles], best[resembles])
                assert torch.equal(found.partner >= 0, resembles)

    @given(firing_tables())
    def test_detection_gives_the_same_partners(
        self, tables: tuple[torch.Tensor, torch.Tensor]
    ) -> None:
        c, z = tables[0].double(), tables[1].double()
        (n, m), found = (c.shape[1], z.shape[1]), best_detection(c, z)
        keys = matching_keys(torch.ones(n, 1), torch.ones(m, 1), c, z)
        assert torch.equal(keys.per_feature["f1"].partner, found.per_feature.partner)
        assert torch.equal(keys.per_latent["f1"].partner, found.per_latent.partner)

    def test_opposite_directions_and_opposite_activations(self) -> None:
        """A cosine has a sign, a correlation that of the activation, which is left out."""
        codes = normal(0, 40, 4).clamp(min=0)
        keys = matching_keys(E4, -E4, codes, -codes)
        assert keys.per_feature["decoder"].partner.tolist() == [-1] * 4
        assert keys.per_feature["correlation"].partner.tolist() == [0, 1, 2, 3]
        assert keys.per_feature["f1"].partner.tolist() == [0, 1, 2, 3]
        assert math.isnan(keys.all_agree_on_features)
        assert keys.feature_agreement["correlation f1"] == 1

    def test_dead_latents_have_no_partner_by_activation(self) -> None:
        codes = normal(0, 40, 4).clamp(min=0) * tensor([1, 1, 1, 0])
        keys = matching_keys(E4, E4, E4.repeat(10, 1), codes)
        assert keys.per_latent["decoder"].partner[3] == 3
        assert keys.per_latent["correlation"].partner[3] == -1
        assert keys.per_latent["f1"].partner[3] == -1
        alive = torch.tensor([True, True, True, False])
        masked = matching_keys(E4, E4, E4.repeat(10, 1), codes, alive=alive)
        assert masked.per_latent["decoder"].partner.tolist() == [0, 1, 2, -1]
        assert masked.per_feature["decoder"].partner.tolist() == [0, 1, 2, -1]

    def test_masked_latents_have_no_partner_by_any_key(self) -> None:
        codes, alive = normal(0, 40, 4).clamp(min=0), torch.tensor([True, True, False, True])
        keys = matching_keys(E4, E4, codes, codes, alive=alive)
        for key in KEYS:
            assert keys.per_latent[key].partner[2] == -1
            assert keys.per_latent[key].similarity[2].isnan()
            assert not (keys.per_feature[key].partner == 2).any()
        assert keys.per_latent["f1"].partner.tolist() == [0, 1, -1, 3]

    def test_all_three_must_agree(self) -> None:
        # By firing latent 1 belongs to feature 1; by direction and by correlation to feature 0.
        keys = matching_keys(
            FEATURES,
            tensor([[1, 0], [1, 0.1]]),
            tensor([[1, 0], [0, 1], [0, 0], [9, 1]]),
            tensor([[1, 0], [0, 1], [0, 0], [9, 9]]),
        )
        assert keys.per_latent["decoder"].partner.tolist() == [0, 0]
        assert keys.per_latent["correlation"].partner.tolist() == [0, 0]
        assert keys.per_latent["f1"].partner.tolist() == [0, 1]
        assert keys.latent_agreement["decoder correlation"] == 1
        assert keys.all_agree_on_latents == 0.5

    def test_sparse_codes_and_reports(self) -> None:
        told: list[tuple[int, int]] = []
        keys = matching_keys(
            FEATURES,
            DECODER,
            SparseCodes.from_dense(COEFFICIENTS),
            SparseCodes.from_dense(LATENTS),
            block=1,
            report=lambda done, n: told.append((done, n)),
        )
        assert keys.per_latent["f1"].partner.tolist() == [0, 1]
        assert told == [(1, 2), (2, 2)]

    def test_without_samples_only_directions_match(self) -> None:
        keys = matching_keys(FEATURES, DECODER, COEFFICIENTS[:0], LATENTS[:0])
        assert keys.per_feature["decoder"].partner.tolist() == [0, 1]
        for key in ("correlation", "f1"):
            assert keys.per_feature[key].partner.tolist() == [-1, -1]
            assert keys.per_latent[key].similarity.isnan().all()
        assert math.isnan(keys.all_agree_on_features)

    def test_tables_must_belong_to_the_dictionaries(self) -> None:
        with pytest.raises(
            ShapeError, match="2 features and 2 decoder rows, but coefficients of 2"
        ):
            matching_keys(FEATURES, DECODER, COEFFICIENTS, LATENTS[:, :1])
