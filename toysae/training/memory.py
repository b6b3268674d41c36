"""How much memory a stack needs, how much is free, and how stacks are cut so that they fit.

Estimates, good to a factor of 2, of what grows with the stack; the interpreter and its libraries
are not in them. A member's numbers do not depend on the cut.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch

from toysae.hidden.stream import BLOCK
from toysae.training.chunks import chunks_ahead, longest_chunk
from toysae.training.member import Member
from toysae.training.probe import SAMPLES, block_numbers

logger = logging.getLogger(__name__)

#: Stacks are cut to need at most this share of the memory that is free: estimates are rough.
SHARE = 0.7

#: A tensor of the latents of the members that are in work at once, on the CPU. Activations are
#: about ten of these; measured best between 1 and 4 MB from 64 to 256 latents.
CPU_LATENT_BYTES = 2**21

_NUMBER = 4  # bytes

#: Tensors of the size of the parameters: themselves, two moments; gradients and what an update
#: makes on its way, for the members in work.
_PARAMS_KEPT = 3
_PARAMS_IN_WORK = 6

#: Tensors `[batch, m]` and `[batch, d]` that a step with autograd holds at its peak.
_LATENTS_IN_WORK = 8
_HIDDEN_IN_WORK = 6

#: Tensors `[m, m]` that the orthogonality term holds at its peak.
_COSINES_IN_WORK = 5

#: Tensors that measuring a block of members holds at its peak, the largest such.
_TENSORS_MEASURED = 4

_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


def members_at_once(member: Member) -> int:
    """Members like `member` that the CPU computes with at a time by autograd, at least 1."""
    each = member.trainer.batch_size * member.sae.n_latents * _NUMBER
    return max(1, CPU_LATENT_BYTES // each)


def step_bytes(member: Member) -> int:
    """Memory that a step of one such member takes by autograd, beside its state and its data."""
    family, d, batch = member.sae, member.stream.space.d_hidden, member.trainer.batch_size
    m = family.n_latents
    per_sample = _LATENTS_IN_WORK * m + _HIDDEN_IN_WORK * d + family.kept_per_sample(d)
    cosines = _COSINES_IN_WORK * m * m if family.has_orthogonality else 0
    return _NUMBER * (_PARAMS_IN_WORK * _weights(member) + batch * per_sample + cosines)


def stack_bytes(members: Sequence[Member], threads: int) -> int:
    """Memory for parameters, moments, one chunk of data, and the work on a step."""
    first, n_members = members[0], len(members)
    d, m, batch = first.stream.space.d_hidden, first.sae.n_latents, first.trainer.batch_size
    streams = list(dict.fromkeys(member.stream for member in members))
    device = first.stream.device
    on_cpu = device.type == "cpu"
    in_work = min(n_members, threads * members_at_once(first)) if on_cpu else n_members
    steps = min(
        longest_chunk(n_members, len(streams), batch, d, device),
        -(-first.trainer.steps // first.trainer.history_points),
    )
    chunk = len(streams) * steps * batch * d
    # In training and just trained; a graph has a copy of its own.
    chunks = (2 if on_cpu else 3) + chunks_ahead(device)
    n_features = max(len(stream.space.directions) for stream in streams)
    drawn = BLOCK * (-(-steps * batch // BLOCK) + 1) * (2 * d + n_features)
    measured = min(block_numbers(device), n_members * SAMPLES * max(m, d))
    numbers = (
        n_members * (_PARAMS_KEPT * _weights(first) + 4 * m)
        + chunks * chunk
        + len(streams) * BLOCK * d
        + (min(threads, len(streams)) if on_cpu else len(streams)) * drawn
        + _TENSORS_MEASURED * measured
    )
    return _NUMBER * numbers + in_work * step_bytes(first)


def free_bytes(device: torch.device) -> float:
    """Memory that can still be used; infinite where the system does not say.

    On a GPU also what PyTorch keeps of earlier tensors: it hands that out again, or gives it back.
    """
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    return min(_available(), _left_in_cgroup())


def cut(members: Sequence[Member], index: Sequence[int], threads: int) -> list[list[int]]:
    """Cut a stack into as few as fit; members that share a stream stay together where they can.

    Args:
        members: all members.
        index: those of one stack, by position.
        threads: CPU threads.

    Returns:
        Positions of the members of each stack; the one stack where it fits. A member that does not
        fit by itself is a stack by itself, and the log says so.
    """
    whole = [members[i] for i in index]
    free = SHARE * free_bytes(whole[0].stream.device)
    needed = stack_bytes(whole, threads)
    if needed <= free:
        return [list(index)]
    if len(whole) == 1:
        _warn_that_one_is_too_large(needed, free)
        return [list(index)]
    place = {s: i for i, s in enumerate(dict.fromkeys(member.stream for member in whole))}
    together = sorted(index, key=lambda i: place[members[i].stream])
    for n_parts in range(2, len(index) + 1):
        parts = _near_equal(together, n_parts)
        if all(stack_bytes([members[i] for i in part], threads) <= free for part in parts):
            break
    else:
        parts = [[i] for i in together]
        _warn_that_one_is_too_large(stack_bytes(whole[:1], threads), free)
    logger.info(
        "stack of %d cut into %d of %d: one needs about %s of %s free",
        len(index), len(parts), max(len(part) for part in parts),
        _gigabytes(needed), _gigabytes(free / SHARE),
    )  # fmt: skip
    return [sorted(part) for part in parts]


def warn_if_too_large(members: Sequence[Member], threads: int) -> None:
    """Say so where a stack that is given as it is, and is not cut, may not fit."""
    needed, free = stack_bytes(members, threads), free_bytes(members[0].stream.device)
    if needed > SHARE * free:
        logger.warning(
            "a saved stack of %d goes on as it is, to the same bits, and needs about %s of %s free;"
            " if it does not fit, go on where it was saved, or delete its file to start over",
            len(members), _gigabytes(needed), _gigabytes(free),
        )  # fmt: skip


def _warn_that_one_is_too_large(needed: float, free: float) -> None:
    logger.warning(
        "one member needs about %s of %s free; trying it nevertheless",
        _gigabytes(needed), _gigabytes(free / SHARE),
    )  # fmt: skip


def _weights(member: Member) -> int:
    """Numbers that a member learns or follows."""
    shapes = member.sae.param_shapes(member.stream.space.d_hidden, member.sae.n_latents)
    return sum(math.prod(shape) for shape in shapes.values())


def _near_equal(index: Sequence[int], n_parts: int) -> list[list[int]]:
    edges = [len(index) * i // n_parts for i in range(n_parts + 1)]
    return [list(index[first:last]) for first, last in pairwise(edges)]


def _available() -> float:
    """`MemAvailable` of Linux; elsewhere unknown."""
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return math.inf
    values = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return 1024.0 * int(values[0]) if values else math.inf


def _left_in_cgroup() -> float:
    """What the container may still take: of version 2, else of version 1, else no limit."""
    for limit, used, given_back in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most, now = ((_CGROUP / name).read_text().strip() for name in (limit, used))
            stat = (_CGROUP / used).with_name("memory.stat").read_text().split()
        except OSError:
            continue
        if most == "max":
            return math.inf
        # Pages of files that nothing uses are given back on demand.
        spare = int(stat[stat.index(given_back) + 1]) if given_back in stat else 0
        return float(int(most) - int(now) + spare)
    return math.inf


def _gigabytes(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.2g} GB"
