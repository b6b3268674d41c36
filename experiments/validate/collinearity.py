"""Can the effects of an SAE's latents be told apart?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from experiments.validate.config import ValidateConfig
from experiments.validate.firing import Firing, latents_of, most_firing
from experiments.validate.inputs import Subject
from toysae.diagnostics.collinearity import Collinearity, diagnose

QUANTILES = (0.05, 0.5, 0.95)
HIGH_VIF = 10.0


@dataclass(frozen=True)
class Design:
    """Variance inflation of the latents of an SAE as predictors of anything.

    Attributes:
        latents: which ones, ascending: all, or those that fire most.
        inflation: of each of them.
        largest_condition_index: of the design with its intercept; above 30 is harmful.
    """

    latents: Tensor
    inflation: Collinearity
    largest_condition_index: float

    @property
    def identifiable(self) -> float:
        """Share of the latents whose coefficient the data determine."""
        return self.inflation.vif.isfinite().double().mean().item()


def design_of(
    subject: Subject, firing: Firing, activations: Tensor, config: ValidateConfig
) -> Design:
    """Variance inflation and condition of the latents that fire most, on all samples."""
    latents = most_firing(firing.firings, config.most_latents.collinearity)
    columns = latents_of(subject.sae, activations, latents, config.batch_size)
    found = diagnose(columns)
    return Design(latents, found.inflation, found.condition.indices.max().item())


def design_row(design: Design) -> dict[str, Any]:
    """The collinearity columns of `saes.csv`."""
    values = design.inflation.vif
    defined = values[~values.isnan()]
    wanted = defined.new_tensor(QUANTILES)
    # Between two infinite factors there is nothing to interpolate.
    quantiles = defined.quantile(wanted, interpolation="lower").tolist() if len(defined) else []
    return {
        "vif_latents": len(design.latents),
        **{
            f"vif_q{100 * q:02.0f}": value
            for q, value in zip(QUANTILES, quantiles or [torch.nan] * len(QUANTILES))
        },
        "vif_max": defined.max().item() if len(defined) else torch.nan,
        f"vif_above_{HIGH_VIF:g}": (defined > HIGH_VIF).double().mean().item(),
        "identifiable": design.identifiable,
        "largest_condition_index": design.largest_condition_index,
    }
