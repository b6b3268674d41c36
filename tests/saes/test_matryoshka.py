from __future__ import annotations

import pytest
import torch
from torch import Tensor

from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.saes.batch_topk import BatchTopK
from toysae.saes.matryoshka import Matryoshka
from toysae.saes.matryoshka_relu import MatryoshkaReLU
from toysae.saes.nested import Nested
from toysae.saes.relu import ReLU
from toysae.saes.trainable import SampleError

START = torch.tensor(0.0)


def parameters(decoder: list[list[float]], encoder: list[list[float]] | None = None):
    """One member that reads `encoder` (or the identity) and writes `decoder`; b_dec = (0, 1/2)."""
    latents = len(decoder)
    return {
        "W_enc": torch.tensor([encoder]) if encoder else torch.eye(2, latents)[None],
        "b_enc": torch.zeros(1, latents),
        "W_dec": torch.tensor([decoder]),
        "b_dec": torch.tensor([[0.0, 0.5]]),
        "threshold": torch.zeros(1, 1),
    }


def squared(x: Tensor) -> SampleError:
    return lambda made: (made - x).square().sum(-1)


def error(family: Nested, params, x: Tensor, sample_error: SampleError | None = None) -> float:
    forward = family.forward(params, x, START)
    return float(family.error(params, x, forward, sample_error or squared(x)))


PARAMS = parameters([[1.0, 0.0], [0.0, 1.0]])
X = torch.tensor([[[3.0, 1.0], [0.0, 2.0]]])


def test_widths_of_levels():
    def widths(n_latents: int, given=None):
        return Matryoshka(n_latents=n_latents, k=1, widths=given).level_widths

    assert [widths(n) for n in (1, 2, 3, 8)] == [(1,), (1, 2), (1, 3), (2, 4, 8)]
    assert widths(8, (1, 5)) == widths(8, (1, 5, 8)) == (1, 5, 8)
    assert widths(8, ()) == (8,)


def test_weights_of_levels():
    assert Matryoshka().level_weights == (1, 1, 1)
    assert Matryoshka(level_discount=0.25).level_weights == (1 / 16, 1 / 4, 1)


@pytest.mark.parametrize("widths", [(0, 4), (4, 4), (5, 4), (4, 9), (-1,)])
def test_widths_that_do_not_increase_are_refused(widths):
    with pytest.raises(ConfigError, match=r"sae\.widths = .*: must increase from at least 1 to at"):
        Matryoshka(widths=widths)


def test_negative_discount_is_refused():
    with pytest.raises(ConfigError, match=r"sae\.level_discount = -1: must be at least 0"):
        Matryoshka(level_discount=-1)


@pytest.mark.parametrize("family", [Matryoshka, MatryoshkaReLU])
@pytest.mark.parametrize("discount", [0.0, 0.5, 1.0])
def test_error_is_summed_over_levels(family, discount):
    """Both latents fire on (3, 1) and the second on (0, 2); every level has the bias (0, 1/2).

    Level 1 makes (3, .5) and (0, .5), errors .25 and 2.25; level 2 makes (3, 1.5) and (0, 2.5),
    errors .25 and .25.
    """
    found = error(family(n_latents=2, widths=(1,), level_discount=discount), PARAMS, X)
    assert found == discount * 1.25 + 0.25


def test_error_is_that_of_the_objective():
    """Here the sum of what is made: 3.5, .5 in level 1 and 4.5, 2.5 in level 2, for two samples."""
    family = Matryoshka(n_latents=2, widths=(1,))
    assert error(family, PARAMS, X, lambda made: made.sum(-1)) == 2 + 3.5


def test_norms_that_activations_are_measured_in_are_divided_out_in_every_level():
    params = parameters([[2.0, 0.0], [0.0, 4.0]])
    family = Matryoshka(
        n_latents=2, widths=(1,), unit_norm_decoder=False, rescale_by_decoder_norm=True
    )
    forward = family.forward(params, X, START)
    narrow, whole = family.level_reconstructions(params, forward)
    assert narrow.tolist() == [[[6.0, 0.5], [0.0, 0.5]]]
    assert whole.tolist() == [[[6.0, 4.5], [0.0, 8.5]]]


@pytest.mark.parametrize("discount", [0.0, 0.5, 1.0])
def test_penalty_of_a_latent_counts_once_for_each_of_its_levels(discount):
    """Latents 3, 1 and 0, 2: the first is in both levels. Half of its penalty counts."""
    family = MatryoshkaReLU(n_latents=2, widths=(1,), level_discount=discount)
    forward = family.forward(PARAMS, X, START)
    kept = torch.tensor([[0.5, 1.0]])
    found = float(family.penalty(PARAMS, forward, START, kept))
    assert found == (1.5 * (1 + discount) + 1 + 2) / 2


def test_which_latents_fire_is_decided_over_all_of_them():
    family = Matryoshka(n_latents=2, k=1, widths=(1,))
    assert family.forward(PARAMS, X, START).latents.tolist() == [[[3.0, 0.0], [0.0, 2.0]]]


@pytest.mark.parametrize(
    ("nested", "flat"), [(Matryoshka(), BatchTopK()), (MatryoshkaReLU(), ReLU())]
)
def test_one_level_is_the_family_below(nested, flat):
    one = type(nested)(widths=(8,))
    params = {name: p[None] for name, p in flat.init(3, Draws(0)).items()}
    x = Draws(1).normal("x", (1, 5, 3))
    forward = flat.forward(params, x, START)
    kept = torch.full((1, 8), 0.5)
    assert torch.equal(one.forward(params, x, START).latents, forward.latents)
    assert torch.equal(one.encode(params, x), flat.encode(params, x))
    assert error(one, params, x) == float(flat.error(params, x, forward, squared(x)))
    torch.testing.assert_close(
        one.penalty(params, forward, START, kept), flat.penalty(params, forward, START, kept)
    )
    assert one.fast_form is None


def test_absorption_costs_the_level_that_it_leaves_without_the_parent():
    """Parent and child both fire, x = (1, 1.5) above the bias. Both dictionaries reconstruct it.

    With the parent (1, 0) and the child (0, 1) level 1 misses the child, error 1; with a child
    that has absorbed the parent, (1, 1), the parent is silent and level 1 misses both, error 2.
    """
    x = torch.tensor([[[1.0, 1.5]]])
    apart = parameters([[1.0, 0.0], [0.0, 1.0]])
    apart["b_enc"] = torch.tensor([[0.0, -0.5]])
    absorbed = parameters([[1.0, 0.0], [1.0, 1.0]], encoder=[[1.0, 0.0], [-1.0, 1.0]])
    absorbed["b_enc"] = torch.tensor([[0.0, -0.5]])
    for family, expected in ((MatryoshkaReLU(n_latents=2, widths=(1,)), [1, 2]),
                             (MatryoshkaReLU(n_latents=2, widths=()), [0, 0])):  # fmt: skip
        assert [error(family, params, x) for params in (apart, absorbed)] == expected
