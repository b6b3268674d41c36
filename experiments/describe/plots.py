"""The figures of a description, each with what it shows in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from experiments.describe.agreement import SIGMAS, chance_band, effective_samples, estimate_size
from experiments.describe.sampling import RASTER
from experiments.describe.study import Description
from experiments.describe.tree import in_trees
from toysae.figures.agreement import similarity_histograms
from toysae.figures.cofiring import phi_heatmaps
from toysae.figures.firing import l0_distribution, realised_against_stated, stated_densities
from toysae.figures.magnitudes import magnitude_histograms
from toysae.figures.raster import sample_raster
from toysae.figures.spectrum import scree
from toysae.figures.tree import tree_diagram
from toysae.generators.truth import firing_correlation

#: Above this density a feature is called dense, as in the measurements of SAEs.
DENSE = 0.1

_MOST_POINTS = 20_000
_MOST_DEVIATING = 100
_MOST_EXACT_L0 = 65_536


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure, and its caption."""

    figure: Figure
    caption: str


def pictures(found: Description) -> dict[str, Picture]:
    """Figures by name, in the order of the report; those that make no sense are left out."""
    drawn = {
        "densities": _densities(found),
        "realised_against_stated": _realised_against_stated(found),
        "l0": _l0(found),
        "phi": _phi(found),
        "magnitudes": _magnitudes(found),
        "raster": _raster(found),
    }
    if found.truth.parents is not None:
        drawn["tree"] = _tree(found, found.truth.parents)
    if found.sharing is not None:
        drawn["nearest_directions"] = _nearest(found)
        if found.sharing.components is not None:
            drawn["spectrum"] = Picture(
                scree(found.sharing.components),
                "Eigenvalues of the covariance of hidden activations, with 95 % intervals, which "
                "may be narrower than the line.",
            )
    return drawn


def _densities(found: Description) -> Picture:
    stated, realised = _by_group(found, torch.arange(found.truth.n_features))
    return Picture(
        stated_densities(stated, realised, dense=DENSE),
        "How often features fire, as log10 of the share of samples, a fifth of a decade a bin. "
        "Outlines: stated; filled: realised. In figures a feature belongs to one "
        "group.",
    )


def _realised_against_stated(found: Description) -> Picture:
    truth, n = found.truth, found.realised.n_samples
    points = point_features(found)
    stated, realised = _by_group(found, points)
    positive = truth.marginals[truth.marginals > 0]
    band = [torch.empty(0)] * 3
    if len(positive):
        low, high = (np.log(float(p)) for p in (positive.min() / 2, positive.max() * 2))
        p = torch.from_numpy(np.exp(np.linspace(low, min(high, 0.0), 400)))
        band = [p, *chance_band(p, effective_samples(found.realised), estimate_size(truth))]
    some = "" if len(points) == truth.n_features else f" {len(points):,} features are drawn."
    return Picture(
        realised_against_stated(
            stated,
            realised,
            (band[0], band[1], band[2]),
            n,
            band_label=f"within {SIGMAS:g} sigmas",
        ),
        f"Share of {n:,} samples on which each feature fires, over its stated probability. Grey: "
        f"what chance explains, {SIGMAS:g} sigmas. Triangles at the lower edge never fired.{some}",
    )


def _l0(found: Description) -> Picture:
    return Picture(
        l0_distribution(
            found.realised.l0,
            found.truth.l0,
            independent=independent_l0(found.truth.marginals),
        ),
        "Features that fire on a sample. Line: the law if the features fired independently with "
        "the same densities; samples that spread wider have features that come together.",
    )


def _phi(found: Description) -> Picture:
    panels = {
        "Stated" if found.pairs_exact else "Stated (estimate)": found.pairs.probabilities,
        "Realised": found.realised.pairs.together / found.realised.n_samples,
    }
    return Picture(
        phi_heatmaps(
            {title: firing_correlation(values) for title, values in panels.items()},
            _shown_names(found),
            groups=found.selection.shown_groups(),
        ),
        f"Correlation of firing indicators of {len(found.selection.shown)} features, the most "
        "frequent of each group. Blank: the diagonal, and features that never "
        "or always fire.",
    )


def _magnitudes(found: Description) -> Picture:
    return Picture(
        magnitude_histograms(found.realised.magnitudes),
        "Coefficients of features that fire, by group, on the first samples.",
    )


def _raster(found: Description) -> Picture:
    return Picture(
        sample_raster(
            found.realised.first, _shown_names(found), groups=found.selection.shown_groups()
        ),
        f"The first {RASTER} samples, a column each; white features do not fire.",
    )


def _tree(found: Description, parents: Tensor) -> Picture:
    inside = int(in_trees(parents).sum())
    return Picture(
        tree_diagram(parents, found.truth.marginals, found.truth.names),
        f"The most frequent trees, of {inside:,} features in trees; a line leads from a feature to "
        "its parent.",
    )


def _nearest(found: Description) -> Picture:
    assert found.sharing is not None
    sharing = found.sharing
    figure = similarity_histograms(
        {"features": sharing.nearest}, sharing.chance, xlabel="largest |cos| with another feature"
    )
    figure.axes[0].set_ylabel("share of features")
    looked_at, n = len(sharing.looked_at), len(sharing.norms)
    some = "" if looked_at == n else f" {looked_at:,} features, drawn at random, are looked at."
    return Picture(
        figure,
        "Largest absolute cosine of each feature with any other one. Dotted: what as many "
        f"independent random directions reach on average.{some}",
    )


def independent_l0(marginals: Tensor) -> Tensor | None:
    """Law of the number of firings if features were independent; None for too many features.

    The Poisson binomial law, by the Fourier transform of its characteristic function.

    Args:
        marginals: firing probabilities, `[n]`.

    Returns:
        Probabilities of 0, 1, 2, ... firings, as far as there are any.
    """
    if len(marginals) > _MOST_EXACT_L0:
        return None
    spread = float((marginals * (1 - marginals)).sum().sqrt())
    # Beyond this number lies no probability that could fold back.
    length = min(len(marginals), int(float(marginals.sum()) + 12 * spread + 40)) + 1
    angles = torch.arange(length, dtype=torch.float64) * (2 * torch.pi / length)
    turns = torch.polar(torch.ones_like(angles), -angles)
    log = torch.zeros(length, dtype=torch.complex128)
    for p in marginals.split(4096):
        log += (1 - p[None, :] + p[None, :] * turns[:, None]).log().sum(1)
    return torch.fft.ifft(log.exp()).real.clamp(min=0)


def point_features(found: Description) -> Tensor:
    """All features, or of many some by rank, some by density, and those that deviate most."""
    n = found.truth.n_features
    if n <= _MOST_POINTS:
        return torch.arange(n)
    (comparison,) = (c for c in found.comparisons if c.name == "firing probabilities")
    marginals, order = found.truth.marginals.sort()
    by_rank = order[torch.linspace(0, n - 1, _MOST_POINTS // 2).long()]
    logs = marginals.clamp(min=torch.finfo(torch.float64).tiny).log()
    grid = torch.from_numpy(np.linspace(float(logs[0]), float(logs[-1]), _MOST_POINTS // 2))
    by_density = order[torch.searchsorted(logs, grid).clamp(max=n - 1)]
    worst = comparison.sigmas.abs().topk(_MOST_DEVIATING).indices
    return torch.cat([by_rank, by_density, worst]).unique()


def _by_group(found: Description, features: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Stated and realised densities of some features by group."""
    group_of = found.selection.group_of[features]
    stated, realised = {}, {}
    for group, name in enumerate(found.selection.names):
        members = features[group_of == group]
        stated[name] = found.truth.marginals[members]
        realised[name] = found.realised.marginals[members]
    return stated, realised


def _shown_names(found: Description) -> list[str]:
    return [found.truth.names[i] for i in found.selection.shown.tolist()]
