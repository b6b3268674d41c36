"""How much of a computation in several stages is done."""

from __future__ import annotations

from collections.abc import Mapping

from toysae.metrics._progress import Report

_PARTS = 1000


class Work:
    """Turns shares of stages into thousandths of the whole, and tells them to whoever asked."""

    def __init__(self, weights: Mapping[str, float], report: Report | None) -> None:
        total = sum(weights.values())
        self._weights = {name: weight / total for name, weight in weights.items()}
        self._report = report
        self._done = 0.0

    def add(self, stage: str, share: float) -> None:
        """Another `share` of a stage is done."""
        self._done += share * self._weights[stage]
        if self._report is not None:
            self._report(min(round(self._done * _PARTS), _PARTS), _PARTS)
