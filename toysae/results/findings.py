"""Findings: a claim, the statistic that tests it, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from toysae.metrics.uncertainty import Interval


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


@dataclass(frozen=True)
class Rule:
    """A verdict rule, fixed before looking.

    Attributes:
        text: the rule in words.
        judge: verdict from an estimate and the bounds of its interval.
    """

    text: str
    judge: Callable[[float, float, float], Verdict]


def at_least(threshold: float) -> Rule:
    """Reproduced if the whole interval is at or above `threshold`, refuted if it is below."""

    def judge(value: float, low: float, high: float) -> Verdict:
        low, high = _bounds(value, low, high)
        if low >= threshold:
            return Verdict.REPRODUCED
        return Verdict.REFUTED if high < threshold else Verdict.INCONCLUSIVE

    return Rule(f"interval at least {threshold:g}", judge)


def at_most(threshold: float) -> Rule:
    """Reproduced if the whole interval is at or below `threshold`, refuted if it is above."""

    def judge(value: float, low: float, high: float) -> Verdict:
        low, high = _bounds(value, low, high)
        if high <= threshold:
            return Verdict.REPRODUCED
        return Verdict.REFUTED if low > threshold else Verdict.INCONCLUSIVE

    return Rule(f"interval at most {threshold:g}", judge)


def close_to(target: float, tolerance: float) -> Rule:
    """Reproduced if the whole interval is within `tolerance` of `target`, refuted if none is."""

    def judge(value: float, low: float, high: float) -> Verdict:
        low, high = _bounds(value, low, high)
        if target - tolerance <= low and high <= target + tolerance:
            return Verdict.REPRODUCED
        outside = high < target - tolerance or low > target + tolerance
        return Verdict.REFUTED if outside else Verdict.INCONCLUSIVE

    return Rule(f"interval within {tolerance:g} of {target:.4g}", judge)


def mean_at_least(threshold: float) -> Rule:
    """Reproduced if the estimate itself reaches `threshold`: for bars, not for claims."""

    def judge(value: float, low: float, high: float) -> Verdict:
        if math.isnan(value):
            return Verdict.INCONCLUSIVE
        return Verdict.REPRODUCED if value >= threshold else Verdict.REFUTED

    return Rule(f"mean at least {threshold:g}", judge)


def finding(
    claim: str,
    source: str,
    statistic: str,
    interval: Interval,
    rule: Rule,
    *,
    null: float = math.nan,
    note: str = "",
) -> Finding:
    """Judge a statistic by a rule."""
    return Finding(
        claim,
        source,
        statistic,
        interval.mean,
        (interval.low, interval.high),
        null,
        rule.text,
        rule.judge(interval.mean, interval.low, interval.high),
        note,
    )


def _bounds(value: float, low: float, high: float) -> tuple[float, float]:
    """The interval, or the value alone where there is no interval; NaN compares as false."""
    return (value if math.isnan(low) else low), (value if math.isnan(high) else high)
