"""How much of a computation in several stages is done."""

from __future__ import annotations

from collections.abc import Mapping

from toysae.metrics._progress import Report

_PARTS = 1000


class Work:
    """Turns shares of stages into thousandths of the whole, and tells them to whoever asked."""

    def __init__(
        self,
        costs: Mapping[str, float],
        report: Report | None,
        rounds: Mapping[str, int] | None = None,
    ) -> None:
        """`costs` of one round of each stage, and how many `rounds` there are: one each if None."""
        rounds = dict.fromkeys(costs, 1) if rounds is None else rounds
        total = sum(costs[stage] * n for stage, n in rounds.items())
        self._shares = {stage: costs[stage] / total for stage in rounds}
        self._report = report
        self._done = 0.0

    def add(self, stage: str, share: float) -> None:
        """Another `share` of a round of a stage is done."""
        self._done += share * self._shares[stage]
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
