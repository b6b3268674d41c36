"""BatchTopK SAE: the largest pre-activations of a whole batch fire, `k` a sample on average.

    z = x W_enc + b_enc,   f = ReLU(z) where ReLU(z) is among the floor(k n) largest of the batch
    loss = mean_n ||x_hat - x||^2,   x_hat = f W_dec + b_dec

Once trained it is a JumpReLU SAE: `f = ReLU(z)` where `z > threshold`, so that a sample's
activations do not depend on its company. Bussmann, Leask and Nanda, "BatchTopK sparse autoencoders"
(2024), where the threshold is the mean of a batch's smallest positive activation. That mean is
followed during the training, as in SAELens, from a start at 0:

    threshold <- (1 - threshold_rate) threshold + threshold_rate min_{f > 0} f

It is too small by the fraction `(1 - threshold_rate)^steps` of itself. A batch in which nothing
fires leaves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toysae.checks import check_interval, check_positive
from toysae.errors import ConfigError
from toysae.saes.base import Params, Shapes
from toysae.saes.fast import FastForm
from toysae.saes.jumprelu import jumped
from toysae.saes.selecting import Selecting
from toysae.saes.trainable import Forward


@dataclass(frozen=True)
class BatchTopK(Selecting):
    """BatchTopK SAE; `threshold [M, 1]` beside the parameters of the ReLU SAE.

    Attributes:
        k: mean number of latents kept per sample, in (0, n_latents]. Of `n` samples `floor(k n)`
            latents are kept, of which those fire that are positive.
        threshold_rate: how fast the threshold follows, in [0, 1].
    """

    k: float = 2.0
    threshold_rate: float = 0.01

    name: ClassVar[str] = "batch_topk"
    buffers: ClassVar[tuple[str, ...]] = ("threshold",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("sae.k", self.k)
        if self.k > self.n_latents:
            raise ConfigError(f"sae.k = {self.k}: must be at most sae.n_latents = {self.n_latents}")
        check_interval("sae.threshold_rate", self.threshold_rate, 0, 1)

    @property
    def fast_form(self) -> FastForm | None:
        if self.norms_matter:
            return None
        return FastForm("batch_topk", k=self.k, threshold_rate=self.threshold_rate)

    def param_shapes(self, d_hidden: int, n_latents: int) -> Shapes:
        """Those of the ReLU SAE and `threshold [1]`, in units of activations."""
        return {**super().param_shapes(d_hidden, n_latents), "threshold": (1,)}

    def select(self, pre_activations: Tensor) -> Tensor:
        """The `floor(k n)` largest of each member's batch; of equal ones at the cut any."""
        samples = pre_activations.shape[1]
        flat = torch.relu(pre_activations).flatten(1)
        largest = torch.topk(flat, int(self.k * samples), dim=-1, sorted=False)
        kept = torch.zeros_like(flat).scatter(-1, largest.indices, largest.values)
        return kept.view_as(pre_activations)

    def encode(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Latent activations `[M, n, m]` of inputs `x [M or 1, n, d]`, by the threshold."""
        return jumped(self.pre_activations(params, x), params["threshold"])

    def update_buffers(self, params: Params, forward: Forward) -> Params:
        latents, threshold = forward.latents, params["threshold"]
        smallest = latents.masked_fill(latents <= 0, torch.inf).amin((1, 2))[:, None]
        followed = torch.lerp(threshold, smallest, self.threshold_rate)
        return {"threshold": torch.where(smallest.isfinite(), followed, threshold)}
