"""SAEs of which a part stays where it starts: nulls of those that learn all of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from toysae.config import SAES
from toysae.draws import CPU
from toysae.errors import ConfigError, ShapeError
from toysae.generators.independent import Independent
from toysae.generators.laws.profiles import Constant
from toysae.hidden.orthonormal import Orthonormal
from toysae.hidden.shuffled import shuffled
from toysae.hidden.stream import Stream
from toysae.saes.batch_topk import BatchTopK
from toysae.saes.jumprelu import JumpReLU
from toysae.saes.lista import Lista
from toysae.saes.relu import ReLU
from toysae.saes.topk import TopK
from toysae.training.initial import untrained
from toysae.training.kernels.choice import choose_kernel
from toysae.training.kernels.reference import ReferenceKernel, clipped, without_frozen
from toysae.training.member import Member
from toysae.training.objectives import Local
from toysae.training.trainer import Trainer

from ._stacks import TRAINER, stream, train

FREE = replace(TRAINER, steps=60, lr=1e-2)
FAMILIES = [
    ReLU(n_latents=6, l1=0.02),
    ReLU(n_latents=6, l1=0.02, unit_norm_decoder=False, initialisation="independent"),
    TopK(n_latents=6, k=2),
    JumpReLU(n_latents=6),
    BatchTopK(n_latents=6, k=2.0),
    Lista(n_latents=6, k=2.0),
]


def trained(family, trainer, data=None, kernel=None):
    member = Member(family, trainer, data or stream(4), seed=0)
    return train([member], kernel), untrained([member])


def changed(after, before):
    return {
        name
        for name, value in after.params.items()
        if not torch.allclose(value, before.params[name], atol=1e-6)
    }


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f"{f.name}-{f.initialisation}")
def test_what_is_frozen_stays_and_the_rest_learns(family):
    """Buffers follow the data whatever is frozen."""
    free, start = trained(family, FREE, kernel="reference")
    everything = changed(free.sae, start)
    assert everything >= {"W_enc", "b_enc", "W_dec", "b_dec", *family.buffers}
    encoder = everything - {"W_dec", "b_dec", *family.buffers}
    for frozen, kept in (("decoder", {"W_dec"}), ("encoder", encoder)):
        outcome, start = trained(family, replace(FREE, frozen=frozen))
        assert changed(outcome.sae, start) == everything - kept


def test_threshold_of_a_frozen_encoder_is_that_of_its_own_activations():
    """As if nothing had been trained at all."""
    family = BatchTopK(n_latents=6, k=2.0)
    frozen, _ = trained(family, replace(FREE, frozen="encoder"))
    untouched, _ = trained(family, replace(FREE, lr=1e-30), kernel="reference")
    threshold = frozen.sae.params["threshold"]
    torch.testing.assert_close(threshold, untouched.sae.params["threshold"])
    assert float(threshold) > 0


def test_frozen_decoder_learns_to_use_its_rows():
    outcome, start = trained(FAMILIES[0], replace(FREE, frozen="decoder", steps=400))
    x = stream(4).hidden(0, 2000)

    def error(sae):
        return float((sae.reconstruct(x) - x).square().sum(-1).mean())

    free, _ = trained(FAMILIES[0], replace(FREE, steps=400), kernel="reference")
    assert error(free.sae) < 0.8 * error(outcome.sae) < 0.8 * 0.9 * error(start)


def test_compiled_kernels_do_not_take_it():
    """Otherwise they would train what is frozen."""
    for family in FAMILIES:
        for frozen in ("decoder", "encoder"):
            member = Member(family, replace(FREE, frozen=frozen), stream(4), seed=0)
            kernel, refusal = choose_kernel(member, Local(), 1)
            assert isinstance(kernel, ReferenceKernel)
            assert family.fast_form is None or refusal.count("frozen") >= 1
    free = Member(FAMILIES[0], FREE, stream(4), seed=0)
    assert not isinstance(choose_kernel(free, Local(), 1)[0], ReferenceKernel)


def test_frozen_gradients_are_zero_and_no_part_of_the_norm():
    gradients = {name: torch.full((1, 2), 3.0) for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
    zero = {
        "none": set(),
        "decoder": {"W_dec"},
        "encoder": {"W_enc", "b_enc"},
    }
    for frozen, names in zero.items():
        left = without_frozen(gradients, frozen)
        assert list(left) == list(gradients)
        assert {name for name, g in left.items() if not g.any()} == names
    # Six entries of 3 remain: a norm of sqrt(54).
    cut = clipped(without_frozen(gradients, "decoder"), torch.tensor([54**0.5 / 2]))
    torch.testing.assert_close(cut["b_enc"], torch.full((1, 2), 1.5))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"frozen": "all"}, "trainer.frozen = 'all'"),
        (
            {"frozen": "encoder", "finetune_fraction": 0.1},
            "trainer.finetune_fraction = 0.1: must be 0",
        ),
        (
            {"frozen": "decoder", "dead_latents": "resample", "resample_every": 10, "steps": 100},
            "new latents would replace frozen ones",
        ),
    ],
)
def test_contradictions_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        Trainer(**fields)


def test_where_encoder_and_decoder_are_one_neither_can_be_frozen():
    for name in ("tied", "matching_pursuit"):
        for frozen in ("decoder", "encoder"):
            with pytest.raises(ConfigError, match="are one"):
                Member(SAES[name](n_latents=6), replace(FREE, frozen=frozen), stream(4), seed=0)
        Member(SAES[name](n_latents=6), FREE, stream(4), seed=0)


class TestUntrained:
    @pytest.mark.parametrize("scaling", ["none", "unit_mean_norm", "layer_norm"])
    @pytest.mark.parametrize("bias", ["zero", "geometric_median"])
    def test_is_where_training_starts(self, scaling, bias):
        """One step at a negligible learning rate."""
        trainer = replace(
            FREE,
            steps=1,
            lr=1e-12,
            input_scaling=scaling,
            decoder_bias_start=bias,
            history_points=1,
        )
        members = [
            Member(
                FAMILIES[0], trainer, stream(4, seed % 2), seed, torch.eye(6, 4) if seed else None
            )
            for seed in range(3)
        ]
        outcome = train(members, "reference")
        start = untrained(members)
        x = stream(4, 5).hidden(0, 50)
        torch.testing.assert_close(start.encode(x), outcome.sae.encode(x), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(start.reconstruct(x), outcome.sae.reconstruct(x))

    def test_rows_have_the_norm_that_they_are_held_at(self):
        """`independent` draws them at any norm, and training brings them to 1 before it starts."""
        family = ReLU(n_latents=6, initialisation="independent")
        start = untrained([Member(family, FREE, stream(4), 0)])
        torch.testing.assert_close(start.decoder.norm(dim=-1), torch.ones(1, 6))

    def test_is_of_one_stack(self):
        first, other = (Member(family, FREE, stream(4), 0) for family in (FAMILIES[0], FAMILIES[2]))
        for members in ([first, other], []):
            with pytest.raises(ShapeError, match="one stack"):
                untrained(members)


def test_shuffled_data_hide_the_features():
    """Eight sparse features in a rotated space are found, unless coordinates are shuffled."""
    sparse = Independent(n_features=8, probability=Constant(0.1))
    space = Orthonormal(d_hidden=8).spaces(sparse, [0], CPU)[0]
    family = ReLU(n_latents=16, l1=0.05)
    trainer = Trainer(steps=2000, batch_size=64, lr=5e-3)

    def found(where):
        outcome, _ = trained(family, trainer, Stream(sparse, where, 0), kernel="reference")
        return float((outcome.sae.decoder[0] @ space.directions.T).amax(dim=0).mean())

    assert found(space) > 0.97
    assert found(shuffled(space)) < 0.8
