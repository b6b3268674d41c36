"""Findings: a claim, the statistic that tests it, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What a statistic says about a claim."""

    REPRODUCED = "reproduced"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Finding:
    """One checkable claim and its answer.

    Attributes:
        claim: one sentence, as its source would put it.
        source: who claimed it, where.
        statistic: what was measured, in words.
        value: the measured number; NaN where it is undefined.
        interval: 95 % interval over seeds, NaN where there is none.
        null: value of the statistic by chance, NaN where that makes no sense.
        threshold: the rule, in words, fixed before looking.
        verdict: what follows.
        note: what a reader must know beside it.
    """

    claim: str
    source: str
    statistic: str
    value: float
    interval: tuple[float, float]
    null: float
    threshold: str
    verdict: Verdict
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "verdict": str(self.verdict)}


def at_least(threshold: float) -> Callable[[float, float, float], Verdict]:
    """Reproduced if the whole interval is at or above `threshold`, refuted if it is below."""

    def judge(value: float, low: float, high: float) -> Verdict:
        low, high = _bounds(value, low, high)
        if low >= threshold:
            return Verdict.REPRODUCED
        return Verdict.REFUTED if high < threshold else Verdict.INCONCLUSIVE

    return judge


def at_most(threshold: float) -> Callable[[float, float, float], Verdict]:
    """Reproduced if the whole interval is at or below `threshold`, refuted if it is above."""

    def judge(value: float, low: float, high: float) -> Verdict:
        low, high = _bounds(value, low, high)
        if high <= threshold:
            return Verdict.REPRODUCED
        return Verdict.REFUTED if low > threshold else Verdict.INCONCLUSIVE

    return judge


def close_to(target: float, tolerance: float) -> Callable[[float, float, float], Verdict]:
    """Reproduced if the whole interval is within `tolerance` of `target`, refuted if none is."""

    def judge(value: float, low: float, high: float) -> Verdict:
        low, high = _bounds(value, low, high)
        if target - tolerance <= low and high <= target + tolerance:
            return Verdict.REPRODUCED
        outside = high < target - tolerance or low > target + tolerance
        return Verdict.REFUTED if outside else Verdict.INCONCLUSIVE

    return judge


def _bounds(value: float, low: float, high: float) -> tuple[float, float]:
    """The interval, or the value alone where there is no interval; NaN compares as false."""
    return (value if math.isnan(low) else low), (value if math.isnan(high) else high)
