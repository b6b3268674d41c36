"""States of unfinished stacks on disk, from which training goes on with the same bits.

A stack is one safetensors file: the tensors of `StackState` and of the history, and as metadata the
step and the identity of each member. A member's identity is a hash of all that its result depends
on (family, trainer, world, seeds, device), by content and independent of the code. Members are
looked for by it, so a stack goes on whatever else is trained beside it this time.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from toysae.errors import CheckpointError
from toysae.hidden.stream import Stream
from toysae.training.member import Member
from toysae.training.state import StackState

#: Written into every file; a file with another number is not read.
FORMAT = 1

_SUFFIX = ".safetensors"


@dataclass
class Snapshot:
    """A stack at the end of a chunk.

    Attributes:
        state: everything that training changes.
        history: by name, each `[M, points]`.
        reasons: why members were frozen, by position.
    """

    state: StackState
    history: dict[str, Tensor]
    reasons: dict[int, str]


@dataclass(frozen=True)
class SavedStack:
    """A file of an unfinished stack, and those of its members that are to be trained on.

    Attributes:
        path: the file.
        step: optimiser steps done.
        rows: positions of the members in the file.
        index: positions of the same members in the sequence that is trained.
        whole: whether these are all members in the file.
    """

    path: Path
    step: int
    rows: tuple[int, ...]
    index: tuple[int, ...]
    whole: bool

    def load(self, device: torch.device) -> Snapshot:
        """The members' state on `device`."""
        rows = torch.tensor(self.rows)
        parts: dict[str, Any] = {"step": self.step}
        with safe_open(self.path, "pt") as file:
            about = _about(self.path, file.metadata())
            for name in about["tensors"]:
                part, _, inner = name.partition(".")
                tensor = file.get_tensor(name)[rows]
                if part == "history":
                    parts.setdefault(part, {})[inner] = tensor
                elif inner:
                    parts.setdefault(part, {})[inner] = tensor.to(device)
                else:
                    parts[part] = tensor.to(device)
        history = parts.pop("history")
        reasons = {place: about["reasons"].get(str(row)) for place, row in enumerate(self.rows)}
        return Snapshot(
            StackState(**parts), history, {i: reason for i, reason in reasons.items() if reason}
        )


@dataclass(frozen=True)
class Saves:
    """A directory of unfinished stacks.

    Attributes:
        directory: made when the first stack is saved, removed with the last.
        every: seconds of training between two savings of a stack, `>= 0`.
    """

    directory: Path
    every: float = 60.0

    def unfinished(self, identities: Sequence[str]) -> Iterator[SavedStack]:
        """Files that hold some of these members, each member once, most advanced files first.

        Raises:
            CheckpointError: a file that cannot be read; nothing is overwritten.
        """
        waiting: dict[str, list[int]] = {}
        for position, identity in enumerate(identities):
            waiting.setdefault(identity, []).append(position)
        held = [(_read_about(path), path) for path in sorted(self.directory.glob(f"*{_SUFFIX}"))]
        for about, path in sorted(held, key=lambda pair: -pair[0]["step"]):
            found = [
                (row, waiting[identity].pop(0))
                for row, identity in enumerate(about["members"])
                if waiting.get(identity)
            ]
            if found:
                rows, index = zip(*found)
                whole = len(rows) == len(about["members"])
                yield SavedStack(path, about["step"], rows, index, whole)


class StackFile:
    """The file of one stack in training.

    Args:
        saves: where it lies, and how often it is written.
        identities: of the members.
        saved: the file that the stack goes on from.
    """

    def __init__(
        self, saves: Saves, identities: Sequence[str], saved: SavedStack | None = None
    ) -> None:
        self.path = saves.directory / f"{_digest(list(identities))}{_SUFFIX}"
        self._identities = list(identities)
        self._every = saves.every
        self._written = time.monotonic()
        self._saved = saved

    def save_if_due(self, snapshot: Callable[[], Snapshot]) -> None:
        """Replace the file in one go, if its last version is old enough."""
        if time.monotonic() - self._written >= self._every:
            self.save(snapshot())
            self._written = time.monotonic()

    def save(self, snapshot: Snapshot) -> None:
        """Replace the file in one go."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        tensors = _tensors(snapshot)
        about = {
            "format": FORMAT,
            "step": snapshot.state.step,
            "members": self._identities,
            # Sums over parameters round differently in another order; the format sorts them.
            "tensors": list(tensors),
            "reasons": {str(place): reason for place, reason in snapshot.reasons.items()},
        }
        temporary = self.path.with_name(f".{self.path.name}.partial")
        save_file(tensors, temporary, {"toysae": json.dumps(about)})
        os.replace(temporary, self.path)

    def remove(self) -> None:
        """Forget the stack; the directory goes with its last file.

        A file that it went on from stays if that holds members which were not in this stack.
        """
        self.path.unlink(missing_ok=True)
        if self._saved is not None and self._saved.whole:
            self._saved.path.unlink(missing_ok=True)
        directory = self.path.parent
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()


def identities(members: Sequence[Member]) -> list[str]:
    """A hash of all that each member's result depends on, but for the code."""
    worlds: dict[Stream, str] = {}
    for member in members:
        if member.stream not in worlds:
            worlds[member.stream] = _digest(_content(member.stream))
    return [
        _digest(
            [
                _content(member.sae),
                _content(member.trainer),
                worlds[member.stream],
                member.seed,
                _content(member.initial_decoder),
                member.stream.device.type,
            ]
        )
        for member in members
    ]


def _content(value: Any) -> Any:
    """A value as plain JSON, tensors by the hash of what they hold."""
    if isinstance(value, Tensor):
        numbers = value.detach().cpu().contiguous()
        held = hashlib.sha256(numbers.numpy().tobytes()).hexdigest()
        return {"tensor": held, "shape": list(numbers.shape), "dtype": str(numbers.dtype)}
    if is_dataclass(value):
        named = {f.name: _content(getattr(value, f.name)) for f in fields(value)}
        return {"class": type(value).__name__, **named}
    if isinstance(value, Mapping):
        return {str(key): _content(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_content(inner) for inner in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{type(value).__name__} has no identity that outlives the process")


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _tensors(snapshot: Snapshot) -> dict[str, Tensor]:
    """All tensors under the names of a file: `params.W_enc`, `control`, `history.error`."""
    parts = {f.name: getattr(snapshot.state, f.name) for f in fields(snapshot.state)}
    parts["history"] = snapshot.history
    tensors: dict[str, Tensor] = {}
    for part, value in parts.items():
        if isinstance(value, Tensor):
            tensors[part] = value
        elif isinstance(value, dict):
            tensors.update({f"{part}.{name}": tensor for name, tensor in value.items()})
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _read_about(path: Path) -> Any:
    try:
        with safe_open(path, "pt") as file:
            return _about(path, file.metadata())
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, str(error)) from None


def _about(path: Path, metadata: Mapping[str, str] | None) -> Any:
    if not metadata or "toysae" not in metadata:
        raise _unreadable(path, "it says nothing about its members")
    about = json.loads(metadata["toysae"])
    if about.get("format") != FORMAT:
        raise _unreadable(path, f"format {about.get('format')!r}, not {FORMAT}")
    return about


def _unreadable(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{path}: no state of a stack that can be gone on from ({reason}); delete it to start over"
    )
