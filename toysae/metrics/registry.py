"""Every public metric with its range, orientation and invariances.

After scikit-learn's common tests of metrics: what is stated here is checked for all of them by one
test, and a public function that is not listed fails it.
"""

from __future__ import annotations

from collections.abc import Mapping

from toysae.metrics import records
from toysae.metrics._metric import INVARIANCES, Metric, sections

__all__ = ["INVARIANCES", "METRICS", "SECTIONS", "Metric"]

SECTIONS: Mapping[str, tuple[Metric, ...]] = sections(records)
"""The metrics of each public module of `toysae.metrics`, by its name."""

METRICS: tuple[Metric, ...] = tuple(metric for section in SECTIONS.values() for metric in section)
"""All metrics."""
