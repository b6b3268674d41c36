"""Matryoshka SAE with L1: nested levels (`toysae.saes.nested`) of a ReLU SAE.

    loss = sum_l level_discount^(L - l) mean_n [ ||x_hat_l - x||^2 + l1 sum_{j < w_l} f_j ]

The SAE of Nabeshima, "Matryoshka sparse autoencoders" (2024), whose code draws new widths for every
batch, keeps latents sorted by their mean square, and divides the loss by the number of levels. Here
widths are fixed, so that a step is a function of its batch, and latents stay where they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from toysae.saes.nested import Nested
from toysae.saes.relu import ReLU


@dataclass(frozen=True)
class MatryoshkaReLU(Nested, ReLU):
    """ReLU SAE with L1 penalty whose every prefix has to reconstruct by itself."""

    name: ClassVar[str] = "matryoshka_relu"
