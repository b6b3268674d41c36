"""Errors written for the person who made the mistake: what was found, what is allowed, what to do.

Everything toysae raises on purpose is a `ToysaeError`. The command line prints its one-line
message and exits with a code other than 0; library users catch it.
"""

from __future__ import annotations


class ToysaeError(Exception):
    """Base class of every error that toysae raises on purpose."""


class ConfigError(ToysaeError):
    """A configuration value that cannot be used; the message names its key and what is allowed."""


class CheckpointError(ToysaeError):
    """A checkpoint that is missing, damaged or of a kind that toysae does not know."""


class DataError(ToysaeError):
    """A data file or tensor that is missing, damaged or of the wrong shape."""


class ResultsError(ToysaeError):
    """A run directory that cannot be written to or read from."""


class ShapeError(ToysaeError, ValueError):
    """A tensor whose shape does not fit what the function documents."""


class DivergenceError(ToysaeError):
    """An SAE whose loss stopped being finite. The message names the seed and the step."""
