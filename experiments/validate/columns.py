"""Which columns a reader sees, under which headings, in which order: heading `->` column."""

from __future__ import annotations

from collections.abc import Sequence

from toysae.results.files import Row

SAES = {
    "SAE": "sae",
    "family": "family",
    "hook": "hook",
    "seed": "seed",
    "latents": "n_latents",
    "zero rows": "zero_rows",
    "nearest own": "within_max_cosine",
    "own encoder": "encoder_decoder_cosine",
}
FIRING = {
    "SAE": "sae",
    "explained variance": "explained_variance",
    "L0": "l0",
    "dead": "dead",
    "dense": "dense",
    "median density": "median_density",
    "fire often enough": "surviving",
}
COLLINEARITY = {
    "SAE": "sae",
    "latents": "vif_latents",
    "VIF 5 %": "vif_q05",
    "median": "vif_q50",
    "95 %": "vif_q95",
    "largest": "vif_max",
    "above 10": "vif_above_10",
    "identifiable": "identifiable",
    "largest condition index": "largest_condition_index",
}
DIRECTED = {
    "mean": "{}",
    "chance": "{}_chance",
    "corrected": "{}_corrected",
    "5 %": "{}_q05",
    "median": "{}_q50",
    "95 %": "{}_q95",
}
ONE_TO_ONE = {
    "A": "a",
    "B": "b",
    "matched": "hungarian_matched",
    "Hungarian": "hungarian",
    "chance": "hungarian_chance",
    "mutual": "mutual_nearest",
    "chance, mutual": "mutual_nearest_chance",
    "coverage A": "coverage_a",
    "coverage B": "coverage_b",
    "most votes": "most_votes_b",
}
MATCHINGS = {
    "A": "a",
    "B": "b",
    "same partner": "matchings_agree",
    "chance": "matchings_agree_chance",
    "shared A": "shared_a",
    "shared B": "shared_b",
    "chance, shared": "shared_chance",
    "encoder": "encoder_hungarian_matched",
    "encoder at match": "encoder_at_decoder_match",
}
JACCARD = {
    "A": "a",
    "B": "b",
    "A→B": "jaccard_a_to_b",
    "B→A": "jaccard_b_to_a",
    "chance A→B": "jaccard_a_to_b_chance",
    "at match": "jaccard_at_match_mean",
    "median": "jaccard_at_match_median",
    "chance": "jaccard_at_match_chance",
    "r": "jaccard_cosine_correlation",
    "left A": "jaccard_surviving_a",
    "left B": "jaccard_surviving_b",
}
REPLICATES = {
    "seeds of": "replicates",
    "statistic": "statistic",
    "mean": "mean",
    "low": "low",
    "high": "high",
    "smallest pair": "smallest",
    "largest pair": "largest",
    "chance": "chance",
    "seeds": "seeds",
    "pairs": "pairs",
}


def directed(rows: Sequence[Row], thresholds: Sequence[float]) -> list[Row]:
    """Two rows a pair: the latents of A in B, and of B in A."""
    columns = DIRECTED | {f"> {t:g}": f"{{}}_above_{t:g}" for t in thresholds}
    return [
        {"of": row[of], "in": row[among]} | {n: row[key.format(way)] for n, key in columns.items()}
        for row in rows
        for of, among, way in (("a", "b", "a_to_b"), ("b", "a", "b_to_a"))
    ]
