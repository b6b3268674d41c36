"""Which columns a reader sees, under which headings, in which order: heading `->` column."""

from __future__ import annotations

COMPARISONS = {
    "compared": "compared",
    "comparisons": "comparisons",
    "largest deviation": "largest",
    "expected": "expected_largest",
    "at": "at",
    "verdict": "verdict",
}
GROUPS = {
    "group": "group",
    "features": "features",
    "mean density, stated": "density_stated",
    "realised": "density_realised",
    "L0, stated": "l0_stated",
    "L0, realised": "l0_realised",
    "share of L0": "l0_share",
}
DEPTHS = {
    "depth": "depth",
    "features": "features",
    "mean density, stated": "density_stated",
    "realised": "density_realised",
    "L0, stated": "l0_stated",
    "L0, realised": "l0_realised",
}
L0 = {
    "stated": "stated",
    "realised": "realised",
    "sd": "sd",
    "sd if independent": "sd_if_independent",
    "least": "q00",
    "5 %": "q05",
    "median": "q50",
    "95 %": "q95",
    "most": "q100",
}
PAIRS = {
    "A": "a",
    "B": "b",
    "φ stated": "phi_stated",
    "realised": "phi_realised",
    "P(B|A)": "b_given_a_stated",
    "P(A|B)": "a_given_b_stated",
    "both, sigmas": "both_sigmas",
}
MAGNITUDES = {
    "group": "group",
    "mean, stated": "mean_stated",
    "realised": "mean_realised",
    "5 %": "q05",
    "25 %": "q25",
    "median": "q50",
    "75 %": "q75",
    "95 %": "q95",
    "firings": "firings",
}
