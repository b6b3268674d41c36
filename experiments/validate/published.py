"""Published numbers, and whether they are found again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

from experiments.validate.replicates import column, pair_values
from toysae.errors import ConfigError
from toysae.metrics.uncertainty import Interval, jackknife_over_seeds, seed_interval
from toysae.results.files import Row
from toysae.results.findings import Finding, Verdict


@dataclass(frozen=True)
class Published:
    """A published range of a statistic.

    Attributes:
        claim: one sentence.
        source: where it was published.
        saes: pattern of the names of the SAEs it is about, such as `topk_*`; a pair counts where
            both names fit.
        statistic: a column of `pairs.csv` or of `saes.csv`.
        low: smallest published value.
        high: largest published value.
        digits: decimals that were published; values are rounded to them before they are compared.
        chance: the column that holds the chance level, or "".
        note: what a reader must know beside it.
    """

    claim: str
    source: str
    saes: str
    statistic: str
    low: float
    high: float
    digits: int
    chance: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ConfigError(
                f"real.published: {self.claim!r} has low = {self.low} and high = {self.high}; must "
                "have low <= high"
            )


def findings_for(
    published: Sequence[Published], pair_rows: Sequence[Row], sae_rows: Sequence[Row]
) -> list[Finding]:
    """Hold what was measured against what was published.

    Statistics that were not measured, such as those of activations where there are none, and SAEs
    that are not there give no finding.
    """
    findings = []
    for claim in published:
        pairs = [row for row in pair_rows if _fits(claim, row, "a", "b")]
        saes = [row for row in sae_rows if _fits(claim, row, "sae")]
        if pairs:
            values = pair_values(pairs, claim.statistic)
            interval = jackknife_over_seeds(values)
            findings.append(_finding(claim, list(values.values()), interval, pairs, "pairs"))
        elif saes:
            measured = column(saes, claim.statistic)
            findings.append(_finding(claim, measured, seed_interval(measured), saes, "SAEs"))
    return findings


def _finding(
    claim: Published, values: Sequence[float], interval: Interval, rows: Sequence[Row], unit: str
) -> Finding:
    chances = column(rows, claim.chance) if claim.chance else [math.nan]
    span = f"{min(values):.{claim.digits}f} to {max(values):.{claim.digits}f}"
    low, high = (f"{bound:.{claim.digits}f}" for bound in (claim.low, claim.high))
    rule = f"every value from {low} to {high}, rounded to {claim.digits} digits"
    return Finding(
        claim=claim.claim,
        source=claim.source,
        statistic=f"mean {claim.statistic} over {len(values)} {unit} of {claim.saes}",
        value=interval.mean,
        interval=(interval.low, interval.high),
        null=sum(chances) / len(chances),
        threshold=rule,
        verdict=_verdict(claim, values),
        note=f"smallest to largest {span}{'; ' if claim.note else ''}{claim.note}",
    )


def _fits(claim: Published, row: Row, *names: str) -> bool:
    return claim.statistic in row and all(
        name in row and fnmatch(str(row[name]), claim.saes) for name in names
    )


def _verdict(claim: Published, values: Sequence[float]) -> Verdict:
    """Reproduced if every value is in the published range, refuted if none is."""
    inside = [claim.low <= round(value, claim.digits) <= claim.high for value in values]
    if any(math.isnan(value) for value in values):
        return Verdict.INCONCLUSIVE
    if all(inside):
        return Verdict.REPRODUCED
    return Verdict.INCONCLUSIVE if any(inside) else Verdict.REFUTED
