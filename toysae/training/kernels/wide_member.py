"""A member of a stack as the wide kernel sees it: weights in rows, schedules as numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from toysae.saes.base import Params
from toysae.training.kernels.wide_loops import Adam, Array, Weights
from toysae.training.state import StackState

#: Calls a function with each of some lists of arguments, over threads; its results in their order.
Spread = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], list[Any]]

_LARGEST = float(np.finfo(np.float32).max)


class StepRates(NamedTuple):
    """What the schedules say of a step of a member.

    Attributes:
        coefficient: of the penalty, with its control.
        parameter: shapes the penalty.
        lr: learning rate.
        encoder_share: its share for all but the decoder.
        beta1, beta2: Adam's decay rates.
        gradient_clip: largest norm of the gradient, infinite for none.
        step: optimiser steps done before.
    """

    coefficient: float
    parameter: float
    lr: float
    encoder_share: float
    beta1: float
    beta2: float
    gradient_clip: float
    step: int

    def adam(self, clipped: float) -> Adam:
        """Adam's constants, for gradients that are first multiplied by `clipped`."""
        size = self.lr / (1 - self.beta1 ** (self.step + 1))
        root = math.sqrt(1 - self.beta2 ** (self.step + 1))
        numbers = (size * self.encoder_share, size, self.beta1, self.beta2, root, clipped)
        with np.errstate(over="ignore"):
            return Adam(*map(np.float32, numbers))


class StepLoss(NamedTuple):
    """Error, penalty with its coefficient, and L0 of a step."""

    error: float
    penalty: float
    l0: float

    @property
    def is_finite(self) -> bool:
        """Whether error and penalty are, as float32 numbers."""
        return abs(self.error + self.penalty) <= _LARGEST


class WideMember(NamedTuple):
    """What changes of a member while it trains. All but `w_enc` is the stack's own memory.

    Attributes:
        now, moment, square: parameters and Adam's moments, in rows.
        silent: steps since each latent fired, `[m]`, int64.
    """

    now: Weights
    moment: Weights
    square: Weights
    silent: Array

    @classmethod
    def of_stack(cls, state: StackState, i: int, encoders: Array, spread: Spread) -> WideMember:
        """Member `i`; its `W_enc` and their moments are copied to `encoders [3, m, d]`."""
        parts = _parts(state)
        spread(_copy, [(torch.from_numpy(e), p["W_enc"][i].T) for e, p in zip(encoders, parts)])
        now, moment, square = (_weights(p, i, e) for p, e in zip(parts, encoders))
        return cls(now, moment, square, state.silent_steps[i].numpy())

    def write_back(self, state: StackState, i: int, spread: Spread) -> None:
        """Copy `W_enc` and its moments to the stack."""
        rows = (torch.from_numpy(part.w_enc) for part in (self.now, self.moment, self.square))
        spread(_copy, [(p["W_enc"][i], each.T) for p, each in zip(_parts(state), rows)])


def _parts(state: StackState) -> tuple[Params, Params, Params]:
    return state.params, state.first_moment, state.second_moment


def _copy(target: Tensor, source: Tensor) -> None:
    target.copy_(source)


def _weights(part: Params, i: int, encoder: Array) -> Weights:
    b_enc, w_dec, b_dec = (part[name][i].numpy() for name in ("b_enc", "W_dec", "b_dec"))
    threshold = part["threshold"][i].numpy() if "threshold" in part else np.zeros_like(b_enc)
    return Weights(encoder, b_enc, w_dec, b_dec, threshold)
