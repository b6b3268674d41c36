"""How fast toysae makes samples of one world: run by `benchmarks.generators` in a process.

    python -m benchmarks._generators_toysae CASE [--features N] [--repeats 5] [--device auto]

Prints a line of JSON: samples a second (of CPU time on one thread; on a GPU, of the clock), least
time of all repeats; the same for coefficients alone; peak memory of the process; features that fire
on a sample.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from omegaconf import OmegaConf
from torch import Tensor
from torch.nn.functional import normalize

from toysae.config import build_generator
from toysae.device import one_torch_thread, resolve_device
from toysae.draws import Draws
from toysae.generators.base import Generator
from toysae.generators.copula.correlation import Random
from toysae.generators.correlated import Correlated
from toysae.generators.independent import Independent
from toysae.generators.laws.profiles import Constant, Zipf
from toysae.generators.tree import Tree
from toysae.generators.trees.forest import forest_size
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import BLOCK

CONF = Path(__file__).parents[1] / "conf" / "generator"

#: Beyond this many features directions would take gigabytes: coefficients alone are timed.
MOST_EMBEDDED = 2**17


def synth_sae_bench_16k(n_features: int) -> tuple[Generator, int]:
    """The public recipe in 768 dimensions."""
    return build_generator(OmegaConf.load(CONF / "synth_sae_bench_16k.yaml")), 768


def correlated(n_features: int) -> tuple[Generator, int]:
    """1,000 features with a full matrix of latent correlations, in 256 dimensions."""
    correlation = Random(low=0.005, high=0.015)
    return Correlated(1000, Constant(0.02), correlation=correlation, correlation_of="latent"), 256


def independent(n_features: int) -> tuple[Generator, int]:
    """Zipf frequencies."""
    return Independent(n_features, Zipf(0.3)), 256


def tree(n_features: int) -> tuple[Generator, int]:
    """Zipf frequencies in trees of 85 features."""
    roots = n_features // forest_size(1, 4, 3)
    shape = {"n_features": n_features, "roots": roots, "branching": 4, "depth": 3}
    return Tree(**shape, probability=Zipf(0.3), compensation="published"), 256


CASES: dict[str, Callable[[int], tuple[Generator, int]]] = {
    case.__name__: case for case in (synth_sae_bench_16k, correlated, independent, tree)
}


def seconds(work: Callable[[int], object], repeats: int, device: torch.device) -> float:
    """Least time of `work(block)` for so many blocks, after one that compiles."""
    on_gpu = device.type == "cuda"
    clock = time.perf_counter if on_gpu else time.process_time
    times = []
    for block in range(repeats + 1):
        started = clock()
        work(block)
        if on_gpu:
            torch.cuda.synchronize(device)
        times.append(clock() - started)
    return min(times[1:])


def unit_directions(n: int, d: int, device: torch.device) -> Tensor:
    """Random directions, `[n, d]`."""
    return normalize(Draws(0, ("benchmark",), device=device).normal("directions", (n, d)))


def peak_megabytes() -> float:
    """Most memory that this process held."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main() -> None:
    """Time one case."""
    parser = argparse.ArgumentParser()
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--features", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    one_torch_thread()
    device = resolve_device(arguments.device)
    generator, d_hidden = CASES[arguments.case](arguments.features)
    draws = Draws(0, ("data",), device=device)
    firing = generator.sample(draws, BLOCK).sparse()
    codes = seconds(
        lambda block: generator.sample(draws.at_block(block), BLOCK), arguments.repeats, device
    )
    found = {
        "features": generator.n_features,
        "l0": len(firing.features) / BLOCK,
        "codes_per_second": BLOCK / codes,
    }
    if generator.n_features <= MOST_EMBEDDED:
        space = HiddenSpace(unit_directions(generator.n_features, d_hidden, device))
        both = seconds(
            lambda block: space.embed(generator.sample(draws.at_block(block), BLOCK)),
            arguments.repeats,
            device,
        )
        found["samples_per_second"] = BLOCK / both
    found["peak_megabytes"] = peak_megabytes()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
