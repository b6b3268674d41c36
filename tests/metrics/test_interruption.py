"""Whoever is told how far the work is may end it, at any call: at once, leaving nothing behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from toysae.metrics import dictionary
from toysae.metrics.absorption import absorption, saebench_absorption
from toysae.metrics.board import auroc_coverage
from toysae.metrics.detection import best_detection
from toysae.metrics.matching_keys import matching_keys
from toysae.metrics.ranking import ranking, ranking_table
from toysae.metrics.recovery import joint_recovery
from toysae.metrics.splitting import splitting
from toysae.metrics.stability import pairwise_agreement

from .draw import normal

LARGE = normal(0, 2049, 3), normal(1, 2050, 3)
LARGER_THAN_A_TABLE = LARGE[0][:1050], LARGE[1][:1050]
E4 = torch.eye(4, dtype=torch.float64)
CODES = normal(2, 30, 4).clamp(min=0)
PAIRS = [(0, 1), (2, 3)]
MANY = torch.arange(600) % 4

LONG: dict[str, Callable[..., Any]] = {
    "max_cosine": partial(dictionary.max_cosine, *LARGE),
    "max_abs_cosine": partial(dictionary.max_abs_cosine, *LARGE),
    "mutual_nearest": partial(dictionary.mutual_nearest, *LARGE),
    "hungarian": partial(dictionary.hungarian, *LARGER_THAN_A_TABLE),
    "hungarian_abs": partial(dictionary.hungarian_abs, *LARGER_THAN_A_TABLE),
    "soft_matching_sinkhorn": partial(
        dictionary.soft_matching_sinkhorn, normal(3, 20, 3), normal(4, 30, 3)
    ),
    "pairwise_agreement": partial(pairwise_agreement, [E4, -E4, E4.flip(0)]),
    "ranking": partial(ranking, CODES, CODES, MANY, MANY.flip(0)),
    "ranking_table": partial(ranking_table, CODES, CODES[:, MANY]),
    "auroc_coverage": partial(auroc_coverage, CODES, CODES[:, MANY]),
    "best_detection": partial(best_detection, CODES, CODES, block=1),
    "joint_recovery": partial(joint_recovery, E4, E4, CODES, CODES, block=1),
    "matching_keys": partial(matching_keys, E4, E4, CODES, CODES, block=1),
    "splitting": partial(splitting, CODES, CODES),
    "absorption": partial(absorption, CODES, CODES, E4, E4, PAIRS),
    "saebench_absorption": partial(saebench_absorption, CODES, CODES, E4, E4, CODES, PAIRS),
}


class Interrupted:
    """Raises at a call, and counts all."""

    def __init__(self, at: int) -> None:
        self.at, self.calls = at, 0

    def __call__(self, done: int, total: int) -> None:
        self.calls += 1
        assert 0 <= done <= total
        if self.calls == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", LONG)
def test_at_any_call(name: str) -> None:
    to_the_end = Interrupted(at=0)
    LONG[name](report=to_the_end)
    assert to_the_end.calls >= 2
    threads, of_torch = threading.active_count(), torch.get_num_threads()
    calls = range(1, to_the_end.calls + 1)
    for at in {*calls[:3], *calls[:: max(1, len(calls) // 4)], *calls[-2:]}:
        report = Interrupted(at)
        with pytest.raises(KeyboardInterrupt):
            LONG[name](report=report)
        assert report.calls == at
        assert (threading.active_count(), torch.get_num_threads()) == (threads, of_torch)
