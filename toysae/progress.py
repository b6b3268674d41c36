"""How far a long computation is: one bar on a terminal, a log line now and then elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TextIO

logger = logging.getLogger(__name__)

#: Seconds between two log lines where there is no terminal.
LOG_INTERVAL = 30.0

Advance = Callable[[int], None]


class StderrHandler(logging.StreamHandler):
    """Logs to what `sys.stderr` is now, so that lines appear above a bar and not through it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        """The present standard error."""
        return sys.stderr


@contextmanager
def progress(total: int, description: str) -> Iterator[Advance]:
    """Show how much of `total` units of work is done while the block runs.

    Args:
        total: units of work of the whole.
        description: one or two words, such as "training".

    Yields:
        A function to be called with the number of units done since the last call.
    """
    if sys.stderr.isatty():
        with _bar(total, description) as advance:
            yield advance
    else:
        yield _LogLines(total, description)


@contextmanager
def reported(description: str) -> Iterator[Callable[[int, int], None]]:
    """As `progress`, for computations that tell how many of how many blocks are done.

    Args:
        description: one or two words, such as "matching".

    Yields:
        What the metrics take as `report`; the whole is what its first call says.
    """
    with ExitStack() as stack:
        advance: Advance | None = None
        shown = 0

        def report(done: int, total: int) -> None:
            nonlocal advance, shown
            if advance is None:
                advance = stack.enter_context(progress(total, description))
            advance(done - shown)
            shown = done

        yield report


@contextmanager
def _bar(total: int, description: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(description, total=total)
        yield lambda units: bar.advance(task, units)


class _LogLines:
    """Logs the state when the last line is `LOG_INTERVAL` old."""

    def __init__(self, total: int, description: str) -> None:
        self._total = total
        self._description = description
        self._done = 0
        self._started = self._logged = time.monotonic()

    def __call__(self, units: int) -> None:
        self._done += units
        now = time.monotonic()
        if now - self._logged < LOG_INTERVAL or not 0 < self._done < self._total:
            return
        self._logged = now
        elapsed = now - self._started
        left = elapsed * (self._total - self._done) / self._done
        share = 100 * self._done / self._total
        logger.info(
            "%s: %.0f %%, %.0f s elapsed, about %.0f s left",
            self._description, share, elapsed, left,
        )  # fmt: skip
