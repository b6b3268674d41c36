"""What training comes to: the same by both kernels, and the same in any company."""

from __future__ import annotations

import logging
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from toysae.draws import CPU
from toysae.hidden.base import HiddenSpace
from toysae.saes.l0_penalty import L0
from toysae.saes.log_penalty import Log
from toysae.saes.lp import Lp
from toysae.saes.relu import ReLU
from toysae.saes.tanh_penalty import Tanh
from toysae.saes.trainable import Forward, TrainableFamily
from toysae.training import chunks, stack
from toysae.training.initial import initial_params
from toysae.training.kernels.choice import choose_kernel
from toysae.training.kernels.fused import LARGEST_DIMENSION, LARGEST_FUSED, FusedKernel
from toysae.training.kernels.fused_passes import TILE
from toysae.training.member import Member
from toysae.training.objectives import Local
from toysae.training.state import StackState

from ._stacks import (
    GHOSTS,
    KERNELS,
    PLANE,
    TRAINER,
    chunk_of,
    difference,
    identical,
    members,
    of_member,
    stream,
    train,
)


def with_penalty(family, some, **fields):
    """The same members of another family; `sparsity` is their `l1`."""
    return [
        replace(
            m,
            sae=family(
                n_latents=m.sae.n_latents,
                sparsity=m.sae.l1,
                unit_norm_decoder=m.sae.unit_norm_decoder,
                **fields,
            ),
        )
        for m in some
    ]


def with_trainer(some, **fields):
    return [replace(m, trainer=replace(m.trainer, **fields)) for m in some]


FREE = {"unit_norm_decoder": False}
BY_NORM = {"unit_norm_decoder": False, "penalty_by_decoder_norm": True}
NORMALISED = {"normalize_error": True, "initialisation": "independent"}
SCENARIOS = {
    "plain": members(3),
    "odd dimension and width": members(3, d=3, n_latents=5),
    "one dimension a feature": members(3, d=4, n_latents=8),
    "normalised error": members(3, **NORMALISED),
    "free decoder": members(3, **FREE),
    "ghosts": members(3, d=4, n_latents=6, trainer=GHOSTS, silent=True),
    "ghosts, odd": members(3, d=3, n_latents=5, trainer=GHOSTS, silent=True),
    "ghosts, normalised": members(3, d=4, n_latents=6, trainer=GHOSTS, silent=True, **NORMALISED),
    "ghosts, free": members(3, d=4, n_latents=6, trainer=GHOSTS, silent=True, **FREE),
    "ghosts at once": members(
        2, d=4, n_latents=6, trainer=replace(GHOSTS, ghost_cooldown=0), silent=True
    ),
    "published": members(
        2, trainer=replace(GHOSTS, decoder_bias_start="geometric_median"), **NORMALISED
    ),
    "every member its own data": members(3, streams=3),
    "single latent, batch of one": members(
        2, n_latents=1, trainer=replace(TRAINER, batch_size=1, lr=1e-3)
    ),
}

BASE = members(3, d=3, n_latents=5)
BASE_FREE = members(3, d=3, n_latents=5, **FREE)

#: Each with the members that it differs from in one option, which must make a difference.
OPTIONS = {
    "penalty by norm": (members(3, d=3, n_latents=5, **BY_NORM), BASE_FREE),
    # The gradient of a small p is nearly infinite at the very edge of firing.
    "lp": (with_penalty(Lp, BASE, p=0.8), BASE),
    "log": (with_penalty(Log, BASE), BASE),
    "tanh": (with_penalty(Tanh, BASE, scale=3.0), BASE),
    "l0": (with_penalty(L0, BASE, epsilons=(0.5, 0.1), epsilons_from=(0, 0.5)), BASE),
    "lp by norm": (
        with_penalty(Lp, BASE_FREE, p=0.7, penalty_by_decoder_norm=True),
        with_penalty(Lp, BASE_FREE, p=0.7),
    ),
    "log by norm": (
        with_penalty(Log, BASE_FREE, penalty_by_decoder_norm=True),
        with_penalty(Log, BASE_FREE),
    ),
    "centred": (
        members(3, d=3, n_latents=5, subtract_decoder_bias=True),
        BASE,
    ),
    "centred, from the median": (
        with_trainer(
            members(3, d=3, n_latents=5, subtract_decoder_bias=True),
            decoder_bias_start="geometric_median",
        ),
        with_trainer(BASE, decoder_bias_start="geometric_median"),
    ),
    "clipped": (with_trainer(BASE, gradient_clip=0.05), BASE),
    "steered to an L0": (with_trainer(BASE, target_l0=0.7, control_rate=0.1), BASE),
    "fine-tuned decoder": (with_trainer(BASE, finetune_fraction=0.4), BASE),
    "everything at once": (
        with_trainer(
            members(
                3, d=4, n_latents=6, trainer=GHOSTS, silent=True, normalize_error=True,
                subtract_decoder_bias=True, **BY_NORM,
            ),
            gradient_clip=0.05, target_l0=0.7, finetune_fraction=0.2,
        ),
        members(3, d=4, n_latents=6, trainer=GHOSTS, silent=True, **BY_NORM),
    ),
}  # fmt: skip
SCENARIOS |= {name: some for name, (some, _) in OPTIONS.items()}
SCENARIOS |= {
    f"batch of {size}": with_trainer(BASE, batch_size=size) for size in (7, 33, TILE + 40)
}


class AbsoluteValue(TrainableFamily):
    """A family that no fast kernel knows, latents `|x W_enc|`, with the least that one needs."""

    name = "absolute value"

    def encode(self, params, x):
        return self.pre_activations(params, x).abs()

    def forward(self, params, x, progress):
        pre = self.pre_activations(params, x)
        return Forward(pre, pre.abs(), self.decode(params, pre.abs()))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_fused_is_the_reference(scenario):
    some = SCENARIOS[scenario]
    fused, reference = train(some, "fused"), train(some, "reference")
    for i in range(len(some)):
        assert difference(of_member(fused, i), of_member(reference, i)) < 1e-4
        start = initial_params(some[i : i + 1], CPU)
        assert difference(of_member(reference, i), start) > 0.01  # something was learned
    for name, theirs in reference.history.items():
        # A sample at the very edge of firing may fall on either side: 1 in 32.
        atol = 1.01 / 32 if name == "l0" else 1e-6
        torch.testing.assert_close(
            fused.history[name], theirs, rtol=1e-3, atol=atol, equal_nan=True
        )
    assert fused.frozen_at.tolist() == [-1] * len(some)


@pytest.mark.parametrize("option", OPTIONS)
def test_options_make_a_difference(option):
    some, others = (train(part, "reference") for part in OPTIONS[option])
    for i in range(len(some.index)):
        assert difference(of_member(some, i), of_member(others, i)) > 1e-3


@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name.startswith("ghosts")])
@pytest.mark.parametrize("kernel", KERNELS)
def test_scenarios_with_ghosts_have_dead_latents(scenario, kernel):
    """Without the treatment every one of these members ends elsewhere."""
    some = SCENARIOS[scenario]
    untreated = [replace(m, trainer=replace(m.trainer, dead_latents="none")) for m in some]
    treated, plain = train(some, kernel), train(untreated, kernel)
    assert all(
        difference(of_member(treated, i), of_member(plain, i)) > 1e-3 for i in range(len(some))
    )


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("beta1", [0.0, 0.9])
def test_steps_are_those_of_torchs_adam(kernel, beta1):
    """The same 50 steps by torch's optimiser on the loss written out here."""
    trainer = replace(TRAINER, beta1=beta1, beta2=0.99, lr=0.01)
    member = replace(members(1, d=3, n_latents=5, **FREE)[0], trainer=trainer)
    params = {name: p[0].requires_grad_() for name, p in initial_params([member], CPU).items()}
    optimiser = torch.optim.Adam(list(params.values()), betas=(beta1, 0.99))
    x = member.stream.hidden(0, 50 * 32).view(50, 32, 3)
    for step in range(50):
        optimiser.param_groups[0]["lr"] = 0.01 * min(1, (step + 1) / 5, (50 - step) / 10)
        latents = torch.relu(x[step] @ params["W_enc"] + params["b_enc"])
        missing = x[step] - latents @ params["W_dec"] - params["b_dec"]
        loss = missing.square().sum(1).mean() + member.sae.l1 * latents.sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    expected = {name: p.detach()[None] for name, p in params.items()}
    assert difference(of_member(train([member], kernel), 0), expected) < 1e-5


@pytest.mark.parametrize("kernel", KERNELS)
def test_decoder_rows_end_at_norm_one_where_held(kernel):
    held, free = train(members(2), kernel), train(members(2, **FREE), kernel)
    torch.testing.assert_close(held.sae.decoder.norm(dim=2), torch.ones(2, 4))
    assert float((free.sae.decoder.norm(dim=2) - 1).abs().max()) > 1e-3


class TestCompany:
    """Seven members; what happens to each does not depend on the other six."""

    SEVEN = members(7, d=3, n_latents=5, trainer=GHOSTS, silent=True, streams=3)

    def check(self, kernel, trained, position):
        """Whether the member at `position` in `trained` is the first of the seven, alone."""
        alone = of_member(train(self.SEVEN[:1], kernel), 0)
        found = of_member(trained, position)
        if kernel == "fused":
            assert identical(found, alone)
        else:
            assert difference(found, alone) < 1e-5

    @pytest.mark.parametrize("kernel", KERNELS)
    def test_in_a_stack(self, kernel):
        self.check(kernel, train(self.SEVEN, kernel), 0)

    @pytest.mark.parametrize("kernel", KERNELS)
    def test_in_a_stack_of_64(self, kernel):
        others = members(63, d=3, n_latents=5, trainer=GHOSTS, silent=True, streams=5)
        self.check(kernel, train([*others, self.SEVEN[0]], kernel), 63)

    @pytest.mark.parametrize("kernel", KERNELS)
    def test_in_another_order(self, kernel):
        self.check(kernel, train(self.SEVEN[::-1], kernel), 6)

    @pytest.mark.parametrize("kernel", KERNELS)
    @pytest.mark.parametrize("numbers", [1, 3 * 32 * 3 * 7])
    def test_with_other_chunks(self, kernel, numbers, monkeypatch):
        monkeypatch.setattr(chunks, "CHUNK_NUMBERS", numbers)
        self.check(kernel, train(self.SEVEN, kernel), 0)

    def test_spread_over_threads(self):
        one, several = train(self.SEVEN, "fused"), train(self.SEVEN, "fused", threads=3)
        assert identical(one.sae.params, several.sae.params)
        assert torch.equal(one.history["error"], several.history["error"])
        assert identical(
            train(self.SEVEN[:2], "fused", threads=5).sae.params, one.sae.members([0, 1]).params
        )

    @pytest.mark.parametrize("batch_size", [1, 7, 33, 1024])
    @pytest.mark.parametrize("d", [2, 3, 4])
    def test_data_has_the_bits_of_any_chunk(self, batch_size, d):
        """Embedding a piece of the samples rounds as embedding all of them."""
        whole = stream(d).hidden(0, 8 * batch_size)
        pieces = [stream(d).hidden(i * batch_size, batch_size) for i in range(8)]
        assert torch.equal(torch.cat(pieces), whole)


TRAINS_AND_PRINTS_BITS = """
from dataclasses import replace
from tests.training._stacks import GHOSTS, members, train

trainer = replace(GHOSTS, gradient_clip=0.1, target_l0=1.0, batch_size=600)
params = train(members(3, d=3, n_latents=5, trainer=trainer, silent=True), "fused").sae.params
print([params[name].numpy().tobytes().hex() for name in sorted(params)])
"""


@pytest.mark.slow
def test_bits_are_those_of_the_first_process(tmp_path):
    """The first compiles the kernel, the second reads it from the disk cache."""

    def run():
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        command = [sys.executable, "-c", TRAINS_AND_PRINTS_BITS]
        root = Path(__file__).parents[2]
        return subprocess.run(
            command, env=environment, cwd=root, check=True, capture_output=True, text=True
        ).stdout

    compiled = run()
    files = sorted(tmp_path.rglob("*.nbc"))
    assert files
    assert run() == compiled
    assert sorted(tmp_path.rglob("*.nbc")) == files


@pytest.mark.parametrize("kernel", KERNELS)
class TestDivergence:
    def with_wild_one(self):
        some = members(4)
        wild = replace(some[1], trainer=replace(some[1].trainer, lr=1e30))
        return [some[0], wild, *some[2:]]

    def test_diverging_member_is_frozen_and_reported(self, kernel, caplog):
        with caplog.at_level(logging.WARNING, "toysae"):
            trained = train(self.with_wild_one(), kernel)
        assert trained.frozen_at.tolist() == [-1, 1, -1, -1]
        assert caplog.messages == [
            "member 1 diverged at step 1 (error not finite) and was frozen there; "
            "the others went on"
        ]
        assert all(bool(p.isfinite().all()) for p in of_member(trained, 1).values())
        assert bool(trained.history["error"][1, 0].isfinite())
        assert all(bool(values[1, 2:].isnan().all()) for values in trained.history.values())

    def test_others_are_as_without_it(self, kernel):
        all_four = train(self.with_wild_one(), kernel)
        three = train([m for i, m in enumerate(self.with_wild_one()) if i != 1], kernel)
        for i, j in ((0, 0), (2, 1), (3, 2)):
            if kernel == "fused":
                assert identical(of_member(all_four, i), of_member(three, j))
            else:
                assert difference(of_member(all_four, i), of_member(three, j)) < 1e-5
        assert bool(all_four.history["error"][[0, 2, 3]].isfinite().all())

    def test_position_is_that_in_the_whole_sequence(self, kernel, caplog, monkeypatch):
        """Two stacks; the wild one is third of all and second of its stack."""
        wide = members(1, n_latents=5)[0]
        base, wild = self.with_wild_one()[:2]
        monkeypatch.setattr(stack, "choose_kernel", KERNELS[kernel])
        with caplog.at_level(logging.WARNING, "toysae"):
            trained = list(stack.train([base, wide, wild], threads=1))
        assert [t.index for t in trained] == [(0, 2), (1,)]
        assert caplog.messages == [
            "member 2 diverged at step 1 (error not finite) and was frozen there; "
            "the others went on"
        ]

    @pytest.mark.parametrize("strange", [math.nan, -math.nan, math.inf])
    def test_a_single_strange_weight_is_seen(self, kernel, strange):
        (member,) = members(1)
        state = StackState.start(initial_params([member], CPU))
        state.params["W_enc"][0, 1, 2] = strange
        before = {name: p.clone() for name, p in state.params.items()}
        chunk = chunk_of(member.stream.hidden(0, 3 * 33).view(1, 3, 33, 2))
        losses = KERNELS[kernel](member, Local(), 1)[0].advance(state, chunk)
        assert state.frozen_at.tolist() == [0]
        assert not bool(losses.error[0, 0].isfinite())
        assert bool(losses.error[0, 1:].isnan().all())
        for name, expected in before.items():
            torch.testing.assert_close(state.params[name], expected, equal_nan=True)


class TestChoice:
    def chosen(self, **changes):
        return choose_kernel(replace(members(1)[0], **changes), Local(), 1)[0].name

    def test_small_relu_on_the_cpu_is_fused(self):
        assert self.chosen() == "fused CPU kernel (Numba)"
        assert self.chosen(sae=ReLU(n_latents=LARGEST_FUSED // 2)) == "fused CPU kernel (Numba)"

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"sae": ReLU(n_latents=LARGEST_FUSED // 2 + 1)}, "up to 256 weights"),
            ({"sae": AbsoluteValue()}, "not for absolute value"),
            ({"sae": ReLU(orthogonality_penalty=0.1)}, "without the orthogonality term"),
            ({"sae": ReLU(frequency_penalty=0.1)}, "without the frequency term"),
            (
                {"trainer": replace(TRAINER, dead_latents="auxiliary", dead_window=5)},
                "without the auxiliary loss",
            ),
            (
                {"stream": replace(stream(), space=HiddenSpace(PLANE.directions.to("meta")))},
                "only on the CPU",
            ),
            (
                {"stream": replace(stream(), space=HiddenSpace(torch.eye(LARGEST_DIMENSION + 1)))},
                "up to 8 dimensions",
            ),
        ],
    )
    def test_refusal_says_why(self, changes, reason):
        member = replace(members(1)[0], **changes)
        assert FusedKernel.refusal(member, Local()) == f"fused kernel: {reason}"

    def test_other_families_are_stacked_torch_and_are_trained(self):
        member = Member(AbsoluteValue(n_latents=4), TRAINER, stream(), seed=0)
        trained = train([member])
        assert trained.kernel == "stacked torch (autograd)"
        assert float(trained.history["error"][0, -1]) < 0.7 * float(trained.history["error"][0, 0])

    @pytest.mark.parametrize("kernel", KERNELS)
    def test_choice_is_logged_with_the_shape(self, kernel, caplog):
        with caplog.at_level(logging.INFO, "toysae"):
            trained = train(members(2), kernel)
        assert caplog.messages == [
            f"stack of 2: relu, d=2, 4 latents, 50 steps of 32 on cpu by {trained.kernel}"
        ]


def test_divergence_in_the_very_last_step_is_reported(caplog):
    """No loss comes after it, so only the parameters can tell."""
    (wild,) = members(1)
    wild = replace(wild, trainer=replace(wild.trainer, steps=1, lr=1e39, warmup_fraction=0.0))
    with caplog.at_level(logging.WARNING, "toysae"):
        (trained,) = stack.train([wild], threads=1)
    assert trained.frozen_at.tolist() == [1]
    assert "member 0 diverged at step 1" in caplog.text
