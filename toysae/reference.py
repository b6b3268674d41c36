"""The reference of all metrics and diagnostics, out of their registries.

    python -m toysae.reference > docs/metrics.md

A section for each public module, an entry for each function: the first lines of its docstring, and
what the registry states about it, to which `tests/test_registry.py` holds it.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Iterator, Mapping

from toysae.diagnostics.registry import SECTIONS as DIAGNOSTICS
from toysae.metrics.registry import INVARIANCES, SECTIONS, Metric

_HEAD = """# Metrics and diagnostics

Generated from the registries by `make docs`. `tests/test_docs.py` fails where it is out of date,
`tests/test_registry.py` where something stated here does not hold or a public function is missing.

Everywhere: rows are vectors; thresholds are strict; what is undefined is NaN and counted, never 0;
NaN and infinity in the input raise; arithmetic is float64. **Range** and **invariances** are about
the numbers named under *speaks about*, or the result itself. Shapes and errors are in the
docstrings: `python -c "from toysae.metrics import dictionary; help(dictionary.max_cosine)"`.
"""


def reference() -> str:
    """All sections, as Markdown."""
    parts = [_HEAD, _invariances(), *_package("toysae.metrics", SECTIONS)]
    return "\n".join([*parts, *_package("toysae.diagnostics", DIAGNOSTICS)])


def _invariances() -> str:
    rows = [f"| `{name}` | {meaning} |" for name, meaning in INVARIANCES.items()]
    head = "## Invariances\n\n| name | the metric stays as it is with |\n|---|---|"
    return "\n".join([head, *rows, ""])


def _package(package: str, sections: Mapping[str, tuple[Metric, ...]]) -> Iterator[str]:
    yield f"## `{package}`\n"
    for module, metrics in sections.items():
        records = sys.modules[f"{package}.records.{module}"]
        title = (records.__doc__ or "").splitlines()[0]
        yield f"### `{package}.{module}`\n\n{title}\n"
        for metric in metrics:
            yield _entry(metric)


def _entry(metric: Metric) -> str:
    summary = (inspect.getdoc(metric.function) or "").split("\n\n")[0].replace("\n", " ")
    symmetric = {True: "yes", False: "no", None: "one-sided"}[metric.symmetric]
    facts = {
        "formula": f"`{metric.formula}`",
        "speaks about": ", ".join(f"`{name}`" for name in metric.summaries),
        "range": _ranges(metric),
        "orientation": metric.orientation,
        "symmetric": symmetric,
        "invariances": ", ".join(f"`{name}`" for name in metric.invariances) or "none",
        "edge cases": metric.degenerate,
        "source": metric.source,
    }
    lines = [f"- *{name}*: {fact}" for name, fact in facts.items() if fact]
    return "\n".join([f"#### `{metric.name}`\n", f"{summary}\n", *lines, ""])


def _ranges(metric: Metric) -> str:
    own = [f"`{name}` {_interval(*metric.range_of(name))}" for name in metric.ranges]
    return "; ".join([_interval(*metric.range), *own])


def _interval(low: float, high: float) -> str:
    left = "(-∞" if low == -math.inf else f"[{low:g}"
    right = "∞)" if high == math.inf else f"{high:g}]"
    return f"{left}, {right}"


if __name__ == "__main__":
    sys.stdout.write(reference())
