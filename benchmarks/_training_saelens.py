"""How long a training step of sae-lens takes: run by `benchmarks.training` in its interpreter.

    python benchmarks/_training_saelens.py {relu, topk, jumprelu} --d 20 --latents 100 [--threads 1]

Needs sae-lens (https://github.com/decoderesearch/SAELens) and nothing of toysae. Times its own
`SAETrainer.step` on prepared batches, and its own synthetic data apart from it. Prints a line of
JSON: microseconds of the clock, each the least over some stretches of steps.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import time
from collections.abc import Callable
from typing import Any

import torch

STRETCHES = 5


def training_sae(family: str, d: int, latents: int, k: int) -> Any:
    """One SAE of sae-lens, with its defaults but for the sizes."""
    from sae_lens import saes

    sizes = {"d_in": d, "d_sae": latents}
    if family == "topk":
        return saes.TopKTrainingSAE(saes.TopKTrainingSAEConfig(k=k, **sizes))
    if family == "jumprelu":
        return saes.JumpReLUTrainingSAE(saes.JumpReLUTrainingSAEConfig(**sizes))
    return saes.StandardTrainingSAE(saes.StandardTrainingSAEConfig(l1_coefficient=0.1, **sizes))


def trainer_of(sae: Any, batch: int, device: str = "cpu") -> Any:
    """Its trainer, as `sae_lens.synthetic.train_toy_sae` sets it up."""
    from sae_lens.config import LoggingConfig, SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    config = SAETrainerConfig(
        n_checkpoints=0,
        checkpoint_path=None,
        save_final_checkpoint=False,
        total_training_samples=10**9,
        device=device,
        autocast=False,
        lr=3e-4,
        lr_end=3e-4,
        lr_scheduler_name="constant",
        lr_warm_up_steps=0,
        adam_beta1=0.9,
        adam_beta2=0.999,
        lr_decay_steps=0,
        n_restart_cycles=1,
        train_batch_size_samples=batch,
        dead_feature_window=1000,
        feature_sampling_window=2000,
        logger=LoggingConfig(log_to_wandb=False),
        n_batches_for_norm_estimate=1,
    )
    return SAETrainer(cfg=config, sae=sae, data_provider=iter([]))


def least_microseconds(work: Callable[[], object], times: int) -> float:
    """Least time of a call over some stretches of `times` calls, after a first."""
    work()
    means = []
    for _ in range(STRETCHES):
        started = time.perf_counter()
        for _ in range(times):
            work()
        means.append((time.perf_counter() - started) / times)
    return 1e6 * min(means)


def main() -> None:
    """Time one shape."""
    parser = argparse.ArgumentParser()
    parser.add_argument("family", choices=["relu", "topk", "jumprelu"])
    parser.add_argument("--d", type=int, required=True)
    parser.add_argument("--latents", type=int, required=True)
    parser.add_argument("--features", type=int, required=True)
    parser.add_argument("--probability", type=float, required=True)
    parser.add_argument("--k", type=int, default=4)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    from sae_lens import synthetic

    dictionary = synthetic.FeatureDictionary(arguments.features, arguments.d, initializer=None)
    generator = synthetic.ActivationGenerator(arguments.features, arguments.probability)

    @torch.no_grad()
    def draw() -> torch.Tensor:
        return dictionary(generator.sample(arguments.batch))

    batches = [draw() for _ in range(4)]
    sae = training_sae(arguments.family, arguments.d, arguments.latents, arguments.k)
    trainer = trainer_of(sae, arguments.batch)
    position = 0

    def step() -> None:
        nonlocal position
        trainer.step(batches[position % len(batches)])
        trainer.n_training_steps += 1
        position += 1

    found = {
        "step_us": least_microseconds(step, arguments.steps),
        "data_us": least_microseconds(draw, max(1, arguments.steps // 4)),
        "threads": arguments.threads,
        "version": importlib.metadata.version("sae-lens"),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
