"""Means over pairs of seeds, with intervals whose unit is the seed and not the pair."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from toysae.metrics.uncertainty import Interval
from toysae.results.files import Row

CONFIDENCE = 0.95

#: Columns of `pairs.csv` that are summarised, with the column of their chance level.
PAIR_STATISTICS = {
    "max_cosine": "a_to_b_chance",
    "hungarian": "hungarian_chance",
    "mutual_nearest": "mutual_nearest_chance",
    "matchings_agree": "matchings_agree_chance",
    "shared_a": "shared_chance",
    "jaccard_a_to_b": "jaccard_a_to_b_chance",
    "jaccard_at_match_mean": "jaccard_at_match_chance",
}


def jackknife_over_seeds(
    values: Mapping[tuple[str, str], float], confidence: float = CONFIDENCE
) -> Interval:
    """Mean over pairs of seeds, with an interval from leaving out one seed at a time.

    Pairs that share a seed depend on each other, so `n (n - 1) / 2` pairs are not that many
    observations. With `t_i` the mean over pairs without seed `i`, the standard error is
    `sqrt((n - 1) / n sum (t_i - mean t)^2)`, and the interval is Student's with `n - 1` degrees.

    Args:
        values: one number for each pair of seeds; NaN makes the result NaN.
        confidence: coverage.

    Returns:
        The interval, `n` being the number of seeds; NaN bounds where no pair is left without some
        seed, as for fewer than three seeds.

    Source: Arvesen 1969, "Jackknifing U-statistics".
    """
    seeds = sorted({seed for pair in values for seed in pair})
    n = len(seeds)
    mean = float(np.mean(list(values.values()))) if values else math.nan
    half = math.nan
    without = [[v for pair, v in values.items() if seed not in pair] for seed in seeds]
    if n > 2 and all(without):
        means = np.array([np.mean(left) for left in without])
        error = math.sqrt((n - 1) / n * float(((means - means.mean()) ** 2).sum()))
        half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * error
    return Interval(mean, mean - half, mean + half, n, "jackknife over seeds", confidence)


def replicate_rows(pair_rows: Sequence[Row]) -> list[Row]:
    """One row for each set of replicates and each statistic of `PAIR_STATISTICS`."""
    rows: list[Row] = []
    for name in dict.fromkeys(str(row["replicates"]) for row in pair_rows if row["replicates"]):
        members = [row for row in pair_rows if row["replicates"] == name]
        for statistic, chance in PAIR_STATISTICS.items():
            if statistic not in members[0]:
                continue
            interval = jackknife_over_seeds(pair_values(members, statistic))
            values = column(members, statistic)
            rows.append(
                {
                    "replicates": name,
                    "statistic": statistic,
                    "mean": interval.mean,
                    "low": interval.low,
                    "high": interval.high,
                    "smallest": min(values),
                    "largest": max(values),
                    "chance": float(np.mean(column(members, chance))),
                    "seeds": interval.n,
                    "pairs": len(members),
                }
            )
    return rows


def pair_values(rows: Sequence[Row], name: str) -> dict[tuple[str, str], float]:
    """A column of `pairs.csv` by the names of the two SAEs."""
    return dict(zip([(str(row["a"]), str(row["b"])) for row in rows], column(rows, name)))


def column(rows: Sequence[Row], name: str) -> list[float]:
    """A column of numbers."""
    return [float(row[name]) for row in rows]
