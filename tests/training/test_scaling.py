"""Input scaling: what stacks read, and SAEs that read activations as they are."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from toysae.config import SAES
from toysae.errors import ConfigError
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import Stream
from toysae.saes.base import SAE
from toysae.saes.batch_topk import BatchTopK
from toysae.saes.jumprelu import JumpReLU
from toysae.saes.relu import ReLU
from toysae.saes.scaling import LayerNorm, NoScaling
from toysae.saes.tied import Tied
from toysae.saes.topk import TopK
from toysae.saes.trainable import TrainableFamily
from toysae.training.initial import geometric_median, initial_params
from toysae.training.member import Member
from toysae.training.scaling import InputScaling

from ._stacks import FOUR, TRAINER, stream, train

SCALED = replace(TRAINER, input_scaling="unit_mean_norm")

FREE = {"unit_norm_decoder": False, "initial_decoder_norm": 0.5, "n_latents": 6}
FAMILIES: dict[str, TrainableFamily] = {
    **{name: family() for name, family in SAES.items() if family.foldable},
    "relu_free": ReLU(penalty_by_decoder_norm=True, **FREE),
    "relu_subtracting": ReLU(n_latents=6, subtract_decoder_bias=True),
    "jumprelu_high": JumpReLU(n_latents=6, initial_threshold=0.2),
    "topk_rescaled": TopK(rescale_by_decoder_norm=True, **FREE),
    "batch_topk_rescaled": BatchTopK(rescale_by_decoder_norm=True, **FREE),
}


def larger(times: float, seed: int = 0) -> Stream:
    """The stream of four features in a world that is so many times as large."""
    return Stream(stream(4).generator, HiddenSpace(times * FOUR.directions), seed)


def in_scaled_space(member: Member) -> SAE:
    """The SAE as it was trained: what it makes of scaled inputs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            InputScaling, "finished", lambda self, family, params, stream_of: SAE(family, params)
        )
        return train([member], "reference").sae


class TestUnitMeanNorm:
    def test_mean_norm_becomes_the_root_of_the_dimension(self):
        streams = [larger(1), larger(30), larger(1, seed=1)]
        scaling = InputScaling("unit_mean_norm", streams)
        for i, some in enumerate(streams):
            x = some.hidden(0, 8192)
            assert float(scaling.scale(i, x).norm(dim=1).mean()) == pytest.approx(2, rel=1e-5)
            assert float(scaling.scale(i, 2 * x).norm(dim=1).mean()) == pytest.approx(4, rel=1e-5)

    def test_every_stream_has_its_own_factor(self):
        streams = [larger(1), larger(10)]
        scaling = InputScaling("unit_mean_norm", streams)
        x = streams[0].hidden(0, 10)
        torch.testing.assert_close(scaling.scale(0, x), 10 * scaling.scale(1, x))

    @pytest.mark.parametrize("name", FAMILIES)
    def test_folded_sae_does_on_raw_inputs_what_it_did_on_scaled_ones(self, name):
        member = Member(FAMILIES[name], SCALED, larger(7), seed=3)
        raw = member.stream.hidden(8192, 200)
        scaled = InputScaling("unit_mean_norm", [member.stream]).scale(0, raw)
        before = in_scaled_space(member).apply(scaled)
        sae = train([member], "reference").sae
        assert sae.scaling == NoScaling()
        after = sae.apply(raw)
        assert bool((before.latents > 0).any())
        torch.testing.assert_close(after.latents, before.latents, rtol=1e-4, atol=1e-5)
        factor = 2 / float(member.stream.hidden(0, 8192).norm(dim=1).mean())
        torch.testing.assert_close(
            after.reconstructions, before.reconstructions / factor, rtol=1e-4, atol=1e-4
        )

    def test_members_of_a_stack_are_folded_by_their_own_streams(self):
        some = [Member(ReLU(n_latents=6), SCALED, larger(times), 3) for times in (1, 50)]
        both = train(some, "reference").sae
        for i, member in enumerate(some):
            alone = train([member], "reference").sae.params
            for value, expected in zip(both.members([i]).params.values(), alone.values()):
                assert torch.equal(value, expected)

    @pytest.mark.parametrize("times", [1000, 1e-3])
    def test_size_of_the_world_does_not_matter(self, times):
        """The same SAE, which reads larger activations and makes larger reconstructions."""
        one, other = (Member(ReLU(n_latents=6), SCALED, larger(t), 3) for t in (1, times))
        x = one.stream.hidden(8192, 500)
        expected = train([one], "reference").sae.apply(x)
        found = train([other], "reference").sae.apply(times * x)
        torch.testing.assert_close(found.latents, expected.latents, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(
            found.reconstructions / times, expected.reconstructions, rtol=1e-3, atol=1e-4
        )

    def test_decoder_bias_starts_at_the_median_of_what_is_read(self):
        trainer = replace(SCALED, decoder_bias_start="geometric_median")
        member = Member(ReLU(n_latents=6), trainer, larger(7), seed=3)
        scaling = InputScaling("unit_mean_norm", [member.stream])
        start = initial_params([member], member.stream.device, lambda s, x: scaling.scale(0, x))
        expected = geometric_median(scaling.scale(0, member.stream.hidden(0, 5000)))
        torch.testing.assert_close(start["b_dec"][0], expected)

    def test_silent_world(self):
        silent = Stream(stream(4).generator, HiddenSpace(torch.zeros(4, 4)), 0)
        with pytest.raises(ConfigError, match="'unit_mean_norm': every hidden activation is 0"):
            InputScaling("unit_mean_norm", [silent])

    def test_family_that_cannot_be_folded(self):
        with pytest.raises(
            ConfigError,
            match=r"^trainer.input_scaling = 'unit_mean_norm': .* of tied; use none or layer",
        ):
            Member(Tied(n_latents=6), SCALED, stream(4), seed=0)


class TestLayerNorm:
    TRAINER = replace(TRAINER, input_scaling="layer_norm")

    def standardised(self, x: Tensor) -> Tensor:
        centred = x - x.mean(1, keepdim=True)
        return centred / (x.std(1, keepdim=True) + 1e-5)

    def test_stack_reads_standardised_samples(self):
        scaling = InputScaling("layer_norm", [stream(4)])
        x = stream(4).hidden(0, 50)
        torch.testing.assert_close(scaling.scale(0, x), self.standardised(x))

    @pytest.mark.parametrize("family", [ReLU(n_latents=6), Tied(n_latents=6)])
    def test_sae_reads_raw_activations_through_it(self, family):
        member = Member(family, self.TRAINER, larger(7), seed=3)
        raw = member.stream.hidden(8192, 200)
        sae = train([member], "reference").sae
        assert sae.scaling == LayerNorm()
        scaled = in_scaled_space(member).apply(self.standardised(raw))
        found = sae.apply(raw)
        torch.testing.assert_close(found.latents, scaled.latents)
        expected = scaled.reconstructions * raw.std(1, keepdim=True) + raw.mean(1, keepdim=True)
        torch.testing.assert_close(found.reconstructions, expected)

    def test_learns(self):
        """The error of the whole SAE on raw activations falls by the training."""
        trainer = replace(self.TRAINER, steps=300, lr=1e-2)
        member = Member(ReLU(n_latents=8, l1=0.01), trainer, larger(7), seed=3)
        raw = member.stream.hidden(8192, 2000)
        start = SAE(member.sae, initial_params([member], member.stream.device), LayerNorm())
        errors = [
            float((sae.reconstruct(raw)[0] - raw).square().sum(1).mean())
            for sae in (start, train([member], "reference").sae)
        ]
        assert errors[1] < 0.2 * errors[0]

    def test_one_dimension(self):
        line = Stream(stream(4).generator, HiddenSpace(torch.ones(4, 1)), 0)
        with pytest.raises(
            ConfigError, match="'layer_norm': one hidden dimension has no deviation"
        ):
            InputScaling("layer_norm", [line])


class TestNone:
    def test_samples_and_parameters_stay(self):
        scaling = InputScaling("none", [stream(4)])
        x = stream(4).hidden(0, 10)
        assert scaling.scale(0, x) is x
        params = {name: torch.ones(2, 3) * math.pi for name in ("W_enc", "W_dec")}
        sae = scaling.finished(ReLU(), params, torch.zeros(2, dtype=torch.int64))
        assert sae.params is params
        assert sae.scaling == NoScaling()
