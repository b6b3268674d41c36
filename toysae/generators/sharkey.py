"""Features of falling frequency that correlate: the toy data of Sharkey et al., as Huben has it.

Sharkey, Braun and Millidge, "Taking features out of superposition with sparse autoencoders"
(December 2022), in the replication of Huben, Cunningham, Riggs Smith and Ewart (2023).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from toysae.checks import check_at_least, check_choice, check_interval, check_positive
from toysae.draws import Draws
from toysae.errors import ConfigError
from toysae.generators.base import Generator
from toysae.generators.coefficients import SparseCoefficients, offsets_of
from toysae.generators.copula.cells import firings, true_cells
from toysae.generators.copula.latents import times_triangular, triangular_root
from toysae.generators.laws import magnitudes
from toysae.generators.laws.magnitudes import Magnitude, Magnitudes
from toysae.generators.truth import PairMoments, Truth

#: Samples come in blocks of so many.
_BLOCK = 8192
#: Samples that are held at a time.
_ROWS = 512
#: Latents that the truth averages over.
_LATENTS = 2**16


@dataclass(frozen=True)
class SharkeyHuben(Generator):
    """Feature `i` fires with a probability in proportion to `Phi(z_i) decay^i`, with `z ~ N(0, C)`.

    `C = (R + R^T) / 2` with `R` uniform on [0, 1], minus 1.001 times its smallest eigenvalue on the
    diagonal where that is negative. Given `z`, probabilities are scaled so that `mean_active`
    features fire on average (one above 1 counts as 1), and features fire independently. A sample in
    which nothing fires gets one feature, all equally likely, at 1.0.

    The diagonal of `C` outgrows the rest: for 512 features it is about 10, so that `Phi(z_i)` is
    close to 0 or 1 and latents correlate by 0.05. What fires hardly correlates at all; the truth
    says by how much.

    Attributes:
        n_features: `>= 1`.
        decay: in (0, 1].
        mean_active: expected number of features that fire, before any is added to empty samples;
            above 0, at most half the sum of `decay^i`.
        magnitude: law of how strongly a feature fires.
        correlation_scope: `sample` draws a `z` for every sample, as the text says; `batch` draws
            one for `batch_size` consecutive samples, as the published code did, so that features
            are independent within a batch. The law of a single sample is the same.
        batch_size: samples that share `z` in scope `batch`; divides 8,192.
        seed: of `R`, `>= 0`; it belongs to the world, not to a run.
    """

    n_features: int = 512
    decay: float = 0.99
    mean_active: float = 5.0
    magnitude: Magnitude = magnitudes.Uniform()
    correlation_scope: str = "sample"
    batch_size: int = 256
    seed: int = 0

    name: ClassVar[str] = "sharkey"

    def __post_init__(self) -> None:
        check_at_least("generator.n_features", self.n_features, 1)
        check_positive("generator.decay", self.decay)
        check_interval("generator.decay", self.decay, 0, 1)
        check_positive("generator.mean_active", self.mean_active)
        check_interval("generator.mean_active", self.mean_active, 0, float(self._decays.sum()) / 2)
        check_choice("generator.correlation_scope", self.correlation_scope, ("batch", "sample"))
        check_at_least("generator.batch_size", self.batch_size, 1)
        check_at_least("generator.seed", self.seed, 0)
        if _BLOCK % self.batch_size:
            raise ConfigError(
                f"generator.batch_size = {self.batch_size}: must divide {_BLOCK}, as a batch "
                "cannot go on in the next block of samples"
            )
        self._magnitudes  # noqa: B018  (what is impossible is refused at construction)

    @cached_property
    def covariance(self) -> Tensor:
        """`C`, float64, `[n_features, n_features]`."""
        shape = (self.n_features, self.n_features)
        uniform = Draws(self.seed, ("sharkey",)).uniform("covariance", shape).double()
        covariance = (uniform + uniform.T) / 2
        smallest = float(torch.linalg.eigvalsh(covariance)[0])
        covariance.diagonal().sub_(1.001 * min(smallest, 0.0))
        return covariance

    @cached_property
    def _root(self) -> Tensor:
        return triangular_root(self.covariance[None]).float()

    @cached_property
    def _decays(self) -> Tensor:
        return self.decay ** torch.arange(self.n_features, dtype=torch.float64)

    @cached_property
    def _magnitudes(self) -> Magnitudes:
        return Magnitudes.of(self.magnitude, self.n_features)

    def sample(self, draws: Draws, n: int) -> SparseCoefficients:
        offsets, features = (t.cpu() for t in self._fire(draws, n))
        silent = offsets.diff() == 0
        starts = offsets[:-1][silent]
        added = (draws.uniform("added", (n,)).cpu().double() * self.n_features).long()[silent]
        features = torch.from_numpy(np.insert(features.numpy(), starts.numpy(), added.numpy()))
        offsets = offsets_of(offsets.diff().clamp(min=1))
        u = draws.uniform("magnitude", (len(features),)).cpu()
        values = self._magnitudes.at(u, features)
        values[offsets[:-1][silent]] = 1.0
        return SparseCoefficients(offsets, features, values, self.n_features).to(draws.device)

    def _fire(self, draws: Draws, n: int) -> tuple[Tensor, Tensor]:
        """Offsets and features of what fires, before any feature is added."""
        size = self.batch_size if self.correlation_scope == "batch" else 1
        rows = size * max(1, _ROWS // size)
        cells = [torch.empty(0, dtype=torch.int64, device=draws.device)]
        for start in range(0, n, rows):
            held = min(rows, n - start)
            probabilities = self._probabilities(draws, f"latents {start}", -(-held // size))
            u = draws.uniform(f"firing {start}", (held, self.n_features))
            fires = u < probabilities.repeat_interleave(size, dim=0)[:held]
            cells.append(true_cells(fires) + start * self.n_features)
        return firings(torch.cat(cells), n, self.n_features)

    def _probabilities(self, draws: Draws, name: str, n: int) -> Tensor:
        """Firing probabilities given `n` draws of the latents, float32, `[n, n_features]`."""
        normal = draws.normal(name, (1, n, self.n_features))
        latents = times_triangular(normal, self._root.to(draws.device))[0]
        share = latents.mul_(0.5**0.5).erf_().add_(1).mul_(self._decays.float().to(draws.device))
        return share.mul_(self.mean_active / share.sum(1, keepdim=True)).clamp_(max=1)

    def truth(self) -> Truth:
        """The facts about a sample, averaged over draws of the latents.

        There is no closed form: scaling couples the probabilities of all features. Given the
        latents everything is known exactly, so only those are drawn, which leaves errors far below
        those of as many samples. Both scopes have the same truth: it is of one sample.
        """
        names = tuple(f"f{i}" for i in range(self.n_features))
        marginals, mean, square = (values for values, _ in self._firsts)
        errors = (error for _, error in self._firsts)
        return Truth(names, {}, marginals, mean, square, self._pair_moments, *errors)

    @cached_property
    def _firsts(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """Marginals, means and mean squares, each with its standard error."""
        sums = torch.zeros(5, self.n_features, dtype=torch.float64)
        for p in self._conditional():
            # Where nothing fires, each feature is the one that is added with probability 1 / n.
            added = (1 - p).prod(1) / self.n_features
            sums[:2] += torch.stack([added.sum(), added.square().sum()])[:, None]
            sums[2:] += torch.stack([p.sum(0), p.square().sum(0), added @ p])
        added, added_square, own, own_square, product = sums
        return tuple(
            _mean_and_error(
                strength * own + added,
                strength.square() * own_square + 2 * strength * product + added_square,
            )
            for strength in (torch.ones(()), self._magnitudes.mean, self._magnitudes.square)
        )

    def _pair_moments(self, features: Tensor) -> PairMoments:
        sums = torch.zeros(2, len(features), len(features), dtype=torch.float64)
        for p in self._conditional():
            some = p[:, features]
            sums += torch.stack([some.T @ some, some.square().T @ some.square()])
        together, error = _mean_and_error(*sums)
        strength = self._magnitudes.mean[features]
        product = strength[:, None] * strength[None, :]
        same = features[:, None] == features[None, :]
        (marginals, marginals_error), _, (square, square_error) = self._firsts
        return PairMoments(
            torch.where(same, marginals[features], together),
            torch.where(same, square[features], together * product),
            torch.where(same, marginals_error[features], error),
            torch.where(same, square_error[features], error * product),
        )

    def _conditional(self) -> Iterator[Tensor]:
        """Probabilities given latents of a seed that nothing else uses, `[., n_features]`."""
        draws = Draws(0, ("truth",))
        for block in range(_LATENTS // _BLOCK):
            yield self._probabilities(draws.at_block(block), "latents", _BLOCK).double()


def _mean_and_error(total: Tensor, total_square: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over the latents that the truth averages over, and its standard error."""
    mean = total / _LATENTS
    variance = (total_square / _LATENTS - mean.square()).clamp(min=0)
    return mean, (variance / _LATENTS).sqrt()
