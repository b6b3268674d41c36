"""Designs with known collinearity, for the tests of two modules."""

from __future__ import annotations

import numpy as np

# Longley (1967), US employment 1947-1962, as published by NIST (StRD): total employment, then GNP
# deflator, GNP, unemployed, armed forces, population, year.
LONGLEY = np.array(
    [
        [60323, 83.0, 234289, 2356, 1590, 107608, 1947],
        [61122, 88.5, 259426, 2325, 1456, 108632, 1948],
        [60171, 88.2, 258054, 3682, 1616, 109773, 1949],
        [61187, 89.5, 284599, 3351, 1650, 110929, 1950],
        [63221, 96.2, 328975, 2099, 3099, 112075, 1951],
        [63639, 98.1, 346999, 1932, 3594, 113270, 1952],
        [64989, 99.0, 365385, 1870, 3547, 115094, 1953],
        [63761, 100.0, 363112, 3578, 3350, 116219, 1954],
        [66019, 101.2, 397469, 2904, 3048, 117388, 1955],
        [67857, 104.6, 419180, 2822, 2857, 118734, 1956],
        [68169, 108.4, 442769, 2936, 2798, 120445, 1957],
        [66513, 110.8, 444546, 4681, 2637, 121950, 1958],
        [68655, 112.6, 482704, 3813, 2552, 123366, 1959],
        [69564, 114.2, 502601, 3931, 2514, 125368, 1960],
        [69331, 115.7, 518173, 4806, 2572, 127852, 1961],
        [70551, 116.9, 554894, 4007, 2827, 130081, 1962],
    ]
)

SMALL = np.array([[1, 2, 1], [2, 1, 0], [3, 4, 1], [4, 3, 0], [5, 6, 1], [6, 5, 1]], dtype=float)
SMALL_TARGET = np.array([3.0, 1, 6, 4, 10, 8])

# A parent feature on half of the tokens and a child on half of those.
PARENT_AND_CHILD = np.repeat([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]], [3, 3, 6], axis=0)


def with_correlation(r: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """`n` samples whose correlation matrix is exactly `r`."""
    noise = np.random.default_rng(seed).standard_normal((n, len(r)))
    white = np.linalg.qr(noise - noise.mean(0))[0]
    return white @ np.linalg.cholesky(r).T
