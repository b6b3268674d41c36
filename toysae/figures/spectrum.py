"""The spectrum of a hidden space."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from toysae.diagnostics.pca import PCA
from toysae.figures.curves import banded_curves, with_log_axis


def scree(components: PCA) -> Figure:
    """Eigenvalues of the covariance with their intervals, largest first, on a logarithmic axis."""
    low, high = components.eigenvalue_intervals.T
    figure = banded_curves(
        np.arange(1, len(components.eigenvalues) + 1),
        {"eigenvalue": (components.eigenvalues, low, high)},
        xlabel="principal component",
        ylabel="variance",
    )
    return with_log_axis(figure)
