"""Means over pairs of seeds, with intervals whose unit is the seed and not the pair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toysae.metrics.uncertainty import jackknife_over_seeds
from toysae.results.files import Row

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
