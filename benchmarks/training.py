"""How much faster is a stack than the same SAEs trained one after another?

    python -m benchmarks.training [--members 64] [--steps 200] [--write]

In one run on one machine, data included, microseconds per member and step of

- `toysae.training.stack.train` with one thread and with all cores;
- a plain torch loop on one thread: `nn.Module`, autograd, `torch.optim.Adam`, decoder rows held at
  norm 1 and their parallel gradient removed.

Both start from the same parameters and read the same streams, so their decoders must agree.
Compilation is not timed; it takes about 5 seconds in every process.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from toysae.device import one_torch_thread
from toysae.draws import CPU
from toysae.generators.composed_sets import ComposedSets
from toysae.hidden.base import HiddenSpace
from toysae.hidden.stream import BLOCK, Stream
from toysae.results.files import write_json
from toysae.results.provenance import provenance
from toysae.saes.base import Params
from toysae.saes.relu import ReLU
from toysae.training.initial import initial_params
from toysae.training.member import Member
from toysae.training.stack import TrainedStack, train
from toysae.training.trainer import Trainer

T = TypeVar("T")

RESULT = Path(__file__).parent / "results" / "training_cpu.json"

#: As in a sweep: every seed's data are shared by the members that differ in learning rate and l1.
STREAMS = 8

#: So many members go through the plain loop, whose time per member does not depend on their number.
PLAIN_MEMBERS = 8

#: The machine may be busy: every time is the least of so many.
REPEATS = 3

PLANE = HiddenSpace(torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]]))
AXES = HiddenSpace(torch.eye(4))

PUBLISHED = Trainer(beta1=0.0, dead_latents="ghost", decoder_bias_start="geometric_median")


@dataclass(frozen=True)
class Case:
    """One protocol at one size."""

    name: str
    space: HiddenSpace
    sae: ReLU
    trainer: Trainer
    note: str = ""

    def members(self, n: int, steps: int) -> list[Member]:
        """Members over `STREAMS` seeds that differ in learning rate and l1."""
        trainer = replace(self.trainer, steps=steps)
        return [
            Member(
                replace(self.sae, l1=0.05 * (1 + i // STREAMS % 4)),
                replace(trainer, lr=1e-3 / (1 + i // STREAMS % 3)),
                Stream(ComposedSets(), self.space, i % STREAMS),
                seed=i,
            )
            for i in range(n)
        ]


CASES = (
    Case("plain protocol, d=2, 8 latents", PLANE, ReLU(n_latents=8), Trainer()),
    Case("plain protocol, d=4, 8 latents", AXES, ReLU(n_latents=8), Trainer()),
    Case(
        "published protocol, d=2, 4 latents",
        PLANE,
        ReLU(n_latents=4, normalize_error=True, initialisation="independent"),
        PUBLISHED,
        f"the plain loop has no ghost gradients; they begin after {PUBLISHED.dead_window} steps",
    ),
)


@dataclass(frozen=True)
class Timing:
    """Outcome of one case.

    Attributes:
        plain, stacked, threaded: microseconds per member and step of the plain loop, and of the
            stack with one thread and with all cores.
        difference: largest absolute difference of a decoder entry between loop and stack.
    """

    case: Case
    plain: float
    stacked: float
    threaded: float
    difference: float

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "case": self.case.name,
            "note": self.case.note,
            "plain_us": self.plain,
            "stack_one_thread_us": self.stacked,
            "stack_all_cores_us": self.threaded,
            "ratio_one_thread": self.plain / self.stacked,
            "ratio_all_cores": self.plain / self.threaded,
            "largest_decoder_difference": self.difference,
        }


class PlainSAE(nn.Module):
    """One SAE as one would write it."""

    def __init__(self, params: Params, *, l1: float, normalize_error: bool) -> None:
        super().__init__()
        self.encoder = nn.Parameter(params["W_enc"].clone())
        self.encoder_bias = nn.Parameter(params["b_enc"].clone())
        self.decoder = nn.Parameter(params["W_dec"].clone())
        self.decoder_bias = nn.Parameter(params["b_dec"].clone())
        self.l1 = l1
        self.normalize_error = normalize_error

    def forward(self, x: Tensor) -> Tensor:
        """Loss on samples `[n, d]`."""
        latents = torch.relu(x @ self.encoder + self.encoder_bias)
        error = (latents @ self.decoder + self.decoder_bias - x).square().sum(1)
        if self.normalize_error:
            error = error / x.square().sum(1)
        return error.mean() + self.l1 * latents.sum(1).mean()

    @torch.no_grad()
    def normalize_decoder(self) -> None:
        """Decoder rows at norm 1."""
        self.decoder.div_(self.decoder.norm(dim=1, keepdim=True))

    @torch.no_grad()
    def remove_parallel_gradient(self) -> None:
        """No gradient along the decoder rows."""
        gradient = self.decoder.grad
        assert gradient is not None
        gradient.sub_((gradient * self.decoder).sum(1, keepdim=True) * self.decoder)


def train_plain(member: Member) -> Tensor:
    """Train one member by a plain torch loop; its decoder `[m, d]`."""
    assert isinstance(member.sae, ReLU)
    trainer = member.trainer
    params = {name: p[0] for name, p in initial_params([member], CPU).items()}
    sae = PlainSAE(params, l1=member.sae.l1, normalize_error=member.sae.normalize_error)
    optimizer = torch.optim.Adam(sae.parameters(), betas=(trainer.beta1, trainer.beta2))
    lr = (trainer.lr * trainer.lr_factor(0, trainer.steps)).tolist()
    per_block = BLOCK // trainer.batch_size
    for step in range(trainer.steps):
        if step % per_block == 0:
            block = member.stream.hidden(step * trainer.batch_size, BLOCK)
        start = step % per_block * trainer.batch_size
        sae.normalize_decoder()
        optimizer.zero_grad()
        sae(block[start : start + trainer.batch_size]).backward()
        sae.remove_parallel_gradient()
        optimizer.param_groups[0]["lr"] = lr[step]
        optimizer.step()
    sae.normalize_decoder()
    return sae.decoder.detach()


def measure(case: Case, n_members: int, steps: int) -> Timing:
    """Time one case and compare what both ways came to."""
    members = case.members(n_members, steps)
    few = members[:PLAIN_MEMBERS]
    one_stack(case.members(2, 2), 1)  # compiles
    stacked, stack = least_time(lambda: one_stack(members, 1))
    threaded, _ = least_time(lambda: one_stack(members, os.cpu_count()))
    plain, decoders = least_time(lambda: [train_plain(member) for member in few])
    difference = (torch.stack(decoders) - stack.sae.decoder[: len(few)]).abs().max()
    per_stack, per_few = (1e6 / (n * steps) for n in (n_members, len(few)))
    return Timing(
        case, plain * per_few, stacked * per_stack, threaded * per_stack, float(difference)
    )


def one_stack(members: Sequence[Member], threads: int | None) -> TrainedStack:
    """All members in one stack."""
    (stack,) = train(members, threads=threads)
    return stack


def least_time(work: Callable[[], T]) -> tuple[float, T]:
    """Least seconds of `REPEATS` calls, and the last result."""
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - started)
    return min(seconds), result


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    about = provenance([], CPU)
    about.pop("command")
    return {**about, "machine": platform.machine(), "cores": os.cpu_count(), "cpu": _cpu()}


def _cpu() -> str:
    """Model of the processor where the system says it, else its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def main() -> None:
    """Print the table; with `--write`, keep it beside this file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--members", type=int, default=64, help="SAEs in a stack")
    parser.add_argument("--steps", type=int, default=200, help="steps of batch 1024")
    parser.add_argument("--write", action="store_true", help=f"keep the numbers in {RESULT.name}")
    arguments = parser.parse_args()
    one_torch_thread()
    about = machine()
    print(
        f"{arguments.members} SAEs on {STREAMS} data streams, {arguments.steps} steps of "
        f"{Trainer().batch_size}, data included; least of {REPEATS} runs\n"
        f"{about['cpu']}, {about['cores']} cores, torch {torch.__version__}; the plain loop is "
        f"timed on {min(PLAIN_MEMBERS, arguments.members)} SAEs, one thread\n"
    )
    print(
        f"{'microseconds per member-step':36}{'plain':>8}{'1 thread':>10}{'ratio':>8}"
        f"{'all cores':>11}{'ratio':>8}{'difference':>12}"
    )
    timings = []
    for case in CASES:
        t = measure(case, arguments.members, arguments.steps)
        timings.append(t)
        print(
            f"{case.name:36}{t.plain:8.0f}{t.stacked:10.2f}{t.plain / t.stacked:7.0f}x"
            f"{t.threaded:11.2f}{t.plain / t.threaded:7.0f}x{t.difference:12.1e}"
        )
        if case.note:
            print(f"  ({case.note})")
    if arguments.write:
        RESULT.parent.mkdir(exist_ok=True)
        sizes = {"members": arguments.members, "streams": STREAMS, "steps": arguments.steps}
        write_json(RESULT, {**sizes, **about, "cases": [t.to_dict() for t in timings]})
        print(f"\nwritten to benchmarks/results/{RESULT.name}")


if __name__ == "__main__":
    main()
