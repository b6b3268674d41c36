"""The report: the pictures a reader wants first, then the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from experiments.composed_features.claims_optimum import CROSSINGS
from experiments.composed_features.config import StudyConfig
from experiments.composed_features.runs import ONE_HOT_LAW, STARTS, World, generator_of
from experiments.composed_features.selection import (
    cells,
    crossing_by_seed,
    crossing_rows,
    reference,
    width_runs,
)
from experiments.composed_features.study import StudyResult
from toysae.diagnostics.collinearity import correlation, vif
from toysae.diagnostics.pca import pca
from toysae.figures.collinearity import correlation_plot, vif_bars
from toysae.figures.curves import one_hot_curve
from toysae.figures.grid import outcome_grids
from toysae.figures.heatmap import decoder_encoder_heatmaps
from toysae.figures.hidden_plane import hidden_plane_panels
from toysae.hidden.stream import Stream
from toysae.metrics.activations import density
from toysae.metrics.dictionary import cosine_matrix
from toysae.metrics.uncertainty import seed_interval
from toysae.report.findings import tally
from toysae.report.page import Report
from toysae.results.files import Row
from toysae.results.findings import Finding
from toysae.results.measurements import OUTCOMES
from toysae.results.rows import interval_over_seeds, select, share_over_seeds

_PLOTTED_SAMPLES = 2_000


def write_report(
    study: StudyConfig, result: StudyResult, found: Sequence[Finding], path: Path
) -> Path:
    """One self-contained page."""
    page = Report(
        "Do sparse autoencoders find composed features?",
        f"Two sets of one-hot features, {len(result.runs):,} SAEs, {study.seeds} seeds a cell",
    )
    page.text(f"{tally(found)}.")
    _planes(page, study, result)
    page.section("Findings").findings(found)
    _grids(page, study, result)
    _curves(page, study, result)
    _cosines(page, study, result)
    _collinearity(page, study, result)
    _tables(page, study, result)
    return page.write(path)


# --- pictures -------------------------------------------------------------------------------------


def _planes(page: Report, study: StudyConfig, result: StudyResult) -> None:
    page.section("The hidden plane")
    page.text(
        "Data, true features, principal components and the decoder rows of every seed at the "
        f"reference cell (lr {study.reference.lr:g}, l1 {study.reference.l1:g}), each seed turned "
        "so that x1 points right and y1 up. Dead latents are left out."
    )
    for protocol in study.protocols:
        page.figure(
            plane_figure(study, result, protocol),
            f"Decoder rows of all seeds, {protocol} protocol",
        )


def plane_figure(study: StudyConfig, result: StudyResult, protocol: str) -> Figure:
    """Hidden planes of all grid worlds, with the decoder rows of one protocol."""
    worlds = [
        World("antipodal", law, q)
        for q in study.grid.one_hot
        for law in (study.laws if q < 1 else (ONE_HOT_LAW,))
    ]
    return hidden_plane_panels([_panel(study, result, protocol, world) for world in worlds])


def _panel(study: StudyConfig, result: StudyResult, protocol: str, world: World) -> dict[str, Any]:
    rows = reference(
        study, result.runs, protocol, world.geometry, law=world.law, one_hot=world.one_hot
    )
    rows = [row for row in rows if row["seed"] in study.seed_list()]
    space = result.spaces[world, study.first_seed]
    turn = _turn(space.directions)
    points = Stream(generator_of(study, world), space, study.first_seed, "figures").hidden(
        0, study.diagnostic_samples
    )
    components = pca(points)
    decoders = [_alive_decoder(result, row) @ _turn(result.spaces[world, row["seed"]].directions)
                for row in rows]  # fmt: skip
    width = max(len(decoder) for decoder in decoders)
    padded = torch.stack(
        [torch.cat([d, d.new_full((width - len(d), 2), torch.nan)]) for d in decoders]
    )
    share = "one-hot only" if world.one_hot == 1 else f"{world.one_hot:.0%} one-hot"
    return {
        "points": points[:_PLOTTED_SAMPLES] @ turn,
        "features": space.directions @ turn,
        "feature_names": generator_of(study, world).truth().names,
        "decoders": padded,
        "components": components.components @ turn.to(components.components),
        "components_defined": components.directions_defined,
        "title": share if world.one_hot == 1 else f"{world.law}, {share}",
    }


def _turn(directions: torch.Tensor) -> torch.Tensor:
    """Rotation or reflection `[2, 2]` that brings x1 to the right.

    Upwards comes the first feature orthogonal to x1: y1, except with one-hot data, which leave open
    which features are opposite to each other.
    """
    unit = directions / directions.norm(dim=1, keepdim=True)
    across = torch.stack([-unit[0, 1], unit[0, 0]])
    sideways = unit @ across
    upwards = sideways[sideways.abs() > 0.5]
    sign = float(upwards[0].sign()) if len(upwards) else 1.0
    return torch.stack([unit[0], sign * across], dim=1)


def _alive_decoder(result: StudyResult, row: Row) -> torch.Tensor:
    sae = result.sae_of(row)
    dead = density(sae.encode(result.evaluation_of(row).hidden)[0]).dead
    return sae.decoder[0][~dead]


def _grids(page: Report, study: StudyConfig, result: StudyResult) -> None:
    page.section("The published grid")
    page.text(
        "Share of alive latents within 15 degrees of a true feature, of the sum of two features "
        "that fire together, or of neither, in every cell of learning rate and L1 coefficient, "
        "averaged over seeds. In the plane the three classes cover 33, 33 and 33 % of all "
        "directions. Numbers: share of true features with a latent at cosine above 0.97."
    )
    for protocol, settings in study.protocols.items():
        for geometry in settings.geometries:
            panels, notes = {}, {}
            for q in study.grid.one_hot:
                for law in study.laws if q < 1 else (ONE_HOT_LAW,):
                    name = law if q == 1 else f"{law}, {q:.0%} one-hot"
                    rows = cells(study, result.runs, protocol, geometry, law=law, one_hot=q)
                    panels[name], notes[name] = _cell_outcomes(study, rows)
            page.figure(
                outcome_grids(panels, study.grid.lr, study.grid.l1, annotations=notes),
                f"Outcomes, {protocol} protocol, {geometry} features",
            )


def _cell_outcomes(study: StudyConfig, rows: Sequence[Row]) -> tuple[np.ndarray, list[list[str]]]:
    shares = np.full((len(study.grid.lr), len(study.grid.l1), 3), np.nan)
    notes = [["" for _ in study.grid.l1] for _ in study.grid.lr]
    for i, lr in enumerate(study.grid.lr):
        for j, l1 in enumerate(study.grid.l1):
            cell = [row for row in select(rows, lr=lr, l1=l1) if row["n_dead"] < row["n_latents"]]
            if cell:
                each = [[row[f"fraction_{outcome}"] for outcome in OUTCOMES] for row in cell]
                shares[i, j] = np.mean(each, axis=0)
                notes[i][j] = f"{np.mean([row['recovered'] for row in cell]):.2f}"
    return shares, notes


def _curves(page: Report, study: StudyConfig, result: StudyResult) -> None:
    page.section("Objective or optimiser?")
    page.text(
        f"{study.crossing.n_latents} latents in the plane, l1 = {study.crossing.l1:g}, started at "
        "the true features, at the diagonals and at random. Where the loss of the true start is "
        "the lower one, a composed result is a failure of the optimiser. The vertical lines mark "
        "the analytic crossing (L1 to 0, exact reconstruction) and the measured one."
    )
    for law, shared in study.laws.items():
        analytic = CROSSINGS.get(shared, math.nan)
        crossings = [c for c in crossing_by_seed(study, result.runs, law).values() if c is not None]
        measured = seed_interval(crossings).mean if crossings else None
        for column, label in (("composed_recovered", "diagonals found"), ("loss", "loss")):
            page.figure(
                one_hot_curve(
                    study.crossing.one_hot,
                    {s: _curve(study, result, law, s, column) for s in STARTS},
                    analytic,
                    measured_crossing=measured,
                    ylabel=label,
                    title=f"{law} amplitudes",
                    limits=None if column == "loss" else (-0.02, 1.02),
                ),
                f"{label.capitalize()} by one-hot fraction and start, {law} amplitudes; bands are "
                "95 % intervals over seeds",
            )


def _curve(
    study: StudyConfig, result: StudyResult, law: str, start: str, column: str
) -> tuple[list[float], list[float], list[float]]:
    rows = crossing_rows(study, result.runs, law, start)
    summary = interval_over_seeds if column == "loss" else share_over_seeds
    intervals = [summary(select(rows, one_hot=q), column) for q in study.crossing.one_hot]
    return (
        [i.mean for i in intervals],
        [i.low for i in intervals],
        [i.high for i in intervals],
    )


def _cosines(page: Report, study: StudyConfig, result: StudyResult) -> None:
    page.section("Features against latents")
    page.text("Cosines of decoder and encoder directions with the true features, one seed.")
    for geometry in study.protocols["plain"].geometries:
        for law in study.laws:
            row = reference(study, result.runs, "plain", geometry, law=law, one_hot=0)[0]
            sae, world = result.sae_of(row), result.evaluation_of(row)
            page.figure(
                decoder_encoder_heatmaps(
                    cosine_matrix(world.features, sae.decoder[0]),
                    cosine_matrix(world.features, sae.encoder_rows[0]),
                    world.truth.names,
                    groups={name: world.truth.groups[name] for name in ("set_x", "set_y")},
                ),
                f"{geometry}, {law} amplitudes, always composed, seed {row['seed']}",
            )


def _collinearity(page: Report, study: StudyConfig, result: StudyResult) -> None:
    page.section("Multicollinearity")
    page.text(
        "Correlation of the true coefficients and of the latents of one SAE, and their variance "
        "inflation factors. An infinite factor is an exact linear relation: with shared amplitudes "
        "x1 + x2 = y1 + y2 on every sample."
    )
    for law in study.laws:
        row = reference(study, result.runs, "plain", "antipodal", law=law, one_hot=0)[0]
        world = result.evaluation_of(row)
        latents = result.sae_of(row).encode(world.hidden)[0]
        names = [f"latent {j}" for j in range(latents.shape[1])]
        both = torch.cat([world.coefficients, latents], dim=1)
        page.figure(
            correlation_plot(correlation(both).values, [*world.truth.names, *names]),
            f"Correlations, {law} amplitudes, always composed, seed {row['seed']}",
        )
        page.figure(
            vif_bars({"true features": vif(world.coefficients).vif}, world.truth.names),
            f"Variance inflation of the true features, {law} amplitudes",
        )
        page.figure(
            vif_bars({"latents": vif(latents).vif}, names),
            f"Variance inflation of the latents, {law} amplitudes",
        )


def _tables(page: Report, study: StudyConfig, result: StudyResult) -> None:
    page.section("Numbers")
    page.table(
        [_world_row(study, result, law, q, boost) for law, q, boost in _plane_worlds(study)],
        "The data in the plane: means over seeds",
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
            {"latents": width, "one-hot": q, **_summary(width_runs(study, result.runs, width, q))}
            for width in study.widths
            for q in study.grid.one_hot
        ],
        "Width of the dictionary: plain protocol, plane, both amplitude laws",
    )


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
    defined = sum(row["pcs_defined"] for row in rows)
    return {
        "amplitudes": law,
        "one-hot": q,
        "boost": boost,
        "eigenvalues": ", ".join(f"{value:.4f}" for value in eigenvalues),
        "PCs defined": f"{defined} of {len(rows)} seeds",
        **means,
        "largest VIF, true": max(row["vif_true_max"] for row in rows),
    }


def _summary(rows: Sequence[Row]) -> Row:
    def cell(column: str) -> str:
        interval = interval_over_seeds(rows, column)
        return f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"

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
