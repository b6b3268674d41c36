"""The report: the pictures a reader wants first, then findings and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from experiments.composed_features.config import StudyConfig
from experiments.composed_features.numbers import add_tables
from experiments.composed_features.pictures import (
    cosine_figure,
    crossing_figure,
    grid_figure,
    plane_figure,
)
from experiments.composed_features.selection import reference
from experiments.composed_features.study import StudyResult
from toysae.diagnostics.collinearity import correlation, vif
from toysae.figures.collinearity import correlation_plot, vif_bars
from toysae.report.findings import tally
from toysae.report.page import Report
from toysae.results.findings import Finding


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
    add_tables(page, study, result)
    return page.write(path)


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
            page.figure(
                grid_figure(study, result, protocol, geometry),
                f"Outcomes, {protocol} protocol, {geometry} features",
            )


def _curves(page: Report, study: StudyConfig, result: StudyResult) -> None:
    page.section("Objective or optimiser?")
    page.text(
        f"{study.crossing.n_latents} latents, l1 = {study.crossing.l1:g}, started at "
        "the true features, at the diagonals and at random. Where the loss of the true start is "
        "the lower one, a composed result is a failure of the optimiser. The vertical lines mark "
        "the analytic crossing (L1 to 0, exact reconstruction) and the measured one."
    )
    for geometry in study.crossing.geometries:
        for law in study.laws:
            for column, label in (("composed_recovered", "diagonals found"), ("loss", "loss")):
                page.figure(
                    crossing_figure(study, result, geometry, law, column, label),
                    f"{label.capitalize()} by one-hot fraction and start, {law} amplitudes, "
                    f"{geometry} features; bands are 95 % intervals over seeds",
                )


def _cosines(page: Report, study: StudyConfig, result: StudyResult) -> None:
    page.section("Features against latents")
    page.text(
        "Cosines of decoder and encoder directions of alive latents with the true features, one "
        "seed; latents in the order of the feature that they are nearest to."
    )
    for geometry in study.protocols["plain"].geometries:
        for law in study.laws:
            row = reference(study, result.runs, "plain", geometry, law=law, one_hot=0)[0]
            page.figure(
                cosine_figure(result, row),
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
