"""How much of a computation in several stages is done."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from toysae.metrics._progress import Report

_PARTS = 1000


class Work:
    """Turns shares of stages into thousandths of the whole, and tells them to whoever asked."""

    def __init__(
        self,
        weights: Mapping[str, float],
        report: Report | None,
        repeats: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """`weights` of the stages; one that is done several times has the weight of all of them."""
        total = sum(weights.values())
        self._weights = {name: weight / total for name, weight in weights.items()}
        self._report, self._repeats = report, repeats
        self._done = 0.0

    def add(self, stage: str, share: float) -> None:
        """Another `share` of a stage is done."""
        self._done += share * self._weights[stage] / self._repeats.get(stage, 1)
        if self._report is not None:
            self._report(round(self._done * _PARTS), _PARTS)

    def part(self, share: float) -> Work:
        """For one of several things that stages are done to: what it adds counts for `share`."""
        return _Part(self, share)


class _Part(Work):
    def __init__(self, whole: Work, share: float) -> None:
        self._whole, self._share = whole, share

    def add(self, stage: str, share: float) -> None:
        self._whole.add(stage, share * self._share)
