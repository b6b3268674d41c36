"""Variance inflation and all condition indices of the latents of a large SAE.

    python -m benchmarks.metrics.collinearity [--what exact] [--scale 0.1] [--threads 2] [--save]

24,576 latents on 1,000,000 tokens, 50 of them on a token on average, with densities from 2 % down
to 0.07 %; among them an exact copy, a sum of two latents and a silent one, which must be named. The
time is that on the clock, and that of all cores together; memory is the peak of the process above
what it held with the codes loaded. `--what` is `exact`, `regularized` at two shares, in `blocks` of
latents that fire together, or in `one_block`.
"""

from __future__ import annotations

import argparse
import math
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.machine import RESULTS, machine
from benchmarks.metrics._peak import PeakMemory
from toysae.diagnostics.large import sparse_collinearity
from toysae.diagnostics.local import LocalInflation
from toysae.diagnostics.sparse import sparse_block_local_vif, sparse_regularized_vif
from toysae.metrics._progress import Report
from toysae.metrics.codes import SparseCodes
from toysae.progress import reported
from toysae.results.files import write_json

LATENTS, TOKENS, L0 = 24_576, 1_000_000, 50
_TOKENS_AT_ONCE = 8192


def sparse_codes(n_latents: int, n_tokens: int, l0: float, seed: int = 0) -> SparseCodes:
    """Latents that fire on their own, the frequent ones 30 times as often as the rare ones.

    Latent 1 is a copy of latent 0, latent 4 the sum of 2 and 3; the last one is silent.
    """
    rng = np.random.default_rng(seed)
    density = np.geomspace(30, 1, n_latents)
    density[[1, 4, -1]] = 0
    edges = np.cumsum(density / density.sum())
    counts, latents, values = [], [], []
    for first in range(0, n_tokens, _TOKENS_AT_ONCE):
        n = min(_TOKENS_AT_ONCE, n_tokens - first)
        drawn = np.sort(np.searchsorted(edges, rng.random((n, math.ceil(l0)))), axis=1)
        fresh = np.diff(drawn, axis=1, prepend=-1) > 0
        tokens = np.nonzero(fresh)[0]
        latent, value = drawn[fresh], rng.exponential(size=fresh.sum()).astype(np.float32)
        tokens, latent, value = _with_relations(tokens, latent, value)
        counts.append(np.bincount(tokens, minlength=n))
        latents.append(latent.astype(np.int32))
        values.append(value)
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    return SparseCodes(
        torch.from_numpy(offsets),
        torch.from_numpy(np.concatenate(latents)),
        torch.from_numpy(np.concatenate(values)),
        n_latents,
    )


def _with_relations(
    tokens: np.ndarray, latents: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    copied, summed = latents == 0, (latents == 2) | (latents == 3)
    tokens = np.concatenate([tokens, tokens[copied], tokens[summed]])
    latents = np.concatenate([latents, latents[copied] + 1, np.full(summed.sum(), 4)])
    values = np.concatenate([values, values[copied], values[summed]])
    order = np.lexsort((latents, tokens))
    tokens, latents, values = tokens[order], latents[order], values[order]
    # A token on which 2 and 3 both fire has latent 4 twice: the sum is one firing.
    fresh = (np.diff(tokens, prepend=-1) > 0) | (np.diff(latents, prepend=-1) != 0)
    return tokens[fresh], latents[fresh], np.add.reduceat(values, np.flatnonzero(fresh))


def exact(codes: SparseCodes, report: Report) -> dict[str, Any]:
    """All that `sparse_collinearity` finds."""
    found = sparse_collinearity(codes, report=report)
    indices = found.condition_indices
    return {
        "relations": found.centered.relations,
        "undefined": codes.n_latents - found.centered.n_defined,
        "highest_vif": _highest(found.centered.vif),
        "condition_indices": len(indices),
        "highest_condition_index": _highest(indices),
    }


def regularized(codes: SparseCodes, report: Report) -> dict[str, Any]:
    """VIF at two shares; an exact relation makes the highest one about half of 1 / share."""
    found = sparse_regularized_vif(codes, np.array([1e-6, 1e-3]), report=report)
    return {"highest_vif": [_highest(row) for row in found.vif]}


def blocks(codes: SparseCodes, report: Report) -> dict[str, Any]:
    """Bounds where only the related latents are in a block."""
    return _local(sparse_block_local_vif(codes, report=report))


def one_block(codes: SparseCodes, report: Report) -> dict[str, Any]:
    """Bounds where all latents are in one block, the slowest case."""
    return _local(sparse_block_local_vif(codes, 0.0, report=report))


MEASURES = {measure.__name__: measure for measure in (exact, regularized, blocks, one_block)}


def _local(found: LocalInflation) -> dict[str, Any]:
    return {
        "blocks": found.n_blocks,
        "highest_vif": _highest(found.lowest),
        "unbounded": int(found.highest.isinf().sum()),
    }


def _highest(values: Tensor) -> float:
    return float(values[values.isfinite()].max())


def measure(what: str, n_latents: int, n_tokens: int, l0: float) -> dict[str, Any]:
    """Time, memory and what was found."""
    codes = sparse_codes(n_latents, n_tokens, l0)
    with PeakMemory() as peak, reported("collinearity") as report:
        clock, cpu = time.perf_counter(), time.process_time()
        found = MEASURES[what](codes, report)
        seconds, cpu_seconds = time.perf_counter() - clock, time.process_time() - cpu
    return {
        "latents": n_latents,
        "tokens": n_tokens,
        "l0": len(codes.values) / n_tokens,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "gigabytes": peak.gigabytes,
        **found,
    }


def main() -> None:
    """Print the measurements; with `--save`, keep them."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.metrics.collinearity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--what", choices=MEASURES, default="exact")
    parser.add_argument("--scale", type=float, default=1.0, help="share of latents and tokens")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save", action="store_true", help=f"keep the numbers in {RESULTS.name}/")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    sizes = round(LATENTS * arguments.scale), round(TOKENS * arguments.scale)
    row = measure(arguments.what, *sizes, L0)
    for name, value in row.items():
        print(f"{name:26}{value:.4g}" if isinstance(value, float) else f"{name:26}{value}")
    if arguments.save:
        name = "collinearity" if arguments.what == "exact" else f"{arguments.what}_vif"
        write_json(
            RESULTS / f"metrics_{name}.json",
            {**machine(), "threads": arguments.threads, "measured": row},
        )


if __name__ == "__main__":
    main()
