"""Normalised cuts of a graph: eigenvectors of its components, one by one, and who belongs to which.

Each component has the eigenvalue 0 once. An iterative solver given all components at once sees them
as one eigenvalue many times, of which it may miss some.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import eigsh

Array = NDArray[np.float64]

# Above this size, a few eigenvectors are found faster by iteration.
_DENSE = 1024
# The Laplacian is singular: its inverse is taken a little below its smallest eigenvalue.
_SHIFT = -1e-5


def normalized_cuts(
    weights: sparse.csr_array, components: NDArray[np.int32], n_parts: int
) -> NDArray[np.int64]:
    """Part of each vertex, `[n]`, of a graph whose vertices all have an edge.

    Args:
        weights: symmetric and positive where not 0, `[n, n]`.
        components: of each vertex, `[n]`, from 0.
        n_parts: from the number of components to `n`.
    """
    n_components = int(components.max()) + 1
    values: list[Array] = []
    vectors: list[Array] = []
    where: list[NDArray[np.int64]] = []
    for component in range(n_components):
        inside = np.flatnonzero(components == component)
        # Every other component needs one vector at least.
        wanted = min(len(inside), n_parts - n_components + 1)
        found = _lowest(weights[inside][:, inside], wanted)
        values.append(found[0])
        vectors.extend(found[1].T)
        where.extend([inside] * wanted)
    # Those of 0 first: else rounding might put one behind a small eigenvalue of another component.
    for own in values:
        own[0] = -np.inf
    embedding = np.zeros((len(components), n_parts))
    chosen = np.argsort(np.concatenate(values), kind="stable")[:n_parts]
    for column, k in enumerate(chosen):
        embedding[where[k], column] = vectors[k]
    return _by_pivots(embedding)


def _lowest(weights: sparse.csr_array, n: int) -> tuple[Array, Array]:
    """The `n` lowest eigenvalues of the Laplacian of a connected graph, and their vectors.

    Vectors are those of the random walk: that of 0 is constant.
    """
    laplacian, roots = csgraph.laplacian(weights, normed=True, return_diag=True)
    size = len(roots)
    if size <= _DENSE or n > size // 4:
        values, vectors = linalg.eigh(laplacian.toarray(), subset_by_index=(0, n - 1))
    else:
        start = np.random.default_rng(0).uniform(-1, 1, size)
        values, vectors = eigsh(laplacian.tocsc(), n, sigma=_SHIFT, which="LM", v0=start)
        order = np.argsort(values)
        values, vectors = values[order], vectors[:, order]
    return values, vectors / roots[:, None]


def _by_pivots(embedding: Array) -> NDArray[np.int64]:
    """The vector that each row belongs to after a rotation towards the rows most unlike each other.

    Damle, Minden & Ying 2019, which needs no random start.
    """
    _, pivots = linalg.qr(embedding.T, mode="r", pivoting=True)
    left, _, right = linalg.svd(embedding[pivots[: embedding.shape[1]]].T)
    return np.abs(embedding @ (left @ right)).argmax(axis=1)
