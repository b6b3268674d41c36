from __future__ import annotations

import math

import pytest
import torch

from toysae.errors import DataError, ShapeError
from toysae.metrics.groups import GroupSummary, by_group

from .draw import tensor


def test_golden_the_mean_hides_the_few() -> None:
    cosine = tensor([0.998] * 6 + [0.7071] * 2)
    summaries = by_group(cosine, {"all": range(8), "background": range(6), "island": [6, 7]})
    assert list(summaries) == ["all", "background", "island"]
    assert summaries["all"].mean == pytest.approx(0.925275)
    assert summaries["background"].mean == pytest.approx(0.998)
    assert summaries["island"].mean == pytest.approx(0.7071)


def test_golden_a_few_in_a_hundred() -> None:
    cosine = tensor([0.99] * 90 + [0.5**0.5] * 10)
    summaries = by_group(cosine, {"all": range(100), "island": range(90, 100)})
    assert summaries["all"].mean == pytest.approx(0.961711, abs=1e-6)
    assert summaries["island"].mean == pytest.approx(0.707107, abs=1e-6)


def test_undefined_values_are_counted_and_left_out() -> None:
    summaries = by_group(tensor([1, math.nan, 3]), {"x": [0, 1], "y": [1], "empty": []})
    assert summaries["x"] == GroupSummary(1.0, 1, 2)
    assert math.isnan(summaries["y"].mean)
    assert (summaries["y"].n_defined, summaries["y"].n_total) == (0, 1)
    assert math.isnan(summaries["empty"].mean)
    assert summaries["empty"].n_total == 0


def test_labels_give_shares() -> None:
    labels = torch.tensor([True, False, True, True])
    assert by_group(labels, {"x": [0, 1]})["x"].mean == 0.5


def test_bad_input_is_refused() -> None:
    with pytest.raises(ShapeError, match="'x' names item 3"):
        by_group(torch.ones(3), {"x": [0, 3]})
    with pytest.raises(ShapeError, match="lowest -1"):
        by_group(torch.ones(3), {"x": [-1]})
    with pytest.raises(ShapeError, match="one value an item"):
        by_group(torch.ones(3, 1), {"x": [0]})
    with pytest.raises(DataError, match="infinite"):
        by_group(tensor([math.inf]), {"x": [0]})
