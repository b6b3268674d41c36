"""Matryoshka SAE: nested levels (`toysae.saes.nested`) of a BatchTopK SAE.

    f as of `toysae.saes.batch_topk`
    loss = sum_l level_discount^(L - l) mean_n ||x_hat_l - x||^2,   x_hat_l of the first w_l latents

Bussmann, Nabeshima, Karvonen and Nanda (2025, arXiv 2503.17547), with fixed widths and a sum that
is not divided by their number, as in SAELens. Which latents fire is decided once, over all of them.
Once trained it is applied like a BatchTopK SAE, as a JumpReLU SAE with one threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from toysae.saes.batch_topk import BatchTopK
from toysae.saes.nested import Nested


@dataclass(frozen=True)
class Matryoshka(Nested, BatchTopK):
    """BatchTopK SAE whose every prefix has to reconstruct by itself."""

    name: ClassVar[str] = "matryoshka"
