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


def with_nulls(
    sae: SAE, world: EvaluationWorld, seed: int, given: Mapping[str, SAE] | None = None
) -> dict[str, SAE]:
    """An SAE as `TRAINED`, its `null_saes`, and those that are given, by name.

    Args:
        sae: one member, `M = 1`.
        world: where they are to be measured.
        seed: of the random nulls.
        given: nulls that had to be trained, by name: initial weights of the same run
            (`toysae.training.initial.untrained`), a frozen decoder, shuffled data.
    """
    return {TRAINED: sae, **null_saes(sae, world, seed), **(given or {})}


def measure_each(saes: Mapping[str, SAE], world: EvaluationWorld) -> dict[str, Measurement]:
    """Every measurement of each of some SAEs (`M = 1`), by name."""
    return {name: measure_recovery(sae, world) for name, sae in saes.items()}


def structure_rows(saes: Mapping[str, SAE], world: EvaluationWorld, seed: int) -> list[Row]:
    """`measure_structure` of each, one row: co-firing, collinearity, PCs and trust.

    Args:
        saes: one member each, by name.
        world: where all are measured.
        seed: of the readout, which is the same for all.
    """
    return [{"sae": name, **measure_structure(sae, world, seed)} for name, sae in saes.items()]


def null_rows(measured: Mapping[str, Measurement]) -> list[Row]:
    """One row an SAE with all its numbers; NaN where one has no such number, as a loss."""
    columns = dict.fromkeys(name for each in measured.values() for name in each.summary)
    return [
        {"sae": name, **{column: each.summary.get(column, math.nan) for column in columns}}
        for name, each in measured.items()
    ]
