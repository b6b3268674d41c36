"""Agreement in what vectors do."""

from __future__ import annotations

from toysae.metrics import functional
from toysae.metrics._metric import ROWS, Metric

RECORDS = (
    Metric(
        functional.functional_agreement,
        formula="max_cosine under a^T M b: M = I, then Cov(x) for encoders, E[J^T J] for decoders",
        range=(-1, 1),
        orientation="a is the truth: a_to_b is recall-like, b_to_a precision-like; 1 is best",
        symmetric=False,
        invariances=(*ROWS, "joint_rotation", "pad_dimensions"),
        degenerate="NaN for latents that the metric does not see",
        source="correlation of pre-activations, and Gauss-Newton metric of the readout; textbook",
        summaries=(
            "decoder.mean_a_to_b",
            "decoder.mean_b_to_a",
            "encoder.mean_a_to_b",
            "encoder.mean_b_to_a",
            "decoder_by_readout.mean_a_to_b",
            "decoder_by_readout.mean_b_to_a",
            "encoder_by_covariance.mean_a_to_b",
            "encoder_by_covariance.mean_b_to_a",
        ),
    ),
)
