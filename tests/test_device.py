from __future__ import annotations

import logging

import pytest
import torch

from toysae.device import one_torch_thread, resolve_device
from toysae.errors import ConfigError


@pytest.fixture
def cuda(monkeypatch):
    """Says whether there is a GPU."""
    return lambda there: monkeypatch.setattr(torch.cuda, "is_available", lambda: there)


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_the_gpu_where_there_is_one(there, expected, cuda, caplog):
    cuda(there)
    with caplog.at_level(logging.INFO, "toysae"):
        assert resolve_device("auto") == torch.device(expected)
    assert caplog.messages == [f"device: {expected}"]


def test_named_device_is_that_device(cuda):
    cuda(True)
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("cuda:1") == torch.device("cuda", 1)


def test_gpu_that_is_not_there(cuda):
    cuda(False)
    with pytest.raises(ConfigError, match=r"^device = 'cuda': .* no CUDA device; use auto or cpu$"):
        resolve_device("cuda")


def test_unknown_name():
    with pytest.raises(ConfigError, match=r"^device = 'gpu': must be auto, cpu, cuda or cuda:N$"):
        resolve_device("gpu")


def test_one_torch_thread(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    one_torch_thread()
    assert asked == [1]
