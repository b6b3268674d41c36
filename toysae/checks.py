"""Range checks for configuration values, with messages that name the key and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from toysae.errors import ConfigError


def check_at_least(key: str, value: float, low: float) -> None:
    """Raise `ConfigError` unless `value >= low` and finite."""
    if not value >= low:
        raise ConfigError(f"{key} = {value}: must be at least {low}")
    _check_finite(key, value)


def check_positive(key: str, value: float) -> None:
    """Raise `ConfigError` unless `value > 0` and finite."""
    if not value > 0:
        raise ConfigError(f"{key} = {value}: must be greater than 0")
    _check_finite(key, value)


def check_interval(key: str, value: float, low: float, high: float) -> None:
    """Raise `ConfigError` unless `low <= value <= high`."""
    if not low <= value <= high:
        raise ConfigError(f"{key} = {value}: must lie in [{low}, {high}]")


def check_choice(key: str, value: str, choices: Sequence[str]) -> None:
    """Raise `ConfigError` unless `value` is one of `choices`."""
    if value not in choices:
        raise ConfigError(f"{key} = {value!r}: must be one of {', '.join(sorted(choices))}")


def _check_finite(key: str, value: float) -> None:
    if math.isinf(value):
        raise ConfigError(f"{key} = {value}: must be finite")
