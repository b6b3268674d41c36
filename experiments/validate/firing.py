"""Do two SAEs fire on the same samples? SAEs applied to recorded activations, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from experiments.validate.agreement import Pair
from experiments.validate.config import ValidateConfig
from experiments.validate.inputs import Subject
from toysae.metrics.cofiring import JaccardTable, expected_jaccard, jaccard
from toysae.metrics.density import fires
from toysae.metrics.reconstruction import ExplainedVariance
from toysae.saes.base import SAE


@dataclass(frozen=True)
class Firing:
    """What one SAE does on the activations.

    Attributes:
        firings: how often each latent fires, `[m]`, int64.
        n_samples: activations, `N`.
        explained_variance: pooled over samples and dimensions.
        compared: latents in Jaccard tables, ascending: all, or those that fire most.
        fired: their firing indicators, bool `[N, compared]`.
    """

    firings: Tensor
    n_samples: int
    explained_variance: float
    compared: Tensor
    fired: Tensor

    @property
    def density(self) -> Tensor:
        """Share of samples on which each latent fires, `[m]`."""
        return self.firings.double() / self.n_samples

    @property
    def l0(self) -> float:
        """Mean number of latents that fire on a sample."""
        return self.density.sum().item()

    def surviving(self, minimum: int) -> float:
        """Share of all latents that fire at least `minimum` times."""
        return (self.firings >= minimum).double().mean().item()


class Overlap(NamedTuple):
    """How much the firing sets of two SAEs overlap.

    Attributes:
        table: all pairs of compared latents.
        shifted: the same with the samples of the second SAE shifted by half of them.
        at_match: overlap of each latent of the first with its decoder match, `[m]`; NaN where
            either is not compared or fires too rarely.
        at_match_chance: what independent latents of the same densities reach, `[m]`.
    """

    table: JaccardTable
    shifted: JaccardTable
    at_match: Tensor
    at_match_chance: Tensor


def apply_to(subject: Subject, activations: Tensor, config: ValidateConfig) -> Firing:
    """Run an SAE over the activations; holds the indicators of the compared latents only."""
    explained = ExplainedVariance()
    firings = torch.zeros(subject.n_latents, dtype=torch.long)
    for x in _batches(subject.sae, activations, config.batch_size):
        latents, reconstructions = subject.sae.apply(x)
        explained.update(x, reconstructions[0])
        firings += fires(latents[0], config.fire_threshold).sum(dim=0).cpu()
    compared = most_firing(firings, config.most_latents.jaccard)
    fired = latents_of(
        subject.sae,
        activations,
        compared,
        config.batch_size,
        lambda latents: fires(latents, config.fire_threshold),
    )
    return Firing(firings, len(activations), explained.compute().item(), compared, fired)


def most_firing(firings: Tensor, most: int) -> Tensor:
    """Index of the latents that fire most, at most `most`, ascending; the lower index on ties."""
    order = torch.sort(firings, descending=True, stable=True).indices
    return order[:most].sort().values


def latents_of(
    sae: SAE,
    activations: Tensor,
    index: Tensor,
    batch_size: int,
    change: Callable[[Tensor], Tensor] = torch.positive,
) -> Tensor:
    """Activations of some latents on all samples, `[N, len(index)]` on the CPU, after `change`."""
    return torch.cat(
        [
            change(sae.encode(x)[0][:, index.to(x.device)]).cpu()
            for x in _batches(sae, activations, batch_size)
        ]
    )


def _batches(sae: SAE, activations: Tensor, size: int) -> Iterator[Tensor]:
    for start in range(0, len(activations), size):
        yield activations[start : start + size].to(sae.decoder.device)


def overlap(pair: Pair, a: Firing, b: Firing, minimum: int) -> Overlap:
    """Jaccard overlaps of all compared latents, by chance, and where the decoders match."""
    table = jaccard(a.fired, b.fired, minimum)
    shifted = jaccard(a.fired, b.fired.roll(b.n_samples // 2, 0), minimum)
    match = pair.alignment.matching.decoder_match.cpu()
    at_match = torch.full((len(match),), torch.nan, dtype=torch.float64)
    chance = at_match.clone()
    column_of = torch.full((len(b.firings),), -1)
    column_of[b.compared] = torch.arange(len(b.compared))
    columns = column_of[match[a.compared].clamp(min=0)]
    rows = torch.nonzero((match[a.compared] >= 0) & (columns >= 0))[:, 0]
    latents = a.compared[rows]
    at_match[latents] = table.jaccard[rows, columns[rows]]
    chance[latents] = expected_jaccard(a.density[latents], b.density[match[latents]])
    return Overlap(table, shifted, at_match, chance.masked_fill(at_match.isnan(), torch.nan))


def overlap_row(pair: Pair, found: Overlap) -> dict[str, Any]:
    """The Jaccard columns of `pairs.csv`."""
    cosines = pair.alignment.matching.decoder_cosine.cpu()
    defined = ~found.at_match.isnan() & ~cosines.isnan()
    return {
        "jaccard_a_to_b": found.table.mean_a_to_b,
        "jaccard_b_to_a": found.table.mean_b_to_a,
        "jaccard_a_to_b_chance": found.shifted.mean_a_to_b,
        "jaccard_b_to_a_chance": found.shifted.mean_b_to_a,
        "jaccard_hungarian_matched": found.table.matching.mean_over_matched,
        "jaccard_hungarian_matched_chance": found.shifted.matching.mean_over_matched,
        "jaccard_at_match_mean": found.at_match.nanmean().item(),
        "jaccard_at_match_median": found.at_match.nanmedian().item(),
        "jaccard_at_match_chance": found.at_match_chance.nanmean().item(),
        "jaccard_at_match_n": int(defined.sum()),
        "jaccard_cosine_correlation": _correlation(cosines[defined], found.at_match[defined]),
        "jaccard_compared_a": len(found.table.firings_a),
        "jaccard_compared_b": len(found.table.firings_b),
        "jaccard_surviving_a": found.table.surviving_a,
        "jaccard_surviving_b": found.table.surviving_b,
    }


def _correlation(x: Tensor, y: Tensor) -> float:
    """Pearson's; NaN for fewer than three pairs or a side that does not vary."""
    if len(x) < 3 or x.std() == 0 or y.std() == 0:
        return torch.nan
    return torch.corrcoef(torch.stack([x, y]))[0, 1].item()


def firing_row(firing: Firing, config: ValidateConfig) -> dict[str, Any]:
    """The firing columns of `saes.csv`."""
    density = firing.density
    return {
        "n_samples": firing.n_samples,
        "explained_variance": firing.explained_variance,
        "l0": firing.l0,
        "dead": int((firing.firings == 0).sum()),
        "dense": int((density > config.dense_above).sum()),
        "median_density": density.median().item(),
        "surviving": firing.surviving(config.min_firings),
    }
