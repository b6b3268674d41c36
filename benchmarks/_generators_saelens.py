"""How fast sae-lens makes hidden activations: run by `benchmarks.generators` in its interpreter.

    python benchmarks/_generators_saelens.py {synth_sae_bench_16k, correlated} [--repeats 3]

Needs sae-lens (https://github.com/decoderesearch/SAELens) and nothing of toysae. Prints a line of
JSON: samples a second of CPU time on one thread (least time of all repeats), peak memory of the
process, features that fire on a sample, version.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import resource
import sys
import time
from typing import Any

import torch

#: As its trainer asks for.
BATCH = 1024


class Correlated:
    """1,000 features with a full correlation matrix, in 256 dimensions."""

    def __init__(self) -> None:
        from sae_lens import synthetic

        # Weak enough that the drawn numbers are the correlations of something.
        matrix = synthetic.generate_random_correlation_matrix(
            1000, min_correlation_strength=0.005, max_correlation_strength=0.015, seed=0
        )
        self.activation_generator = synthetic.ActivationGenerator(
            1000, 0.02, correlation_matrix=matrix
        )
        self.feature_dict = synthetic.FeatureDictionary(1000, 256, initializer=None)

    def sample_with_features(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden activations and coefficients."""
        coefficients = self.activation_generator.sample(n)
        return self.feature_dict(coefficients), coefficients


def synth_sae_bench_16k() -> Any:
    """The public recipe, without orthogonalisation: that is done once, not for every sample."""
    from sae_lens import synthetic

    return synthetic.SyntheticModel(
        synthetic.SyntheticModelConfig(
            num_features=16_384,
            hidden_dim=768,
            firing_probability=synthetic.ZipfianFiringProbabilityConfig(0.5, 0.4, 5e-4),
            hierarchy=synthetic.HierarchyConfig(
                total_root_nodes=128,
                branching_factor=4,
                max_depth=3,
                mutually_exclusive_portion=1.0,
                compensate_probabilities=True,
                scale_children_by_parent=True,
            ),
            correlation=synthetic.LowRankCorrelationConfig(rank=25, correlation_scale=0.1),
            mean_firing_magnitudes=synthetic.LinearMagnitudeConfig(5.0, 4.0),
            std_firing_magnitudes=synthetic.FoldedNormalMagnitudeConfig(0.5, 0.5),
            bias=0.5,
            seed=42,
        )
    )


MODELS = {"synth_sae_bench_16k": synth_sae_bench_16k, "correlated": Correlated}


def peak_megabytes() -> float:
    """Most memory that this process held."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main() -> None:
    """Time one case."""
    parser = argparse.ArgumentParser()
    parser.add_argument("case", choices=MODELS)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seconds = []
    with torch.no_grad():
        model = MODELS[arguments.case]()
        for _ in range(arguments.repeats + 1):
            started = time.process_time()
            _, coefficients = model.sample_with_features(BATCH)
            seconds.append(time.process_time() - started)
    print(
        json.dumps(
            {
                "samples_per_second": BATCH / min(seconds[1:]),
                "peak_megabytes": peak_megabytes(),
                "l0": float((coefficients > 0).sum()) / BATCH,
                "version": importlib.metadata.version("sae-lens"),
            }
        )
    )


if __name__ == "__main__":
    main()
