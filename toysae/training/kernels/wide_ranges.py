"""How the work on one large SAE is cut up: the same for any number of threads."""

from __future__ import annotations

#: Number, begin and end of a range.
Range = tuple[int, int, int]

#: Samples and latents of a part of a product.
Tile = tuple[slice, slice]


def ranges(length: int, longest: int) -> list[Range]:
    """Cut `range(length)`: number, begin and end of each part."""
    starts = range(0, length, longest)
    return [(i, first, min(first + longest, length)) for i, first in enumerate(starts)]


def tiles(samples: int, latents: int, sides: tuple[int, int]) -> list[Tile]:
    """Cut a table of samples and latents."""
    rows, columns = ranges(samples, sides[0]), ranges(latents, sides[1])
    return [(slice(*s), slice(*j)) for _, *j in columns for _, *s in rows]


def of_samples(parts: list[Tile], first: int, last: int) -> list[Tile]:
    """What of tiles lies in samples `first` to `last`."""
    cut = [(slice(max(s.start, first), min(s.stop, last)), j) for s, j in parts]
    return [(s, j) for s, j in cut if s.start < s.stop]
