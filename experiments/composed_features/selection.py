"""Which runs answer which question."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from experiments.composed_features.config import StudyConfig
from toysae.results.files import Row
from toysae.results.rows import select


def cells(
    study: StudyConfig, runs: Sequence[Row], protocol: str, geometry: str, **world: object
) -> list[Row]:
    """Runs of the published grid: every cell, random start, the protocol's own width."""
    if protocol not in study.protocols:
        return []
    rows = select(
        runs,
        protocol=protocol,
        geometry=geometry,
        boost=0,
        own_space=True,
        start="random",
        n_latents=study.protocols[protocol].sae.n_latents,
        **world,
    )
    return [row for row in rows if row["l1"] in study.grid.l1 and row["lr"] in study.grid.lr]


def reference(
    study: StudyConfig, runs: Sequence[Row], protocol: str, geometry: str, **world: object
) -> list[Row]:
    """Runs of the reference cell."""
    rows = cells(study, runs, protocol, geometry, **world)
    return select(rows, lr=study.reference.lr, l1=study.reference.l1)


def width_runs(study: StudyConfig, runs: Sequence[Row], width: int, one_hot: float) -> list[Row]:
    """Runs of the reference cell in the plane, of one width."""
    return select(
        runs,
        protocol="plain",
        geometry="antipodal",
        boost=0,
        own_space=True,
        start="random",
        n_latents=width,
        lr=study.reference.lr,
        l1=study.reference.l1,
        one_hot=one_hot,
    )


def crossing_rows(study: StudyConfig, runs: Sequence[Row], law: str, start: str) -> list[Row]:
    """Runs of the one-hot sweep in the plane, of one amplitude law and start."""
    return sweep(study, runs, "antipodal", law, start)


def crossing_by_seed(study: StudyConfig, runs: Sequence[Row], law: str) -> dict[int, float | None]:
    """One-hot fraction at which each seed's true-start loss falls below its diagonal-start loss.

    Linear between neighbouring fractions at which both starts stayed where they were put; None
    where they never cross there.
    """
    truth = crossing_rows(study, runs, law, "truth")
    composed = crossing_rows(study, runs, law, "diagonals")
    crossings: dict[int, float | None] = {}
    for seed in study.seed_list():
        stayed = [
            (t["one_hot"], t["loss"] - c["loss"])
            for t, c in zip(select(truth, seed=seed), select(composed, seed=seed))
            if t["fraction_true"] == 1 and c["fraction_composed"] == 1
        ]
        crossings[seed] = next(
            (
                q0 + (q1 - q0) * d0 / (d0 - d1)
                for (q0, d0), (q1, d1) in pairwise(stayed)
                if d0 > 0 >= d1
            ),
            None,
        )
    return crossings


def sweep(
    study: StudyConfig, runs: Sequence[Row], geometry: str, law: str, start: str
) -> list[Row]:
    """Runs of the one-hot sweep, of one geometry, amplitude law and start."""
    rows = select(
        runs,
        geometry=geometry,
        law=law,
        boost=0,
        protocol="plain",
        lr=study.reference.lr,
        l1=study.crossing.l1,
        n_latents=study.crossing.n_latents,
        start=start,
    )
    # At fraction 0 the space is the world's own; elsewhere it is that of fraction 0.
    rows = [row for row in rows if row["own_space"] == (row["one_hot"] == 0)]
    return sorted(rows, key=lambda row: (row["one_hot"], row["seed"]))
