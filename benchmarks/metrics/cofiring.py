"""How long do Jaccard, phi and F1 of all pairs of latents take?

    python -m benchmarks.metrics.cofiring [--scale 1] [--threads 2] [--save]

24,576 latents on 1,000,000 samples of which each fires 50 on average; their densities follow a Zipf
law up to .5. From one sparse Gram matrix, of one SAE with itself:

- best: the best partner of each latent by all three coefficients, some rows at a time;
- pairs: all pairs with a Jaccard overlap above .3;
- graph: edges that Benjamini and Hochberg let pass, with a phi above .1;
- counts: the whole table of joint firings.

Memory is the peak above what the codes take. The scale shrinks the number of samples.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.machine import RESULTS, machine
from benchmarks.metrics._peak import PeakMemory
from toysae.metrics.codes import SparseCodes
from toysae.metrics.cofiring import best_cofiring_within, cofiring_pairs, sparse_firing_counts
from toysae.metrics.communities import cofiring_graph
from toysae.results.files import write_json

N_LATENTS = 24_576
N_SAMPLES = 1_000_000
L0 = 50
DENSEST = 0.5
SLOPE = 0.8

#: Seconds on two cores and gigabytes, for the best partners.
BAR = {"seconds": 120, "gigabytes": 8}


def densities(n_latents: int) -> np.ndarray:
    """A Zipf law, cut at the densest, whose sum is the L0."""
    law = np.arange(1, n_latents + 1.0) ** -SLOPE
    low, high = 0.0, float(n_latents)
    for _ in range(100):
        middle = (low + high) / 2
        too_many = np.minimum(middle * law, DENSEST).sum() > L0
        low, high = (low, middle) if too_many else (middle, high)
    return np.random.default_rng(0).permutation(np.minimum(low * law, DENSEST))


def zipf_codes(n_samples: int, n_latents: int = N_LATENTS, seed: int = 0) -> SparseCodes:
    """Latents that fire independently of each other, with magnitudes of 1."""
    rng = np.random.default_rng(seed)
    keys = []
    for latent, density in enumerate(densities(n_latents)):
        if density > 0.02:
            fired = np.flatnonzero(rng.random(n_samples) < density)
        else:
            fired = np.unique(rng.integers(0, n_samples, rng.binomial(n_samples, density)))
        keys.append(fired * n_latents + latent)
    key = np.sort(np.concatenate(keys))
    samples = key // n_latents
    latents = torch.from_numpy((key - samples * n_latents).astype(np.int32))
    offsets = np.concatenate([[0], np.bincount(samples, minlength=n_samples).cumsum()])
    return SparseCodes(torch.from_numpy(offsets), latents, torch.ones(len(key)), n_latents)


def measured(work: Callable[[], Any]) -> dict[str, float]:
    """Time on the clock, time of all cores, and peak memory of one call."""
    with PeakMemory() as memory:
        clock, cpu = time.perf_counter(), time.process_time()
        work()
        clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    return {"seconds": clock, "cpu_seconds": cpu, "gigabytes": memory.gigabytes}


def main() -> None:
    """Print the table; with `--save`, keep it under benchmarks/results."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.metrics.cofiring",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the samples")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save", action="store_true", help=f"keep the numbers in {RESULTS.name}/")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    best_cofiring_within(zipf_codes(200, 60))
    cofiring_graph(zipf_codes(200, 60))
    cofiring_pairs(zipf_codes(200, 60), zipf_codes(200, 60, seed=1), 0.3)
    codes = zipf_codes(round(N_SAMPLES * arguments.scale))
    l0 = len(codes.latents) / codes.n_samples
    print(f"{codes.n_samples:,} samples, {codes.n_latents:,} latents, L0 {l0:.1f}\n")
    print(f"{'work':10}{'seconds':>10}{'CPU s':>10}{'GB':>8}   bar")
    rows = {}
    for name, work in (
        ("best", lambda: best_cofiring_within(codes)),
        ("pairs", lambda: cofiring_pairs(codes, codes, 0.3)),
        ("graph", lambda: cofiring_graph(codes, above=0.1)),
        ("counts", lambda: sparse_firing_counts(codes, codes)),
    ):
        rows[name] = found = measured(work)
        print(
            f"{name:10}{found['seconds']:10.1f}{found['cpu_seconds']:10.1f}"
            f"{found['gigabytes']:8.2f}   {BAR['seconds']} s, {BAR['gigabytes']} GB"
        )
    if arguments.save:
        RESULTS.mkdir(exist_ok=True)
        about = {**machine(), "threads": arguments.threads, "bar": BAR}
        size = {"n_samples": codes.n_samples, "n_latents": codes.n_latents, "l0": l0}
        write_json(RESULTS / "metrics_cofiring.json", {**about, **size, "work": rows})
        print("\nwritten to benchmarks/results/metrics_cofiring.json")


if __name__ == "__main__":
    main()
