from __future__ import annotations

import math

import pytest

from toysae.results.measurements import Measurement
from toysae.runs.report import summarise


def of(*summaries):
    return summarise([Measurement(summary, [], []) for summary in summaries])


def test_mean_and_student_interval_over_seeds():
    # sd of (1, 2, 3) is 1, t_2(0.975) = 4.302653: half width 4.302653 / sqrt(3) = 2.484138.
    entry = of({"l0": 1.0}, {"l0": 2.0}, {"l0": 3.0})["l0"]
    assert entry["mean"] == 2
    assert entry["low"] == pytest.approx(2 - 2.484138, abs=1e-5)
    assert entry["high"] == pytest.approx(2 + 2.484138, abs=1e-5)
    assert (entry["seeds"], entry["undefined"]) == (3, 0)


def test_undefined_seeds_leave_no_mean_but_a_count():
    entry = of({"angle": 1.0}, {"angle": math.nan}, {"angle": math.nan})["angle"]
    assert all(math.isnan(entry[part]) for part in ("mean", "low", "high"))
    assert (entry["seeds"], entry["undefined"]) == (3, 2)


def test_chance_level_stands_in_the_entry_of_its_number():
    metrics = of({"cosine": 0.9, "cosine_chance": 0.5}, {"cosine": 0.7, "cosine_chance": 0.6})
    assert list(metrics) == ["cosine"]
    assert metrics["cosine"]["mean"] == pytest.approx(0.8)
    assert metrics["cosine"]["chance"] == pytest.approx(0.55)
