"""How much a model's outputs change."""

from __future__ import annotations

import math

from toysae.metrics import outputs
from toysae.metrics._metric import SAMPLES, Metric

_NATS = "p is the original and comes first; 0 is best; in nats, one value a token"

RECORDS = (
    Metric(
        outputs.output_change,
        formula="KL(p||q), KL(q||p), Jensen-Shannon, total variation and top-1 agreement at once",
        range=(0, math.inf),
        orientation="p is the original and comes first; 0 is best but for the agreement",
        symmetric=False,
        invariances=SAMPLES,
        degenerate="refuses logits that are not finite",
        source="as the single metrics",
        summaries=("kl", "reverse_kl", "jensen_shannon", "total_variation", "same_top"),
        ranges={
            "jensen_shannon": (0, math.log(2)),
            "total_variation": (0, 1),
            "same_top": (0, 1),
        },
    ),
    Metric(
        outputs.kl_divergence,
        formula="sum_v p_v (ln p_v - ln q_v)",
        range=(0, math.inf),
        orientation=_NATS,
        symmetric=False,
        invariances=SAMPLES,
        degenerate="finite for all finite logits",
        source="Kullback and Leibler 1951",
    ),
    Metric(
        outputs.jensen_shannon,
        formula="(KL(p||m) + KL(q||m)) / 2, m = (p + q) / 2",
        range=(0, math.log(2)),
        orientation="either side may be the original; 0 is best; in nats, one value a token",
        symmetric=True,
        invariances=SAMPLES,
        degenerate="finite for all finite logits",
        source="Lin 1991",
    ),
    Metric(
        outputs.total_variation,
        formula="sum_v |p_v - q_v| / 2",
        range=(0, 1),
        orientation="either side may be the original; 0 is best; one value a token",
        symmetric=True,
        invariances=SAMPLES,
        degenerate="finite for all finite logits",
        source="textbook",
    ),
    Metric(
        outputs.top1_agreement,
        formula="argmax_v p_v = argmax_v q_v",
        range=(0, 1),
        orientation="either side may be the original; 1 is best; one value a token",
        symmetric=True,
        invariances=(*SAMPLES, "joint_scale"),
        degenerate="ties go to the lowest token",
        source="textbook",
    ),
    Metric(
        outputs.cross_entropy,
        formula="-ln p_y",
        range=(0, math.inf),
        orientation="0 is best; in nats, one value a token",
        symmetric=None,
        invariances=SAMPLES,
        degenerate="finite for all finite logits",
        source="textbook",
    ),
    Metric(
        outputs.cross_entropy_difference,
        formula="ln p_y - ln q_y",
        range=(-math.inf, math.inf),
        orientation="p is the original and comes first; positive is a cost; in nats",
        symmetric=False,
        invariances=SAMPLES,
        degenerate="finite for all finite logits",
        source="textbook",
    ),
    Metric(
        outputs.expected_difference,
        formula="E_pi[ln p_y - ln q_y] = KL(pi||q) - KL(pi||p)",
        range=(-math.inf, math.inf),
        orientation="pi is the truth and comes first, then the original; positive is a cost",
        symmetric=False,
        invariances=SAMPLES,
        degenerate="tokens of probability 0 add nothing",
        source="textbook",
        summaries=("difference", "patched", "original"),
        ranges=dict.fromkeys(("patched", "original"), (0, math.inf)),
    ),
    Metric(
        outputs.cross_entropy_recovered,
        formula="(CE_ablated - CE_patched) / (CE_ablated - CE_original), of means and of items",
        range=(-math.inf, math.inf),
        orientation="original, patched, ablated; 1 is no cost, 0 is the ablation's",
        symmetric=False,
        invariances=(*SAMPLES, "joint_scale", "joint_shift"),
        degenerate="NaN where the ablation costs nothing",
        source="loss recovered of dictionary_learning, SAELens and SAEBench",
        summaries=("ratio_of_means", "mean_of_ratios"),
    ),
)
