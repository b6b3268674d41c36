"""Every public diagnostic with its range, orientation and invariances."""

from __future__ import annotations

from collections.abc import Mapping

from toysae.diagnostics import records
from toysae.metrics._metric import Metric, sections

__all__ = ["DIAGNOSTICS", "SECTIONS"]

SECTIONS: Mapping[str, tuple[Metric, ...]] = sections(records)
"""The diagnostics of each public module of `toysae.diagnostics`, by its name."""

DIAGNOSTICS: tuple[Metric, ...] = tuple(
    metric for section in SECTIONS.values() for metric in section
)
"""All diagnostics."""
