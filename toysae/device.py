"""The one place that decides where tensors live."""

from __future__ import annotations

import logging

import torch

from toysae.errors import ConfigError

logger = logging.getLogger(__name__)


def resolve_device(name: str) -> torch.device:
    """The torch device called `name`; `auto` is the GPU where there is one. Logged once.

    Raises:
        ConfigError: a name that torch does not know, or a GPU that is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"device = {name!r}: must be auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device = {name!r}: this machine has no CUDA device; use auto or cpu")
    logger.info("device: %s", device)
    return device


def one_torch_thread() -> None:
    """Let torch use one thread in this process.

    At toy shapes a second one gives nothing, and beside other work it costs up to a hundred times;
    members and streams are spread over threads instead. Called by commands, never by the library.
    """
    torch.set_num_threads(1)
