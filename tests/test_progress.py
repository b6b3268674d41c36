from __future__ import annotations

import io
import logging
import sys

import pytest

from toysae import progress as module
from toysae.progress import StderrHandler, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_shows_one_bar_with_the_share_done(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress(200, "training") as advance:
        advance(50)
        advance(150)
    shown = terminal.getvalue()
    assert "training" in shown
    assert "100%" in shown


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when the test says so."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_elsewhere_a_line_is_logged_when_the_last_one_is_old(clock, caplog):
    caplog.set_level(logging.INFO)
    with progress(100, "training") as advance:
        clock[0] += module.LOG_INTERVAL - 1
        advance(20)
        assert caplog.messages == []
        clock[0] += 1
        advance(5)
        clock[0] += 1
        advance(5)
    assert caplog.messages == ["training: 25 %, 30 s elapsed, about 90 s left"]


def test_nothing_is_logged_when_all_is_done(clock, caplog):
    caplog.set_level(logging.INFO)
    with progress(10, "training") as advance:
        clock[0] += 1000
        advance(10)
    assert caplog.messages == []


def test_log_lines_follow_a_redirected_stderr(monkeypatch):
    handler = StderrHandler()
    redirected = io.StringIO()
    monkeypatch.setattr(sys, "stderr", redirected)
    handler.handle(logging.makeLogRecord({"msg": "above the bar"}))
    assert redirected.getvalue() == "above the bar\n"
