"""How long chunks are, by the device."""

from __future__ import annotations

import pytest
import torch

from toysae.draws import CPU
from toysae.training import chunks, probe
from toysae.training.chunks import chunks_ahead, longest_chunk

GPU = torch.device("cuda")


@pytest.mark.parametrize(
    ("n_members", "batch", "d", "on_cpu", "on_gpu"),
    [
        (4096, 1024, 2, 8, 64),  # member-steps
        (4, 1024, 2, 512, 1024),  # numbers of the data; steps
        (32, 1024, 768, 5, 10),  # long chunks of large batches; numbers
        (2, 2**20, 64, 1, 1),  # at least one step
    ],
)
def test_length(n_members, batch, d, on_cpu, on_gpu):
    assert longest_chunk(n_members, 4, batch, d, CPU) == on_cpu
    assert longest_chunk(n_members, 4, batch, d, GPU) == on_gpu


def test_chunks_ahead():
    assert (chunks_ahead(CPU), chunks_ahead(GPU)) == (chunks.CHUNKS_AHEAD, 1)


def test_a_gpu_measures_more_members_at_once():
    assert probe.block_numbers(CPU) == 2**18
    assert probe.block_numbers(GPU) == 2**25
