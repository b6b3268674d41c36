"""What every generator under conf/generator promises, whatever its kind."""

from __future__ import annotations

from functools import cache

import pytest
import torch
import yaml
from pretended_device import pretended_device

from tests.generators.statistics import SIGMAS, check_truth
from toysae.cli import CONF
from toysae.config import build_generator
from toysae.draws import Draws
from toysae.generators.base import Generator
from toysae.generators.truth import Truth
from toysae.generators.union import Union
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import Stream

PRESETS = sorted(path.stem for path in (CONF / "generator").glob("*.yaml"))

#: Above this number of features only marginals are held against samples.
MOST_FEATURES = 200

#: Most samples that a preset draws with something in common.
BATCH = 256


@cache
def preset(name: str) -> Generator:
    node = yaml.safe_load((CONF / "generator" / f"{name}.yaml").read_text(encoding="utf-8"))
    return build_generator(node)


@cache
def truth_of(name: str) -> Truth:
    return preset(name).truth()


@pytest.mark.parametrize("name", PRESETS)
class TestPreset:
    def test_samples_are_made_on_the_device_of_the_draws(self, name):
        with pretended_device() as device:
            drawn = preset(name).sample(Draws(0, device=device), 64)
            assert drawn.dense().device == device

    def test_samples_are_what_the_truth_states(self, name):
        generator, n = preset(name), 32768
        if generator.n_features <= MOST_FEATURES:
            check_truth(generator, n)
            return
        truth, rates = truth_of(name), []
        for block in range(n // 8192):
            firing = generator.sample(Draws(0).at_block(block), 8192).sparse()
            cells = firing.samples // BATCH * firing.n_features + firing.features
            counts = torch.bincount(cells, minlength=8192 // BATCH * firing.n_features)
            rates.append(counts.view(-1, firing.n_features).double() / BATCH)
        found = torch.cat(rates)
        p = truth.marginals
        error = 0 if truth.exact else truth.marginals_error
        # Samples of a batch need not be independent of each other; batches are.
        sampling = torch.maximum(p * (1 - p) / n, found.var(0) / len(found))
        sigma = (sampling + error**2).sqrt()
        assert float(((found.mean(0) - p).abs() - SIGMAS * sigma - 10 / n).max()) <= 0

    def test_firings_are_positive_finite_and_listed_once(self, name):
        firing = preset(name).sample(Draws(1), 8192).sparse()
        assert firing.n_features == preset(name).n_features
        assert firing.features.dtype == firing.offsets.dtype == torch.int64
        assert firing.values.dtype == torch.float32
        assert bool((firing.values > 0).all())
        assert bool(firing.values.isfinite().all())
        assert (int(firing.offsets[0]), int(firing.offsets[-1])) == (0, len(firing.features))
        cells = firing.samples * firing.n_features + firing.features
        assert len(cells.unique()) == len(cells)

    def test_bits_are_a_function_of_the_key(self, name):
        one, again, other = (preset(name).sample(Draws(s), 2048).sparse() for s in (1, 1, 2))
        assert torch.equal(one.features, again.features)
        assert torch.equal(one.values, again.values)
        if float(one.values.std()) > 0:
            assert not torch.equal(one.values, other.values)
        else:
            assert not torch.equal(one.features, other.features)

    def test_company_leaves_the_draws_alone(self, name):
        """In a union, a generator draws what it draws alone under that name."""
        generator = preset(name)
        alone = generator.sample(Draws(1).child("this"), 512).sparse()
        company = preset("composed_sets")
        union = Union({"other": company, "this": generator}).sample(Draws(1), 512).sparse()
        here = union.features >= company.n_features
        assert torch.equal(union.features[here] - company.n_features, alone.features)
        assert torch.equal(union.values[here], alone.values)

    def test_chunks_of_a_stream_have_the_bits_of_the_whole(self, name):
        generator = preset(name)
        stream = Stream(generator, HiddenSpace(torch.empty(generator.n_features, 1)), seed=3)
        whole = stream.coefficients(0, 8192 + 300).sparse()
        for start, stop in ((0, 50), (8100, 8300), (8192, 8492)):
            part, expected = stream.coefficients(start, stop - start), whole.rows(start, stop)
            assert torch.equal(part.sparse().offsets, expected.offsets)
            assert torch.equal(part.sparse().features, expected.features)
            assert torch.equal(part.sparse().values, expected.values)

    def test_truth_names_every_feature_and_only_those(self, name):
        truth, n = truth_of(name), preset(name).n_features
        assert len(truth.names) == len(set(truth.names)) == n
        for values in (truth.marginals, truth.mean, truth.square):
            assert values.shape == (n,)
            assert values.dtype == torch.float64
        for members in truth.groups.values():
            assert set(members) <= set(range(n))
            assert len(set(members)) == len(members) > 0
        assert bool((truth.square >= truth.mean.square() - 1e-12).all())

    def test_pairs_of_any_features_in_any_order(self, name):
        truth, n = truth_of(name), preset(name).n_features
        features = torch.tensor([n - 1, 0, n // 2]).unique()
        one, two = truth.pair_moments(features), truth.pair_moments(features.flip(0))
        for field in ("probabilities", "products", "probabilities_error", "products_error"):
            found = getattr(one, field)
            torch.testing.assert_close(found, found.T)
            torch.testing.assert_close(found, getattr(two, field).flip(0, 1))
        if truth.exact:
            torch.testing.assert_close(one.probabilities.diagonal(), truth.marginals[features])
            torch.testing.assert_close(one.products.diagonal(), truth.square[features])

    def test_is_hashable_and_equal_to_itself_built_again(self, name):
        node = yaml.safe_load((CONF / "generator" / f"{name}.yaml").read_text(encoding="utf-8"))
        assert build_generator(node) == preset(name)
        assert hash(build_generator(node)) == hash(preset(name))
