"""Inputs for the tests of metrics: hypothesis strategies, and arrays from a seed."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

SEEDS = st.integers(0, 2**32 - 1)


def tensor(rows: object) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def rotation(seed: int, d: int) -> Tensor:
    return torch.linalg.qr(normal(seed, d, d)).Q


@st.composite
def pairs_of_dictionaries(
    draw: st.DrawFn, min_rows: int = 1, max_rows: int = 6, max_d: int = 4
) -> tuple[Tensor, Tensor]:
    """Small integer vectors: zero rows, duplicates, antipodes and ties are common."""
    d = draw(st.integers(1, max_d))
    return draw(_integer_rows(d, min_rows, max_rows)), draw(_integer_rows(d, min_rows, max_rows))


@st.composite
def _integer_rows(draw: st.DrawFn, d: int, min_rows: int, max_rows: int) -> Tensor:
    shape = (draw(st.integers(min_rows, max_rows)), d)
    return torch.from_numpy(
        draw(hnp.arrays(np.float64, shape, elements=st.integers(-2, 2).map(float)))
    )


@st.composite
def firing_tables(
    draw: st.DrawFn, max_samples: int = 30, max_latents: int = 4
) -> tuple[Tensor, Tensor]:
    """Two bool tables of the same samples, silent and ever-firing latents included."""
    n = draw(st.integers(1, max_samples))

    def table() -> Tensor:
        shape = (n, draw(st.integers(1, max_latents)))
        return torch.from_numpy(draw(hnp.arrays(np.bool_, shape)))

    return table(), table()
