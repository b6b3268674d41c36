"""Selecting and averaging rows of a table that is held as a list of mappings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from toysae.metrics.uncertainty import Interval, seed_interval
from toysae.results.files import Row


def select(rows: Sequence[Row], **conditions: Any) -> list[Row]:
    """Rows whose columns equal the given values; numbers are compared up to rounding."""
    return [row for row in rows if all(_equal(row[k], v) for k, v in conditions.items())]


def per_seed(rows: Sequence[Row], value: str | Callable[[Row], float]) -> dict[int, float]:
    """Mean of a column (or of a function of the row) over the rows of each seed, NaN left out."""
    values: dict[int, list[float]] = {}
    for row in rows:
        number = float(row[value]) if isinstance(value, str) else float(value(row))
        values.setdefault(row["seed"], []).append(number)
    return {seed: _mean(numbers) for seed, numbers in sorted(values.items())}


def interval_over_seeds(rows: Sequence[Row], value: str | Callable[[Row], float]) -> Interval:
    """95 % interval (Student) of the mean over seeds of the per-seed means; NaN seeds left out."""
    values = [v for v in per_seed(rows, value).values() if not math.isnan(v)]
    return seed_interval(values)


def share_over_seeds(rows: Sequence[Row], value: str | Callable[[Row], float]) -> Interval:
    """As `interval_over_seeds`, of a share: the bounds are cut to [0, 1]."""
    interval = interval_over_seeds(rows, value)
    low, high = (min(max(bound, 0.0), 1.0) for bound in (interval.low, interval.high))
    if math.isnan(interval.low):
        return interval
    return replace(interval, low=low, high=high)


def _mean(numbers: Sequence[float]) -> float:
    defined = [number for number in numbers if not math.isnan(number)]
    return sum(defined) / len(defined) if defined else math.nan


def _equal(a: Any, b: Any) -> bool:
    numbers = isinstance(a, int | float) and isinstance(b, int | float)
    if numbers and (isinstance(a, float) or isinstance(b, float)):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    return bool(a == b)
