from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.laws import magnitudes
from toysae.generators.laws.magnitudes import Magnitudes
from toysae.generators.laws.profiles import Array, Constant

NUMBERS = st.floats(0.1, 3)


def both(first, second):
    """One parameter of two features."""
    return Array((first, second))


@st.composite
def laws(draw):
    """A law for two features, with scipy's law of each."""
    a, b = draw(NUMBERS), draw(NUMBERS)
    c, d = draw(NUMBERS), draw(NUMBERS)
    kind = draw(st.integers(0, 5))
    if kind == 0:
        return magnitudes.Uniform(both(a, b), both(a + c, b + d)), [
            stats.uniform(a, c),
            stats.uniform(b, d),
        ]
    if kind == 1:
        return magnitudes.Exponential(both(a, b)), [stats.expon(scale=a), stats.expon(scale=b)]
    if kind == 2:
        return magnitudes.HalfNormal(both(a, b)), [stats.halfnorm(scale=a), stats.halfnorm(scale=b)]
    if kind == 3:
        return magnitudes.LogNormal(both(a - 1, b - 1), both(c / 3, d / 3)), [
            stats.lognorm(s=c / 3, scale=math.exp(a - 1)),
            stats.lognorm(s=d / 3, scale=math.exp(b - 1)),
        ]
    shift = min(2.0, 6 * c) if kind == 4 else 0.0
    return magnitudes.TruncatedNormal(both(a - shift, b), both(c, d)), [
        stats.truncnorm(-(a - shift) / c, math.inf, loc=a - shift, scale=c),
        stats.truncnorm(-b / d, math.inf, loc=b, scale=d),
    ]


@given(laws(), st.floats(1e-6, 1 - 1e-6))
def test_quantiles_are_those_of_scipy(drawn, u):
    law, references = drawn
    found = law.quantile(torch.tensor([u, u], dtype=torch.float64), *law.parameters(2))
    expected = [reference.ppf(u) for reference in references]
    assert found.tolist() == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(laws())
def test_moments_are_those_of_scipy(drawn):
    law, references = drawn
    resolved = Magnitudes.of(law, 2)
    assert resolved.mean.tolist() == pytest.approx([r.mean() for r in references], rel=1e-6)
    squares = [r.var() + r.mean() ** 2 for r in references]
    assert resolved.square.tolist() == pytest.approx(squares, rel=1e-6)


@settings(max_examples=30)
@given(laws(), st.floats(0, 1))
def test_product_of_shared_quantiles_is_their_integral(drawn, rho):
    """Over the normal score of the quantile, where every law is smooth."""
    law, (first, second) = drawn
    shared, _ = integrate.quad(
        lambda s: first.ppf(stats.norm.cdf(s)) * second.ppf(stats.norm.cdf(s)) * stats.norm.pdf(s),
        -8,
        8,
        limit=200,
    )
    expected = rho * shared + (1 - rho) * first.mean() * second.mean()
    index = torch.tensor([0])
    found = Magnitudes.of(law, 2).product(index, index + 1, rho)
    assert float(found) == pytest.approx(expected, rel=1e-5)


@given(laws())
def test_a_feature_shared_with_itself_has_its_mean_square(drawn):
    law, _ = drawn
    parameters = law.parameters(2)
    shared = law.shared_product(parameters, parameters)
    torch.testing.assert_close(shared, law.moments(*parameters)[1], rtol=1e-7, atol=0)


def test_constant():
    law = Magnitudes.of(magnitudes.Constant(both(0.5, 2.0)), 2)
    features = torch.tensor([1, 0, 1])
    assert law.at(torch.rand(3), features).tolist() == [2.0, 0.5, 2.0]
    assert law.mean.tolist() == [0.5, 2.0]
    assert law.square.tolist() == [0.25, 4.0]
    assert float(law.product(torch.tensor(0), torch.tensor(1), 0.3)) == 1.0


def test_normal_without_spread_is_its_mean():
    law = Magnitudes.of(magnitudes.TruncatedNormal(Constant(2.0), Constant(0.0)), 1)
    assert law.at(torch.tensor([0.0, 0.9]), torch.tensor([0, 0])).tolist() == [2.0, 2.0]
    assert (float(law.mean), float(law.square)) == (2.0, 4.0)


@given(laws(), st.sampled_from((torch.float32, torch.float64)))
def test_a_firing_is_never_zero_nor_infinite(drawn, dtype):
    """At the ends of the grid that uniform numbers lie on."""
    law, _ = drawn
    step = 2.0 ** (-24 if dtype == torch.float32 else -53)
    u = torch.tensor([0.0, 1 - step], dtype=dtype)
    for feature in (0, 1):
        values = Magnitudes.of(law, 2).at(u, torch.full((2,), feature))
        assert values.dtype == torch.float32
        assert bool((values > 0).all())
        assert bool(values.isfinite().all())


@settings(max_examples=20)
@given(laws())
def test_magnitudes_follow_their_law(drawn):
    """Kolmogorov-Smirnov at an error rate of 1e-7."""
    law, references = drawn
    u = Draws(2).uniform("u", (2000,))
    for feature, reference in enumerate(references):
        values = Magnitudes.of(law, 2).at(u, torch.full((2000,), feature))
        assert stats.kstest(values.numpy(), reference.cdf).pvalue > 1e-7


@pytest.mark.parametrize(
    ("law", "message"),
    [
        (magnitudes.Constant(Constant(0.0)), r"magnitude\.value: found 0; must be greater than 0"),
        (magnitudes.Uniform(Constant(-1.0)), r"magnitude\.low: found -1; must be at least 0"),
        (magnitudes.Uniform(Constant(1.0)), r"magnitude\.high: must be greater than"),
        (magnitudes.Exponential(Constant(-2.0)), r"magnitude\.mean"),
        (magnitudes.HalfNormal(Constant(0.0)), r"magnitude\.std"),
        (magnitudes.LogNormal(log_std=Constant(-0.1)), r"magnitude\.log_std"),
        (magnitudes.TruncatedNormal(std=Constant(-1.0)), r"magnitude\.std"),
        (magnitudes.TruncatedNormal(Constant(-9.0), Constant(1.0)), r"magnitude\.mean: .* -8"),
        (magnitudes.TruncatedNormal(Constant(0.0), Constant(0.0)), r"magnitude\.mean"),
        (magnitudes.Constant(Array((1.0,))), r"magnitude\.value: found 1 numbers for 2 features"),
    ],
)
def test_parameters_out_of_range_are_refused(law, message):
    with pytest.raises(ConfigError, match=rf"generator\.{message}"):
        Magnitudes.of(law, 2)
