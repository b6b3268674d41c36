"""What composed scores are where nothing is composed: nulls that keep the features' geometry.

The p-value of `composed_score` takes the other features for isotropic. Real dictionaries are not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.stats import ortho_group
from torch import Tensor

from toysae.errors import ShapeError
from toysae.metrics._composition.composed import ComposedScore, composed_score
from toysae.metrics._composition.residual import Beyond, beyond
from toysae.metrics._directions import unit_rows_of_pair
from toysae.metrics._progress import Report, reported
from toysae.metrics._simulation import keyed, random_rows


@dataclass(frozen=True)
class RotatedNull:
    """Composed scores against a dictionary, and against it after random rotations."""

    observed: ComposedScore
    """Scores of the latents as they are."""
    null_p_values: Tensor
    """P-values of rotated latents, `[n_rotations, m]`; NaN where undefined."""
    null_fractions: Tensor
    """Share of composed latents of each rotation, `[n_rotations]`; NaN where none is decided."""

    @property
    def p_value(self) -> Tensor:
        """Calibrated p-value of each latent, `[m]`; NaN where the uncalibrated one is.

        `(1 + #{null p <= p}) / (1 + #null p)` over the latents of all rotations.
        """
        null = self.null_p_values.flatten()
        null = null[~null.isnan()].sort().values
        below = torch.searchsorted(null, self.observed.p_value.contiguous(), right=True)
        calibrated = (1 + below).double() / (1 + len(null))
        return calibrated.masked_fill(self.observed.p_value.isnan(), torch.nan)

    @property
    def null_fraction(self) -> float:
        """Mean share of composed latents after rotation: the chance level. NaN without any."""
        return self.null_fractions.nanmean().item()

    @property
    def excess(self) -> float:
        """Observed share of composed latents less the chance level."""
        return self.observed.fraction_composed - self.null_fraction

    @property
    def p_value_of_fraction(self) -> float:
        """Chance of so many composed latents, `(1 + #{null >= observed}) / (1 + n_rotations)`."""
        null = self.null_fractions[~self.null_fractions.isnan()]
        reached = int((null >= self.observed.fraction_composed).sum())
        undefined = self.observed.fraction_composed != self.observed.fraction_composed
        return torch.nan if undefined else (1 + reached) / (1 + len(null))


def rotated_null(
    decoder: Tensor,
    dictionary: Tensor,
    n_rotations: int = 20,
    seed: int = 0,
    *,
    alive: Tensor | None = None,
    block: int = 1024,
    report: Report | None = None,
) -> RotatedNull:
    """Composed scores of latents against a dictionary, and after random rotations of the latents.

    For use without ground truth, where `dictionary` is another SAE: a smaller one, another seed.
    A common rotation keeps all cosines within either dictionary and destroys what holds between
    them, so that what is still composed is so by chance. Rotated latents are far from every
    feature, whereas a latent that was split or merged is near to one: for these see
    `simulated_p_value`.

    Args:
        decoder: latents `[m, d]`.
        dictionary: the other dictionary `[n, d]`.
        n_rotations: random orthogonal matrices, uniform (Haar).
        seed: of the rotations; rotation `k` is a function of the seed and `k`.
        alive: bool mask `[m]`; other latents are left out.
        block: latents compared at once.
        report: told how many rotations are done.

    Returns:
        Observed and null scores, and p-values calibrated with them; shares are in [0, 1].

    Raises:
        ShapeError: not two matrices of the same width, a mask of another length, no rotation, or
            `d < 2`.
        DataError: NaN or infinity in either.

    Source: toysae.
    """
    observed = composed_score(decoder, dictionary, alive=alive, block=block)
    d = decoder.shape[1]
    if n_rotations < 1 or d < 2:
        raise ShapeError(
            f"n_rotations={n_rotations} in {d} dimensions: expected at least one, in two or more"
        )
    p_values, fractions = [], []
    for k in reported(range(n_rotations), n_rotations, report):
        rotation = ortho_group.rvs(d, random_state=keyed(seed, "rotated_null", k))
        rotated = decoder.detach().double() @ torch.from_numpy(rotation).to(decoder.device)
        null = composed_score(rotated, dictionary, alive=alive, block=block)
        p_values.append(null.p_value)
        fractions.append(null.fraction_composed)
    return RotatedNull(
        observed, torch.stack(p_values), torch.tensor(fractions, dtype=torch.float64)
    )


def simulated_p_value(
    decoder: Tensor,
    features: Tensor,
    n_draws: int = 999,
    seed: int = 0,
    *,
    alive: Tensor | None = None,
    report: Report | None = None,
) -> Tensor:
    """The p-value of `composed_score`, by simulation: no law is assumed for the features.

    The residual of a latent on its best feature is replaced by random ones, uniform among the
    directions orthogonal to that feature; `p = (1 + #{t* >= t}) / (1 + n_draws)`, where `t` is the
    largest cosine with the orthogonal parts of the actual other features. Exact for any features,
    whereas the closed form takes them for isotropic: it is too large where they lie in a subspace
    or resemble each other. Latents with the same best feature share the draws. Costs
    `O(n_draws n d)` for each such feature, a tenth of a second for 999 draws and 2,000 features of
    256 dimensions.

    Args:
        decoder: latents `[m, d]`.
        features: truth `[n, d]`; zero rows are no candidates.
        n_draws: random residuals of each feature; the least p-value is `1 / (1 + n_draws)`.
        seed: of the draws; the same seed gives the same p-values.
        alive: bool mask `[m]`; other latents are left out.
        report: told how many of the best features are done.

    Returns:
        One p-value a latent, `[m]`, in (0, 1]; NaN where that of `composed_score` is.

    Raises:
        ShapeError: not two matrices of the same width, a mask of another length, or no draw.
        DataError: NaN or infinity in either.

    Source: Monte Carlo test: Barnard 1963.
    """
    if n_draws < 1:
        raise ShapeError(f"n_draws={n_draws}: expected at least one")
    latents, truth = unit_rows_of_pair(decoder, features, alive, names=("decoder", "features"))
    unit, features = latents.unit, truth.unit
    p_value = unit.new_full((len(unit),), torch.nan)
    if len(features) and len(unit):
        first = (unit @ features.T).argmax(dim=1)
        draws = random_rows(keyed(seed, "simulated_p_value"), n_draws, unit.shape[1]).to(unit)
        present = first.unique()
        for i in reported(present, len(present), report):
            rows = (first == i).nonzero().flatten()
            left = _beyond_one(unit[rows], features, i)
            null = _beyond_one(draws, features, i).largest.sort().values
            reached = n_draws - torch.searchsorted(null, left.largest.contiguous())
            values = (1 + reached).double() / (1 + n_draws)
            p_value[rows] = values.masked_fill(~left.is_telling, torch.nan)
    return latents.spread(p_value, torch.nan)


def _beyond_one(latents: Tensor, features: Tensor, atom: Tensor) -> Beyond:
    everything = torch.ones(1, dtype=torch.bool, device=latents.device)
    return beyond(
        latents,
        features,
        atom.expand(len(latents), 1),
        everything.expand(len(latents), len(features)),
    )
