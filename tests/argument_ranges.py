"""How tests say which numbers an argument may be: the ends of its range, and what is beyond."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

BELOW_0, ABOVE_0 = -5e-324, 5e-324
BELOW_1, ABOVE_1 = math.nextafter(1, 0), math.nextafter(1, 2)
FROM_0_TO_1, BEYOND_0_TO_1 = (0.0, 0.5, 1.0), (BELOW_0, ABOVE_1, math.nan)
INSIDE_0_1, OUTSIDE_0_1 = (1e-9, 1 - 1e-9), (0.0, 1.0, -0.5, 1.5, math.nan)

Call = Callable[[Any], object]
Values = tuple[Any, ...]
Arguments = dict[str, tuple[Call, Values, Values]]
"""Of each argument a call with a value of it, values that are taken and some that are refused."""


def taken(arguments: Arguments) -> pytest.MarkDecorator:
    """Runs a test with `call` and `value` for all values that are taken."""
    return _each({name: (call, good) for name, (call, good, _) in arguments.items()})


def refused(arguments: Arguments) -> pytest.MarkDecorator:
    """Runs a test with `call` and `value` for all values that are refused."""
    return _each({name: (call, bad) for name, (call, _, bad) in arguments.items()})


def _each(calls: dict[str, tuple[Call, Values]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("call", "value"),
        [
            pytest.param(call, value, id=f"{name}={value}")
            for name, (call, values) in calls.items()
            for value in values
        ],
    )
