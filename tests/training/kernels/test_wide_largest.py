"""The `k` largest of many."""

from __future__ import annotations

import numpy as np
import pytest

from toysae.training.kernels.wide_largest import find_largest
from toysae.training.kernels.wide_loops import Entries


def largest(z, k):
    """Latents that are listed of each sample, and their values."""
    samples, m = z.shape
    room = np.zeros(samples * k, np.float32)
    places = np.zeros((2, samples), np.int64)
    entries = Entries(*places, np.zeros(samples * k, np.int32), room, room.copy())
    find_largest(0, samples, z, np.zeros(m, np.float32), k, entries)
    kept = [slice(a, b) for a, b in zip(entries.start, entries.stop)]
    return [[of[part].tolist() for part in kept] for of in (entries.latent, entries.value)]


def test_equal_ones_at_the_cut_are_kept_up_to_k():
    z = np.array([[1, 3, 2, 2, 2, -1], [0, -1, -2, 5, 0, 0]], np.float32)
    assert largest(z, 3) == [[[1, 2, 3], [3]], [[3, 2, 2], [5]]]


@pytest.mark.parametrize("k", [1, 4, 11, 70, 299])
def test_largest_of_many(k):
    z = 1 + np.random.default_rng(0).random((20, 300), np.float32)
    latents, values = largest(z, k)
    for row, found, levels in zip(z, latents, values):
        assert found == sorted(np.argsort(row)[-k:])
        assert levels == row[found].tolist()
