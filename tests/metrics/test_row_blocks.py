from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toysae.errors import ShapeError
from toysae.metrics._row_blocks import row_blocks, rows_within


@given(st.integers(0, 50), st.integers(1, 20))
def test_blocks_cover_all_rows_once(n_rows: int, block: int) -> None:
    taken = [range(n_rows)[rows] for rows in row_blocks(n_rows, block)]
    assert [row for rows in taken for row in rows] == list(range(n_rows))
    assert all(len(rows) == block for rows in taken[:-1])


def test_a_block_has_rows() -> None:
    with pytest.raises(ShapeError, match="block=0"):
        row_blocks(3, 0)


@pytest.mark.parametrize(
    ("n_entries", "width", "rows"),
    [(12, 4, 3), (13, 4, 3), (15, 4, 3), (4, 4, 1), (3, 4, 1), (12, 1, 12), (12, 0, 12)],
)
def test_rows_are_as_many_as_fit_and_one_at_least(n_entries: int, width: int, rows: int) -> None:
    assert rows_within(n_entries, width) == rows
