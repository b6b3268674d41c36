from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.diagnostics.cases.coefficient_errors import FEATURES, READOUT, samples
from tests.metrics.case import SAMPLES, Case
from toysae.diagnostics.readouts import readout_estimators, readout_fits


def on(function: Any) -> Any:
    def call(table: Tensor) -> Any:
        coefficients, latents, noise = table[:, :3], table[:, 3:6], table[:, 6]
        hidden = coefficients.double() @ FEATURES
        return function(
            coefficients, latents, hidden, hidden @ READOUT + noise, torch.tensor([0, 2, 2])
        )

    return call


CASES = {
    "readout_fits": Case(samples, "-", on(readout_fits), applicable=SAMPLES),
    "readout_estimators": Case(samples, "-", on(readout_estimators), applicable=SAMPLES),
}
