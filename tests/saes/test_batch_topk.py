from __future__ import annotations

from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from tests.training._stacks import TRAINER, stream, train
from toysae.errors import ConfigError
from toysae.saes.base import SAE
from toysae.saes.batch_topk import BatchTopK
from toysae.saes.fast import FastForm
from toysae.saes.folding import fold_factor
from toysae.saes.lista import Lista
from toysae.saes.matryoshka import Matryoshka
from toysae.saes.trainable import Forward
from toysae.training.member import Member

# Two samples, three latents; the pre-activations are x itself.
IDENTITY = {
    "W_enc": torch.eye(3)[None],
    "b_enc": torch.zeros(1, 3),
    "W_dec": 2 * torch.eye(3)[None],
    "b_dec": torch.zeros(1, 3),
    "threshold": torch.tensor([[1.5]]),
}
X = torch.tensor([[[3.0, 2.0, 1.0], [0.5, -4.0, 0.25]]])
START = torch.tensor(0.0)


def after_training_on(family: BatchTopK, latents: torch.Tensor, threshold: float) -> float:
    params = {**IDENTITY, "threshold": torch.full((1, 1), threshold)}
    forward = Forward(latents, latents, latents)
    return float(family.update_buffers(params, forward)["threshold"])


@pytest.mark.parametrize(
    ("k", "expected"),
    [
        (0.5, [[3.0, 0, 0], [0, 0, 0]]),
        (1.0, [[3.0, 2.0, 0], [0, 0, 0]]),
        (1.4, [[3.0, 2.0, 0], [0, 0, 0]]),  # floor(2.8) = 2
        (2.0, [[3.0, 2.0, 1.0], [0.5, 0, 0]]),
        (3.0, [[3.0, 2.0, 1.0], [0.5, 0, 0.25]]),  # kept, but not positive
    ],
)
def test_keeps_the_largest_of_the_batch(k: float, expected: list[list[float]]) -> None:
    forward = BatchTopK(n_latents=3, k=k).forward(IDENTITY, X, START)
    assert forward.latents.tolist() == [expected]
    assert forward.reconstruction.tolist() == [[[2 * v for v in row] for row in expected]]


def test_nothing_is_kept_of_a_batch_that_is_too_small() -> None:
    assert BatchTopK(n_latents=3, k=0.4).forward(IDENTITY, X, START).latents.sum() == 0


def test_once_trained_a_threshold_decides_for_each_sample() -> None:
    sae = SAE(BatchTopK(n_latents=3, k=1.0), IDENTITY)
    assert sae.encode(X).tolist() == [[[3.0, 2.0, 0], [0, 0, 0]]]
    assert sae.encode(X[:, 1:]).tolist() == [[[0, 0, 0]]]
    assert sae.encode(torch.tensor([[[1.5, 1.6, 1.4]]]))[0, 0].tolist() == pytest.approx(
        [0, 1.6, 0]
    )


def test_threshold_follows_the_smallest_activation() -> None:
    latents = torch.tensor([[[3.0, 0.0, 2.0], [0.0, 0.5, 0.0]]])
    assert after_training_on(BatchTopK(threshold_rate=0.1), latents, 1.0) == pytest.approx(0.95)
    assert after_training_on(BatchTopK(), latents, 0.0) == pytest.approx(0.005)
    assert after_training_on(BatchTopK(threshold_rate=0.0), latents, 0.7) == pytest.approx(0.7)


@pytest.mark.parametrize("nothing", [0.0, float("nan")])
def test_threshold_stays_where_nothing_fires(nothing: float) -> None:
    latents = torch.full((1, 2, 3), nothing)
    assert after_training_on(BatchTopK(threshold_rate=0.5), latents, 0.25) == 0.25


def test_norms_of_a_free_decoder_count_where_asked() -> None:
    # Norms (1, 2, 4): 3, 4 and 4 in the first sample, 0.5 and 1 in the second.
    params = {**IDENTITY, "W_dec": torch.diag(torch.tensor([1.0, 2.0, 4.0]))[None]}
    family = BatchTopK(n_latents=3, k=1.0, rescale_by_decoder_norm=True, unit_norm_decoder=False)
    forward = family.forward(params, X, START)
    assert forward.latents.tolist() == [[[0, 4.0, 4.0], [0, 0, 0]]]
    assert forward.reconstruction.tolist() == [[[0, 4.0, 4.0], [0, 0, 0]]]
    assert family.fast_form is None
    known = FastForm("batch_topk", k=1.5, threshold_rate=0.02)
    assert BatchTopK(k=1.5, threshold_rate=0.02).fast_form == known


def test_trained_threshold_lets_k_latents_fire_on_new_samples() -> None:
    family = BatchTopK(n_latents=4, k=1.5, threshold_rate=0.05)
    trainer = replace(TRAINER, steps=300, batch_size=64)
    trained = train([Member(family, trainer, stream(4), seed=1)], "reference")
    latents = trained.sae.encode(stream(4, seed=7).hidden(0, 4096))
    assert float((latents > 0).double().sum(-1).mean()) == pytest.approx(1.5, rel=0.05)


def test_threshold_survives_the_folding_of_a_factor() -> None:
    generator = torch.Generator().manual_seed(0)
    params = {
        name: torch.randn(2, *shape, generator=generator)
        for name, shape in BatchTopK().param_shapes(3, 5).items()
    }
    params["threshold"] = torch.tensor([[0.3], [0.6]])
    family = BatchTopK(n_latents=5, rescale_by_decoder_norm=True, unit_norm_decoder=False)
    x = torch.randn(30, 3, generator=generator)
    scaled = SAE(family, params).apply(torch.stack([2.0 * x, 0.5 * x]))
    folded = fold_factor(family, params, torch.tensor([2.0, 0.5])).apply(x)
    assert torch.allclose(folded.latents, scaled.latents, atol=1e-5)
    expected = scaled.reconstructions / torch.tensor([2.0, 0.5])[:, None, None]
    assert torch.allclose(folded.reconstructions, expected, atol=1e-5)


@given(seed=st.integers(0, 10_000), k=st.floats(0.1, 4.0), samples=st.integers(1, 9))
def test_so_many_of_each_member_fire_and_none_that_is_larger_is_left_out(
    seed: int, k: float, samples: int
) -> None:
    pre = torch.randn(3, samples, 4, generator=torch.Generator().manual_seed(seed))
    latents = BatchTopK(n_latents=4, k=k).select(pre)
    count = (latents > 0).flatten(1).sum(-1)
    assert (count == (pre > 0).flatten(1).sum(-1).clamp_max(int(k * samples))).all()
    assert torch.equal(latents[latents > 0], pre[latents > 0])
    left_out = torch.where(latents > 0, 0.0, pre).flatten(1).amax(-1)
    smallest = torch.where(latents > 0, latents, torch.inf).flatten(1).amin(-1)
    full = count == int(k * samples)
    assert (smallest >= left_out)[full].all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"k": 0.0}, r"sae\.k = 0\.0: must be greater than 0"),
        ({"k": 8.5}, r"sae\.k = 8\.5: must be at most sae\.n_latents = 8"),
        ({"threshold_rate": 1.5}, r"sae\.threshold_rate = 1\.5: must lie in \[0, 1\]"),
    ],
)
def test_values_that_cannot_be_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BatchTopK(**fields)


@pytest.mark.parametrize("family", [BatchTopK, Matryoshka, Lista])
def test_batch_of_which_nothing_would_be_kept_is_refused(family: type[BatchTopK]) -> None:
    trainer = replace(TRAINER, batch_size=32)
    with pytest.raises(
        ConfigError, match=r"^sae\.k = 0\.03: must be at least 1 / trainer\.batch_size = 0\.03125"
    ):
        Member(family(n_latents=4, k=0.03), trainer, stream(), seed=0)
    Member(family(n_latents=4, k=0.03125), trainer, stream(), seed=0)
