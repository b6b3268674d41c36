from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toysae.metrics.uncertainty import Interval, seed_interval
from toysae.results.findings import Verdict, at_least, at_most, close_to, finding, mean_at_least

NAN = math.nan
REPRODUCED, REFUTED, INCONCLUSIVE = Verdict.REPRODUCED, Verdict.REFUTED, Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("rule", "low", "high", "verdict"),
    [
        (at_least(0.9), 0.95, 0.99, REPRODUCED),
        (at_least(0.9), 0.9, 0.99, REPRODUCED),
        (at_least(0.9), 0.5, 0.8999, REFUTED),
        (at_least(0.9), 0.5, 0.9, INCONCLUSIVE),
        (at_least(0.9), 0.85, 0.95, INCONCLUSIVE),
        (at_most(0.1), 0.0, 0.05, REPRODUCED),
        (at_most(0.1), 0.0, 0.1, REPRODUCED),
        (at_most(0.1), 0.1001, 0.3, REFUTED),
        (at_most(0.1), 0.1, 0.3, INCONCLUSIVE),
        (at_most(0.1), 0.05, 0.15, INCONCLUSIVE),
        (close_to(0.5, 0.25), 0.25, 0.75, REPRODUCED),
        (close_to(0.5, 0.25), 0.3, 0.4, REPRODUCED),
        (close_to(0.5, 0.25), 0.0, 0.2, REFUTED),
        (close_to(0.5, 0.25), 0.8, 0.9, REFUTED),
        (close_to(0.5, 0.25), 0.2, 0.4, INCONCLUSIVE),
        (close_to(0.5, 0.25), 0.6, 0.9, INCONCLUSIVE),
        (close_to(0.5, 0.25), 0.0, 1.0, INCONCLUSIVE),
    ],
)
def test_verdict_of_an_interval(rule, low, high, verdict):
    assert rule.judge((low + high) / 2, low, high) is verdict


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.9, REPRODUCED), (0.89, REFUTED), (NAN, INCONCLUSIVE)]
)
def test_bar_for_the_mean_ignores_the_interval(value, verdict):
    assert mean_at_least(0.9).judge(value, 0.0, 1.0) is verdict
    assert mean_at_least(0.9).judge(value, NAN, NAN) is verdict


RULES = [at_least(0.5), at_most(0.5), close_to(0.5, 0.1), mean_at_least(0.5)]


@pytest.mark.parametrize("rule", RULES)
def test_what_is_undefined_is_inconclusive(rule):
    assert rule.judge(NAN, NAN, NAN) is INCONCLUSIVE


@pytest.mark.parametrize(
    ("rule", "value", "verdict"),
    [
        (at_least(0.5), 0.6, REPRODUCED),
        (at_least(0.5), 0.4, REFUTED),
        (at_most(0.5), 0.4, REPRODUCED),
        (at_most(0.5), 0.6, REFUTED),
        (close_to(0.5, 0.25), 0.6, REPRODUCED),
        (close_to(0.5, 0.25), 0.8, REFUTED),
    ],
)
def test_exact_value_without_interval_is_judged_itself(rule, value, verdict):
    assert rule.judge(value, NAN, NAN) is verdict


@given(st.tuples(st.floats(-1, 1), st.floats(-1, 1)).map(sorted), st.floats(-1, 1))
def test_wider_intervals_never_decide_more(bounds, threshold):
    low, high = bounds
    for rule in (at_least(threshold), at_most(threshold), close_to(threshold, 0.2)):
        wide = rule.judge(0.0, low - 0.1, high + 0.1)
        assert wide in (rule.judge(0.0, low, high), INCONCLUSIVE)


def test_rules_say_themselves_in_words():
    assert [rule.text for rule in RULES] == [
        "interval at least 0.5", "interval at most 0.5", "interval within 0.1 of 0.5",
        "mean at least 0.5",
    ]  # fmt: skip


def test_finding_carries_what_it_was_judged_by():
    interval = seed_interval([0.95, 0.96, 0.97])
    made = finding("Found", "Anders 2024", "share", interval, at_least(0.9), null=0.25, note="of 3")
    assert made.verdict is REPRODUCED
    assert made.value == pytest.approx(0.96)
    assert made.interval == (interval.low, interval.high)
    assert (made.threshold, made.null, made.note) == ("interval at least 0.9", 0.25, "of 3")
    plain = made.to_dict()
    assert plain["verdict"] == "reproduced"
    assert json.loads(json.dumps(plain))["claim"] == "Found"


def test_finding_without_seeds_is_inconclusive():
    nothing = Interval(NAN, NAN, NAN, 0, "student", 0.95)
    made = finding("Found", "us", "share", nothing, at_least(0.9))
    assert made.verdict is INCONCLUSIVE
    assert math.isnan(made.null)
