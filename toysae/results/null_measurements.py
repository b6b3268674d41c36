"""A trained SAE beside SAEs that learned nothing and one that knows everything.

All by the same measurements: a number of a trained SAE means something only above what its own
decoder in a wrong order, random directions and principal components reach, and beside what the
truth does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from toysae.results.files import Row
from toysae.results.measurements import EvaluationWorld, Measurement
from toysae.results.recovery_measurements import measure_recovery
from toysae.results.structure_measurements import measure_structure
from toysae.saes.base import SAE
from toysae.saes.nulls import (
    identity_sae,
    pca_sae,
    permuted_decoder,
    random_decoder,
    rotated_decoder,
)
from toysae.saes.oracle import oracle

TRAINED = "trained"
"""Name of the SAE that the others are nulls of."""


def null_saes(sae: SAE, world: EvaluationWorld, seed: int) -> dict[str, SAE]:
    """The nulls of one SAE that need no training, by name.

    Principal components are those of the evaluation samples, which favours them. The order of a
    single latent cannot be permuted: there that null is left out.

    Args:
        sae: one member, `M = 1`.
        world: where it is measured.
        seed: of the random ones.
    """
    nulls = {
        "oracle": oracle(world.features, world.hidden, world.coefficients),
        "pca": pca_sae(world.hidden),
        "identity": identity_sae(sae.d_hidden, world.hidden.device),
        "random_decoder": random_decoder(sae, seed),
        "rotated_decoder": rotated_decoder(sae, seed),
    }
    if sae.n_latents > 1:
        nulls["permuted_decoder"] = permuted_decoder(sae, seed)
    return nulls


def measure_nulls(
    sae: SAE,
    world: EvaluationWorld,
    *,
    seed: int = 0,
    given: Mapping[str, SAE] | None = None,
) -> dict[str, Measurement]:
    """Every measurement of an SAE, of its `null_saes`, and of further ones.

    Args:
        sae: one member, `M = 1`.
        world: where all are measured.
        seed: of the random nulls.
        given: nulls that had to be trained, by name: initial weights of the same run
            (`toysae.training.initial.untrained`), a frozen decoder, shuffled data.

    Returns:
        By name: `TRAINED` first, then the nulls, then those that are given.
    """
    every = with_nulls(sae, world, seed, given)
    return {name: measure_recovery(each, world) for name, each in every.items()}


def structure_rows(
    sae: SAE,
    world: EvaluationWorld,
    *,
    seed: int = 0,
    given: Mapping[str, SAE] | None = None,
) -> list[Row]:
    """`measure_structure` of the same SAEs, one row each: co-firing, collinearity, PCs and trust.

    Args:
        sae: one member, `M = 1`.
        world: where all are measured.
        seed: of the random nulls and of the readout, which is the same for all.
        given: nulls that had to be trained, by name.
    """
    every = with_nulls(sae, world, seed, given)
    return [{"sae": name, **measure_structure(each, world, seed)} for name, each in every.items()]


def with_nulls(
    sae: SAE, world: EvaluationWorld, seed: int, given: Mapping[str, SAE] | None = None
) -> dict[str, SAE]:
    """An SAE as `TRAINED`, its nulls, and those that are given, by name."""
    return {TRAINED: sae, **null_saes(sae, world, seed), **(given or {})}


def null_rows(measured: Mapping[str, Measurement]) -> list[Row]:
    """One row an SAE with all its numbers; NaN where one has no such number, as a loss."""
    columns = dict.fromkeys(name for each in measured.values() for name in each.summary)
    return [
        {"sae": name, **{column: each.summary.get(column, math.nan) for column in columns}}
        for name, each in measured.items()
    ]
