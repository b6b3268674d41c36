"""Soft matching: every row splits one unit of mass over its partners, and all mass is used."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from scipy import sparse
from scipy.optimize import linprog
from torch import Tensor

from toysae.errors import ConfigError
from toysae.metrics._directions import Directions, unit_rows_of_pair
from toysae.metrics._progress import Report

_CHECK_EVERY = 10
"""Sweeps between two looks at how far the plan is from its marginals."""


@dataclass(frozen=True)
class SoftMatching:
    """A transport plan between two dictionaries and how similar what it pairs is."""

    mean: float
    """Mean cosine of what the plan pairs; NaN where either dictionary is empty."""
    bound: float
    """No plan has a larger mean: the dual certificate. NaN where either dictionary is empty."""
    plan: Tensor
    """Mass between the rows of `a` and those of `b`, `[n, m]`, of total 1; 0 for rows left out."""
    n_rows: int
    """Rows of `a` that take part; each holds `1 / n_rows`."""
    n_cols: int
    """Rows of `b` that take part; each holds `1 / n_cols`."""


def soft_matching(
    a: Tensor, b: Tensor, *, alive_a: Tensor | None = None, alive_b: Tensor | None = None
) -> SoftMatching:
    """The transport plan of largest mean cosine, exactly, for small dictionaries.

    `max <P, C>` over `P >= 0` with row sums `1 / n` and column sums `1 / m`: a one-to-one matching
    for `n = m`, and for others one in which all rows count alike. Punishes duplicates, and as all
    mass must go somewhere, negative cosines are taken where nothing better is left. A linear
    program of `n m` variables: a second at 200 x 200, beyond that use `soft_matching_sinkhorn`.
    Symmetric in its arguments, in [-1, 1].

    Args:
        a: dictionary `[n, d]`.
        b: dictionary `[m, d]`.
        alive_a: bool mask `[n]`; other rows take no part.
        alive_b: bool mask `[m]`; other rows take no part.

    Returns:
        An optimal plan; NaN means where either side is empty.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another length.
        DataError: NaN or infinity in either.

    Source: Khosla and Williams 2024, "Soft matching distance" (arXiv 2311.09466; there as a
    distance). Solved by `scipy.optimize.linprog`.
    """
    ours, theirs, table = _similarity(a, b, alive_a, alive_b)
    n, m = table.shape
    if n == 0 or m == 0:
        return _result(ours, theirs, table, table, table.new_zeros(m))
    sums = sparse.vstack(
        [
            sparse.kron(sparse.eye(n), [[1.0] * m]),
            sparse.kron([[1.0] * n], sparse.eye(m)),
        ],
        format="csr",
    )
    masses = [1 / n] * n + [1 / m] * m
    solved = linprog(-table.cpu().numpy().ravel(), A_eq=sums, b_eq=masses, method="highs")
    plan = torch.from_numpy(solved.x).reshape(n, m).clamp(min=0).to(table)
    prices = torch.from_numpy(-solved.eqlin.marginals[n:]).to(table)
    return _result(ours, theirs, table, plan, prices)


def soft_matching_sinkhorn(
    a: Tensor,
    b: Tensor,
    *,
    alive_a: Tensor | None = None,
    alive_b: Tensor | None = None,
    tolerance: float = 1e-3,
    max_sweeps: int = 5000,
    report: Report | None = None,
) -> SoftMatching:
    """As `soft_matching`, to a tolerance that it certifies, for larger dictionaries.

    Log-domain Sinkhorn with an entropic weight that is halved until the plan, rounded to its exact
    marginals, is within `tolerance` of the dual bound: `mean <= optimum <= bound`. Holds the
    `n x m` matrix four times over, and works on the device of its arguments.

    Args:
        a: dictionary `[n, d]`.
        b: dictionary `[m, d]`.
        alive_a: bool mask `[n]`; other rows take no part.
        alive_b: bool mask `[m]`; other rows take no part.
        tolerance: distance of `mean` from `bound` at which to stop.
        max_sweeps: passes over the matrix after which to stop all the same.
        report: told how many sweeps are done.

    Returns:
        A plan with exact marginals; NaN means where either side is empty. Where the sweeps did not
        suffice, `bound - mean` is above the tolerance and says by how much.

    Raises:
        ShapeError: not two matrices of the same width, or a mask of another length.
        DataError: NaN or infinity in either.
        ConfigError: a tolerance or number of sweeps that is not positive.

    Source: Cuturi 2013; Altschuler, Weed and Rigollet 2017 for the rounding.
    """
    if tolerance <= 0 or max_sweeps < 1:
        raise ConfigError(
            f"tolerance={tolerance}, max_sweeps={max_sweeps}: expected positive numbers"
        )
    ours, theirs, table = _similarity(a, b, alive_a, alive_b)
    if 0 in table.shape:
        return _result(ours, theirs, table, table, table.new_zeros(table.shape[1]))
    for n_sweeps, plan, prices in _plans(table, tolerance, max_sweeps):
        found = _result(ours, theirs, table, _rounded(plan), prices)
        if report is not None:
            report(n_sweeps, max_sweeps)
        if found.bound - found.mean <= tolerance:
            break
    return found


def _similarity(
    a: Tensor, b: Tensor, alive_a: Tensor | None, alive_b: Tensor | None
) -> tuple[Directions, Directions, Tensor]:
    ours, theirs = unit_rows_of_pair(a, b, alive_a, alive_b)
    return ours, theirs, (ours.unit @ theirs.unit.T).clamp_(-1, 1)


def _result(
    a: Directions, b: Directions, table: Tensor, plan: Tensor, prices: Tensor
) -> SoftMatching:
    """The plan with its mean, and the bound that `prices [m]` of the columns give.

    For any prices v, `mean_i max_j (C_ij - v_j) + mean_j v_j` is at least the optimum.
    """
    n, m = table.shape
    mean = bound = torch.nan
    if n and m:
        mean = (plan * table).sum().item()
        gain = (table - prices).amax(dim=1)
        bound = (gain.mean() + (table - gain[:, None]).amax(dim=0).mean()).item()
    return SoftMatching(mean, bound, a.spread(b.spread(plan.T, 0.0).T, 0.0), n, m)


def _plans(
    table: Tensor, tolerance: float, max_sweeps: int
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Ever sharper plans, after how many sweeps, and their prices of the columns."""
    n, m = table.shape
    weight, prices, n_sweeps = 0.5, table.new_zeros(m), 0
    while n_sweeps < max_sweeps:
        log_plan = table
        while n_sweeps < max_sweeps:
            gain = weight * torch.logsumexp((table - prices) / weight, dim=1).sub_(math.log(m))
            log_plan = (table - gain[:, None]) / weight
            # What each column receives at the present prices, against what it should.
            excess = torch.logsumexp(log_plan - prices / weight, dim=0) - math.log(n)
            n_sweeps += 1
            if n_sweeps % _CHECK_EVERY == 0 and (excess.exp() - 1).abs().mean() < tolerance / 4:
                break
            prices = prices + weight * excess
        yield n_sweeps, (log_plan - prices / weight).exp() / (n * m), prices
        weight /= 2


def _rounded(plan: Tensor) -> Tensor:
    """The plan, moved to uniform marginals by as little mass as they are missed by."""
    n, m = plan.shape
    plan = plan * (1 / n / plan.sum(dim=1)).clamp(max=1)[:, None]
    plan = plan * (1 / m / plan.sum(dim=0)).clamp(max=1)
    missing_rows = (1 / n - plan.sum(dim=1)).clamp(min=0)
    missing_cols = (1 / m - plan.sum(dim=0)).clamp(min=0)
    missing = missing_rows.sum()
    return plan + torch.outer(missing_rows, missing_cols) / missing if missing > 0 else plan
