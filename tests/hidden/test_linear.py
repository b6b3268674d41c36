"""What all linear spaces share: bias, noise, readout, and one space a seed."""

from __future__ import annotations

import math

import pytest
import torch

from toysae.config import build_hidden
from toysae.draws import CPU
from toysae.errors import ConfigError
from toysae.generators.coefficients import DenseCoefficients
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.antipodal import Antipodal
from toysae.hidden.gram import Gram
from toysae.hidden.orthogonalised import Orthogonalised
from toysae.hidden.orthonormal import Orthonormal
from toysae.hidden.random_unit import RandomUnit
from toysae.hidden.readout import ReadoutConfig
from toysae.hidden.stream import BLOCK, Stream
from toysae.results.measurements import EvaluationWorld

FOUR = ComposedSets()
KINDS = [Orthonormal, RandomUnit, Antipodal, Gram, Orthogonalised]


def space(config, seed=0):
    (made,) = config.spaces(FOUR, [seed], CPU)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_directions_have_norm_one_and_belong_to_the_seed(kind):
    config = kind(d_hidden=5)
    alone = space(config, 3).directions
    assert alone.shape == (4, 5)
    torch.testing.assert_close(alone.norm(dim=1), torch.ones(4), rtol=0, atol=2e-6)
    for seed, made in zip((1, 3, 3, 5), config.spaces(FOUR, [1, 3, 3, 5], CPU)):
        assert torch.equal(made.directions, alone) == (seed == 3)


@pytest.mark.parametrize("kind", KINDS)
def test_by_default_there_is_nothing_but_directions(kind):
    made = space(kind())
    assert (made.bias, made.noise, made.readout) == (None, 0.0, None)


@pytest.mark.parametrize("kind", KINDS)
def test_bias_noise_and_readout_leave_the_directions(kind):
    full = kind(d_hidden=5, bias_norm=2.0, noise=0.1, readout=ReadoutConfig(outputs=3))
    assert torch.equal(space(full).directions, space(kind(d_hidden=5)).directions)


def test_bias_has_its_norm_and_is_added():
    made = space(RandomUnit(d_hidden=6, bias_norm=2.5))
    assert float(made.bias.norm()) == pytest.approx(2.5, rel=1e-6)
    silent = DenseCoefficients(torch.zeros(3, 4))
    assert torch.equal(made.embed(silent), made.bias.expand(3, 6))
    one = DenseCoefficients(torch.tensor([[0.0, 2.0, 0.0, 0.0]]))
    torch.testing.assert_close(made.embed(one)[0], 2 * made.directions[1] + made.bias)


def test_bias_points_anywhere():
    """Uniform on the sphere of d dimensions: every coordinate has mean 0 and variance 1 / d."""
    config = RandomUnit(d_hidden=3, bias_norm=1.0)
    biases = torch.stack([s.bias for s in config.spaces(FOUR, range(800), CPU)]).double()
    assert float(biases.mean(0).abs().max()) < 5 * math.sqrt(1 / 3 / 800)
    # E x^4 = 3 / (d (d + 2)) = 1/5, so the variance of x^2 is 1/5 - 1/9 = 4/45.
    assert float((biases.square().mean(0) - 1 / 3).abs().max()) < 5 * math.sqrt(4 / 45 / 800)


class TestNoise:
    STREAM = Stream(FOUR, space(Orthonormal(noise=0.3)), seed=5)
    CLEAN = Stream(FOUR, space(Orthonormal()), seed=5)

    def noise(self, stream, start=0, n=2 * BLOCK):
        return stream.hidden(start, n) - self.CLEAN.hidden(start, n)

    def test_is_standard_normal_times_its_deviation(self):
        noise = self.noise(self.STREAM).double() / 0.3
        n = len(noise)
        assert float(noise.mean(0).abs().max()) < 5 / math.sqrt(n)
        # Var z^2 = 2 and Var z^4 = 96.
        assert float((noise.square().mean(0) - 1).abs().max()) < 5 * math.sqrt(2 / n)
        assert float((noise.pow(4).mean(0) - 3).abs().max()) < 5 * math.sqrt(96 / n)
        off = torch.corrcoef(noise.T) - torch.eye(4)
        assert float(off.abs().max()) < 5 / math.sqrt(n)

    def test_leaves_the_coefficients(self):
        noisy, clean = (s.coefficients(3, 50).dense() for s in (self.STREAM, self.CLEAN))
        assert torch.equal(noisy, clean)

    @pytest.mark.parametrize(("start", "n"), [(0, 1), (5, 100), (BLOCK - 3, 7), (BLOCK, BLOCK)])
    def test_does_not_depend_on_chunks(self, start, n):
        whole = self.STREAM.hidden(0, 2 * BLOCK)
        assert torch.equal(self.STREAM.hidden(start, n), whole[start : start + n])

    @pytest.mark.parametrize("changed", [{"split": "evaluation"}, {"seed": 6}])
    def test_is_drawn_anew_for_other_data(self, changed):
        fields = {"seed": 5, "split": "train"} | changed
        here = self.noise(self.STREAM, 0, BLOCK)
        other = Stream(FOUR, self.STREAM.space, **fields).hidden(0, BLOCK)
        other = other - Stream(FOUR, self.CLEAN.space, **fields).hidden(0, BLOCK)
        both = torch.stack([here.flatten(), other.flatten()]).double()
        assert abs(float(torch.corrcoef(both)[0, 1])) < 5 / math.sqrt(4 * BLOCK)

    def test_blocks_have_their_own(self):
        first, second = self.noise(self.STREAM).double().split(BLOCK)
        both = torch.stack([first.flatten(), second.flatten()])
        assert abs(float(torch.corrcoef(both)[0, 1])) < 5 / math.sqrt(4 * BLOCK)

    def test_a_sample_and_its_activations_belong_together(self):
        coefficients, hidden = self.STREAM.samples(BLOCK - 4, 9)
        assert torch.equal(coefficients.dense(), self.STREAM.coefficients(BLOCK - 4, 9).dense())
        assert torch.equal(hidden, self.STREAM.hidden(BLOCK - 4, 9))

    def test_is_in_what_saes_are_measured_on(self):
        world = EvaluationWorld.sample(self.STREAM, 50)
        assert torch.equal(world.hidden, self.STREAM.hidden(0, 50))
        assert torch.equal(world.coefficients, self.STREAM.coefficients(0, 50).dense())


class TestReadout:
    @pytest.mark.parametrize(("outputs", "rank"), [(7, 1), (7, 3), (7, 5), (2, None), (9, None)])
    def test_sees_as_many_directions_as_its_rank(self, outputs, rank):
        config = RandomUnit(d_hidden=5, readout=ReadoutConfig(outputs=outputs, rank=rank))
        readout = space(config).readout
        expected = rank or min(5, outputs)
        assert readout.weight.shape == (5, outputs)
        assert readout.n_outputs == outputs
        values = torch.linalg.svdvals(readout.weight)
        wanted = torch.tensor([1.0] * expected + [0.0] * (min(5, outputs) - expected))
        torch.testing.assert_close(values, wanted, rtol=0, atol=2e-6)

    def test_is_linear_and_differentiable(self):
        readout = space(Orthonormal(readout=ReadoutConfig(outputs=3))).readout
        hidden = torch.eye(4).requires_grad_()
        assert torch.equal(readout(hidden), readout.weight)
        assert torch.equal(readout(hidden.reshape(2, 2, 4)).reshape(4, 3), readout.weight)
        readout(hidden).sum().backward()
        torch.testing.assert_close(hidden.grad[0], readout.weight.sum(1))

    def test_at_full_rank_the_error_of_outputs_is_that_of_the_hidden_layer(self):
        readout = space(Orthonormal(readout=ReadoutConfig(outputs=6))).readout
        error = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(readout(error).norm(dim=1), error.norm(dim=1))

    def test_seeds_differ(self):
        config = Orthonormal(readout=ReadoutConfig(outputs=3, rank=2))
        assert not torch.allclose(space(config, 0).readout.weight, space(config, 1).readout.weight)

    def test_rank_beyond_the_space(self):
        with pytest.raises(
            ConfigError,
            match=r"^hidden.readout.rank = 4: must be at most 3, the smaller of d_hidden = 5 and "
            r"outputs = 3$",
        ):
            RandomUnit(d_hidden=5, readout=ReadoutConfig(outputs=3, rank=4))

    @pytest.mark.parametrize(("field", "value"), [("outputs", 0), ("rank", 0)])
    def test_bad_value(self, field, value):
        node = {"name": "random", "readout": {"name": "linear", field: value}}
        with pytest.raises(ConfigError, match=rf"^at.readout.{field} = 0: must be at least 1$"):
            build_hidden(node, "at")

    def test_is_built_from_configuration(self):
        node = {"name": "random", "readout": {"name": "linear", "outputs": 3, "rank": 2}}
        assert build_hidden(node) == RandomUnit(readout=ReadoutConfig(3, 2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("field", ["bias_norm", "noise"])
def test_bad_value(kind, field):
    with pytest.raises(ConfigError, match=rf"^hidden.{field} = -0.1: must be at least 0$"):
        kind(**{field: -0.1})
    with pytest.raises(ConfigError, match=rf"^hidden.{field} = inf: must be finite$"):
        kind(**{field: math.inf})
