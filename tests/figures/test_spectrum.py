from __future__ import annotations

import numpy as np
import torch

from toysae.diagnostics.pca import pca
from toysae.figures.spectrum import scree


def samples(spread):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(500, len(spread), generator=generator) * torch.tensor(spread)


def test_eigenvalues_fall_along_a_logarithmic_axis():
    axes = scree(pca(samples([3.0, 1.0, 0.3]))).axes[0]
    (line,) = [line for line in axes.lines if len(line.get_xdata()) == 3]
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(line.get_ydata(), [9, 1, 0.09], rtol=0.3)
    assert axes.get_yscale() == "log"
    assert axes.get_xlabel() == "principal component"


def test_a_space_without_variance_has_a_plain_axis():
    assert scree(pca(torch.zeros(10, 2))).axes[0].get_yscale() == "linear"
