"""Numba's `njit`, with a disk cache that notices every change.

Numba keeps compiled code beside its source and forgets it when that file changes. It does not see a
change of what a kernel takes from other files, functions and constants alike: after an upgrade old
code would run on. So when any source that kernels are made of has changed, all of it is forgotten.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from numba import njit

__all__ = ["njit", "sources"]

logger = logging.getLogger(__name__)

_LIBRARY = Path(__file__).parent
_STAMP = _LIBRARY / "__pycache__" / "kernels.digest"

#: Compiled code, and what it takes constants from.
_SOURCES = (
    "compiled.py",
    "**/*_kernel.py",
    "training/kernels/*.py",
    "training/control.py",
    "saes/lp.py",
)


def sources() -> list[Path]:
    """All files that compiled code depends on."""
    return sorted({path for pattern in _SOURCES for path in _LIBRARY.glob(pattern)})


def _forget_stale() -> None:
    """Remove what Numba keeps beside the sources, if it was compiled from other ones.

    Where the folder cannot be written, Numba keeps nothing in it either.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in sources():
        digest.update(f"{path.relative_to(_LIBRARY)}\n".encode() + path.read_bytes())
    try:
        if _STAMP.exists() and _STAMP.read_text() == digest.hexdigest():
            return
        for folder in {path.parent for path in sources()}:
            for index in (folder / "__pycache__").glob("*.nbi"):
                index.unlink(missing_ok=True)
        _STAMP.parent.mkdir(exist_ok=True)
        _STAMP.write_text(digest.hexdigest())
    except OSError as error:
        logger.debug("compiled code is not kept beside its sources (%s)", error)


_forget_stale()
