"""AUROC, average precision and best F1 of many latents: how much faster than scikit-learn?

    python -m benchmarks.metrics.auroc [--scale 0.1] [--save]

1,000 latents on 100,000 tokens, 50 of them on a token, each held against its own feature, which it
misses now and then and which fires without it; activations are rounded to eighths, so that many
tie. In one run: one call for all pairs of a latent and its feature, one for all latents against all
features, and scikit-learn on some latents, one at a time, a dense column each (it is not charged
for making the columns). Times are of one core; differences are of all scores, and the largest.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from benchmarks.machine import RESULTS, machine
from toysae.metrics.codes import SparseCodes
from toysae.metrics.ranking import Ranking, ranking, ranking_table
from toysae.results.files import write_json

BAR = 30
"""Times as fast as scikit-learn's AUROC alone, with the other two in the same pass."""

LATENTS, TOKENS, L0 = 1000, 100_000, 50
SKLEARN_LATENTS = 50


def codes(n_tokens: int, n_latents: int, seed: int = 0) -> tuple[SparseCodes, SparseCodes]:
    """Coefficients of features and activations of the latents that detect them, most of the time.

    On each token `L0` different latents may fire; each feature and each latent is on in 80 % of
    these, independently.
    """
    rng = np.random.default_rng(seed)
    first = rng.integers(0, n_latents, size=(n_tokens, 1))
    # Multiples of a step that has no divisor in common with the number: all different.
    step = next(s for s in range(7, n_latents) if np.gcd(s, n_latents) == 1)
    candidates = torch.from_numpy((first + step * np.arange(L0)) % n_latents)
    amount = 1 + rng.exponential(size=(n_tokens, L0)).astype(np.float32)

    def seen() -> SparseCodes:
        noise = 1 + 0.3 * rng.normal(size=(n_tokens, L0)).astype(np.float32)
        kept = rng.random((n_tokens, L0)) < 0.8
        eighths = np.ceil(8 * amount * np.abs(noise)) / 8
        return SparseCodes.from_top_k(candidates, torch.from_numpy(eighths * kept), n_latents)

    return seen(), seen()


def sklearn_scores(active: np.ndarray, score: np.ndarray) -> dict[str, float]:
    """The same three numbers, each by the function that is made for it."""
    precision, recall, _ = precision_recall_curve(active, score)
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    return {
        "auroc": roc_auc_score(active, score),
        "average_precision": average_precision_score(active, score),
        "best_f1": f1.max(),
    }


def seconds(work: Callable[[], Any], repeats: int = 1) -> tuple[float, Any]:
    """Least processor time of some repeats, and the result."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        result = work()
        times.append(time.process_time() - started)
    return min(times), result


def largest_differences(
    found: Ranking, columns: list[tuple[np.ndarray, np.ndarray]]
) -> dict[str, float]:
    """Largest absolute difference from scikit-learn, by score."""
    expected = [sklearn_scores(*column) for column in columns]
    return {
        name: max(
            abs(getattr(found, name)[j].item() - scores[name]) for j, scores in enumerate(expected)
        )
        for name in ("auroc", "average_precision", "best_f1")
    }


def measure(n_tokens: int, n_latents: int) -> dict[str, Any]:
    """Milliseconds a pair, ours and scikit-learn's, and how far apart the values are."""
    coefficients, latents = codes(n_tokens, n_latents)
    index = torch.arange(n_latents)
    compiling = index[:1]
    ranking(coefficients, latents, compiling, compiling)
    ranking_table(*codes(100, n_latents))
    matched, found = seconds(lambda: ranking(coefficients, latents, index, index), repeats=3)
    table, _ = seconds(lambda: ranking_table(coefficients, latents))
    chosen = range(min(SKLEARN_LATENTS, n_latents))
    truth, learned = coefficients.dense().T, latents.dense().T
    columns = [((truth[j] > 0).numpy(), learned[j].double().numpy()) for j in chosen]
    auroc, _ = seconds(lambda: [roc_auc_score(*column) for column in columns])
    precision, _ = seconds(lambda: [average_precision_score(*column) for column in columns])
    ours = 1e3 * matched / n_latents
    return {
        "tokens": n_tokens,
        "latents": n_latents,
        "milliseconds_a_pair": ours,
        "milliseconds_a_pair_of_all": 1e3 * table / n_latents**2,
        "seconds_for_all_pairs": table,
        "sklearn_auroc_milliseconds": 1e3 * auroc / len(columns),
        "sklearn_average_precision_milliseconds": 1e3 * precision / len(columns),
        "ratio_of_auroc": 1e3 * auroc / len(columns) / ours,
        "ratio_of_both": 1e3 * (auroc + precision) / len(columns) / ours,
        "bar": BAR,
        "largest_differences": largest_differences(found, columns),
    }


def show(row: dict[str, Any]) -> None:
    """Print one table."""
    print(f"{row['latents']:,} latents on {row['tokens']:,} tokens, {L0} of them on a token\n")
    print(f"{'':42}{'ms a pair':>10}{'ratio':>8}")
    theirs = row["sklearn_auroc_milliseconds"]
    both = theirs + row["sklearn_average_precision_milliseconds"]
    print(f"{'toysae, all three scores, matched pairs':42}{row['milliseconds_a_pair']:10.3f}")
    print(f"{'toysae, all three scores, all pairs':42}{row['milliseconds_a_pair_of_all']:10.5f}")
    print(f"{'scikit-learn, AUROC alone':42}{theirs:10.3f}{row['ratio_of_auroc']:7.0f}x")
    print(
        f"{'scikit-learn, AUROC and average precision':42}{both:10.3f}{row['ratio_of_both']:7.0f}x"
    )
    print(f"\nbar {BAR}x; all pairs took {row['seconds_for_all_pairs']:.1f} s")
    for name, difference in row["largest_differences"].items():
        print(f"largest difference of {name.replace('_', ' ')}: {difference:.1e}")


def main() -> None:
    """Measure, print and, where asked, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of tokens")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    row = measure(round(TOKENS * arguments.scale), LATENTS)
    show(row)
    if arguments.save:
        write_json(RESULTS / "metrics_auroc.json", {"machine": machine(), **row})


if __name__ == "__main__":
    main()
