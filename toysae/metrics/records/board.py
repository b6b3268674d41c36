"""Recovered against true: the board experiments."""

from __future__ import annotations

from toysae.metrics import board
from toysae.metrics._metric import COLUMNS, SAMPLES, Metric

RECORDS = (
    Metric(
        board.auroc_coverage,
        formula="mean_i [max_j AUROC_ij >= t]",
        range=(0, 1),
        orientation="coefficients are the truth and come first; 1 is best",
        symmetric=False,
        invariances=(*SAMPLES, *COLUMNS, "scale_columns"),
        degenerate="NaN if every feature is never or always active, or without latents",
        source="Huben 2024, OthelloGPT report (lesswrong.com/posts/BduCMgmjJnCtc7jKc)",
        summaries=("fraction",),
    ),
    Metric(
        board.board_coverage,
        formula="mean_i max_t max_j F1([c_i != 0], [z_j > t max z_j]), t = 0, .1, ..., .9",
        range=(0, 1),
        orientation="coefficients are the truth and come first; 1 is best",
        symmetric=False,
        invariances=(*SAMPLES, *COLUMNS, "scale_columns"),
        degenerate="NaN if no feature is ever active, or without latents",
        source="Karvonen et al. 2024 (arXiv 2408.00113)",
        summaries=("mean", "mean_at_one_cut"),
    ),
    Metric(
        board.board_reconstruction,
        formula="max_t mean_samples F1(features told by precise latents that fire, active ones)",
        range=(0, 1),
        orientation="coefficients are the truth and come before latents; 1 is best",
        symmetric=False,
        invariances=("permute_samples", *COLUMNS),
        degenerate="NaN if no feature is active on any test sample",
        source="Karvonen et al. 2024 (arXiv 2408.00113)",
        summaries=("best",),
    ),
)
