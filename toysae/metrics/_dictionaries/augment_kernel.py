"""Shortest augmenting paths to the heaviest matching of a sparse bipartite graph.

Rows and columns have prices. They are right if none is negative and
`row_price[i] + column_price[j] >= gain` for every pair, with equality for matched ones; then the
sum of all prices is at least what any matching gains. The matching is optimal once all that are
free have price 0, for then both sums are equal (Kuhn 1955; the order of search is Dijkstra's, as
Jonker and Volgenant 1987 do it).
"""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np

from toysae.compiled import njit

NOBODY = -1


@njit(cache=True, nogil=True)
def settle_rows(
    graph: Any, prices: Any, column_of: Any, row_of: Any, first: int, most_pairs: int
) -> int:
    """Settles rows one by one: each ends matched, or free at price 0.

    Takes and leaves prices that are right, and price 0 for free columns.

    Args:
        graph: `(starts, columns, gains)`: pairs by row, row `i` having `starts[i]:starts[i + 1]`.
        prices: `(row_price, column_price)`, changed in place.
        column_of: column matched to each row or -1, changed in place.
        row_of: row matched to each column or -1, changed in place.
        first: the first row that is not settled.
        most_pairs: pairs to look at before returning.

    Returns:
        The first row that is not settled.
    """
    row_price, column_price = prices
    n, m = len(row_price), len(column_price)
    distance = np.full(m, np.inf)
    came_from = np.empty(m, np.int64)
    seen = np.empty(m, np.int64)
    closed = np.empty(m, np.int64)
    n_pairs = 0
    for root in range(first, n):
        if n_pairs > most_pairs:
            return root
        cheapest, end, leaves_a_row, n_seen, n_closed, looked_at = _nearest_end(
            graph, prices, row_of, root, distance, came_from, seen, closed
        )
        n_pairs += looked_at
        row_price[root] -= cheapest
        for k in range(n_closed):
            column = closed[k]
            change = cheapest - distance[column]
            column_price[column] += change
            row_price[row_of[column]] = max(row_price[row_of[column]] - change, 0.0)
        for k in range(n_seen):
            distance[seen[k]] = np.inf
        column = end
        if leaves_a_row:
            row_price[end] = 0.0
            column = column_of[end]
            column_of[end] = NOBODY
        # Each column on the path goes over to the row that it was reached from.
        while column != NOBODY:
            row = came_from[column]
            given_up = column_of[row]
            row_of[column] = row
            column_of[row] = column
            column = given_up
    return n


@njit(cache=True, nogil=True)
def _nearest_end(
    graph: Any,
    prices: Any,
    row_of: Any,
    root: int,
    distance: Any,
    came_from: Any,
    seen: Any,
    closed: Any,
) -> Any:
    """Where the cheapest alternating path from row `root` ends: in a free column, or in a row
    that is left free instead, at the cost of its price (`root` itself may be).

    Returns:
        The cost, the column or row, whether it is a row, how many columns are in `seen` and how
        many in `closed` (nearer than the end), and how many pairs were looked at.
    """
    starts, columns, gains = graph
    row_price, column_price = prices
    cheapest, end, leaves_a_row = row_price[root], root, True
    queue = [(0.0, NOBODY)]
    n_seen = n_closed = looked_at = 0
    row, so_far = root, 0.0
    while True:
        looked_at += starts[row + 1] - starts[row]
        for pair in range(starts[row], starts[row + 1]):
            column = columns[pair]
            slack = row_price[row] + column_price[column] - gains[pair]
            reached = so_far + max(slack, 0.0)
            if reached < cheapest and reached < distance[column]:
                if distance[column] == np.inf:
                    seen[n_seen] = column
                    n_seen += 1
                distance[column] = reached
                came_from[column] = row
                if row_of[column] == NOBODY:
                    cheapest, end, leaves_a_row = reached, column, False
                else:
                    heapq.heappush(queue, (reached, column))
        column = NOBODY
        while len(queue) > 0 and column == NOBODY:
            so_far, nearest = heapq.heappop(queue)
            if so_far >= cheapest:
                break
            if nearest != NOBODY and so_far == distance[nearest]:
                column = nearest
        if column == NOBODY:
            return cheapest, end, leaves_a_row, n_seen, n_closed, looked_at
        closed[n_closed] = column
        n_closed += 1
        row = row_of[column]
        if so_far + row_price[row] < cheapest:
            cheapest, end, leaves_a_row = so_far + row_price[row], row, True
