"""Every public metric with its range, orientation and invariances.

After scikit-learn's common tests of metrics: what is stated here is checked for all of them by one
test, and a public function that is not listed fails it.
"""

from __future__ import annotations

from toysae.metrics._metric import INVARIANCES, Metric
from toysae.metrics._sample_metrics import SAMPLE_METRICS
from toysae.metrics._vector_metrics import VECTOR_METRICS

__all__ = ["INVARIANCES", "METRICS", "Metric"]

METRICS: tuple[Metric, ...] = VECTOR_METRICS + SAMPLE_METRICS
"""All metrics."""
