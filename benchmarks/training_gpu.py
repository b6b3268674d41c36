"""How many member-steps a second does a GPU make, and what share of what it could?

    python -m benchmarks.training_gpu [SHAPE ...] [--members 1 8 64 512 4096] [--write]

ReLU SAEs with L1, batch 1,024, data included, float32. For every shape and every number of members
that fits: member-steps per second of `toysae.training.stack.train`, and the share of the roofline

    time of a member-step >= max(10 B d m / FLOP/s, bytes / bandwidth)
    bytes = 32 per parameter (Adam) + 4 B (6 m + 5 d) (activations)

with the device's published peaks in float32; a device that is not listed has no share. Beside it a
plain torch loop, and sae-lens's own trainer where it is installed, both on prepared batches and
one SAE at a time. Capturing and the first half of the steps are not timed.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks._training_toysae import STREAMS, PlainSAE, sparse
from benchmarks.machine import RESULTS, machine
from toysae.hidden.random_unit import RandomUnit
from toysae.hidden.stream import Stream
from toysae.results.files import write_json
from toysae.saes.relu import ReLU
from toysae.training.initial import initial_params
from toysae.training.member import Member
from toysae.training.memory import SHARE, free_bytes, stack_bytes
from toysae.training.stack import train
from toysae.training.trainer import Trainer

RESULT = RESULTS / "training_gpu.json"

BATCH = 1024
MEMBERS = (1, 8, 64, 512, 4096)
STRETCH = 100  # steps

#: Published peaks: bytes per second, and FLOP/s in float32 without tensor cores. First match wins.
PEAKS = {
    "H200": (4.8e12, 67e12),
    "H100 PCIe": (2.0e12, 51e12),
    "H100": (3.35e12, 67e12),
    "A100-SXM4-80GB": (2.039e12, 19.5e12),
    "A100": (1.555e12, 19.5e12),
    "L40S": (0.864e12, 91.6e12),
    "L4": (0.3e12, 30.3e12),
    "V100": (0.9e12, 15.7e12),
    "T4": (0.32e12, 8.1e12),
    "RTX 4090": (1.008e12, 82.6e12),
    "RTX 3090": (0.936e12, 35.6e12),
}


@dataclass(frozen=True)
class Shape:
    """Sizes of one SAE."""

    d: int
    latents: int

    @property
    def parameters(self) -> int:
        """Numbers that are trained."""
        return 2 * self.d * self.latents + self.latents + self.d

    def floor(self, bandwidth: float, flops: float) -> float:
        """Least seconds of a member-step."""
        moved = 32 * self.parameters + 4 * BATCH * (6 * self.latents + 5 * self.d)
        return max(10 * BATCH * self.d * self.latents / flops, moved / bandwidth)

    def members(self, n: int, device: torch.device) -> list[Member]:
        """Members over `STREAMS` seeds that differ in l1."""
        n_features = max(4, self.latents)
        generator = sparse(n_features, min(0.5, 3 / n_features))
        (space,) = RandomUnit(d_hidden=self.d).spaces(generator, [0], device)
        trainer = Trainer(steps=2 * STRETCH, batch_size=BATCH, history_points=2)
        return [
            Member(
                ReLU(n_latents=self.latents, l1=0.05 * (1 + i // STREAMS % 4)),
                trainer,
                Stream(generator, space, i % STREAMS),
                seed=i,
            )
            for i in range(n)
        ]


SHAPES = {
    f"d{d}_m{m}": Shape(d, m)
    for d, m in ((2, 8), (20, 100), (32, 128), (64, 256), (256, 1024), (768, 4096))
}


def peaks(name: str) -> tuple[float, float]:
    """Bandwidth and FLOP/s of the device called `name`; NaN if it is not listed."""
    return next((peak for known, peak in PEAKS.items() if known in name), (math.nan, math.nan))


def stacked(members: list[Member]) -> tuple[float, str]:
    """Member-steps per second of the second half of the steps, and the kernel."""
    done, marks = 0, {0: time.perf_counter()}

    def progress(member_steps: int) -> None:
        nonlocal done
        done += member_steps
        torch.cuda.synchronize()
        marks[done] = time.perf_counter()

    (stack,) = train(members, progress=progress)
    half, end = len(members) * STRETCH, len(members) * 2 * STRETCH
    return (end - half) / (marks[end] - marks[half]), stack.kernel


def steps_per_second(step: Callable[[], object]) -> float:
    """Calls of `step` per second, after as many that are not timed."""
    for timed in (False, True):
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(STRETCH):
            step()
        torch.cuda.synchronize()
        if timed:
            seconds = time.perf_counter() - started
    return STRETCH / seconds


def plain(member: Member, batches: Tensor) -> float:
    """Steps per second of a plain torch loop on prepared batches."""
    params = {name: p[0] for name, p in initial_params([member], batches.device).items()}
    sae = PlainSAE(params, l1=0.1, normalize_error=False).to(batches.device)
    optimizer = torch.optim.Adam(sae.parameters(), lr=1e-3)

    def step() -> None:
        sae.normalize_decoder()
        optimizer.zero_grad()
        sae(batches[0]).backward()
        sae.remove_parallel_gradient()
        optimizer.step()

    return steps_per_second(step)


def saelens(shape: Shape, batches: Tensor) -> float:
    """Steps per second of sae-lens's trainer on prepared batches; NaN where it is not installed."""
    if importlib.util.find_spec("sae_lens") is None:
        return math.nan
    from benchmarks._training_saelens import trainer_of, training_sae

    sae = training_sae("relu", shape.d, shape.latents, 1).to(batches.device)
    trainer = trainer_of(sae, BATCH, str(batches.device))

    def step() -> None:
        trainer.step(batches[0])
        trainer.n_training_steps += 1

    return steps_per_second(step)


def measure(name: str, counts: list[int], device: torch.device) -> list[dict[str, Any]]:
    """One row for every number of members of a shape, as far as they fit."""
    shape = SHAPES[name]
    floor = shape.floor(*peaks(torch.cuda.get_device_name(device)))
    (member,) = shape.members(1, device)
    batches = member.stream.hidden(0, BATCH)[None]
    alone = {"plain": plain(member, batches), "sae_lens": saelens(shape, batches)}
    rows: list[dict[str, Any]] = []
    for n in counts:
        members = shape.members(n, device)
        if stack_bytes(members, 1) > SHARE * free_bytes(device):
            break
        rate, kernel = stacked(members)
        rows.append(
            {"shape": name, "members": n, "rate": rate, "share": rate * floor, "kernel": kernel}
            | alone
        )
    return rows


def main() -> None:
    """Print the table; with `--write`, keep it beside this file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training_gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help=f"of {', '.join(SHAPES)}")
    parser.add_argument("--members", type=int, nargs="+", default=list(MEMBERS))
    parser.add_argument("--write", action="store_true", help=f"keep the numbers in {RESULT.name}")
    arguments = parser.parse_args()
    for name in arguments.shapes:
        if name not in SHAPES:
            parser.error(f"{name}: unknown; known: {', '.join(SHAPES)}")
    if not torch.cuda.is_available():
        print("this machine has no CUDA device: nothing is measured")
        return
    device = torch.device("cuda")
    print(f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}; steps per second\n")
    print(
        f"{'shape':12}{'members':>8}{'member-steps':>14}{'roofline':>10}{'plain':>8}{'sae-lens':>10}"
    )
    rows = []
    for name in arguments.shapes or SHAPES:
        for row in measure(name, sorted(arguments.members), device):
            rows.append(row)
            print(
                f"{name:12}{row['members']:8}{row['rate']:14.0f}{row['share']:10.0%}"
                f"{row['plain']:8.0f}{row['sae_lens']:10.0f}  {row['kernel']}"
            )
    if arguments.write:
        about = {**machine(), "device": torch.cuda.get_device_name(device)}
        write_json(RESULT, {**about, "batch": BATCH, "streams": STREAMS, "rows": rows})
        print(f"\nwritten to benchmarks/results/{RESULT.name}")


if __name__ == "__main__":
    main()
