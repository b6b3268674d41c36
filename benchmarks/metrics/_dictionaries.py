"""Pairs of dictionaries as large as those of real SAEs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

ROWS, WIDTH = 24_576, 768

Pair = tuple[Tensor, Tensor]


def independent(n: int, generator: torch.Generator) -> Pair:
    """Nothing in common: the best partners are chance, and many are nearly as good."""
    return _normal(n, generator), _normal(n, generator)


def found_again(n: int, generator: torch.Generator) -> Pair:
    """Half of the rows found again in another order, from cosine .3 to .99, the others not."""
    a = _normal(n, generator)
    cosine = 0.3 + 0.69 * torch.rand(n, 1, generator=generator)
    cosine[n // 2 :] = 0
    b = cosine * a + (1 - cosine**2).sqrt() * _normal(n, generator)
    return a, b[torch.randperm(n, generator=generator)]


def copies(n: int, generator: torch.Generator) -> Pair:
    """A quarter as many directions as rows, drawn again and again on both sides: ties."""
    different = _normal(n // 4, generator)
    a, b = (different[torch.randint(n // 4, (n,), generator=generator)] for _ in range(2))
    return a, b


CASES: Mapping[str, Callable[[int, torch.Generator], Pair]] = MappingProxyType(
    {"found again": found_again, "independent": independent, "copies": copies}
)


def dictionaries(case: str, n: int) -> Pair:
    """Two dictionaries `[n, WIDTH]` in float32, the same at each call."""
    return CASES[case](n, torch.Generator().manual_seed(0))


def _normal(n: int, generator: torch.Generator) -> Tensor:
    return torch.randn(n, WIDTH, generator=generator)
