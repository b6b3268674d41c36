"""Which kernel trains a stack."""

from __future__ import annotations

from typing import Protocol

from toysae.training.kernels.cuda_graph import CudaGraphKernel
from toysae.training.kernels.fused import FusedKernel
from toysae.training.kernels.reference import ReferenceKernel
from toysae.training.kernels.sparse import SparseKernel
from toysae.training.kernels.wide import WideKernel
from toysae.training.member import Member
from toysae.training.objectives import Objective
from toysae.training.state import Chunk, ChunkLoss, StackState


class Kernel(Protocol):
    """One way to run training steps; all give the same numbers up to rounding."""

    name: str

    def advance(self, state: StackState, chunk: Chunk) -> ChunkLoss:
        """Train all members on every batch of the chunk, changing `state` in place."""


def choose_kernel(member: Member, objective: Objective, threads: int) -> tuple[Kernel, str]:
    """The fastest kernel that runs a stack like `member`, and why none that is faster does.

    Returns:
        The kernel, and the reason, empty for a fast kernel.
    """
    refusals = []
    kernel: type[FusedKernel] | type[SparseKernel] | type[WideKernel]
    for kernel in (FusedKernel, SparseKernel, WideKernel):
        refusal = kernel.refusal(member, objective)
        if not refusal:
            return kernel(member.sae, member.trainer, threads), ""
        refusals.append(refusal)
    if not CudaGraphKernel.refusal(member, objective):
        return CudaGraphKernel(member.sae, member.trainer, objective), ""
    return ReferenceKernel(member.sae, member.trainer, objective), "; ".join(refusals)
