from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.saes.relu import ReLU

# One SAE of two latents in the plane, and the sample (1, 2).
PARAMS = {
    "W_enc": torch.tensor([[[1.0, 0.0], [0.0, -1.0]]]),
    "b_enc": torch.tensor([[0.5, 0.0]]),
    "W_dec": torch.tensor([[[0.6, 0.8], [1.0, 0.0]]]),
    "b_dec": torch.tensor([[0.1, -0.1]]),
}
X = torch.tensor([[[1.0, 2.0]]])
END = torch.ones(())


def test_forward_by_hand():
    """Pre-activations 1 + 0.5 and -2; x_hat = 1.5 (0.6, 0.8) + (0.1, -0.1)."""
    family = ReLU(n_latents=2)
    forward = family.forward(PARAMS, X, END)
    torch.testing.assert_close(forward.pre_activations, torch.tensor([[[1.5, -2.0]]]))
    torch.testing.assert_close(forward.latents, torch.tensor([[[1.5, 0.0]]]))
    torch.testing.assert_close(forward.reconstruction, torch.tensor([[[1.0, 1.1]]]))
    torch.testing.assert_close(family.encode(PARAMS, X), forward.latents)
    penalty = family.penalty(PARAMS, forward, END, torch.ones(1, 2))
    torch.testing.assert_close(penalty, torch.tensor([1.5]))


@pytest.mark.parametrize(("normalize", "expected"), [(False, 0.81), (True, 0.81 / 5)])
def test_error_by_hand(normalize, expected):
    """(0, 0.9) is missing; the squared norm of (1, 2) is 5."""
    family = ReLU(n_latents=2, normalize_error=normalize)
    missing = (family.forward(PARAMS, X, END).reconstruction - X).square().sum(-1)
    torch.testing.assert_close(family.error_weight(X) * missing, torch.tensor([[expected]]))


def test_decoder_bias_is_subtracted_where_asked():
    """Pre-activations 0.9 + 0.5 and -2.1."""
    forward = ReLU(n_latents=2, subtract_decoder_bias=True).forward(PARAMS, X, END)
    torch.testing.assert_close(forward.pre_activations, torch.tensor([[[1.4, -2.1]]]))


def test_error_weight_of_a_zero_sample_is_one():
    x = torch.tensor([[[3.0, 4.0], [0.0, 0.0], [0.5, 0.0]], [[1.0, 1.0], [0.0, -2.0], [0.0, 0.1]]])
    expected = torch.tensor([[0.04, 1.0, 4.0], [0.5, 0.25, 100.0]])
    torch.testing.assert_close(ReLU(normalize_error=True).error_weight(x), expected)
    torch.testing.assert_close(ReLU().error_weight(x), torch.ones(2, 3))


def test_members_are_passed_side_by_side():
    params = {name: torch.cat([p, 2 * p]) for name, p in PARAMS.items()}
    both = ReLU(n_latents=2).forward(params, X, END)
    single = ReLU(n_latents=2).forward({name: 2 * p for name, p in PARAMS.items()}, X, END)
    assert both.latents.shape == (2, 1, 2)
    torch.testing.assert_close(both.reconstruction[1:], single.reconstruction)


def test_coefficient_is_l1():
    assert ReLU(l1=0.3).coefficient == 0.3


@pytest.mark.parametrize("initialisation", ["tied", "independent"])
def test_initial_shapes_and_biases(initialisation):
    family = ReLU(n_latents=5, initialisation=initialisation)
    params = family.init(3, Draws(0))
    assert {name: tuple(p.shape) for name, p in params.items()} == family.param_shapes(3, 5)
    assert not params["b_enc"].any()
    assert not params["b_dec"].any()
    assert all(p.dtype == torch.float32 for p in params.values())


def test_tied_rows_are_uniform_on_the_sphere():
    params = ReLU(n_latents=4000).init(3, Draws(1))
    decoder = params["W_dec"]
    torch.testing.assert_close(decoder.norm(dim=1), torch.ones(4000))
    assert torch.equal(params["W_enc"], decoder.T)
    for k in range(3):  # on the sphere in three dimensions every coordinate is uniform
        assert stats.kstest(decoder[:, k].numpy(), stats.uniform(-1, 2).cdf).pvalue > 1e-6


def test_independent_weights_are_uniform_within_the_bound():
    d, m = 3, 4000
    params = ReLU(n_latents=m, initialisation="independent").init(d, Draws(1))
    bound = math.sqrt(6 / (d * m))
    for name in ("W_enc", "W_dec"):
        values = params[name].flatten().numpy()
        assert stats.kstest(values, stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-6
        assert 0.999 * bound < abs(values).max() <= bound
    both = torch.stack([params["W_enc"].T.flatten(), params["W_dec"].flatten()])
    assert abs(float(torch.corrcoef(both)[0, 1])) < 5.5 / math.sqrt(d * m)


@pytest.mark.parametrize("initialisation", ["tied", "independent"])
def test_seed_gives_the_start(initialisation):
    family = ReLU(initialisation=initialisation)
    first, again, other = (family.init(2, Draws(seed)) for seed in (0, 0, 1))
    assert torch.equal(first["W_dec"], again["W_dec"])
    assert not torch.equal(first["W_dec"], other["W_dec"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_latents": 0}, "^sae.n_latents = 0: must be at least 1$"),
        ({"l1": -0.1}, "^sae.l1 = -0.1: must be at least 0$"),
        ({"l1": math.nan}, "^sae.l1 = nan: must be at least 0$"),
        ({"initialisation": "zero"}, "^sae.initialisation = 'zero': must be one of independent, t"),
    ],
)
def test_bad_value(fields, message):
    with pytest.raises(ConfigError, match=message):
        ReLU(**fields)
