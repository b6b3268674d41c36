"""The sparse kernel is the reference, to the bit independent of what else is trained."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import pytest
import torch

from toysae.draws import CPU
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import Stream
from toysae.saes.batch_topk import BatchTopK
from toysae.saes.jumprelu import JumpReLU
from toysae.saes.l0_penalty import L0
from toysae.saes.log_penalty import Log
from toysae.saes.lp import Lp
from toysae.saes.relu import ReLU
from toysae.saes.tanh_penalty import Tanh
from toysae.saes.topk import TopK
from toysae.training import chunks, stack
from toysae.training.initial import initial_params
from toysae.training.kernels.choice import choose_kernel
from toysae.training.kernels.reference import ReferenceKernel
from toysae.training.kernels.sparse import LARGEST_SPARSE, SparseKernel
from toysae.training.member import Member
from toysae.training.objectives import Local
from toysae.training.state import StackState
from toysae.training.trainer import Trainer

from .._stacks import chunk_of, difference, identical, of_member

TRAINER = Trainer(steps=50, batch_size=33, lr=3e-3, history_points=50)
KERNELS = {
    "sparse": lambda member, objective, threads: (
        SparseKernel(member.sae, member.trainer, threads),
        "",
    ),
    "reference": lambda member, objective, threads: (
        ReferenceKernel(member.sae, member.trainer, objective),
        "",
    ),
}


def world(d: int) -> HiddenSpace:
    directions = torch.randn(2 * d, d, generator=torch.Generator().manual_seed(d))
    return HiddenSpace(directions / directions.norm(dim=1, keepdim=True))


SPACES = {d: world(d) for d in (5, 20, 70)}


def members(family, n: int = 2, *, d: int = 5, trainer: Trainer = TRAINER):
    """Members that differ in seed, lr, beta1 and stream."""
    space = SPACES[d]
    return [
        Member(
            family,
            replace(trainer, lr=trainer.lr * (1 + 0.5 * i), beta1=(0.9, 0.5)[i % 2]),
            Stream(ComposedSets(sizes=(d, d)), space, seed=i % 2),
            seed=10 + i,
        )
        for i in range(n)
    ]


def train(some, kernel: str = "sparse", *, threads: int = 1):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "choose_kernel", KERNELS[kernel])
        (trained,) = stack.train(some, threads=threads)
    return trained


RELU = ReLU(n_latents=7, l1=0.05)
FREE = {"n_latents": 7, "unit_norm_decoder": False, "initial_decoder_norm": 0.5}
JUMP = JumpReLU(n_latents=7, l0=0.02, initial_threshold=0.05, bandwidth=0.2)
# Latents that fire weakly count as dead: some come and go.
DEAD = {"dead_window": 2, "fire_threshold": 0.7}
AUXILIARY = replace(TRAINER, dead_latents="auxiliary", auxiliary_coefficient=0.5, **DEAD)
SCENARIOS = {
    "l1": members(RELU),
    "single sample": members(RELU, trainer=replace(TRAINER, batch_size=1, lr=1e-3)),
    "single latent": members(ReLU(n_latents=1)),
    "more than a tile of latents": members(ReLU(n_latents=100), d=20),
    "many dimensions": members(ReLU(n_latents=70), d=70),
    "free decoder": members(ReLU(**FREE)),
    "decoder norms": members(ReLU(**FREE, penalty_by_decoder_norm=True)),
    "lp": members(Lp(n_latents=7, sparsity=0.01)),
    "log": members(Log(n_latents=7, sparsity=0.05)),
    "tanh": members(Tanh(n_latents=7, sparsity=0.05)),
    "l0": members(L0(n_latents=7, sparsity=0.05)),
    "l0, decoder norms": members(L0(**FREE, penalty_by_decoder_norm=True)),
    "normalised error": members(replace(RELU, normalize_error=True)),
    "decoder bias": members(
        replace(RELU, subtract_decoder_bias=True),
        trainer=replace(TRAINER, decoder_bias_start="geometric_median"),
    ),
    "clipped": members(RELU, trainer=replace(TRAINER, gradient_clip=0.1)),
    "controlled": members(RELU, trainer=replace(TRAINER, target_l0=1.0, control_rate=0.1)),
    "schedules": members(
        RELU, trainer=replace(TRAINER, coefficient_warmup_fraction=0.5, finetune_fraction=0.3)
    ),
    "topk": members(TopK(n_latents=7, k=2)),
    "topk of many": members(TopK(n_latents=100, k=9), d=20),
    "batch topk": members(BatchTopK(n_latents=7, k=1.5)),
    # Tied, a latent that is alone in its only sample has a gradient of 0 but for rounding errors,
    # which Adam would make large.
    "batch topk of many": members(
        BatchTopK(n_latents=100, k=5.0, initialisation="independent"), d=20
    ),
    "jumprelu": members(JUMP),
    "jumprelu, free, decoder bias": members(
        replace(JUMP, unit_norm_decoder=False, subtract_decoder_bias=True)
    ),
    "auxiliary": members(RELU, trainer=AUXILIARY),
    "auxiliary, decoder bias": members(
        TopK(n_latents=7, k=2, subtract_decoder_bias=True), trainer=AUXILIARY
    ),
    "ghosts": members(
        RELU, trainer=replace(TRAINER, dead_latents="ghost", ghost_cooldown=10, **DEAD)
    ),
    "ghosts, normalised error": members(
        replace(RELU, normalize_error=True), trainer=replace(TRAINER, dead_latents="ghost", **DEAD)
    ),
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_sparse_is_the_reference(scenario):
    some = SCENARIOS[scenario]
    sparse, reference = train(some), train(some, "reference")
    for i in range(len(some)):
        assert difference(of_member(sparse, i), of_member(reference, i)) < 1e-4
        start = initial_params(some[i : i + 1], CPU)
        assert difference(of_member(reference, i), start) > 0.01  # something was learned
    # A sample at the very edge of firing may fall on either side.
    edge = 1.01 / some[0].trainer.batch_size
    for name, atol in (("error", 1e-6), ("penalty", 1e-6), ("l0", edge)):
        theirs = reference.history[name]
        torch.testing.assert_close(sparse.history[name], theirs, rtol=1e-3, atol=atol)
    assert sparse.frozen_at.tolist() == [-1] * len(some)


@pytest.mark.parametrize(
    "scenario", [name for name in SCENARIOS if name.startswith(("ghosts", "auxiliary"))]
)
def test_scenarios_with_dead_latents_have_them(scenario):
    some = SCENARIOS[scenario]
    untreated = [replace(m, trainer=replace(m.trainer, dead_latents="none")) for m in some]
    treated, plain = train(some), train(untreated)
    assert difference(of_member(treated, 0), of_member(plain, 0)) > 1e-3


class TestCompany:
    """Five members; what happens to each does not depend on the other four, to the bit."""

    FIVE = members(
        replace(RELU, n_latents=19),
        5,
        trainer=replace(TRAINER, dead_latents="ghost", gradient_clip=0.5, target_l0=2.0, **DEAD),
    )
    SELECTING = members(BatchTopK(n_latents=19, k=1.5), 5)

    @pytest.mark.parametrize("five", [FIVE, SELECTING], ids=["relu", "batch topk"])
    def test_in_any_company_order_and_number_of_threads(self, five):
        alone = of_member(train(five[:1]), 0)
        assert identical(of_member(train(five), 0), alone)
        assert identical(of_member(train(five[::-1]), 4), alone)
        assert identical(of_member(train(five, threads=3), 0), alone)

    @pytest.mark.parametrize("five", [FIVE, SELECTING], ids=["relu", "batch topk"])
    @pytest.mark.parametrize("numbers", [1, 3 * 33 * 5 * 7])
    def test_with_other_chunks(self, five, numbers, monkeypatch):
        whole = train(five)
        monkeypatch.setattr(chunks, "CHUNK_NUMBERS", numbers)
        assert identical(train(five).sae.params, whole.sae.params)


class TestDivergence:
    def test_diverging_member_is_frozen_and_others_are_as_without_it(self):
        some = members(RELU, 3)
        wild = replace(some[1], trainer=replace(some[1].trainer, lr=1e30))
        with_it, without = train([some[0], wild, some[2]]), train([some[0], some[2]])
        assert with_it.frozen_at.tolist() == [-1, 1, -1]
        assert all(bool(p.isfinite().all()) for p in of_member(with_it, 1).values())
        assert bool(with_it.history["error"][1, 2:].isnan().all())
        for i, j in ((0, 0), (2, 1)):
            assert identical(of_member(with_it, i), of_member(without, j))

    @pytest.mark.parametrize("family", [TopK(n_latents=7), BatchTopK(n_latents=7), JUMP])
    def test_every_activation_notices_it(self, family):
        """At the step at which the reference does."""
        (member,) = members(family, 1)
        wild = [replace(member, trainer=replace(member.trainer, lr=1e30))]
        assert train(wild).frozen_at.tolist() == train(wild, "reference").frozen_at.tolist() != [-1]

    @pytest.mark.parametrize(
        "family",
        [
            replace(RELU, n_latents=40),
            TopK(n_latents=40, k=3),
            BatchTopK(n_latents=40, k=1.5),
            replace(JUMP, n_latents=40),
        ],
        ids=lambda family: family.name,
    )
    @pytest.mark.parametrize("strange", [math.nan, -math.nan, math.inf])
    def test_a_single_strange_weight_is_seen(self, family, strange):
        """At once, and the member stays as the reference leaves it."""
        (member,) = members(family, 1)
        x = member.stream.hidden(0, 3 * 33).view(1, 3, 33, 5)
        states = []
        for kernel in KERNELS.values():
            state = StackState.start(initial_params([member], CPU), family.buffers)
            state.params["W_enc"][0, 3, 5] = strange
            chunk = chunk_of(x, coefficient=family.coefficient)
            losses = kernel(member, Local(), 1)[0].advance(state, chunk)
            assert state.frozen_at.tolist() == [0]
            assert not bool(losses.error[0, 0].isfinite())
            assert bool(losses.error[0, 1:].isnan().all())
            states.append(state)
        for name, expected in states[1].params.items():
            torch.testing.assert_close(states[0].params[name], expected, equal_nan=True)


class TestChoice:
    def chosen(self, family, *, d=5, **changes):
        member = replace(members(family, 1, d=d)[0], **changes)
        return choose_kernel(member, Local(), 1)

    @pytest.mark.parametrize("family", [TopK(), JumpReLU(), BatchTopK(), ReLU(n_latents=128)])
    def test_everything_that_fits_into_the_cache(self, family):
        kernel, reason = self.chosen(family, d=20)
        assert (kernel.name, reason) == ("sparse CPU kernel (Numba)", "")

    def test_not_what_is_too_large(self):
        latents = LARGEST_SPARSE // 70
        assert isinstance(self.chosen(ReLU(n_latents=latents), d=70)[0], SparseKernel)
        assert not isinstance(self.chosen(ReLU(n_latents=latents + 1), d=70)[0], SparseKernel)

    @pytest.mark.parametrize(
        ("family", "reason"),
        [
            (ReLU(frequency_penalty=0.1), "without the frequency term"),
            (ReLU(orthogonality_penalty=0.1), "without the orthogonality term"),
            (JumpReLU(ste_to_input=True), "not for jumprelu as it is configured"),
            (
                TopK(rescale_by_decoder_norm=True, unit_norm_decoder=False),
                "not for topk as it is configured",
            ),
        ],
    )
    def test_what_it_cannot_do_is_said(self, family, reason):
        kernel, reasons = self.chosen(family)
        assert kernel.name == "stacked torch (autograd)"
        assert f"sparse kernel: {reason}" in reasons

    def test_the_reason_is_logged(self, caplog):
        some = members(ReLU(n_latents=7, frequency_penalty=0.1), 1)
        with caplog.at_level(logging.INFO, "toysae"):
            list(stack.train(some, threads=1))
        assert "sparse kernel: without the frequency term" in caplog.text
