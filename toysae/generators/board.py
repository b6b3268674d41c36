"""A board: squares with one content each, alike where they are near."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from string import ascii_lowercase
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from toysae.checks import check_at_least
from toysae.draws import CPU, Draws
from toysae.errors import ConfigError
from toysae.generators.base import Generator
from toysae.generators.coefficients import SparseCoefficients
from toysae.generators.laws import magnitudes
from toysae.generators.laws.magnitudes import Magnitude, Magnitudes
from toysae.generators.truth import PairMoments, Truth

#: Truth rests on a table over all pairs of squares.
_MOST_SQUARES = 4096
# Probabilities are typed by hand.
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Board(Generator):
    """Squares as one-hot sets with neighbour dependence: a toy of the board-state experiments.

    OthelloGPT's 64 squares of 3 contents are 192 features, of which exactly 64 fire (Huben,
    "Research report: sparse autoencoders find only 9/180 board state features in OthelloGPT",
    2024).

    Squares are visited row by row. Each holds a hidden number: with probability `coupling` that of
    its left or upper neighbour (where it has both, either with the same probability), otherwise a
    fresh one, `U(0, 1)`. Its content is the quantile of its own contents at that number. So
    contents have exactly the probabilities that were asked for, and two squares have one number
    with a probability `rho` that falls with their distance: content `i` of one and `j` of another
    occur together with probability `rho * o + (1 - rho) * p_i * p_j`, where `o` is the overlap of
    the two intervals of numbers.

    Features are called after square and content, such as `c4=empty`: columns are letters from the
    left, rows are numbers from the top.

    Attributes:
        rows, columns: of the board, each `>= 1`, at most 4,096 squares.
        contents: probabilities of the contents of a square, summing to 1, or one such list a
            square, row by row.
        content_names: one a content; null is `0`, `1`, ...
        coupling: in [0, 1); 0 is independent squares.
        magnitude: law of how strongly a feature fires, square after square.
    """

    rows: int = 8
    columns: int = 8
    contents: Any = (0.4, 0.3, 0.3)
    content_names: tuple[str, ...] | None = None
    coupling: float = 0.5
    magnitude: Magnitude = magnitudes.Uniform()

    name: ClassVar[str] = "board"

    def __post_init__(self) -> None:
        check_at_least("generator.rows", self.rows, 1)
        check_at_least("generator.columns", self.columns, 1)
        if self.n_squares > _MOST_SQUARES:
            raise ConfigError(
                f"generator.rows = {self.rows}, generator.columns = {self.columns}: found "
                f"{self.n_squares:,} squares; must be at most {_MOST_SQUARES:,}"
            )
        if not 0 <= self.coupling < 1:
            raise ConfigError(f"generator.coupling = {self.coupling}: must lie in [0, 1)")
        object.__setattr__(self, "contents", _frozen_contents(self.contents, self.n_squares))
        names = self.content_names
        if names is not None and (len(names) != self.n_contents or len(set(names)) < len(names)):
            raise ConfigError(
                f"generator.content_names = {list(names)}: must be {self.n_contents} different "
                "names, one for each of generator.contents"
            )
        self._magnitudes  # noqa: B018  (a bad law is refused at construction)

    @property
    def n_squares(self) -> int:
        """Number of squares."""
        return self.rows * self.columns

    @property
    def n_contents(self) -> int:
        """Number of contents of a square."""
        return self.probabilities.shape[1]

    @property
    def n_features(self) -> int:
        return self.n_squares * self.n_contents

    @cached_property
    def probabilities(self) -> Tensor:
        """Probability of each content of each square, float64, `[n_squares, n_contents]`."""
        given = torch.tensor(self.contents, dtype=torch.float64)
        given = given.expand(self.n_squares, -1) if given.ndim == 1 else given
        return given / given.sum(1, keepdim=True)

    @cached_property
    def same_number(self) -> Tensor:
        """Probability that two squares have one number, float64, `[n_squares, n_squares]`."""
        same = torch.eye(self.n_squares, dtype=torch.float64)
        for square in range(1, self.n_squares):
            row, column = divmod(square, self.columns)
            left = [square - 1] if column > 0 else []
            upper = [square - self.columns] if row > 0 else []
            copied = same[left + upper, :square].mean(0)
            same[square, :square] = same[:square, square] = self.coupling * copied
        return same

    @cached_property
    def _upper(self) -> Tensor:
        """Upper ends of the intervals of numbers of each content; the last is 1."""
        ends = self.probabilities.cumsum(1)
        return ends / ends[:, -1:]

    @cached_property
    def _magnitudes(self) -> Magnitudes:
        return Magnitudes.of(self.magnitude, self.n_features)

    def sample(self, draws: Draws, n: int) -> SparseCoefficients:
        from toysae.generators.board_kernel import draw_contents

        features = torch.empty(n * self.n_squares, dtype=torch.int64)
        draw_contents(
            features.numpy(),
            draws.kernel_state("contents"),
            self.rows,
            self.columns,
            self.coupling,
            self._upper.numpy(),
        )
        u = replace(draws, device=CPU).uniform("magnitude", (len(features),))
        offsets = torch.arange(n + 1) * self.n_squares
        values = self._magnitudes.at(u, features)
        return SparseCoefficients(offsets, features, values, self.n_features).to(draws.device)

    def truth(self) -> Truth:
        marginals = self.probabilities.flatten()
        mean, square = marginals * self._magnitudes.mean, marginals * self._magnitudes.square

        def pair_moments(features: Tensor) -> PairMoments:
            probabilities = self._pair_probabilities(features)
            strength = self._magnitudes.mean[features]
            products = probabilities * strength[:, None] * strength[None, :]
            same = features[:, None] == features[None, :]
            return PairMoments.exact(probabilities, torch.where(same, square[features], products))

        contents = self.content_names or tuple(map(str, range(self.n_contents)))
        squares = [f"{_letters(c)}{r + 1}" for r in range(self.rows) for c in range(self.columns)]
        names = tuple(f"{square}={content}" for square in squares for content in contents)
        places = np.arange(self.n_features).reshape(self.n_squares, self.n_contents)
        groups: dict[str, Sequence[int]] = {
            f"content_{content}": tuple(column.tolist())
            for content, column in zip(contents, places.T)
        }
        groups |= {f"square_{square}": tuple(row.tolist()) for square, row in zip(squares, places)}
        return Truth(names, groups, marginals, mean, square, pair_moments)

    def _pair_probabilities(self, features: Tensor) -> Tensor:
        square = features // self.n_contents
        high = self._upper.flatten()[features]
        p = self.probabilities.flatten()[features]
        low = high - p
        overlap = torch.minimum(high[:, None], high) - torch.maximum(low[:, None], low)
        same = self.same_number[square[:, None], square[None, :]]
        return same * overlap.clamp(min=0) + (1 - same) * p[:, None] * p[None, :]


def _letters(column: int) -> str:
    """a, b, ..., z, aa, ab, ... for columns 0, 1, ..."""
    before, last = divmod(column, 26)
    return (_letters(before - 1) if before else "") + ascii_lowercase[last]


def _frozen_contents(contents: Any, n_squares: int) -> tuple[Any, ...]:
    """Probabilities of contents as tuples: one for all squares, or one of each."""
    if not isinstance(contents, (list, tuple)) or not contents:
        raise ConfigError(f"generator.contents = {contents!r}: must be a list of probabilities")
    if not isinstance(contents[0], (list, tuple)):
        return _frozen_square("generator.contents", contents)
    if len(contents) != n_squares:
        raise ConfigError(
            f"generator.contents: found {len(contents)} lists, must be one for all squares or one "
            f"for each of the {n_squares} (generator.rows times generator.columns)"
        )
    frozen = tuple(
        _frozen_square(f"generator.contents[{k}]", own) for k, own in enumerate(contents)
    )
    lengths = sorted({len(own) for own in frozen})
    if len(lengths) > 1:
        raise ConfigError(
            f"generator.contents: found lists of {lengths} numbers, must be as many for each "
            "square; give 0 for what a square never holds"
        )
    return frozen


def _frozen_square(key: str, probabilities: Any) -> tuple[float, ...]:
    numbers = isinstance(probabilities, (list, tuple)) and all(
        isinstance(p, (int, float)) and not isinstance(p, bool) for p in probabilities
    )
    if not numbers or not probabilities or not all(0 <= p <= 1 for p in probabilities):
        raise ConfigError(f"{key} = {probabilities!r}: must be a list of numbers in [0, 1]")
    if abs(sum(probabilities) - 1) > _TOLERANCE:
        raise ConfigError(f"{key}: sums to {sum(probabilities):.6g}, must sum to 1")
    return tuple(float(p) for p in probabilities)
