"""A step of one large SAE: which compiled loops and dense products run, and in which order."""

from __future__ import annotations

import math
from functools import cached_property, partial

import numpy as np
import torch

from toysae.saes.trainable import TrainableFamily
from toysae.training.kernels.penalty_loops import PENALTIES
from toysae.training.kernels.wide_candidates import (
    count_candidates,
    count_largest_candidates,
    find_candidates,
    find_largest_candidates,
)
from toysae.training.kernels.wide_largest import find_largest
from toysae.training.kernels.wide_latents import (
    complete_gradient,
    gradient_of_decoder_bias,
    gradient_of_entries,
    start_rows,
    step_by_entries,
    step_decoder_bias,
    step_rows,
)
from toysae.training.kernels.wide_loops import (
    Adam,
    Array,
    Batch,
    Entries,
    LatentSums,
    Penalty,
    SampleSums,
    Sorted,
    Weights,
)
from toysae.training.kernels.wide_member import Spread, StepLoss, StepRates, WideMember
from toysae.training.kernels.wide_ranges import ranges, tiles
from toysae.training.kernels.wide_samples import (
    activate,
    backward,
    close_errors,
    find_active,
    reconstruct,
    sort_entries,
    take_samples,
)
from toysae.training.kernels.wide_screen import Screen, has_fast_product
from toysae.training.trainer import Trainer

#: Lengths of the ranges that samples and latents are cut into.
SAMPLES = 128
LATENTS = 256

#: Samples and latents in a tile of the encoder's product: large enough for BLAS to be at full
#: speed, small enough to share them out evenly.
TILE = (256, 512)

#: Where more than this share of the latents fires, dense products are faster: at d = 768 and 4,096
#: latents a step by lists took as long between 0.3 and 0.4.
DENSE_SHARE = 0.3


class WideStep:
    """Memory for the steps of one member at a time, and the steps.

    Args:
        family: relu, topk or jumprelu.
        trainer: of the stack.
        batch: samples a step.
        d: hidden dimensions.
    """

    def __init__(self, family: TrainableFamily, trainer: Trainer, batch: int, d: int) -> None:
        form = family.fast_form
        assert form is not None, f"{family.name} has no compiled form"
        self.family, self.form = family, form
        self.shape = batch, d, family.n_latents
        self._unit_norm = family.unit_norm_decoder
        self._centred = family.subtract_decoder_bias
        self._learns_threshold = form.activation == "jumprelu"
        self._fire_threshold = np.float32(trainer.fire_threshold)
        self._topk = int(form.k) if form.activation == "topk" else 0
        self._limit = self._topk or math.ceil(DENSE_SHARE * family.n_latents)
        self._sample_ranges = ranges(batch, SAMPLES)
        self._latent_ranges = ranges(family.n_latents, LATENTS)
        self._tiles = tiles(batch, family.n_latents, TILE)
        self._screen: Screen | None = None
        if has_fast_product():
            self._screen = Screen(
                *self.shape, self._sample_ranges, self._latent_ranges, self._tiles
            )
        self._allocate()

    def _allocate(self) -> None:
        batch, d, m = self.shape
        n_ranges, room = len(self._sample_ranges), batch * self._limit
        self.encoders = _zeros(3, m, d)
        self._z, self._x, self._error = _zeros(batch, m), _zeros(batch, d), _zeros(batch, d)
        self._weight = _zeros(batch)
        self._norms = np.ones(m, np.float32)
        places, latents = np.zeros((2, batch), np.int64), np.zeros((2, room), np.int32)
        values = _zeros(4, room)
        self._entries = Entries(places[0], places[1], latents[0], values[0], values[1])
        self._by_latent = Sorted(np.zeros(m + 1, np.int64), latents[1], values[2], values[3])
        self._sums = SampleSums(
            np.zeros(n_ranges),
            np.zeros(n_ranges),
            np.zeros(n_ranges, np.int64),
            _zeros(n_ranges, d),
        )
        self._pulls = _zeros(len(self._latent_ranges), d)
        self._vectors = Weights(_zeros(0, d), _zeros(m), _zeros(0, d), _zeros(d), _zeros(m))

    @cached_property
    def _gradient(self) -> Weights:
        """Room for a whole gradient, which only clipping and dense products need."""
        _, d, m = self.shape
        return self._vectors._replace(w_enc=_zeros(m, d), w_dec=_zeros(m, d))

    @cached_property
    def _slopes(self) -> Array:
        """Room for the slopes of all latents, which only dense products need."""
        return _zeros(*self._z.shape)

    @cached_property
    def _of_latents(self) -> LatentSums:
        shape = len(self._sample_ranges), self.shape[2]
        fired = np.zeros(shape, np.bool_)
        return LatentSums(_zeros(*shape), _zeros(*shape), _zeros(*shape), fired)

    def forward(
        self, member: WideMember, x: Array, index: int, rates: StepRates, spread: Spread
    ) -> StepLoss:
        """Losses of the batch of number `index` in `x [d, batches * batch]`."""
        now, samples = member.now, self.shape[0]
        self._constrain(now, spread)
        spread(partial(self._take, x, index * samples, now.b_dec), self._sample_ranges)
        offset = np.zeros_like(now.b_dec) if self._centred else now.b_dec
        self._batch = Batch(self._x, offset, self._weight, self._error)
        self._penalty = Penalty(
            PENALTIES[self.form.penalty],
            np.float32(rates.parameter),
            np.float32(rates.coefficient / samples),
            self._norms,
            self.form.penalty_by_decoder_norm,
            np.float32(self.form.bandwidth),
        )
        self._sparse = self._list_screened(now, spread) or self._list_all(now, spread)
        decode = self._decode if self._sparse else self._decode_densely
        spread(partial(decode, now), self._sample_ranges)
        totals = self._sums
        error, penalty = sum(totals.error.tolist()), sum(totals.penalty.tolist())
        return StepLoss(error, penalty, int(totals.firings.sum()) / samples)

    def learn(self, member: WideMember, rates: StepRates, spread: Spread) -> None:
        """The step of Adam that follows from the last `forward`."""
        *weights, silent = member
        if self._sparse:
            sort_entries(self._entries, self._by_latent)
        if self._sparse and math.isinf(rates.gradient_clip):
            gradient, adam = self._vectors, rates.adam(1.0)
            spread(partial(self._step, weights, silent, adam), self._latent_ranges)
            self._differentiate_decoder_bias()
        else:
            gradient = self._gradient
            differentiate = self._differentiate if self._sparse else self._differentiate_densely
            squares = spread(partial(differentiate, member.now, silent), self._latent_ranges)
            norm = math.sqrt(sum(squares) + self._differentiate_decoder_bias())
            adam = rates.adam(min(1.0, rates.gradient_clip / (norm + 1e-6)))

            def step(place: int, first: int, last: int) -> None:
                step_rows(first, last, *weights, gradient, self._learns_threshold, adam)

            spread(step, self._latent_ranges)
        step_decoder_bias(*weights, gradient, adam)

    def _constrain(self, now: Weights, spread: Spread) -> None:
        """Thresholds to 0 or above; rows to norm 1, or their norms noted."""
        np.maximum(now.threshold, 0, out=now.threshold)
        by_norm = self.form.penalty_by_decoder_norm

        def constrain(place: int, first: int, last: int) -> None:
            start_rows(first, last, now.w_dec, self._norms, self._unit_norm, by_norm)

        if self._unit_norm or by_norm:
            spread(constrain, self._latent_ranges)

    def _take(self, x: Array, begin: int, b_dec: Array, place: int, first: int, last: int) -> None:
        """Samples in rows, as the encoder reads them, and the weights of their errors."""
        take_samples(first, last, x, begin, self._x)
        rows = self._x[first:last]
        self._weight[first:last] = self.family.error_weight(_tensor(rows)).numpy()
        if self._centred:
            rows -= b_dec

    def _list_screened(self, now: Weights, spread: Spread) -> bool:
        """List what fires among few candidates; False if they are many."""
        if self._screen is None:
            return False
        product, bias, k = self._screen.product, now.b_enc, self._topk
        reach = self._penalty.bandwidth / np.float32(2)
        floor = now.threshold - reach

        def count(first: int, last: int) -> int:
            if k:
                return count_largest_candidates(first, last, product, bias, k)
            return count_candidates(first, last, product, bias, floor)

        def find(place: int, first: int, last: int) -> bool:
            rows = first, last, product, self._x, now.w_enc, bias
            if k:
                find_largest_candidates(*rows, k, self._entries)
                return True
            return find_candidates(*rows, now.threshold, reach, self._limit, self._entries)

        if not self._screen.passes(self._x, now.w_enc, count, spread):
            return False
        return all(spread(find, self._sample_ranges))

    def _list_all(self, now: Weights, spread: Spread) -> bool:
        """The full product, and what fires in it; False if that is too long for a list."""
        spread(partial(self._multiply, now.w_enc), self._tiles)
        return all(spread(partial(self._list, now), self._sample_ranges))

    def _multiply(self, w_enc: Array, samples: slice, latents: slice) -> None:
        """A tile of the pre-activations, without bias."""
        z = _tensor(self._z[samples, latents])
        torch.mm(_tensor(self._x[samples]), _tensor(w_enc[latents]).T, out=z)

    def _list(self, now: Weights, place: int, first: int, last: int) -> bool:
        """List what fires; False if that is too long."""
        if self._topk:
            find_largest(first, last, self._z, now.b_enc, self._topk, self._entries)
            return True
        return find_active(
            first, last, self._z, now.b_enc, now.threshold, self._penalty.bandwidth / np.float32(2),
            self._limit, self._entries,
        )  # fmt: skip

    def _decode(self, now: Weights, place: int, first: int, last: int) -> None:
        reconstruct(
            first, last, place, self._entries, self._batch, now.w_dec, self._penalty,
            self._fire_threshold, self._sums,
        )  # fmt: skip

    def _decode_densely(self, now: Weights, place: int, first: int, last: int) -> None:
        latents, error = _tensor(self._slopes[first:last]), _tensor(self._error[first:last])
        activate(first, last, self._z, now.b_enc, now.threshold, self._slopes)
        torch.mm(latents, _tensor(now.w_dec), out=error)
        close_errors(first, last, place, self._batch, self._sums)
        torch.mm(error, _tensor(now.w_dec).T, out=latents)  # the slopes, from here on
        backward(
            first, last, place, self._z, self._slopes, now.threshold, self._penalty,
            self._fire_threshold, self._sums, self._of_latents,
        )  # fmt: skip

    def _step(
        self, weights: list[Weights], silent: Array, adam: Adam, place: int, first: int, last: int
    ) -> None:
        step_by_entries(
            first, last, self._by_latent, self._batch, *weights, self._vectors,
            self._learns_threshold, self._unit_norm, self._penalty, self._fire_threshold, silent,
            self._pulls[place], adam,
        )  # fmt: skip

    def _differentiate(
        self, now: Weights, silent: Array, place: int, first: int, last: int
    ) -> float:
        return gradient_of_entries(
            first, last, self._by_latent, self._batch, now, self._gradient, self._unit_norm,
            self._penalty, self._fire_threshold, silent, self._pulls[place],
        )  # fmt: skip

    def _differentiate_densely(
        self, now: Weights, silent: Array, place: int, first: int, last: int
    ) -> float:
        for of_latents, of_samples, out in (
            (self._z, self._error, self._gradient.w_dec),
            (self._slopes, self._batch.x, self._gradient.w_enc),
        ):
            left, right = _tensor(of_latents[:, first:last]), _tensor(of_samples)
            torch.mm(left.T, right, out=_tensor(out[first:last]))
        return complete_gradient(
            first, last, self._of_latents, now, self._gradient, self._unit_norm, self._penalty,
            silent, self._pulls[place],
        )  # fmt: skip

    def _differentiate_decoder_bias(self) -> float:
        """Writes what all gradients share; returns its squared norm."""
        pulls = self._pulls if self._centred else self._pulls[:0]
        return gradient_of_decoder_bias(self._sums, pulls, self._vectors)


_tensor = torch.from_numpy


def _zeros(*shape: int) -> Array:
    # Torch's memory begins where a vector does.
    return torch.zeros(shape).numpy()
