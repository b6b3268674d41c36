"""From tables of what fires to lists of firings.

Cell `sample * n_features + feature` stands for a feature on a sample.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def true_cells(fires: Tensor) -> Tensor:
    """Places of what is true, int64, in order; numpy finds few among many far faster than torch."""
    if fires.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(fires.numpy()))
    return fires.flatten().nonzero()[:, 0]


def firings(cells: Tensor, n: int, n_features: int) -> tuple[Tensor, Tensor]:
    """Offsets `[n + 1]` and features `[firings]` of `n` samples, given cells in order, int64."""
    ends = torch.arange(n + 1, device=cells.device) * n_features
    return torch.searchsorted(cells, ends), cells % n_features
