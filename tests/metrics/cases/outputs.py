from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.metrics.case import SAMPLES, Case, Rng, normal
from toysae.metrics import outputs
from toysae.metrics.outputs import OutputChange

LOGITS = (*SAMPLES, "joint_scale", "joint_shift")


def two_models(rng: Rng) -> list[Tensor]:
    return [normal(rng, 12, 5), normal(rng, 12, 5)]


def with_targets(rng: Rng) -> list[Tensor]:
    return [*two_models(rng), torch.from_numpy(rng.integers(0, 5, 12))]


def with_truth(rng: Rng) -> list[Tensor]:
    return [torch.from_numpy(rng.dirichlet([1.0] * 5, 12)), *two_models(rng)]


def losses(rng: Rng) -> list[Tensor]:
    clean = torch.from_numpy(rng.random((12, 1)))
    sae = clean + torch.from_numpy(rng.random((12, 1)))
    return [clean, sae, clean + 3 + torch.from_numpy(rng.random((12, 1)))]


def mean_change(original: Tensor, patched: Tensor) -> OutputChange:
    change = outputs.output_change(original, patched, block=5)
    return OutputChange(*(value.double().mean() for value in vars(change).values()))


def averaged(name: str) -> Any:
    return lambda *inputs: getattr(outputs, name)(*inputs, block=5).double().mean()


CASES = {
    "output_change": Case(two_models, "ab", mean_change, LOGITS),
    "kl_divergence": Case(two_models, "ab", averaged("kl_divergence"), LOGITS),
    "jensen_shannon": Case(two_models, "ab", averaged("jensen_shannon"), LOGITS),
    "total_variation": Case(two_models, "ab", averaged("total_variation"), LOGITS),
    "top1_agreement": Case(two_models, "ab", averaged("top1_agreement"), LOGITS),
    "cross_entropy": Case(
        lambda rng: with_targets(rng)[1:], "--", averaged("cross_entropy"), SAMPLES
    ),
    "cross_entropy_difference": Case(
        with_targets, "ab-", averaged("cross_entropy_difference"), SAMPLES
    ),
    "expected_difference": Case(
        with_truth,
        "-ab",
        lambda *inputs: outputs.ExpectedDifference(
            *(part.mean() for part in vars(outputs.expected_difference(*inputs)).values())
        ),
        SAMPLES,
    ),
    "cross_entropy_recovered": Case(
        losses,
        "ab-",
        lambda *inputs: outputs.cross_entropy_recovered(*inputs, baseline="zero"),
        (*SAMPLES, "joint_scale", "joint_shift"),
    ),
}
