"""How many member-steps a second does a GPU make, and what share of what it could?

    python -m benchmarks.training_gpu [SHAPE ...] [--members 1 8 64 512 4096] [--seconds 240]
        [--write]

ReLU SAEs with L1, batch 1,024, data included, float32. For every shape and every number of members
that fits: member-steps per second of `toysae.training.stack.train`, and the share of the roofline

    time of a member-step >= max(10 B d m / FLOP/s, bytes / bandwidth)
    bytes = 32 per parameter (Adam) + 4 B (6 m + 5 d) (activations)

with the device's published peaks in float32; a device that is not listed has no share. Beside it a
plain torch loop, and sae-lens's own trainer where it is installed, both on prepared batches and
one SAE at a time. Neither the capture is timed nor the measurement at the end. All together takes
at most some four minutes (`--seconds`); a size that does not fit into memory or time is
named with the reason.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks._training_toysae import STREAMS, PlainSAE, sparse
from benchmarks.machine import RESULTS, machine
from toysae.hidden.random_unit import RandomUnit
from toysae.hidden.stream import Stream
from toysae.results.files import write_json
from toysae.saes.relu import ReLU
from toysae.training.chunks import longest_chunk
from toysae.training.initial import initial_params
from toysae.training.member import Member
from toysae.training.memory import SHARE, free_bytes, stack_bytes
from toysae.training.stack import train
from toysae.training.trainer import Trainer

RESULT = RESULTS / "training_gpu.json"

BATCH = 1024
MEMBERS = (1, 8, 64, 512, 4096)
STRETCH = 100  # steps of the loops beside
SECONDS = 240.0

#: A stack is trained for so many chunks. In the first a graph is captured, in the second data are
#: drawn for two, and the last, in which none are drawn, ends with a measurement of everything.
CHUNKS = 5
CHUNKS_BEFORE = 2
CHUNKS_AFTER = 1

#: Published peaks by the name that the driver gives: bytes per second, and FLOP/s in float32
#: without tensor cores.
PEAKS = {
    "NVIDIA GH200 480GB": (4.0e12, 67e12),
    "NVIDIA H200": (4.8e12, 67e12),
    "NVIDIA H200 NVL": (4.8e12, 60e12),
    "NVIDIA H100 80GB HBM3": (3.35e12, 67e12),
    "NVIDIA H100 NVL": (3.9e12, 60e12),
    "NVIDIA H100 PCIe": (2.0e12, 51e12),
    "NVIDIA A100-SXM4-80GB": (2.039e12, 19.5e12),
    "NVIDIA A100-SXM4-40GB": (1.555e12, 19.5e12),
    "NVIDIA A100 80GB PCIe": (1.935e12, 19.5e12),
    "NVIDIA A100-PCIE-40GB": (1.555e12, 19.5e12),
    "NVIDIA L40S": (0.864e12, 91.6e12),
    "NVIDIA L40": (0.864e12, 90.5e12),
    "NVIDIA L4": (0.3e12, 30.3e12),
    "Tesla V100-SXM2-32GB": (0.9e12, 15.7e12),
    "Tesla V100-SXM2-16GB": (0.9e12, 15.7e12),
    "Tesla T4": (0.32e12, 8.1e12),
    "NVIDIA GeForce RTX 4090": (1.008e12, 82.6e12),
    "NVIDIA GeForce RTX 3090": (0.936e12, 35.6e12),
}

Row = dict[str, Any]


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
        steps = CHUNKS * longest_chunk(n, min(n, STREAMS), BATCH, self.d, device)
        trainer = Trainer(steps=steps, batch_size=BATCH, history_points=1)
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


def device_name(device: torch.device) -> str:
    """What the driver calls it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def peaks(name: str) -> tuple[float, float]:
    """Bandwidth and FLOP/s of the device of that very name; NaN if it is not listed."""
    return PEAKS.get(name, (math.nan, math.nan))


def wait(device: torch.device) -> None:
    """Until the device has done all that was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def stacked(members: list[Member], device: torch.device) -> tuple[float, str]:
    """Member-steps per second of the chunks in the middle, and the kernel."""
    done: list[int] = []
    marks: list[float] = []

    def progress(member_steps: int) -> None:
        wait(device)
        done.append(member_steps)
        marks.append(time.perf_counter())

    (stack,) = train(members, progress=progress)
    timed = slice(CHUNKS_BEFORE, len(done) - CHUNKS_AFTER)
    return sum(done[timed]) / (marks[timed][-1] - marks[CHUNKS_BEFORE - 1]), stack.kernel


def steps_per_second(step: Callable[[], object], device: torch.device) -> float:
    """Calls of `step` per second, after as many that are not timed."""
    for timed in (False, True):
        wait(device)
        started = time.perf_counter()
        for _ in range(STRETCH):
            step()
        wait(device)
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

    return steps_per_second(step, batches.device)


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

    return steps_per_second(step, batches.device)


def measure(name: str, counts: list[int], device: torch.device, deadline: float) -> Iterator[Row]:
    """One row for every number of members of a shape; `left_out` says why one has no numbers.

    Args:
        name: of `SHAPES`.
        counts: numbers of members, increasing.
        device: where.
        deadline: by `time.perf_counter`; what would probably end after it is left out.
    """
    shape = SHAPES[name]
    floor = shape.floor(*peaks(device_name(device)))
    (member,) = shape.members(1, device)
    batches = member.stream.hidden(0, BATCH)[None]
    alone = {"plain": plain(member, batches), "sae_lens": saelens(shape, batches)}
    second_each = 0.0  # of a member-step, in the row before: more members are not slower
    for n in counts:
        started = time.perf_counter()
        members = shape.members(n, device)
        work = n * members[0].trainer.steps
        row: Row = {"shape": name, "members": n}
        needed, free = stack_bytes(members, 1), free_bytes(device)
        if needed > SHARE * free:
            yield row | {"left_out": f"needs {needed / 1e9:.1f} GB of {free / 1e9:.1f} GB free"}
        elif started + second_each * work > deadline:
            yield row | {"left_out": "no time left"}
        else:
            try:
                rate, kernel = stacked(members, device)
            except torch.OutOfMemoryError:
                yield row | {
                    "left_out": f"out of memory, although {needed / 1e9:.1f} GB seemed enough"
                }
                continue
            second_each = (time.perf_counter() - started) / work
            yield row | {"rate": rate, "share": rate * floor, "kernel": kernel} | alone


def line(row: Row) -> str:
    """A row as it is printed."""
    start = f"{row['shape']:12}{row['members']:8}"
    if "left_out" in row:
        return f"{start}  left out: {row['left_out']}"
    return (
        f"{start}{row['rate']:14.0f}{row['share']:10.0%}{row['plain']:8.0f}{row['sae_lens']:10.0f}"
        f"  {row['kernel']}"
    )


def run(
    names: list[str], counts: list[int], device: torch.device, seconds: float, result: Path | None
) -> None:
    """Print the table row by row, and keep it in `result` after every shape."""
    deadline = time.perf_counter() + seconds
    print(f"{device_name(device)}, torch {torch.__version__}; steps per second\n")
    heads = ("shape", "members", "member-steps", "roofline", "plain", "sae-lens")
    print("{:12}{:>8}{:>14}{:>10}{:>8}{:>10}".format(*heads), flush=True)
    about = {**machine(), "device": device_name(device), "batch": BATCH, "streams": STREAMS}
    rows: list[Row] = []
    for name in names:
        for row in measure(name, counts, device, deadline):
            rows.append(row)
            print(line(row), flush=True)
        if result is not None:
            write_json(result, {**about, "rows": rows})


def main() -> None:
    """Print the table; with `--write`, keep it beside this file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training_gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help=f"of {', '.join(SHAPES)}")
    parser.add_argument("--members", type=int, nargs="+", default=list(MEMBERS))
    parser.add_argument("--seconds", type=float, default=SECONDS, help="begin no row after these")
    parser.add_argument("--write", action="store_true", help=f"keep the numbers in {RESULT.name}")
    arguments = parser.parse_args()
    for name in arguments.shapes:
        if name not in SHAPES:
            parser.error(f"{name}: unknown; known: {', '.join(SHAPES)}")
    if not torch.cuda.is_available():
        print("this machine has no CUDA device: nothing is measured")
        return
    run(
        arguments.shapes or list(SHAPES),
        sorted(arguments.members),
        torch.device("cuda"),
        arguments.seconds,
        RESULT if arguments.write else None,
    )
    if arguments.write:
        print(f"\nwritten to benchmarks/results/{RESULT.name}")


if __name__ == "__main__":
    main()
