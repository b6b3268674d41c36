"""The figures of the report, out of what was measured."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from experiments.validate.agreement import level
from experiments.validate.collinearity import Design
from experiments.validate.study import Measured
from toysae.figures.agreement import similarity_histograms, similarity_matrix
from toysae.figures.curves import Band, banded_curves, with_log_axis
from toysae.figures.densities import density_histogram

_MOST_SERIES = 6
_SHARES = np.linspace(0.01, 0.99, 99)


def agreement_matrix(measured: Measured) -> Figure:
    """Mean max cosine of each SAE in each other one."""
    return _matrix(measured, "a_to_b", "b_to_a", "mean max cosine")


def jaccard_matrix(measured: Measured) -> Figure:
    """Mean best Jaccard overlap of each SAE with each other one."""
    return _matrix(measured, "jaccard_a_to_b", "jaccard_b_to_a", "mean best Jaccard overlap")


def cosine_histograms(measured: Measured) -> Iterator[Figure]:
    """Best cosines of latents, a figure for each width that is searched, pooled over pairs.

    Seeds of one SAE make a series each, all other pairs one together.
    """
    for width in sorted({subject.n_latents for subject in measured.group.subjects}):
        found: dict[str, list[Tensor]] = {}
        for pair in measured.pairs:
            name = pair.a.replicates if pair.replicates else "different SAEs"
            best = pair.alignment.best
            for target, cosines in ((pair.b, best.a_to_b), (pair.a, best.b_to_a)):
                if target.n_latents == width:
                    found.setdefault(name, []).append(cosines.cpu())
        series = {name: torch.cat(values) for name, values in found.items()}
        chance = level(measured.group.d_hidden, width)
        for names in _portions(sorted(series, key=lambda name: (name == "different SAEs", name))):
            yield similarity_histograms(
                {name: series[name] for name in names},
                chance,
                f"Found among {width:,} latents",
                xlabel="best decoder cosine",
            )


def density_histograms(measured: Measured) -> Iterator[Figure]:
    """Firing densities, seeds of one SAE pooled."""
    found = {
        name: torch.cat([measured.firing[member].density for member in members])
        for name, members in _by_replicates(measured, measured.firing).items()
    }
    for names in _portions(list(found)):
        yield density_histogram({name: found[name] for name in names})


def inflation_quantiles(measured: Measured) -> Iterator[Figure]:
    """Quantiles of the variance inflation of latents: the mean over seeds, and their range."""
    found: dict[str, Band] = {}
    for name, members in _by_replicates(measured, measured.designs).items():
        values = np.stack([_quantiles(measured.designs[member]) for member in members])
        found[name] = (values.mean(axis=0), values.min(axis=0), values.max(axis=0))
    for names in _portions(list(found)):
        figure = banded_curves(
            _SHARES,
            {name: found[name] for name in names},
            xlabel="share of latents",
            ylabel="variance inflation factor",
        )
        yield with_log_axis(figure)


def _quantiles(design: Design) -> NDArray[np.float64]:
    values = design.inflation.vif
    defined = values[~values.isnan()].cpu().numpy()
    # An infinite factor is above every finite one, so the lower of two neighbours is taken.
    return (
        np.quantile(defined, _SHARES, method="lower")
        if len(defined)
        else np.full(len(_SHARES), np.nan)
    )


def _by_replicates(measured: Measured, names: Collection[str]) -> dict[str, list[str]]:
    """Those of the SAEs that are in `names`, by what they are replicates of."""
    found: dict[str, list[str]] = {}
    for subject in measured.group.subjects:
        if subject.name in names:
            found.setdefault(subject.replicates, []).append(subject.name)
    return found


def _matrix(measured: Measured, forth: str, back: str, label: str) -> Figure:
    names = [subject.name for subject in measured.group.subjects]
    place = {name: index for index, name in enumerate(names)}
    values = np.full((len(names), len(names)), np.nan)
    for row in measured.pair_rows:
        if forth in row:
            a, b = place[row["a"]], place[row["b"]]
            values[a, b], values[b, a] = row[forth], row[back]
    return similarity_matrix(values, names, label=label)


def _portions(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), _MOST_SERIES):
        yield names[start : start + _MOST_SERIES]
