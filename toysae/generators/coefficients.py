"""Coefficients of samples: dense for small dictionaries, a list of what fires for large ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

#: A sum over what fires reads memory at random; below this many features per firing the dense
#: matrix product is faster.
_DENSE_BELOW = 8


class Coefficients(ABC):
    """How strongly each feature fires on each sample: `[n_samples, n_features]`, non-negative."""

    @property
    @abstractmethod
    def n_samples(self) -> int:
        """Number of samples."""

    @property
    @abstractmethod
    def n_features(self) -> int:
        """Number of features."""

    @abstractmethod
    def dense(self) -> Tensor:
        """`[n_samples, n_features]` float32; 0 where a feature does not fire."""

    @abstractmethod
    def sparse(self) -> SparseCoefficients:
        """The same as a list of what fires."""

    @abstractmethod
    def rows(self, start: int, stop: int) -> Coefficients:
        """Samples `start` to `stop`."""

    @abstractmethod
    def combine(self, directions: Tensor) -> Tensor:
        """Sum of the directions of the features that fire, weighted by coefficient: `[n, d]`.

        Args:
            directions: `[n_features, d]`, on the same device.
        """


@dataclass(frozen=True, eq=False)
class DenseCoefficients(Coefficients):
    """Coefficients as one tensor.

    Attributes:
        values: `[n_samples, n_features]`.
    """

    values: Tensor

    @property
    def n_samples(self) -> int:
        return len(self.values)

    @property
    def n_features(self) -> int:
        return self.values.shape[1]

    def dense(self) -> Tensor:
        return self.values

    def sparse(self) -> SparseCoefficients:
        sample, feature = self.values.nonzero(as_tuple=True)
        counts = torch.bincount(sample, minlength=self.n_samples)
        return SparseCoefficients(
            offsets_of(counts), feature, self.values[sample, feature], self.n_features
        )

    def rows(self, start: int, stop: int) -> DenseCoefficients:
        return DenseCoefficients(self.values[start:stop])

    def combine(self, directions: Tensor) -> Tensor:
        # Features innermost in neither factor: twice as fast as the plain product at toy widths.
        return (directions.T @ self.values.T).T


@dataclass(frozen=True, eq=False)
class SparseCoefficients(Coefficients):
    """Coefficients as a list of firings, sample by sample.

    Attributes:
        offsets: firings of sample `s` are at `offsets[s]` to `offsets[s + 1]`; `[n_samples + 1]`,
            int64.
        features: which feature fires, int64, `[firings]`; in no particular order within a sample,
            each feature at most once.
        values: how strongly, float32, `> 0`, `[firings]`.
        feature_count: number of features.
    """

    offsets: Tensor
    features: Tensor
    values: Tensor
    feature_count: int

    @property
    def n_samples(self) -> int:
        return len(self.offsets) - 1

    @property
    def n_features(self) -> int:
        return self.feature_count

    @property
    def samples(self) -> Tensor:
        """Sample of each firing, int64, `[firings]`."""
        index = torch.arange(self.n_samples, device=self.offsets.device)
        return index.repeat_interleave(self.offsets.diff(), output_size=len(self.features))

    def dense(self) -> Tensor:
        values = self.values.new_zeros(self.n_samples, self.feature_count)
        values[self.samples, self.features] = self.values
        return values

    def sparse(self) -> SparseCoefficients:
        return self

    def rows(self, start: int, stop: int) -> SparseCoefficients:
        offsets = self.offsets[start : max(start, stop) + 1]
        low, high = int(offsets[0]), int(offsets[-1])
        return SparseCoefficients(
            offsets - low, self.features[low:high], self.values[low:high], self.feature_count
        )

    def combine(self, directions: Tensor) -> Tensor:
        if self.n_samples * self.feature_count < _DENSE_BELOW * len(self.features):
            return DenseCoefficients(self.dense()).combine(directions)
        return embedding_bag(
            self.features,
            directions,
            self.offsets[:-1],
            mode="sum",
            per_sample_weights=self.values.to(directions.dtype),
        )

    def to(self, device: torch.device) -> SparseCoefficients:
        """The same on another device."""
        return SparseCoefficients(
            _moved(self.offsets, device),
            _moved(self.features, device),
            _moved(self.values, device),
            self.feature_count,
        )


def _moved(numbers: Tensor, device: torch.device) -> Tensor:
    """`numbers` on a device; to a GPU by way of pinned memory, so that the thread need not wait."""
    if device.type == "cuda" and numbers.device.type == "cpu":
        return numbers.pin_memory().to(device, non_blocking=True)
    return numbers.to(device)


def offsets_of(counts: Tensor) -> Tensor:
    """Where each sample's firings begin, given how many it has; one longer than `counts`."""
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


def by_sample(samples: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """How to list firings sample by sample.

    Args:
        samples: sample of each firing, integers on the CPU, `[firings]`.
        n: number of samples.

    Returns:
        Offsets `[n + 1]` of the samples in the list, as `SparseCoefficients` holds them, and the
        order that makes it, `[firings]`.
    """
    from toysae.generators.shared_kernel import order_by_sample

    offsets, order = order_by_sample(samples.numpy(), n)
    return torch.from_numpy(offsets), torch.from_numpy(order)


def concatenate(parts: Sequence[Coefficients]) -> Coefficients:
    """Samples of all parts, one after another; dense if the parts are."""
    if len(parts) == 1:
        return parts[0]
    if all(isinstance(part, DenseCoefficients) for part in parts):
        return DenseCoefficients(torch.cat([part.dense() for part in parts]))
    lists = [part.sparse() for part in parts]
    return SparseCoefficients(
        offsets_of(torch.cat([part.offsets.diff() for part in lists])),
        torch.cat([part.features for part in lists]),
        torch.cat([part.values for part in lists]),
        lists[0].feature_count,
    )
