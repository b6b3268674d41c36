"""The tables of a description: groups, features, pairs, comparisons, and the scalars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from experiments.describe.agreement import Comparison, expected_largest
from experiments.describe.sampling import Realised
from experiments.describe.selection import Selection
from toysae.generators.truth import PairMoments, Truth, firing_correlation
from toysae.results.files import Row

#: Rows of features.csv; of more features it holds the most frequent.
MOST_FEATURES = 65_536

L0_QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)
MAGNITUDE_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def group_rows(truth: Truth, realised: Realised) -> list[Row]:
    """One row a group as the generator names them; they may overlap."""
    marginals = realised.marginals
    groups = truth.groups or {"features": range(truth.n_features)}
    rows: list[Row] = []
    for name, members in groups.items():
        index = torch.as_tensor(members, dtype=torch.long)
        rows.append(
            {
                "group": name,
                "features": len(index),
                "density_stated": float(truth.marginals[index].mean()),
                "density_realised": float(marginals[index].mean()),
                "l0_stated": float(truth.marginals[index].sum()),
                "l0_realised": float(marginals[index].sum()),
                "l0_share": float(truth.marginals[index].sum()) / truth.l0 if truth.l0 else None,
            }
        )
    return rows


def magnitude_rows(selection: Selection, truth: Truth, realised: Realised) -> list[Row]:
    """One row a group of the figures: mean magnitude of a firing, and quantiles."""
    rows: list[Row] = []
    for group, (name, values) in enumerate(realised.magnitudes.items()):
        members = selection.members(group)
        expected, firings = truth.marginals[members].sum(), realised.features.firings[members].sum()
        quantiles = _quantiles(values.double(), MAGNITUDE_QUANTILES)
        rows.append(
            {
                "group": name,
                "mean_stated": _ratio(truth.mean[members].sum(), expected),
                "mean_realised": _ratio(realised.features.total[members].sum(), firings),
                **{f"q{100 * q:02.0f}": v for q, v in zip(MAGNITUDE_QUANTILES, quantiles)},
                "firings": int(firings),
            }
        )
    return rows


def feature_rows(truth: Truth, realised: Realised, comparisons: Sequence[Comparison]) -> list[Row]:
    """One row a feature, ascending; the most frequent 65,536 of more."""
    order = truth.marginals.argsort(descending=True, stable=True)
    kept = order[:MOST_FEATURES].sort().values
    n, seen = realised.n_samples, realised.features
    sigmas = {comparison.name: comparison.sigmas for comparison in comparisons}
    columns: dict[str, Sequence[object]] = {
        "feature": kept.tolist(),
        "name": [truth.names[i] for i in kept.tolist()],
        "groups": _groups_of(truth, kept),
        "marginal_stated": truth.marginals[kept].tolist(),
        "marginal_realised": (seen.firings / n)[kept].tolist(),
        "marginal_sigmas": sigmas["firing probabilities"][kept].tolist(),
        "mean_stated": truth.mean[kept].tolist(),
        "mean_realised": (seen.total / n)[kept].tolist(),
        "mean_magnitude_sigmas": sigmas["mean magnitudes"][kept].tolist(),
        "square_stated": truth.square[kept].tolist(),
        "square_realised": (seen.square / n)[kept].tolist(),
        "mean_square_sigmas": sigmas["mean squares"][kept].tolist(),
    }
    if truth.parents is not None:
        columns["parent"] = truth.parents[kept].tolist()
    return _rows(columns)


def pair_rows(
    truth: Truth,
    pairs: PairMoments,
    selection: Selection,
    realised: Realised,
    comparisons: Sequence[Comparison],
) -> list[Row]:
    """One row a pair of shown features, the most correlated first."""
    k = len(selection.shown)
    if k < 2:
        return []
    i, j = torch.triu_indices(k, k, offset=1)
    stated, seen = pairs.probabilities, realised.pairs.together / realised.n_samples
    p = stated.diagonal()
    sigmas = {comparison.name: comparison.sigmas for comparison in comparisons}
    phi = firing_correlation(stated)[i, j]
    order = phi.abs().nan_to_num(-1).argsort(descending=True, stable=True)
    i, j = i[order], j[order]
    shown = selection.shown
    return _rows(
        {
            "a": [truth.names[f] for f in shown[i].tolist()],
            "b": [truth.names[f] for f in shown[j].tolist()],
            "feature_a": shown[i].tolist(),
            "feature_b": shown[j].tolist(),
            "phi_stated": phi[order].tolist(),
            "phi_realised": firing_correlation(seen)[i, j].tolist(),
            "b_given_a_stated": (stated[i, j] / p[i]).tolist(),
            "a_given_b_stated": (stated[i, j] / p[j]).tolist(),
            "both_stated": stated[i, j].tolist(),
            "both_realised": seen[i, j].tolist(),
            "both_sigmas": sigmas["pair probabilities"][order].tolist(),
            "product_stated": pairs.products[i, j].tolist(),
            "product_realised": (realised.pairs.product / realised.n_samples)[i, j].tolist(),
            "product_sigmas": sigmas["mean products"][order].tolist(),
        }
    )


def comparison_rows(comparisons: Sequence[Comparison]) -> list[Row]:
    """One row a kind of number: the largest deviation, and what to expect of it."""
    return [
        {
            "compared": comparison.name,
            "comparisons": comparison.n,
            "largest": comparison.largest,
            "expected_largest": expected_largest(comparison.n),
            "at": comparison.worst,
            "verdict": comparison.verdict,
        }
        for comparison in comparisons
    ]


def l0_row(truth: Truth, realised: Realised) -> Row:
    """How many features fire at once."""
    l0 = realised.l0.double()
    independent = (truth.marginals * (1 - truth.marginals)).sum().sqrt()
    quantiles = _quantiles(l0, L0_QUANTILES)
    return {
        "stated": truth.l0,
        "realised": float(l0.mean()),
        "sd": float(l0.std(correction=0)),
        "sd_if_independent": float(independent),
        **{f"q{100 * q:02.0f}": value for q, value in zip(L0_QUANTILES, quantiles)},
    }


def _groups_of(truth: Truth, features: Tensor) -> list[str]:
    """Names of the groups of each feature, separated by `|`."""
    place = torch.full((truth.n_features,), -1)
    place[features] = torch.arange(len(features))
    found: list[list[str]] = [[] for _ in range(len(features))]
    for name, members in truth.groups.items():
        places = place[torch.as_tensor(members, dtype=torch.long)]
        for at in places[places >= 0].tolist():
            found[at].append(name)
    return ["|".join(names) for names in found]


def _quantiles(values: Tensor, shares: Sequence[float]) -> list[float]:
    if not len(values):
        return [torch.nan] * len(shares)
    return np.quantile(values.numpy(), shares).tolist()


def _ratio(total: Tensor, count: Tensor) -> float:
    return float(total / count) if count > 0 else torch.nan


def _rows(columns: dict[str, Sequence[object]]) -> list[Row]:
    return [dict(zip(columns, row)) for row in zip(*columns.values())]
