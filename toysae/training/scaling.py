"""Scaling of the activations that a stack reads, each stream by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from toysae.errors import ConfigError
from toysae.hidden.stream import Stream
from toysae.saes.base import SAE, Params, SAEFamily
from toysae.saes.folding import fold_factor
from toysae.saes.scaling import LayerNorm, NoScaling

#: The mean norm is that of so many samples.
_NORM_SAMPLES = 8192


class InputScaling:
    """What `trainer.input_scaling` does to a stack.

    `unit_mean_norm` multiplies by `sqrt(d) / E||x||` of the member's stream ("Circuits Updates -
    April 2024", Anthropic); it is folded into the weights at the end, so that the trained SAE reads
    activations as they are. `layer_norm` stays a part of the SAE.
    """

    def __init__(self, name: str, streams: Sequence[Stream]) -> None:
        """Measure the mean norms of `streams`, in their order.

        Raises:
            ConfigError: there is nothing to scale: every activation is 0, or `layer_norm` of a
                single dimension.
        """
        if name == "layer_norm" and streams[0].space.d_hidden == 1:
            raise ConfigError(
                "trainer.input_scaling = 'layer_norm': one hidden dimension has no deviation; use "
                "'none' or 'unit_mean_norm'"
            )
        self.name = name
        self._layer_norm = LayerNorm()
        self._factors = [self._factor(stream) for stream in streams]

    def _factor(self, stream: Stream) -> float:
        if self.name != "unit_mean_norm":
            return 1.0
        norm = float(stream.hidden(0, _NORM_SAMPLES).norm(dim=1).double().mean())
        if not norm > 0:
            raise ConfigError(
                "trainer.input_scaling = 'unit_mean_norm': every hidden activation is 0; use 'none'"
            )
        return math.sqrt(stream.space.d_hidden) / norm

    def scale(self, stream: int, x: Tensor) -> Tensor:
        """What SAEs read of samples `x [n, d]` of a stream."""
        if self.name == "layer_norm":
            return self._layer_norm.scale(x).x
        return x if self.name == "none" else x * self._factors[stream]

    def finished(self, family: SAEFamily, params: Params, stream_of: Tensor) -> SAE:
        """The trained SAEs, which read activations that are not scaled.

        Where the activations of `family` are measured in units of decoder norms, those are moved
        into the encoder, since the factor would change them.

        Args:
            family: one of those that are `foldable`, with `unit_mean_norm`.
            params: of the stack.
            stream_of: position of each member's stream, `[M]`.
        """
        if self.name == "unit_mean_norm":
            factors = params["W_dec"].new_tensor(self._factors)[stream_of]
            return fold_factor(family, params, factors)
        return SAE(family, params, self._layer_norm if self.name == "layer_norm" else NoScaling())
