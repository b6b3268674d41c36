from __future__ import annotations

import math

import pytest

from toysae.checks import check_at_least, check_choice, check_interval, check_positive
from toysae.errors import ConfigError


def test_bounds_belong_to_what_is_allowed():
    check_at_least("k", 2, 2)
    check_interval("k", 0.0, 0, 1)
    check_interval("k", 1.0, 0, 1)
    check_positive("k", 1e-300)
    check_choice("k", "a", ("a", "b"))


@pytest.mark.parametrize("value", [1.999, -math.inf, math.nan])
def test_too_small(value):
    with pytest.raises(ConfigError, match=r"^sae.k = .*: must be at least 2$"):
        check_at_least("sae.k", value, 2)


@pytest.mark.parametrize("value", [0, -1.0, math.nan])
def test_not_positive(value):
    with pytest.raises(ConfigError, match=r"^sae.k = .*: must be greater than 0$"):
        check_positive("sae.k", value)


@pytest.mark.parametrize("value", [-1e-9, 1.001, math.nan, math.inf])
def test_outside_an_interval(value):
    with pytest.raises(ConfigError, match=r"^sae.k = .*: must lie in \[0, 1\]$"):
        check_interval("sae.k", value, 0, 1)


def test_unknown_choice_lists_the_known_ones_in_order():
    with pytest.raises(ConfigError, match=r"^sae.k = 'c': must be one of a, b$"):
        check_choice("sae.k", "c", ("b", "a"))


@pytest.mark.parametrize(
    "check", [lambda x: check_at_least("k", x, 0), lambda x: check_positive("k", x)]
)
def test_infinity_is_no_value(check):
    with pytest.raises(ConfigError, match=r"^k = inf: must be finite$"):
        check(math.inf)
