"""Hidden spaces that took long to make, kept on disk under a hash of all that determines them."""

from __future__ import annotations

import hashlib
import logging
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

logger = logging.getLogger(__name__)

_LIBRARY = Path(__file__).parents[1]

#: What a space is made by; another line of code is another space, as far as the cache can know.
_CODE = ("generators/**/*.py", "hidden/**/*.py", "draws*.py")


def cache_directory() -> Path:
    """`$TOYSAE_CACHE`, else `toysae` in the user's cache directory."""
    chosen = os.environ.get("TOYSAE_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "toysae"


def recipe(**parts: object) -> str | None:
    """All that determines a space, as text: the given parts, and toysae's own code.

    Returns:
        None where a part is not made of plain values and toysae's dataclasses: what cannot be
        written down cannot be told from another.
    """
    try:
        lines = [f"{key} = {_written(value)}" for key, value in parts.items()]
    except TypeError as error:
        logger.debug("not cached: %s", error)
        return None
    return "\n".join([*lines, f"code = {_code_digest()}"])


def load_or_make(
    what: str,
    recipes: Sequence[str | None],
    make: Callable[[list[int]], Sequence[Mapping[str, Tensor]]],
) -> list[dict[str, Tensor]]:
    """Tensors of every recipe, from disk where they lie there.

    A file that cannot be read is made again, one that cannot be written is not kept; both are
    logged as warnings.

    Args:
        what: what they are, for the log.
        recipes: one a set of tensors; None is not kept.
        make: makes the sets of tensors at these positions of `recipes`.
    """
    made = [None if text is None else _load(text) for text in recipes]
    missing = [i for i, tensors in enumerate(made) if tensors is None]
    if len(missing) < len(recipes):
        logger.info("%s: %d from %s", what, len(recipes) - len(missing), cache_directory())
    if missing:
        logger.info("%s: %d to be made", what, len(missing))
        for i, tensors in zip(missing, make(missing), strict=True):
            made[i] = dict(tensors)
            text = recipes[i]
            if text is not None:
                _save(text, tensors)
    return [tensors for tensors in made if tensors is not None]


def _path(text: str) -> Path:
    digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return cache_directory() / "hidden" / f"{digest}.safetensors"


def _load(text: str) -> dict[str, Tensor] | None:
    path = _path(text)
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("recipe") != text:
                raise ValueError("it holds something else")
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        logger.warning("%s cannot be used (%s); it is made again", path, error)
        return None


def _save(text: str, tensors: Mapping[str, Tensor]) -> None:
    path = _path(text)
    partial = path.with_name(f"{path.stem}.{uuid.uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        copies = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
        save_file(copies, partial, {"recipe": text})
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            partial.unlink()
        logger.warning("%s cannot be written (%s); it will be made again next time", path, error)


def _written(value: object) -> str:
    """A value with all that it is made of; equal texts mean equal values.

    Raises:
        TypeError: not made of plain values and toysae's dataclasses.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"({', '.join(_written(item) for item in value)})"
    if isinstance(value, Mapping):
        items = (f"{_written(key)}: {_written(item)}" for key, item in value.items())
        return f"{{{', '.join(items)}}}"
    kind = type(value)
    if is_dataclass(kind) and kind.__module__.startswith("toysae."):
        parts = (f"{f.name}={_written(getattr(value, f.name))}" for f in fields(kind))
        return f"{kind.__module__}.{kind.__qualname__}({', '.join(parts)})"
    raise TypeError(f"{kind.__module__}.{kind.__qualname__} is not of toysae")


@cache
def _code_digest() -> str:
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(path for pattern in _CODE for path in _LIBRARY.glob(pattern)):
        digest.update(f"{path.relative_to(_LIBRARY)}\n".encode() + path.read_bytes())
    return digest.hexdigest()
