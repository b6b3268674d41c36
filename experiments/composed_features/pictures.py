"""The study's figures, made of its result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from experiments.composed_features.claims_optimum import CROSSINGS
from experiments.composed_features.config import StudyConfig
from experiments.composed_features.runs import ONE_HOT_LAW, STARTS, World, generator_of
from experiments.composed_features.selection import cells, crossing_by_seed, reference, sweep
from experiments.composed_features.study import StudyResult
from toysae.diagnostics.pca import pca
from toysae.figures.curves import one_hot_curve
from toysae.figures.grid import outcome_grids
from toysae.figures.heatmap import decoder_encoder_heatmaps
from toysae.figures.hidden_plane import hidden_plane_panels
from toysae.hidden.stream import Stream
from toysae.metrics.density import density
from toysae.metrics.dictionary import cosine_matrix
from toysae.metrics.uncertainty import seed_interval
from toysae.results.files import Row
from toysae.results.measurements import FIRE_THRESHOLD, OUTCOMES
from toysae.results.rows import interval_over_seeds, select, share_over_seeds

_PLOTTED_SAMPLES = 2_000


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


def cosine_figure(result: StudyResult, row: Row) -> Figure:
    """Decoder and encoder rows of one SAE's alive latents against the true features."""
    sae, world = result.sae_of(row), result.evaluation_of(row)
    alive = _alive(result, row)
    decoder = cosine_matrix(world.features, sae.decoder[0][alive])
    nearest = decoder.max(dim=0)
    order = sorted(
        range(decoder.shape[1]), key=lambda j: (int(nearest.indices[j]), -float(nearest.values[j]))
    )
    return decoder_encoder_heatmaps(
        decoder,
        cosine_matrix(world.features, sae.encoder_rows[0][alive]),
        world.truth.names,
        order=order,
        groups={name: world.truth.groups[name] for name in ("set_x", "set_y")},
    )


def _alive(result: StudyResult, row: Row) -> torch.Tensor:
    sae = result.sae_of(row)
    return ~density(sae.encode(result.evaluation_of(row).hidden)[0], FIRE_THRESHOLD).dead


def _alive_decoder(result: StudyResult, row: Row) -> torch.Tensor:
    return result.sae_of(row).decoder[0][_alive(result, row)]


def grid_figure(study: StudyConfig, result: StudyResult, protocol: str, geometry: str) -> Figure:
    """Outcomes in every cell of learning rate and L1 coefficient, one panel a world."""
    panels, notes = {}, {}
    for q in study.grid.one_hot:
        for law in study.laws if q < 1 else (ONE_HOT_LAW,):
            name = law if q == 1 else f"{law}, {q:.0%} one-hot"
            rows = cells(study, result.runs, protocol, geometry, law=law, one_hot=q)
            panels[name], notes[name] = _cell_outcomes(study, rows)
    return outcome_grids(panels, study.grid.lr, study.grid.l1, annotations=notes)


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


def crossing_figure(
    study: StudyConfig, result: StudyResult, geometry: str, law: str, column: str, label: str
) -> Figure:
    """A measurement over the one-hot fraction, one curve a start.

    The analytic crossing holds in the plane; elsewhere only curves are drawn.
    """
    plane = geometry == "antipodal"
    crossings = [c for c in crossing_by_seed(study, result.runs, law).values() if c is not None]
    return one_hot_curve(
        study.crossing.one_hot,
        {start: _curve(study, result, geometry, law, start, column) for start in STARTS},
        CROSSINGS.get(study.laws[law], math.nan) if plane else math.nan,
        measured_crossing=seed_interval(crossings).mean if crossings and plane else None,
        ylabel=label,
        title=f"{law} amplitudes, {geometry}",
        limits=None if column == "loss" else (-0.02, 1.02),
    )


def _curve(
    study: StudyConfig, result: StudyResult, geometry: str, law: str, start: str, column: str
) -> tuple[list[float], list[float], list[float]]:
    rows = sweep(study, result.runs, geometry, law, start)
    summary = interval_over_seeds if column == "loss" else share_over_seeds
    intervals = [summary(select(rows, one_hot=q), column) for q in study.crossing.one_hot]
    return (
        [i.mean for i in intervals],
        [i.low for i in intervals],
        [i.high for i in intervals],
    )
