"""What is stated about each metric, in a form that one generic test can hold it to."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, ModuleType
from typing import Any

INVARIANCES: Mapping[str, str] = MappingProxyType(
    {
        "permute_rows_a": "rows of the first dictionary in another order",
        "permute_rows_b": "rows of the second dictionary in another order",
        "scale_rows": "each row times a positive number of its own",
        "flip_rows": "some rows times -1",
        "joint_rotation": "all vectors rotated by the same orthogonal matrix",
        "pad_dimensions": "zeros appended to all vectors",
        "permute_samples": "samples in another order, the same everywhere",
        "repeat_samples": "every sample twice, or all counts doubled",
        "permute_columns_a": "columns of the first table in another order",
        "permute_columns_b": "columns of the second table in another order",
        "scale_columns": "each column times a positive number of its own",
        "joint_scale": "all inputs times the same positive number",
        "joint_shift": "the same vector added to all samples",
    }
)
"""Changes of the input that may leave a metric as it was, by name."""


@dataclass(frozen=True)
class Metric:
    """A public metric and what is known about it."""

    function: Callable[..., Any]
    """The function."""
    formula: str
    """Definition, on one line."""
    range: tuple[float, float]
    """Lowest and highest value that its summaries can take."""
    orientation: str
    """Which argument is the truth, and which end of the range is good."""
    symmetric: bool | None
    """Whether swapping the two sides leaves the summaries alone; None without two sides."""
    invariances: tuple[str, ...]
    """Changes of the input, named in `INVARIANCES`, that leave the summaries alone."""
    degenerate: str
    """The value on input for which it is undefined."""
    source: str
    """Where it comes from."""
    summaries: tuple[str, ...] = ()
    """Attributes of the result that the above speaks about; none where it is the result itself."""
    ranges: Mapping[str, tuple[float, float]] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )
    """Narrower ranges of single summaries, by their name."""

    def range_of(self, summary: str) -> tuple[float, float]:
        """Lowest and highest value of one of the summaries."""
        return self.ranges.get(summary, self.range)

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.function.__name__


ROWS = ("permute_rows_a", "permute_rows_b")
"""A metric of dictionaries does not mind the order of latents."""
SPACE = ("scale_rows", "joint_rotation", "pad_dimensions")
"""A metric of directions knows neither lengths nor axes."""
SAMPLES = ("permute_samples", "repeat_samples")
"""A metric of a distribution knows neither the order nor the number of samples."""
COLUMNS = ("permute_columns_a", "permute_columns_b")
"""A metric of activations does not mind the order of latents."""


def sections(records: ModuleType) -> Mapping[str, tuple[Metric, ...]]:
    """The `RECORDS` of each module of the package `records`, by the module's name."""
    names = sorted(module.name for module in pkgutil.iter_modules(records.__path__))
    modules = [importlib.import_module(f"{records.__name__}.{name}") for name in names]
    return MappingProxyType({name: module.RECORDS for name, module in zip(names, modules)})
