"""All eigenvalues of a large symmetric matrix, in place and at the speed of matrix products.

LAPACK goes to three diagonals at once, and reads the whole matrix for every column of it. Two steps
need fewer reads: reflections of many columns at a time down to a band, which are matrix products,
then a chase along the band, which fits the cache.

Source: Bischof, Lang & Sun (2000), ACM Trans. Math. Software 26(4).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Condition

import torch
from scipy.linalg import eigvalsh_tridiagonal
from torch import Tensor

from toysae.diagnostics._large.band_kernel import chase
from toysae.diagnostics._large.gram import block_bounds
from toysae.diagnostics._large.work import Work

# A tile of the chase, sweeps by steps: small enough for the cache of a core.
_SWEEPS, _STEPS = 8, 16


def symmetric_eigenvalues(upper: Tensor, block: int, band: int, work: Work) -> Tensor:
    """Eigenvalues in ascending order; the matrix is lost.

    Args:
        upper: `[n, n]`, of which blocks below the diagonal are neither read nor written; the
            blocks on it are complete.
        block: rows of a block, a multiple of `band`.
        band: subdiagonals to stop at before the chase.
        work: told of the stages `band` and `chase`.

    Returns:
        `[n]`.
    """
    if upper.device.type != "cpu":
        found = torch.linalg.eigvalsh(upper, UPLO="U")
        for stage in ("band", "chase"):
            work.add(stage, 1.0)
        return found
    stored = reduce_to_band(upper, block, band, work)
    _Chase(stored, band, work).run()
    diagonal, beside = stored[:, 0].numpy(), stored[:-1, 1].numpy()
    return torch.from_numpy(eigvalsh_tridiagonal(diagonal, beside, lapack_driver="sterf"))


def reduce_to_band(upper: Tensor, block: int, band: int, work: Work) -> Tensor:
    """Turn the matrix into a band with the same eigenvalues.

    Returns:
        `[n, 2 * band]`: row `c` holds column `c` of the band from the diagonal downwards, with
        room for bulges.
    """
    n = len(upper)
    stored = upper.new_zeros(n, 2 * band)
    for first, last in block_bounds(n, band):
        if last < n:
            reflect(upper, block, last, *_clear(upper[first:last, last:]))
        work.add("band", ((n - first) ** 3 - (n - last) ** 3) / n**3)
        for row in range(first, last):
            entries = upper[row, row : row + band + 1]
            stored[row, : len(entries)] = entries
    return stored


def _clear(panel: Tensor) -> tuple[Tensor, Tensor]:
    """Reflect the columns of a panel `[b, n]` so that it becomes lower triangular.

    Returns:
        Vectors `V [p, n]` and the upper triangular `T [p, p]` of the reflection `1 - Vᵀ T V`.
    """
    compact, tau = torch.geqrf(panel.T)
    size = len(tau)
    panel.zero_()
    panel[:, :size] = compact[:size].triu().T
    vectors = compact[:, :size].tril(-1)
    vectors.diagonal().fill_(1.0)
    rows = torch.where(tau == 0, 0.0, vectors).T.contiguous()
    inverse = (rows @ rows.T).triu(1) + torch.where(tau == 0, 1.0, 1 / tau).diag()
    identity = torch.eye(size).to(panel)
    return rows, torch.linalg.solve_triangular(inverse, identity, upper=True)


def reflect(upper: Tensor, block: int, start: int, vectors: Tensor, t: Tensor) -> None:
    """Apply `1 - Vᵀ T V` to both sides of the matrix from row and column `start` on."""
    bounds = _bounds_from(start, len(upper), block)
    product = torch.zeros_like(vectors)
    for first, last in bounds:
        rows = upper[first:last, first:]
        here, beyond = first - start, last - start
        product[:, here:].addmm_(vectors[:, here:beyond], rows)
        product[:, here:beyond].addmm_(vectors[:, beyond:], rows[:, last - first :].T)
    product = t.T @ product
    product -= 0.5 * (t.T @ (vectors @ product.T)) @ vectors
    left, right = torch.cat([vectors, product]), torch.cat([product, vectors])
    for first, last in bounds:
        here, beyond = first - start, last - start
        upper[first:last, first:].addmm_(left[:, here:beyond].T, right[:, here:], alpha=-1)


def _bounds_from(start: int, size: int, block: int) -> list[tuple[int, int]]:
    """The blocks from `start` on, the first of which may be cut."""
    bounds = block_bounds(size, block)
    return [(max(first, start), last) for first, last in bounds if last > start]


class _Chase:
    """Tiles of the chase, spread over threads.

    A step may start when the sweep before has done two steps more. So a group of sweeps may work on
    a tile when the group before is some tiles ahead.
    """

    def __init__(self, stored: Tensor, band: int, work: Work) -> None:
        self._stored = stored.numpy()
        self._band = band
        self._work = work
        self._n_groups = -(-(len(stored) - 2) // _SWEEPS)
        self._tiles_done = [0] * max(self._n_groups, 0)
        self._stopped = False
        self._moved = Condition()

    def run(self) -> None:
        """Reduce the band to three diagonals."""
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            try:
                for _ in pool.map(self._run_group, range(self._n_groups)):
                    self._work.add("chase", 1 / self._n_groups)
                if not self._tiles_done:
                    self._work.add("chase", 1.0)
            except BaseException:
                self._stop()
                raise

    def _run_group(self, group: int) -> None:
        first = group * _SWEEPS
        sweeps = min(_SWEEPS, len(self._stored) - 2 - first)
        for tile in range(self._n_tiles(group)):
            if not self._may_start(group, tile):
                return
            chase(self._stored, self._band, first, sweeps, tile * _STEPS, _STEPS)
            with self._moved:
                self._tiles_done[group] += 1
                self._moved.notify_all()

    def _n_tiles(self, group: int) -> int:
        steps = -(-(len(self._stored) - 1 - group * _SWEEPS) // self._band)
        return -(-(steps + 2 * (_SWEEPS - 1)) // _STEPS)

    def _may_start(self, group: int, tile: int) -> bool:
        """Wait for the group before; False where the chase was stopped."""
        if group == 0:
            return not self._stopped
        ahead = tile + 1 + -(-2 * _SWEEPS // _STEPS)
        needed = min(ahead, self._n_tiles(group - 1))
        with self._moved:
            self._moved.wait_for(lambda: self._stopped or self._tiles_done[group - 1] >= needed)
        return not self._stopped

    def _stop(self) -> None:
        with self._moved:
            self._stopped = True
            self._moved.notify_all()
