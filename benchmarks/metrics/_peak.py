"""How much memory a block of code takes at its peak, above what was held before."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

_PAGE = os.sysconf("SC_PAGE_SIZE")
_SECONDS = 0.02


class PeakMemory:
    """Samples the resident memory of this process while the block runs."""

    def __init__(self) -> None:
        self.gigabytes = 0.0
        self._ended = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._before = _resident()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_SECONDS):
            self.gigabytes = max(self.gigabytes, (_resident() - self._before) / 1e9)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
