"""How long a call takes, and how much memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.metrics._peak import PeakMemory

_HEIGHT, _WIDTH = 512, 2048


class Cost(NamedTuple):
    """What a call cost."""

    seconds: float
    """On the clock."""
    cpu_seconds: float
    """Of all threads."""
    gigabytes: float
    """Memory above what was held before."""


def cost(call: Callable[[], Any]) -> tuple[Any, Cost]:
    """The result of a call and what it cost."""
    with PeakMemory() as peak:
        wall, cpu = time.perf_counter(), time.process_time()
        result = call()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return result, Cost(wall, cpu, peak.gigabytes)


def bare_product(a: Tensor, b: Tensor) -> None:
    """`a b^T` in float32 in blocks that stay in the cache, each thrown away."""
    for product in _products(a, b):
        del product


def _products(a: Tensor, b: Tensor) -> Iterator[Tensor]:
    buffer = torch.empty(_HEIGHT * _WIDTH)
    for ours in a.split(_HEIGHT):
        for theirs in b.split(_WIDTH):
            block = buffer[: len(ours) * len(theirs)].view(len(ours), len(theirs))
            yield torch.mm(ours, theirs.T, out=block)
