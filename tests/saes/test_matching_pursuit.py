from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.saes.base import Params
from toysae.saes.matching_pursuit import MatchingPursuit
from toysae.saes.trainable import Forward

START = torch.tensor(0.0)
ROOT = math.sqrt(0.5)
#: Both axes and their diagonal.
DIAGONAL = [[1.0, 0.0], [0.0, 1.0], [ROOT, ROOT]]
#: To remove the second brings the first back: their cosine is -0.6.
OPPOSED = [[1.0, 0.0], [-0.6, 0.8]]


def parameters(decoder: list[list[float]], bias: tuple[float, float] = (0.0, 0.0)) -> Params:
    return {"W_dec": torch.tensor([decoder]), "b_dec": torch.tensor([bias])}


def latents_of(family: MatchingPursuit, params: Params, *x: float) -> list[float]:
    return family.encode(params, torch.tensor([[x]], dtype=torch.float32))[0, 0].tolist()


def test_chooses_for_what_is_left_over():
    """(3, 2) is closest to the diagonal, 5 / sqrt 2 of it; (.5, -.5) are left, half of the x axis.

    What is left then, (0, -.5), points away from all three.
    """
    family, params = MatchingPursuit(n_latents=3), parameters(DIAGONAL)
    assert latents_of(family, params, 3, 2) == pytest.approx([0.5, 0, 5 * ROOT])
    latents = family.encode(params, torch.tensor([[[3.0, 2.0]]]))
    torch.testing.assert_close(family.decode(params, latents), torch.tensor([[[3.0, 2.5]]]))


def test_stops_after_so_many_choices():
    family = MatchingPursuit(n_latents=3, max_iterations=1)
    assert latents_of(family, parameters(DIAGONAL), 3, 2) == pytest.approx([0, 0, 5 * ROOT])


@pytest.mark.parametrize(("threshold", "first"), [(0.71, 0.0), (0.70, 0.5)])
def test_stops_once_little_is_left_over(threshold, first):
    """After the first choice (.5, -.5) are left, of norm .7071."""
    family = MatchingPursuit(n_latents=3, residual_threshold=threshold)
    assert latents_of(family, parameters(DIAGONAL), 3, 2) == pytest.approx([first, 0, 5 * ROOT])


def test_repetition_counts_and_is_the_end_where_asked():
    """(1, 1), then (0, 1), (.48, .36), (0, .36), (.1728, .1296) are left after each choice."""
    four = {"n_latents": 2, "max_iterations": 4}
    stopped = latents_of(MatchingPursuit(**four), parameters(OPPOSED), 1, 1)
    assert stopped == pytest.approx([1.48, 0.8])
    ongoing = MatchingPursuit(**four, stop_on_repetition=False)
    assert latents_of(ongoing, parameters(OPPOSED), 1, 1) == pytest.approx([1.48, 1.088])


def test_samples_stop_by_themselves():
    """The second is done after its first choice, and none is made for the third."""
    family = MatchingPursuit(n_latents=2, max_iterations=3)
    x = torch.tensor([[[1.0, 1.0], [2.0, 0.0], [-1.0, -2.0]]])
    expected = torch.tensor([[[1.48, 0.8], [2.0, 0.0], [0.0, 0.0]]])
    torch.testing.assert_close(family.encode(parameters(OPPOSED), x), expected)


def test_bias_is_in_both_ends_or_in_none():
    params, x = parameters(DIAGONAL, bias=(1.0, -1.0)), torch.tensor([[[4.0, 1.0]]])
    both = MatchingPursuit(n_latents=3)
    assert latents_of(both, params, 4, 1) == pytest.approx([0.5, 0, 5 * ROOT])
    torch.testing.assert_close(
        both.forward(params, x, START).reconstruction, torch.tensor([[[4.0, 1.5]]])
    )
    none = MatchingPursuit(n_latents=3, subtract_decoder_bias=False)
    assert latents_of(none, params, 4, 1) == pytest.approx([4, 1, 0])
    torch.testing.assert_close(none.forward(params, x, START).reconstruction, x)


def test_it_has_no_encoder_of_its_own():
    family = MatchingPursuit(n_latents=5)
    params = family.init(3, Draws(0))
    assert {name: tuple(p.shape) for name, p in params.items()} == {"W_dec": (5, 3), "b_dec": (3,)}
    assert not family.foldable


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [("max_iterations", 0, "at least 1"), ("residual_threshold", -0.1, "at least 0")],
)
def test_values_out_of_range_are_refused(field, value, message):
    with pytest.raises(ConfigError, match=rf"sae\.{field} = {value}: must be {message}"):
        MatchingPursuit(**{field: value})


def somewhere(seed: int, members: int = 2, latents: int = 12, d: int = 6) -> tuple[Params, Tensor]:
    draws = Draws(seed)
    params = {
        "W_dec": draws.normal("decoder", (members, latents, d)),
        "b_dec": 0.1 * draws.normal("bias", (members, d)),
    }
    MatchingPursuit().constrain_(params)
    return params, draws.normal("x", (members, 20, d))


@given(seed=st.integers(0, 10_000))
def test_every_choice_leaves_less(seed):
    params, x = somewhere(seed)

    def left(iterations: int) -> Tensor:
        family = MatchingPursuit(n_latents=12, max_iterations=iterations, residual_threshold=0)
        forward: Forward = family.forward(params, x, START)
        assert (forward.latents > 0).sum(-1).max() <= iterations
        return (x - forward.reconstruction).norm(dim=-1)

    norms = torch.stack([left(iterations) for iterations in (1, 2, 4)])
    assert (norms[1:] <= norms[:-1] + 1e-5).all()


@pytest.mark.saelens
@pytest.mark.parametrize("stop_on_repetition", [True, False])
@pytest.mark.parametrize("threshold", [0.0, 0.5])
@pytest.mark.parametrize("bias", [True, False])
def test_follows_saelens(stop_on_repetition, threshold, bias):
    """Activations, reconstructions and gradients of one SAE of SAELens with the same weights."""
    saelens = pytest.importorskip("sae_lens.saes.matching_pursuit_sae", reason="needs sae-lens")
    params, x = somewhere(seed=0, members=1)
    config = saelens.MatchingPursuitTrainingSAEConfig(
        d_in=6,
        d_sae=12,
        decoder_init_norm=1.0,
        max_iterations=5,
        residual_threshold=threshold,
        stop_on_duplicate_support=stop_on_repetition,
        apply_b_dec_to_input=bias,
    )
    theirs = saelens.MatchingPursuitTrainingSAE(config)
    theirs.W_dec.data, theirs.b_dec.data = params["W_dec"][0].clone(), params["b_dec"][0].clone()
    family = MatchingPursuit(
        n_latents=12,
        max_iterations=5,
        residual_threshold=threshold,
        stop_on_repetition=stop_on_repetition,
        subtract_decoder_bias=bias,
    )
    ours = {name: p.clone().requires_grad_() for name, p in params.items()}
    forward = family.forward(ours, x, START)
    latents = theirs.encode(x[0])
    torch.testing.assert_close(forward.latents[0], latents)
    reconstruction = theirs.decode(latents)
    torch.testing.assert_close(forward.reconstruction[0], reconstruction)
    (reconstruction - x[0]).square().sum(-1).mean().backward()
    (forward.reconstruction - x).square().sum(-1).mean().backward()
    torch.testing.assert_close(ours["W_dec"].grad[0], theirs.W_dec.grad, rtol=1e-4, atol=1e-5)
    if bias:
        torch.testing.assert_close(ours["b_dec"].grad[0], theirs.b_dec.grad, rtol=1e-4, atol=1e-5)
