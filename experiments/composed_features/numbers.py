"""The report's tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments.composed_features.config import StudyConfig
from experiments.composed_features.runs import ONE_HOT_LAW
from experiments.composed_features.selection import reference, width_runs
from experiments.composed_features.study import StudyResult
from toysae.report.numbers import with_interval
from toysae.report.page import Report
from toysae.results.files import Row
from toysae.results.rows import interval_over_seeds, select, share_over_seeds


def add_tables(page: Report, study: StudyConfig, result: StudyResult) -> None:
    """The data, the reference cell and the width of the dictionary in numbers."""
    page.section("Numbers")
    page.table(
        [_world_row(study, result, law, q, boost) for law, q, boost in _plane_worlds(study)],
        "The data in the plane: means over seeds; eigenvalues with their sampling intervals",
    )
    page.table(
        [
            {"protocol": protocol, "features": geometry, "amplitudes": law, "one-hot": q, **summary}
            for protocol, settings in study.protocols.items()
            for geometry in settings.geometries
            for q in study.grid.one_hot
            for law in (study.laws if q < 1 else (ONE_HOT_LAW,))
            for summary in [
                _summary(reference(study, result.runs, protocol, geometry, law=law, one_hot=q))
            ]
        ],
        "Reference cell: mean and 95 % interval over seeds, chance level beside each agreement",
    )
    page.table(
        [
            {
                "features": geometry,
                "amplitudes": law,
                "SAE": name.replace("_", " "),
                **_summary(rows),
            }
            for geometry in study.protocols["plain"].geometries
            for law in study.laws
            for name, rows in _nulls(study, result, geometry, law).items()
        ],
        "The same numbers of SAEs that learned nothing (principal components, the axes, random, "
        "rotated and permuted decoders) and of the oracle: plain protocol, always composed",
    )
    page.table(
        [
            {"latents": width, "one-hot": q, **_summary(width_runs(study, result.runs, width, q))}
            for width in study.widths
            for q in study.grid.one_hot
        ],
        "Width of the dictionary: plain protocol, plane, both amplitude laws",
    )


def _nulls(
    study: StudyConfig, result: StudyResult, geometry: str, law: str
) -> dict[str, list[Row]]:
    """Rows of the trained SAEs at the reference cell, and of each of their nulls, by name."""
    rows = reference(study, result.reference_nulls, "plain", geometry, law=law, one_hot=0)
    names = dict.fromkeys(row["sae"] for row in rows)
    return {name: select(rows, sae=name) for name in names}


def _plane_worlds(study: StudyConfig) -> list[tuple[str, float, float]]:
    grid = [
        (law, q, 0.0)
        for q in study.grid.one_hot
        for law in (study.laws if q < 1 else (ONE_HOT_LAW,))
    ]
    return grid + [(law, 0.0, boost) for boost in study.boosts for law in study.laws]


def _world_row(study: StudyConfig, result: StudyResult, law: str, q: float, boost: float) -> Row:
    rows = select(result.worlds, geometry="antipodal", law=law, one_hot=q, boost=boost)
    means = {
        heading: interval_over_seeds(rows, column).mean
        for heading, column in (
            ("PC 1 to feature, °", "first_pc_angle_to_feature"),
            ("PC 1 to diagonal, °", "first_pc_angle_to_composed"),
            ("participation ratio", "participation_ratio"),
            ("kurtosis, axes", "kurtosis_true"),
            ("kurtosis, diagonals", "kurtosis_composed"),
            ("ICA to feature, °", "ica_angle_to_feature"),
        )
    }
    eigenvalues = np.mean([row["eigenvalues"] for row in rows], axis=0)
    bounds = np.mean([row["eigenvalue_intervals"] for row in rows], axis=0)
    defined = sum(row["pcs_defined"] for row in rows)
    return {
        "amplitudes": law,
        "one-hot": q,
        "boost": boost,
        "eigenvalues": ", ".join(
            with_interval(value, low, high, 4) for value, (low, high) in zip(eigenvalues, bounds)
        ),
        "PCs defined": f"{defined} of {len(rows)} seeds",
        **means,
        "largest VIF, true": max(row["vif_true_max"] for row in rows),
    }


def _summary(rows: Sequence[Row]) -> Row:
    def cell(column: str) -> str:
        share = column.endswith("recovered")
        interval = (share_over_seeds if share else interval_over_seeds)(rows, column)
        return with_interval(interval.mean, interval.low, interval.high, 2)

    def mean(column: str) -> float:
        return interval_over_seeds(rows, column).mean

    return {
        "features found": cell("recovered"),
        "sums found": cell("composed_recovered"),
        "feature to latent": cell("cosine_feature_to_latent"),
        "chance": mean("cosine_feature_to_latent_chance"),
        "latent to feature": cell("cosine_latent_to_feature"),
        "chance ": mean("cosine_latent_to_feature_chance"),
        "Hungarian": mean("hungarian_over_max"),
        "monosemanticity": mean("monosemanticity_published"),
        "explained variance": mean("explained_variance"),
        "L0": mean("l0"),
        "dead": mean("n_dead"),
    }
