"""What cannot be measured is refused by an error that names the argument, however it comes in."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics import composition, dictionary, recovery
from toysae.metrics.absorption import absorption, saebench_absorption
from toysae.metrics.board import auroc_coverage
from toysae.metrics.codes import SparseCodes
from toysae.metrics.coefficient_fit import coefficient_fit
from toysae.metrics.detection import best_detection, detection
from toysae.metrics.hedging import hedging
from toysae.metrics.matching_keys import matching_keys
from toysae.metrics.monosemanticity import purity
from toysae.metrics.saelens import saelens_classification, saelens_reconstruction
from toysae.metrics.splitting import splitting
from toysae.metrics.stability import feature_stability

from .draw import normal

N_SAMPLES = 3 * 8192
E3 = torch.eye(3, dtype=torch.float64)
CODES = (normal(0, 10, 3) - 0.5).clamp(min=0)
INDEX = torch.arange(3)
PAIRS = [(0, 1)]
SCORE = composition.composed_score(E3, E3)

# All take the coefficients, the latents and a firing threshold.
OF_BOTH: dict[str, Callable[..., Any]] = {
    "detection": detection,
    "best_detection": best_detection,
    "joint_recovery": partial(recovery.joint_recovery, E3, E3),
    "matching_keys": partial(matching_keys, E3, E3),
    "coefficient_fit": lambda c, z, **to: coefficient_fit(c, z, INDEX, INDEX, **to),
    "purity": purity,
    "splitting": splitting,
    "absorption": lambda c, z, **to: absorption(c, z, E3, E3, PAIRS, **to),
    "saebench_absorption": lambda c, z, **to: saebench_absorption(
        c, z, E3, E3, torch.zeros(z.n_samples if isinstance(z, SparseCodes) else len(z), 3), PAIRS,
        **to
    ),
    "composition_kinds": lambda c, z, **to: composition.composition_kinds(c, z, SCORE, **to),
    "co_occurring": lambda c, z, **to: composition.co_occurring(z, **to),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_BOTH)
@pytest.mark.parametrize("threshold", [-1.0, math.nan, math.inf])
@pytest.mark.parametrize("form", [torch.positive, SparseCodes.from_dense])
def test_firing_thresholds(name: str, threshold: float, form: Callable[[Tensor], Any]) -> None:
    with pytest.raises(DataError, match=re.escape(f"threshold={threshold}: expected a finite")):
        OF_BOTH[name](form(CODES), form(CODES), threshold=threshold)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda t: recovery.feature_recovery(E3, E3, t), "threshold"),
        (lambda t: recovery.recovery_curve(E3[0], thresholds=torch.tensor([0.5, t])), "thresholds"),
        (
            lambda t: recovery.joint_recovery(E3, E3, CODES, CODES, cosine_threshold=t),
            "cosine_threshold",
        ),
        (lambda t: recovery.joint_recovery(E3, E3, CODES, CODES, f1_threshold=t), "f1_threshold"),
        (lambda t: feature_stability(E3, t), "threshold"),
        (lambda t: dictionary.matching_agreement(E3, E3, E3, E3, threshold=t), "threshold"),
        (lambda t: dictionary.multiplicity(dictionary.max_cosine(E3, E3), t), "threshold"),
        (lambda t: auroc_coverage(CODES, CODES, t), "threshold"),
    ],
)
def test_thresholds_of_scores(call: Callable[[float], Any], name: str) -> None:
    call(0.5)
    with pytest.raises(DataError, match=rf"^{name}: 1 of \d are NaN"):
        call(math.nan)


@pytest.mark.parametrize("name", [*OF_BOTH, "hedging"])
def test_every_bad_value_is_counted(name: str) -> None:
    """In the first and in the last of the parts that tables are read in."""
    of_both = {**OF_BOTH, "hedging": lambda c, z: hedging(E3, E3, INDEX, z)}
    good = torch.zeros(N_SAMPLES, 3)
    bad = good.clone()
    bad[0, 0], bad[-1, 1] = math.nan, math.inf
    argument = "coefficients" if name in ("co_occurring", "hedging") else "latents"
    with pytest.raises(DataError, match=f"^{argument}: 2 of {3 * N_SAMPLES} values"):
        of_both[name](good, bad)
    if argument == "latents":
        with pytest.raises(DataError, match=f"^coefficients: 2 of {3 * N_SAMPLES} values"):
            of_both[name](bad, good)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dictionary.paired_cosine(torch.ones(3), torch.ones(3)), r"a has shape \(3,\)"),
        (lambda: dictionary.paired_cosine(E3, torch.ones(3)), r"b has shape \(3,\)"),
        (
            lambda: saelens_classification(E3, E3, torch.ones(10), CODES),
            r"coefficients has shape \(10,\)",
        ),
        (lambda: saelens_classification(E3, E3, CODES, torch.ones(10)), r"latents has shape"),
        (
            lambda: saelens_reconstruction(torch.ones(10), torch.ones(10), CODES, CODES),
            r"x has shape \(10,\)",
        ),
        (lambda: detection(torch.ones(10), CODES), r"coefficients has shape \(10,\)"),
        (lambda: splitting(torch.ones(10), CODES), r"coefficients has shape \(10,\)"),
        (
            lambda: recovery.joint_recovery(E3, E3, CODES, CODES).weighted(torch.ones(2)),
            r"weights have shape \(2,\): expected one a feature, \[3\]",
        ),
    ],
)
def test_other_axes(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        call()


def test_weights_of_joint_recovery() -> None:
    found = recovery.joint_recovery(E3, E3, CODES, CODES)
    with pytest.raises(DataError, match=r"weights go down to -1\.0"):
        found.weighted(torch.tensor([1.0, -1, 1]))
    with pytest.raises(DataError, match="weights: 1 of 3 values"):
        found.weighted(torch.tensor([1.0, math.nan, 1]))
