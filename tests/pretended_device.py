"""A device beside the CPU on machines that have none, to find code that mixes the two.

Tensors on it say that they lie on `meta` and hold their numbers in a CPU tensor. Operations give
what they give on the CPU, and those that would fail on a GPU fail: tensors of both devices in one
operation, and numpy on a tensor that does not lie on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from toysae import device
from toysae.draws import Draws
from toysae.runs import training

DEVICE = torch.device("meta")

#: Operations that copy from one device to the other.
_COPIES = ("aten.copy_.", "aten._to_copy.")

#: Operations that join tensors: here even a single number must lie on the device.
_JOINED = ("aten.cat.", "aten.stack.", "aten.index_select.", "aten.gather.", "aten.scatter")


class _There(Tensor):
    """A tensor on the device; `held` are its numbers."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> _There:
        there = Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), dtype=held.dtype, device=DEVICE,
            storage_offset=held.storage_offset(),
        )  # fmt: skip
        there.held = held
        return there

    def __repr__(self, **_: Any) -> str:
        return f"There({self.held!r})"

    def __getitem__(self, index: Any) -> Tensor:
        return super().__getitem__(_placed_index(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_placed_index(index), value)

    def tolist(self) -> Any:
        return self.held.tolist()

    def new_tensor(self, data: Any, *, dtype: torch.dtype | None = None, **_: Any) -> Tensor:
        return torch.tensor(data, dtype=dtype or self.dtype, device=DEVICE)

    def numpy(self, **_: Any) -> Any:
        raise TypeError("numpy on a tensor that lies on a device: copy it with cpu() first")

    def __array__(self, dtype: Any = None) -> Any:
        return self.numpy()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Device(TorchDispatchMode):
    """Makes tensors of the device where they are asked for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


@contextmanager
def pretended_device() -> Iterator[torch.device]:
    """The device, for the block; configurations mean it whatever device they name."""
    with pytest.MonkeyPatch.context() as patch, _Device():
        patch.setattr(Draws, "_torch", _generator)
        for factory in (torch.tensor, torch.as_tensor):
            patch.setattr(torch, factory.__name__, _on_the_cpu_first(factory))
        patch.setattr(ThreadPoolExecutor, "submit", _at_once)
        for module in (device, training):
            patch.setattr(module, "resolve_device", lambda name: DEVICE)
        yield DEVICE


def _at_once(_: object, task: Callable[..., Any], *args: Any) -> Future[Any]:
    """Runs a task in the thread that asks for it: modes hold for one thread."""
    done: Future[Any] = Future()
    done.set_result(task(*args))
    return done


def _on_the_cpu_first(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`make`, with what it makes for a device copied there: on `meta` it would hold no numbers."""

    def made(data: Any, *, dtype: torch.dtype | None = None, device: Any = None) -> Tensor:
        if isinstance(data, Tensor):
            return data.to(device=device or data.device, dtype=dtype or data.dtype)
        return make(data, dtype=dtype).to(device or "cpu")

    return made


def _placed_index(index: Any) -> Any:
    """Lists and tensors of an index on the device: they may come from the CPU."""
    if isinstance(index, tuple):
        return tuple(_placed_index(part) for part in index)
    if isinstance(index, list):
        index = torch.tensor(index)
    return index.to(DEVICE) if isinstance(index, Tensor) else index


def _generator(draws: Draws, name: str) -> torch.Generator:
    return torch.Generator().manual_seed(draws.integer_seed(name))


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    given = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
    there = [value for value in given if isinstance(value, _There)]
    _refuse_mixed(str(func), given, there)
    asked = kwargs.get("device")
    on_device = bool(there) if asked is None else torch.device(asked) == DEVICE
    if asked is not None and on_device:
        kwargs = {**kwargs, "device": torch.device("cpu")}
        if str(func).startswith("aten._to_copy."):
            kwargs = {**kwargs, "non_blocking": False}
    if str(func).startswith("aten.copy_."):
        on_device = isinstance(args[0], _There)
    known = {id(value.held): value for value in there}
    made = func(*tree_map(_held, args), **tree_map(_held, kwargs))

    def placed(value: Any) -> Any:
        if not isinstance(value, Tensor) or not on_device:
            return value
        return known[id(value)] if id(value) in known else _There(value)

    return tree_map(placed, made)


def _refuse_mixed(name: str, given: list[Tensor], there: list[_There]) -> None:
    lost = [value for value in given if value.device == DEVICE and not isinstance(value, _There)]
    assert not lost, f"{name}: a tensor of the device that holds no numbers"
    if not there or name.startswith(_COPIES):
        return
    here = [value for value in given if not isinstance(value, _There)]
    loose = [value for value in here if value.ndim > 0 or name.startswith(_JOINED)]
    if loose:
        shapes = ", ".join(str(tuple(value.shape)) for value in loose)
        raise RuntimeError(f"{name}: tensors of the CPU {shapes} beside some of the device")


def _held(value: Any) -> Any:
    return value.held if isinstance(value, _There) else value
