"""What a latent looks like: a true feature, a composed one, a principal component, or nothing.

Every class of candidates is another lottery: among more directions the best is closer by chance
alone. So each is corrected for its own number of candidates before classes are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, isnan

import torch
from scipy.integrate import quad
from scipy.special import gammaln, ndtr
from torch import Tensor

from toysae.diagnostics._inputs import ArrayLike, as_directions, as_matrix
from toysae.diagnostics.pca import PCA
from toysae.errors import ConfigError, ShapeError
from toysae.metrics._row_blocks import rows_within
from toysae.metrics.chance import chance_corrected, expected_max_abs_cosine

#: By how much principal components must win, after correction, to be what an SAE recovers.
MARGIN = 0.05

# Cosines in memory at once.
_COSINES_AT_ONCE = 2**24


@dataclass(frozen=True)
class ClassAlignment:
    """Latents against one class of candidate directions.

    Attributes:
        name: of the class.
        n_candidates: directions of the class that are not zero.
        best: `[m]`, `max |cos|` over the class; NaN for a zero latent or an empty class.
        candidate: `[m]` int64, the first candidate that reaches it; -1 where undefined.
        chance: expectation of `best` for as many random candidates; orthonormal ones where the
            candidates are.
        corrected: `[m]`, `(best - chance) / (1 - chance)`; NaN where it is undefined.
    """

    name: str
    n_candidates: int
    best: Tensor
    candidate: Tensor
    chance: float
    corrected: Tensor

    @property
    def n_defined(self) -> int:
        """Number of latents with a corrected alignment."""
        return int((~self.corrected.isnan()).sum())

    @property
    def mean(self) -> float:
        """Mean corrected alignment of the latents that have one; NaN where none has."""
        return float(self.corrected.nanmean())


@dataclass(frozen=True)
class Explanation:
    """Latents against all classes of directions.

    Attributes:
        true: the features.
        composed: normalised sums `f_i + f_j` of pairs of features.
        components: the principal components; both signs are one candidate, as `|cos|` is taken.
        random: as many random directions as there are pairs: its mean is 0 up to noise.
        pairs: `[k, 2]` int64, the pair of features behind each composed candidate.
        gap_resolved: `[d]` of the principal components; False where the data leave them open.
    """

    true: ClassAlignment
    composed: ClassAlignment
    components: ClassAlignment
    random: ClassAlignment
    pairs: Tensor
    gap_resolved: Tensor

    @property
    def classes(self) -> tuple[ClassAlignment, ...]:
        """The four classes, in the order of the table."""
        return self.true, self.composed, self.components, self.random

    @property
    def winner(self) -> str:
        """Name of the class with the highest mean corrected alignment; empty where all are NaN."""
        defined = [one for one in self.classes if not isnan(one.mean)]
        return max(defined, key=lambda one: one.mean).name if defined else ""

    @property
    def recovers_components(self) -> bool | None:
        """Whether the SAE recovers principal components; None where their alignment is undefined.

        So it is iff their mean corrected alignment is above that of each other class by more than
        `MARGIN`, and the components that the latents are closest to are all resolved.
        """
        if isnan(self.components.mean):
            return None
        others = [one.mean for one in self.classes if one is not self.components]
        highest = max((mean for mean in others if not isnan(mean)), default=float("-inf"))
        named = self.components.candidate[self.components.candidate >= 0]
        resolved = len(named) > 0 and bool(self.gap_resolved[named].all())
        return resolved and self.components.mean > highest + MARGIN


def class_alignment(latents: ArrayLike, candidates: ArrayLike, name: str = "") -> ClassAlignment:
    """Best `|cos|` of each latent in a class of directions, beyond what chance reaches.

    Args:
        latents: `[m, d]` rows.
        candidates: `[k, d]` rows; zero rows do not count.
        name: of the class.

    Returns:
        The best candidate of each latent, raw and corrected; NaN for a zero latent, for a class
        without candidates and in one dimension.

    Raises:
        ShapeError: the two live in spaces of different dimension.
        DataError: NaN or infinite values.

    Source: law of the cosine on the sphere; Cohen 1960, kappa.
    """
    return _aligned(latents, candidates, name, expected_max_abs_cosine)


def explain_latents(
    latents: ArrayLike,
    features: ArrayLike,
    components: PCA,
    *,
    pairs: Sequence[tuple[int, int]] | None = None,
    seed: int = 0,
) -> Explanation:
    """Alignment of latents with true, composed, principal and random directions.

    Args:
        latents: `[m, d]` rows.
        features: `[n, d]` rows of unit length, or of the length that they are composed with.
        components: of the hidden space.
        pairs: pairs of features that are candidates for a composed one; by default all of them.
        seed: of the random directions.

    Returns:
        Each class with its own chance level: `n`, the number of pairs, and the number of
        components (`d`) are the numbers of candidates, and components are corrected as the
        orthonormal basis that they are. In one dimension, chance is 1 and nothing
        is defined.

    Raises:
        ShapeError: rows live in spaces of different dimension, or a pair names no feature.
        DataError: NaN or infinite values.

    Source: law of the cosine on the sphere; Cohen 1960, kappa.
    """
    rows, truth = as_matrix(latents, "latents"), as_matrix(features, "features")
    n, d = truth.shape
    chosen = torch.combinations(torch.arange(n)) if pairs is None else _checked(pairs, n)
    chosen = chosen.to(truth.device)
    n_random = max(len(chosen), 1)
    noise = torch.randn(n_random, d, generator=torch.Generator().manual_seed(seed)).to(truth)
    if len(chosen):
        composed = class_alignment(rows, truth[chosen].sum(1), "composed")
    else:
        composed = class_alignment(rows, torch.zeros_like(truth[:1]), "composed")
    return Explanation(
        true=class_alignment(rows, truth, "true"),
        composed=composed,
        components=_aligned(
            rows, components.components, "components", expected_max_abs_cosine_of_basis
        ),
        random=class_alignment(rows, noise, "random"),
        pairs=chosen,
        gap_resolved=components.gap_resolved,
    )


def expected_max_abs_cosine_of_basis(d: int, k: int) -> float:
    """Expected largest `|cos|` between a random direction and `k` orthonormal ones.

    `E max|g_i| / E|g|` for a Gaussian `g [d]` of which `k` coordinates count, since its length is
    independent of its direction. An orthonormal basis leaves no direction far from all of its
    vectors: for `k = d = 2` it reaches .900, two independent directions .811.

    Args:
        d: dimension of the space.
        k: number of directions.

    Returns:
        The expectation in [0, 1]; exactly 1 for `d = 1`, NaN for `k = 0`.

    Raises:
        ShapeError: not `0 <= k <= d`.

    Source: length and direction of a Gaussian are independent.
    """
    if not 0 <= k <= d or d < 1:
        raise ShapeError(f"d={d}, k={k}: expected at most as many directions as dimensions")
    if k == 0:
        return float("nan")
    if d == 1:
        return 1.0
    largest, _ = quad(lambda t: 1 - (2 * ndtr(t) - 1) ** k, 0, 12)
    length = 2**0.5 * exp(gammaln((d + 1) / 2) - gammaln(d / 2))
    return float(min(largest / length, 1.0))


def eigenspace_overlap(first: PCA, second: PCA, n_components: int) -> float:
    """Overlap `tr(PQ) / k` of the spaces that the first `k` components of two PCAs span.

    Where a gap inside the first `k` is not resolved the single components mean nothing, but their
    space does if the gap after it is resolved. By chance it is `k / d`.

    Args:
        first: one PCA.
        second: another in the same dimensions.
        n_components: `k`, from 1 to `d`.

    Returns:
        Mean squared cosine of the principal angles, in [0, 1]; NaN where either PCA does not
        resolve the gap after component `k`.

    Raises:
        ShapeError: the two live in spaces of different dimension.
        ConfigError: `n_components` is outside 1 to `d`.

    Source: principal angles: Björck & Golub 1973.
    """
    d = len(first.eigenvalues)
    if len(second.eigenvalues) != d:
        raise ShapeError(f"PCA in {d} and {len(second.eigenvalues)} dimensions: expected the same")
    if not 1 <= n_components <= d:
        raise ConfigError(f"n_components={n_components}: allowed are 1 to {d}")
    if not all(_ends_resolved(found, n_components) for found in (first, second)):
        return float("nan")
    cosines = first.components[:n_components] @ second.components[:n_components].T
    return float((cosines.square().sum() / n_components).clamp(max=1.0))


def _aligned(
    latents: ArrayLike, candidates: ArrayLike, name: str, chance_of: Callable[[int, int], float]
) -> ClassAlignment:
    rows = as_matrix(latents, "latents")
    directions = as_directions(candidates, rows.shape[1])
    defined = ~directions[:, 0].isnan()
    candidate_rows = torch.where(defined[:, None], directions, 0.0)
    best, place = _best(as_directions(rows, rows.shape[1]), candidate_rows)
    n_candidates = int(defined.sum())
    undefined = best.isnan() if n_candidates else torch.ones_like(best, dtype=torch.bool)
    best = torch.where(undefined, torch.nan, best)
    chance = chance_of(rows.shape[1], n_candidates)
    return ClassAlignment(
        name=name,
        n_candidates=n_candidates,
        best=best,
        candidate=torch.where(undefined, -1, place),
        chance=chance,
        corrected=chance_corrected(best, chance) if n_candidates else best,
    )


def _ends_resolved(found: PCA, n_components: int) -> bool:
    if n_components == len(found.eigenvalues):
        return True
    return bool(found.gaps[n_components - 1])


def _best(latents: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    best = latents.new_full((len(latents),), -1.0)
    place = torch.zeros(len(latents), dtype=torch.int64, device=latents.device)
    step = rows_within(_COSINES_AT_ONCE, len(latents))
    for first in range(0, len(candidates), step):
        found, where = (latents @ candidates[first : first + step].T).abs().clamp(max=1.0).max(1)
        better = found.isnan() | (found > best)
        best = torch.where(better, found, best)
        place = torch.where(better, where + first, place)
    return best, place


def _checked(pairs: Sequence[tuple[int, int]], n: int) -> Tensor:
    chosen = torch.as_tensor(pairs, dtype=torch.int64).reshape(-1, 2)
    if len(chosen) and not (int(chosen.min()) >= 0 and int(chosen.max()) < n):
        raise ShapeError(f"pairs name features outside 0 to {n - 1}")
    if bool((chosen[:, 0] == chosen[:, 1]).any()):
        raise ShapeError("a pair names the same feature twice: expected two different ones")
    return chosen
