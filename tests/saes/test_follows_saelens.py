"""Step by step the same parameters as SAELens's own trainer, from the same start and data.

Runs where sae-lens (6.54) is installed.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.training._stacks import chunk_of
from toysae.saes.base import Params
from toysae.saes.batch_topk import BatchTopK
from toysae.saes.gated import Gated
from toysae.saes.jumprelu import JumpReLU
from toysae.saes.matching_pursuit import MatchingPursuit
from toysae.saes.matryoshka import Matryoshka
from toysae.saes.relu import ReLU
from toysae.saes.topk import TopK
from toysae.saes.trainable import TrainableFamily
from toysae.training.kernels.reference import ReferenceKernel
from toysae.training.objectives import Local
from toysae.training.state import StackState
from toysae.training.trainer import Trainer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    sae_lens = pytest.importorskip("sae_lens", reason="compares with SAELens's own trainer")
    from sae_lens.config import SAETrainerConfig
    from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
    from sae_lens.saes.gated_sae import GatedTrainingSAE, GatedTrainingSAEConfig
    from sae_lens.saes.jumprelu_sae import JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig
    from sae_lens.saes.matching_pursuit_sae import (
        MatchingPursuitTrainingSAE,
        MatchingPursuitTrainingSAEConfig,
    )
    from sae_lens.saes.matryoshka_batchtopk_sae import (
        MatryoshkaBatchTopKTrainingSAE,
        MatryoshkaBatchTopKTrainingSAEConfig,
    )
    from sae_lens.saes.standard_sae import StandardTrainingSAE, StandardTrainingSAEConfig
    from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.training.sae_trainer import SAETrainer

pytestmark = pytest.mark.saelens

D, M, BATCH, STEPS = 6, 10, 32, 50
LOOKED_AT = (1, 2, 10, STEPS)
#: Latents that start far below every threshold, so that they are dead after the window.
SILENT = (3, 7)
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}

TRAINER = Trainer(
    steps=STEPS,
    batch_size=BATCH,
    lr=3e-3,
    warmup_fraction=0.1,
    decay_fraction=0.2,
    coefficient_warmup_fraction=0.2,
    gradient_clip=1.0,
    dead_window=4,
    auxiliary_coefficient=1.0,
    fire_threshold=0.0,
)
#: Keyword arguments of SAELens's `SAETrainerConfig` for the same.
THEIR_TRAINER = {
    "lr": 3e-3,
    "lr_end": 3e-4,  # without effect: the rate is constant until its decay to 0
    "lr_warm_up_steps": 5,
    "lr_decay_steps": 10,
    "dead_feature_window": 4,
    "train_batch_size_samples": BATCH,
    "total_training_samples": BATCH * STEPS,
}
COEFFICIENT_WARM_UP = 10


@dataclass(frozen=True)
class Case:
    """A family here, the one it should follow there, and the options that make them the same."""

    family: TrainableFamily
    theirs: type
    config: type
    options: Mapping[str, Any] = field(default_factory=dict)
    dead_latents: str = "none"


FREE = {"n_latents": M, "unit_norm_decoder": False, "subtract_decoder_bias": True}
JUMP = {"l0": 0.03, "initial_threshold": 0.2, "bandwidth": 0.5}
THEIR_JUMP = {
    "l0_coefficient": 0.03,
    "jumprelu_bandwidth": 0.5,
    "l0_warm_up_steps": COEFFICIENT_WARM_UP,
}
CASES = {
    "standard": Case(
        ReLU(l1=0.2, penalty_by_decoder_norm=True, **FREE),
        StandardTrainingSAE,
        StandardTrainingSAEConfig,
        {"l1_coefficient": 0.2, "l1_warm_up_steps": COEFFICIENT_WARM_UP},
    ),
    "standard, decoder bias not subtracted": Case(
        ReLU(l1=0.2, penalty_by_decoder_norm=True, **{**FREE, "subtract_decoder_bias": False}),
        StandardTrainingSAE,
        StandardTrainingSAEConfig,
        {
            "l1_coefficient": 0.2,
            "l1_warm_up_steps": COEFFICIENT_WARM_UP,
            "apply_b_dec_to_input": False,
        },
    ),
    "topk": Case(
        TopK(k=3, **FREE),
        TopKTrainingSAE,
        TopKTrainingSAEConfig,
        {"k": 3, "rescale_acts_by_decoder_norm": False, "aux_loss_coefficient": 0.0},
    ),
    "topk, auxiliary": Case(
        TopK(k=3, **FREE),
        TopKTrainingSAE,
        TopKTrainingSAEConfig,
        {"k": 3, "rescale_acts_by_decoder_norm": False},
        dead_latents="auxiliary",
    ),
    "topk, rescaled, auxiliary": Case(
        TopK(k=3, rescale_by_decoder_norm=True, **FREE),
        TopKTrainingSAE,
        TopKTrainingSAEConfig,
        {"k": 3},
        dead_latents="auxiliary",
    ),
    "batch_topk": Case(
        BatchTopK(k=2.3, **FREE),
        BatchTopKTrainingSAE,
        BatchTopKTrainingSAEConfig,
        {"k": 2.3, "rescale_acts_by_decoder_norm": False},
        dead_latents="auxiliary",
    ),
    "batch_topk, rescaled": Case(
        BatchTopK(k=2.3, rescale_by_decoder_norm=True, threshold_rate=0.1, **FREE),
        BatchTopKTrainingSAE,
        BatchTopKTrainingSAEConfig,
        {"k": 2.3, "topk_threshold_lr": 0.1},
        dead_latents="auxiliary",
    ),
    "jumprelu, step": Case(
        JumpReLU(**JUMP, **FREE), JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig, THEIR_JUMP
    ),
    "jumprelu, tanh": Case(
        JumpReLU(penalty_form="tanh", tanh_scale=2.0, ste_to_input=True, **JUMP, **FREE),
        JumpReLUTrainingSAE,
        JumpReLUTrainingSAEConfig,
        {
            **THEIR_JUMP,
            "jumprelu_sparsity_loss_mode": "tanh",
            "jumprelu_tanh_scale": 2.0,
            "jumprelu_ste_to_input": True,
        },
    ),
    "jumprelu, quadratic": Case(
        JumpReLU(penalty_form="quadratic", target_l0=1.5, **JUMP, **FREE),
        JumpReLUTrainingSAE,
        JumpReLUTrainingSAEConfig,
        {**THEIR_JUMP, "jumprelu_sparsity_loss_mode": "quadratic", "target_l0": 1.5},
    ),
    "matryoshka": Case(
        Matryoshka(k=2.3, widths=(3, 6), rescale_by_decoder_norm=True, **FREE),
        MatryoshkaBatchTopKTrainingSAE,
        MatryoshkaBatchTopKTrainingSAEConfig,
        {"k": 2.3, "matryoshka_widths": [3, 6, M]},
        dead_latents="auxiliary",
    ),
    "matryoshka, not rescaled": Case(
        Matryoshka(k=2.3, widths=(4,), **FREE),
        MatryoshkaBatchTopKTrainingSAE,
        MatryoshkaBatchTopKTrainingSAEConfig,
        {"k": 2.3, "matryoshka_widths": [4, M], "rescale_acts_by_decoder_norm": False},
        dead_latents="auxiliary",
    ),
    "matching_pursuit": Case(
        MatchingPursuit(max_iterations=3, residual_threshold=0.3, **FREE),
        MatchingPursuitTrainingSAE,
        MatchingPursuitTrainingSAEConfig,
        {"max_iterations": 3, "residual_threshold": 0.3, "decoder_init_norm": 1.0},
    ),
    "gated": Case(
        Gated(l1=0.2, detach_auxiliary_decoder=False, **FREE),
        GatedTrainingSAE,
        GatedTrainingSAEConfig,
        {"l1_coefficient": 0.2, "l1_warm_up_steps": COEFFICIENT_WARM_UP},
    ),
}


def start(family: TrainableFamily, dtype: torch.dtype) -> Params:
    """Parameters of one member in no special position."""
    generator = torch.Generator().manual_seed(5)
    params = {
        name: 0.4 * torch.randn(1, *shape, generator=generator, dtype=dtype)
        for name, shape in family.param_shapes(D, M).items()
    }
    for bias in params.keys() & {"b_enc", "b_gate"}:
        params[bias][:, SILENT] = -20
    if "threshold" in params:
        params["threshold"].fill_(getattr(family, "initial_threshold", 0.0))
    return params


def batches(dtype: torch.dtype) -> Tensor:
    """Sparse sums of directions, `[STEPS, BATCH, D]`."""
    generator = torch.Generator().manual_seed(6)
    directions = torch.randn(8, D, generator=generator, dtype=dtype)
    fires = torch.rand(STEPS, BATCH, 8, generator=generator) < 0.3
    magnitudes = torch.rand(STEPS, BATCH, 8, generator=generator, dtype=dtype)
    return (fires * magnitudes) @ directions


def our_steps(case: Case, dtype: torch.dtype) -> list[Params]:
    """Parameters after every step."""
    trainer = replace(TRAINER, dead_latents=case.dead_latents)
    chunk = replace(
        chunk_of(batches(dtype)[None]),
        lr=trainer.lr * trainer.lr_factor(0, STEPS)[None],
        coefficient=case.family.coefficient * trainer.coefficient_factor(0, STEPS)[None].to(dtype),
        gradient_clip=torch.tensor([trainer.gradient_clip], dtype=dtype),
    )
    kernel = ReferenceKernel(case.family, trainer, Local())
    state = StackState.start(start(case.family, dtype), case.family.buffers)
    after = []
    for t in range(STEPS):
        kernel.step(state, chunk, t)
        after.append({name: value[0].clone() for name, value in state.params.items()})
    return after


def their_steps(case: Case, dtype: torch.dtype) -> list[Params]:
    """The same of SAELens; `topk_threshold` is called `threshold`, as here."""
    config = case.config(d_in=D, d_sae=M, dtype=str(dtype).removeprefix("torch."), **case.options)
    sae = case.theirs(config)
    initial = {name: value[0] for name, value in start(case.family, dtype).items()}
    if "topk_threshold" in sae.state_dict():
        initial["topk_threshold"] = initial.pop("threshold")[0].double()
    for name, value in sae.state_dict(keep_vars=True).items():
        value.data = initial.pop(name).clone()
    assert not initial
    trainer = SAETrainer(SAETrainerConfig(**THEIR_TRAINER), sae, data_provider=iter(()))
    after = []
    for batch in batches(dtype):
        trainer.step(batch)
        trainer.n_training_steps += 1
        params = {name: value.clone() for name, value in sae.state_dict().items()}
        if "topk_threshold" in params:
            params["threshold"] = params.pop("topk_threshold")[None]
        after.append(params)
    return after


def relative(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-3))


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_parameters_are_those_of_saelens(name: str, dtype: torch.dtype) -> None:
    case = CASES[name]
    ours, theirs = our_steps(case, dtype), their_steps(case, dtype)
    assert ours[0].keys() == theirs[0].keys()
    for step in LOOKED_AT:
        mine, its = ours[step - 1], theirs[step - 1]
        worst = {key: relative(mine[key], its[key]) for key in mine}
        assert max(worst.values()) < TOLERANCE[dtype], (step, worst)
    rows, first = ours[-1]["W_dec"], start(case.family, dtype)["W_dec"][0]
    moved = (rows - first).abs().amax(-1) > 1e-3
    assert moved.any()
    if case.family.name != "matching_pursuit":  # it has no bias to silence a latent with
        assert moved[list(SILENT)].tolist() == [case.dead_latents == "auxiliary"] * len(SILENT)
