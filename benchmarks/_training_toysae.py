"""How long a training step takes: run by `benchmarks.training`, each measurement in a process.

    python -m benchmarks._training_toysae {stack, plain} CASE [--members 32] [--threads 2]

Prints a line of JSON: microseconds of the clock per member and step, data included.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from toysae.draws import CPU
from toysae.generators.base import Generator
from toysae.generators.composed_sets import ComposedSets
from toysae.generators.independent import Independent
from toysae.generators.laws.profiles import Constant
from toysae.hidden.base import HiddenConfig, HiddenSpace
from toysae.hidden.random_unit import RandomUnit
from toysae.hidden.stream import BLOCK, Stream
from toysae.saes.base import Params
from toysae.saes.jumprelu import JumpReLU
from toysae.saes.relu import ReLU
from toysae.saes.topk import TopK
from toysae.saes.trainable import TrainableFamily
from toysae.training.initial import initial_params
from toysae.training.member import Member
from toysae.training.stack import train
from toysae.training.trainer import Trainer

#: As in a sweep: every seed's data are shared by the members that differ in learning rate and l1.
STREAMS = 4

PLANE = HiddenSpace(torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]]))
AXES = HiddenSpace(torch.eye(4))


@dataclass(frozen=True)
class Case:
    """What is trained.

    Attributes:
        sae, trainer: the SAE and its protocol.
        generator: what fires.
        space: where; a `HiddenSpace`, or how to make one.
        steps: steps that are timed.
        skipped: steps before them, in which SAEs are denser than in the rest of a training.
        bar: how many times as fast as a step of sae-lens a member-step is to be; None for no bar.
    """

    sae: TrainableFamily
    generator: Generator
    space: HiddenSpace | HiddenConfig
    trainer: Trainer = field(default_factory=Trainer)
    steps: int = 400
    skipped: int = 0
    bar: float | None = None

    def hidden_space(self) -> HiddenSpace:
        """The one hidden space of all members."""
        if isinstance(self.space, HiddenSpace):
            return self.space
        return self.space.spaces(self.generator, [0], CPU)[0]

    def members(self, n: int, steps: int | None = None) -> list[Member]:
        """Members over `STREAMS` seeds that differ in learning rate and, with L1, in its factor."""
        trainer = replace(self.trainer, steps=self.skipped + self.steps)
        if steps is not None:  # in so few nothing would count as dead
            trainer = replace(trainer, steps=steps, dead_latents="none")
        space = self.hidden_space()
        return [
            Member(
                self._sae(i // STREAMS),
                replace(trainer, lr=trainer.lr / (1 + i // STREAMS % 3)),
                Stream(self.generator, space, i % STREAMS),
                seed=i,
            )
            for i in range(n)
        ]

    def _sae(self, i: int) -> TrainableFamily:
        if isinstance(self.sae, ReLU):
            return replace(self.sae, l1=self.sae.l1 * (1 + i % 4) / 2)
        return self.sae


def sparse(n_features: int, firing: float) -> Independent:
    """Features that fire independently, each with the same probability."""
    return Independent(n_features=n_features, probability=Constant(firing))


PUBLISHED = Trainer(beta1=0.0, dead_latents="ghost", decoder_bias_start="geometric_median")

CASES = {
    "d2_m8": Case(ReLU(n_latents=8), ComposedSets(), PLANE, steps=5000, bar=200),
    "d4_m8": Case(ReLU(n_latents=8), ComposedSets(), AXES, steps=5000),
    "d2_m4_published": Case(
        ReLU(n_latents=4, normalize_error=True, initialisation="independent"),
        ComposedSets(),
        PLANE,
        PUBLISHED,
        steps=5000,
    ),
    **{
        f"d{d}_m{m}{suffix}": Case(
            sae, sparse(m, 3 / m), RandomUnit(d_hidden=d), steps=500, skipped=skipped, bar=bar
        )
        for d, m, bar in ((20, 100, 8), (32, 128, 7), (64, 256, 5))
        for suffix, sae, skipped, bar in (
            ("", ReLU(n_latents=m), 1000, bar),
            ("_topk", TopK(n_latents=m, k=3), 0, None),
            ("_jumprelu", JumpReLU(n_latents=m), 1000, None),
        )
    },
    **{
        f"d768_m4096{suffix}": Case(
            sae,
            sparse(16_384, 0.002),
            RandomUnit(d_hidden=768),
            Trainer(history_points=1),
            steps=450,
            skipped=skipped,
            bar=bar,
        )
        for suffix, sae, skipped, bar in (
            ("", ReLU(n_latents=4096, l1=4.0), 150, 4),
            ("_topk", TopK(n_latents=4096, k=32), 0, None),
        )
    },
}


class PlainSAE(nn.Module):
    """One ReLU SAE as one would write it."""

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
    """Train one ReLU member by a plain torch loop; its decoder `[m, d]`."""
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


def time_stack(case: Case, members: int, threads: int) -> dict[str, object]:
    """Microseconds per member-step of one stack after the skipped steps, and its L0 at the end.

    Measurements on the way, one for each stretch of the history, are part of it.
    """
    list(train(case.members(2, 8), threads=threads))  # compiles
    done, marks = 0, {0: time.perf_counter()}

    def progress(member_steps: int) -> None:
        nonlocal done
        done += member_steps
        marks[done] = time.perf_counter()

    stacks = list(train(case.members(members), threads=threads, progress=progress))
    first = next(d for d in sorted(marks) if d >= case.skipped * members)
    # Without the last chunk, which ends with a measurement of everything.
    last = sorted(marks)[-2]
    l0 = torch.cat([stack.history["l0"][:, -1] for stack in stacks])
    return {
        "us": 1e6 * (marks[last] - marks[first]) / (last - first),
        "l0": float(l0.mean()),
        "kernel": stacks[0].kernel,
    }


def time_plain(case: Case, threads: int) -> dict[str, object]:
    """Microseconds per step of the plain loop, and how far its decoder is from the stack's."""
    torch.set_num_threads(threads)
    steps = min(case.steps, 100)
    (member,) = case.members(1, steps)
    train_plain(case.members(1, 2)[0])  # imports and compiles
    started = time.perf_counter()
    decoder = train_plain(member)
    seconds = time.perf_counter() - started
    torch.set_num_threads(1)
    (stack,) = train([member], threads=1)
    return {
        "us": 1e6 * seconds / steps,
        "difference": float((decoder - stack.sae.decoder[0]).abs().max()),
    }


def main() -> None:
    """Time one case one way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=["stack", "plain"])
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--members", type=int, default=32)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    case = CASES[arguments.case]
    found: list[dict[str, object]] = []
    for _ in range(arguments.repeats):
        if arguments.way == "plain":
            found.append(time_plain(case, arguments.threads))
        else:
            found.append(time_stack(case, arguments.members, arguments.threads))
    best = min(found, key=lambda each: each["us"])  # type: ignore[arg-type,return-value]
    print(json.dumps({**best, "threads": arguments.threads, "members": arguments.members}))


if __name__ == "__main__":
    main()
