from __future__ import annotations

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from toysae.generators.copula.cells import firings, true_cells


@given(st.integers(0, 5), st.integers(1, 9), st.floats(0, 1), st.integers(0, 2**32))
def test_lists_hold_what_the_table_holds(n, n_features, share, seed):
    generator = torch.Generator().manual_seed(seed)
    fires = torch.rand(n, n_features, generator=generator) < share
    offsets, features = firings(true_cells(fires), n, n_features)
    assert offsets.shape == (n + 1,)
    found = [features[a:b].tolist() for a, b in itertools.pairwise(offsets)]
    assert found == [row.nonzero()[:, 0].tolist() for row in fires]
    assert offsets.dtype == features.dtype == torch.int64
