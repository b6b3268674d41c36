"""What an L1-optimal code leaves to the true latents of an island beside their diagonal."""

from __future__ import annotations

from typing import NamedTuple

from toysae.errors import DataError


class IslandRecall(NamedTuple):
    """Recall of a true latent beside a composed one."""

    shared: float
    """`q / (2 - q)`: both features have the same amplitude."""
    independent: float
    """`1 / (2 - q)`: their amplitudes are independent."""


def recall_beside_diagonal(solo: float) -> IslandRecall:
    """Recall of the true latents of an island of two features once a diagonal latent exists.

    A feature pair fires together, but for a share `q` of its samples on which one of both, either
    with the same chance, fires alone. With the latents `f_1`, `f_2` and `f_1 + f_2`, the code of
    least L1 (unit decoder, exact reconstruction) writes what both have in common on the diagonal.
    A true latent is left with the samples on which its feature is alone, and, where amplitudes are
    independent, with those on which it is the larger: so wider dictionaries lower the recall of
    directions that are there. Both values are in [0, 1] and grow with `q`.

    Args:
        solo: `q`, the share of the island's samples with one feature alone.

    Returns:
        The recall to compare a measured one with.

    Raises:
        DataError: `q` outside [0, 1].

    Source: toysae; codes of least L1 with unit decoders.
    """
    if not 0 <= solo <= 1:
        raise DataError(f"solo={solo}: expected a probability, in [0, 1]")
    return IslandRecall(solo / (2 - solo), 1 / (2 - solo))
