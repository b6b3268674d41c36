"""Features at chosen angles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.hidden.haar import rotation
from toysae.hidden.linear import LinearHidden

#: Eigenvalues this close to 0 are rounding errors of a matrix typed by hand or computed in float64.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Gram(LinearHidden):
    """Unit directions with given cosines, randomly rotated (Haar measure) by the seed.

    Attributes:
        d_hidden: dimension, at least the rank of `gram`.
        bias_norm, noise, readout: as of `LinearHidden`.
        gram: cosine of every two features `[n_features][n_features]`: symmetric, 1 on the diagonal,
            positive semi-definite (all to 1e-6); null is the identity.
    """

    gram: tuple[tuple[float, ...], ...] | None = None

    name: ClassVar[str] = "gram"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gram is not None:
            _check_cosines(self.gram)
            self._check_room(self._factor.shape[1])

    @cached_property
    def _factor(self) -> Tensor:
        """`B [n, rank]` with `B B^T` the Gram matrix, float64."""
        values, vectors = torch.linalg.eigh(torch.tensor(self.gram, dtype=torch.float64))
        if float(values[0]) < -TOLERANCE:
            raise ConfigError(
                f"hidden.gram: its smallest eigenvalue is {float(values[0]):.3g}, must be at least "
                f"-{TOLERANCE:g}; no directions have these cosines"
            )
        kept = values > TOLERANCE
        return vectors[:, kept] * values[kept].sqrt()

    def directions(self, n_features: int, draws: Draws) -> Tensor:
        if self.gram is None:
            self._check_room(n_features)
            return rotation(draws, self.d_hidden)[:n_features]
        if len(self.gram) != n_features:
            raise ConfigError(
                f"hidden.gram: found {len(self.gram)} rows for {n_features} features; give one each"
            )
        axes = rotation(draws, self.d_hidden)[: self._factor.shape[1]]
        return (self._factor @ axes.double()).float()

    def _check_room(self, rank: int) -> None:
        if rank > self.d_hidden:
            raise ConfigError(
                f"hidden.d_hidden = {self.d_hidden}: a Gram matrix of rank {rank} needs at least "
                f"{rank} dimensions"
            )


def _check_cosines(gram: tuple[tuple[float, ...], ...]) -> None:
    lengths = [len(row) for row in gram]
    if not gram or set(lengths) != {len(gram)}:
        raise ConfigError(
            f"hidden.gram: found {len(gram)} rows of lengths {lengths}; must be a square matrix"
        )
    matrix = torch.tensor(gram, dtype=torch.float64)
    if not float((matrix - matrix.T).abs().max()) <= TOLERANCE:
        raise ConfigError("hidden.gram: is not symmetric; cosine [i][j] must be cosine [j][i]")
    off = float((matrix.diagonal() - 1).abs().max())
    if off > TOLERANCE:
        raise ConfigError(
            f"hidden.gram: its diagonal is off 1 by {off:.3g}; directions have norm 1, and "
            "magnitudes belong to the generator"
        )
