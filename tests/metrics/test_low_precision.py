"""Tables of low precision are computed with in float64: as if they had been float64 all along."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from toysae.metrics.absorption import absorption, saebench_absorption
from toysae.metrics.board import auroc_coverage, board_coverage, board_reconstruction
from toysae.metrics.codes import SparseCodes
from toysae.metrics.coefficient_fit import coefficient_fit
from toysae.metrics.detection import best_detection, detection
from toysae.metrics.hedging import hedging
from toysae.metrics.matching_keys import matching_keys
from toysae.metrics.monosemanticity import purity
from toysae.metrics.recovery import joint_recovery
from toysae.metrics.splitting import splitting

from .draw import normal, tensor

INDEX = torch.arange(4)
PAIRS = [(0, 1), (2, 3)]
HIDDEN = normal(4, 60, 6)

# Of features, decoder, coefficients and latents.
METRICS: dict[str, Callable[..., Any]] = {
    "detection": lambda f, d, c, z: detection(c, z, threshold=0.3),
    "best_detection": lambda f, d, c, z: best_detection(c, z, threshold=0.3),
    "coefficient_fit": lambda f, d, c, z: coefficient_fit(c, z, INDEX, INDEX, threshold=0.3),
    "matching_keys": lambda f, d, c, z: matching_keys(f, d, c, z, threshold=0.3),
    "joint_recovery": lambda f, d, c, z: joint_recovery(f, d, c, z, f1_threshold=0.5),
    "purity": lambda f, d, c, z: purity(c, z, threshold=0.3),
    "splitting": lambda f, d, c, z: splitting(c, z, threshold=0.3),
    "absorption": lambda f, d, c, z: absorption(c, z, f, d, PAIRS),
    "saebench_absorption": lambda f, d, c, z: saebench_absorption(c, z, f, d, HIDDEN, PAIRS),
    "hedging": lambda f, d, c, z: hedging(d, f, torch.tensor([0, -1, 2, -1]), c),
    "auroc_coverage": lambda f, d, c, z: auroc_coverage(c, z),
    "board_coverage": lambda f, d, c, z: board_coverage(c, z),
    "board_reconstruction": lambda f, d, c, z: board_reconstruction(c, z, c, z, precision=0.6),
}


def numbers(result: Any) -> Iterator[Tensor]:
    """Everything in a result that is a number or a table of them."""
    if is_dataclass(result):
        for field in fields(result):
            yield from numbers(getattr(result, field.name))
    elif isinstance(result, Mapping):
        for value in result.values():
            yield from numbers(value)
    elif isinstance(result, tuple):
        for value in result:
            yield from numbers(value)
    else:
        yield result if isinstance(result, Tensor) else tensor(result)


def inputs() -> list[Tensor]:
    features = normal(0, 4, 6)
    coefficients = (normal(2, 60, 4) - 0.2).clamp(min=0)
    latents = (coefficients + 0.3 * normal(3, 60, 4)).clamp(min=0)
    return [features, features + 0.3 * normal(1, 4, 6), coefficients, latents]


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("sparse", [False, True])
def test_is_that_of_the_same_values_in_float64(name: str, dtype: torch.dtype, sparse: bool) -> None:
    low: list[Any] = [table.to(dtype) for table in inputs()]
    high: list[Any] = [table.double() for table in low]
    if sparse:
        for tables in (low, high):
            tables[2:] = map(SparseCodes.from_dense, tables[2:])
    else:
        low = [table.requires_grad_() for table in low]
    for found, expected in zip(
        numbers(METRICS[name](*low)), numbers(METRICS[name](*high)), strict=True
    ):
        assert not found.requires_grad
        assert found.dtype == expected.dtype != dtype
        assert torch.allclose(found.double(), expected.double(), 1e-9, 1e-12, equal_nan=True)


def test_rounding_would_show() -> None:
    """Else nothing would be told from these tables."""
    for table in inputs():
        assert not torch.allclose(table, table.bfloat16().double(), 1e-4)
