"""What a step of one large SAE does beside dense products, compiled: the data it passes on.

`toysae.training.kernels.wide` says in which order these run. Each works on a range of samples
(`wide_samples.py`) or of latents (`wide_latents.py`) and writes nothing outside of it, so that
ranges may run at once; whatever is summed over ranges goes to a row of its own. Weights lie in
rows, one a latent: `W_enc` transposed.

An entry is a latent that fires on a sample, or nearly does where its threshold must know of it
(value 0). The autograd formulation in `reference.py` is the definition.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from toysae.compiled import njit
from toysae.training.kernels.penalty_loops import value_and_slope
from toysae.training.kernels.simd import fma, lane_sum, load, splat, store
from toysae.training.kernels.simd_types import INNER, LANES

Array = np.ndarray[Any, Any]

_ZERO = np.float32(0)
_TWO = np.float32(2)


class Weights(NamedTuple):
    """Parameters of a member, their gradients or one of Adam's moments, float32.

    Attributes:
        w_enc, w_dec: `[m, d]`.
        b_enc: `[m]`.
        b_dec: `[d]`.
        threshold: of `jumprelu`, `[m]`; zeros elsewhere.
    """

    w_enc: Array
    b_enc: Array
    w_dec: Array
    b_dec: Array
    threshold: Array


class Entries(NamedTuple):
    """Entries sample by sample: those of sample `s` are `start[s]` to `stop[s]`.

    Attributes:
        start, stop: `[batch]`, int64.
        latent: `[entries]`, int32.
        value: activation, `[entries]`.
        slope: derivative of the loss by the activation, `[entries]`.
    """

    start: Array
    stop: Array
    latent: Array
    value: Array
    slope: Array


class Sorted(NamedTuple):
    """Entries latent by latent: those of latent `j` are `start[j]` to `start[j + 1]`.

    Attributes:
        start: `[m + 1]`, int64.
        sample: `[entries]`, int32.
        value, slope: as of `Entries`.
    """

    start: Array
    sample: Array
    value: Array
    slope: Array


class Batch(NamedTuple):
    """Samples and what comes of them.

    Attributes:
        x: what the encoder reads, `[batch, d]`.
        offset: `x_hat - x = f W_dec + offset - x`, `[d]`.
        weight: of each sample's squared error, `[batch]`.
        error: derivative of the loss by the reconstruction, `[batch, d]`.
    """

    x: Array
    offset: Array
    weight: Array
    error: Array


class Penalty(NamedTuple):
    """The sparsity penalty of a step.

    Attributes:
        kind: its number in `PENALTIES`.
        parameter: shapes it, float32.
        scale: coefficient over batch size, float32.
        norms: unit of each latent's activations, `[m]`: norms of decoder rows, or 1.
        by_norm: whether the norms are those of the rows, which then get a gradient.
        bandwidth: of the thresholds, float32; 0 if they are not learned.
    """

    kind: int
    parameter: np.float32
    scale: np.float32
    norms: Array
    by_norm: bool
    bandwidth: np.float32


class SampleSums(NamedTuple):
    """Sums over each range of samples.

    Attributes:
        error, penalty: of the loss, `[ranges]`, float64.
        firings: activations above the fire threshold, `[ranges]`, int64.
        b_dec: derivative of the loss by the reconstruction, `[ranges, d]`.
    """

    error: Array
    penalty: Array
    firings: Array
    b_dec: Array


class LatentSums(NamedTuple):
    """Sums over each range of samples for every latent, `[ranges, m]`; of dense products only.

    Attributes:
        b_enc, threshold: gradients.
        along: activation times the derivative of the penalty by it.
        fired: whether the latent fired.
    """

    b_enc: Array
    threshold: Array
    along: Array
    fired: Array


class Adam(NamedTuple):
    """What Adam needs to know of a step, float32.

    Attributes:
        encoder_size, decoder_size: learning rates over the first moment's bias correction.
        beta1, beta2: decay rates.
        root: square root of the second moment's bias correction.
        factor: gradients are multiplied by it.
    """

    encoder_size: np.float32
    decoder_size: np.float32
    beta1: np.float32
    beta2: np.float32
    root: np.float32
    factor: np.float32


@njit(**INNER)
def row_dot(a, at, b, bt, n):
    """Sum over `n` elements of `a` from `at` on and of `b` from `bt` on, in a fixed order."""
    p, q = splat(_ZERO), splat(_ZERO)
    k = 0
    while k + 2 * LANES <= n:
        p = fma(load(a, at + k), load(b, bt + k), p)
        q = fma(load(a, at + k + LANES), load(b, bt + k + LANES), q)
        k += 2 * LANES
    total = lane_sum(p + q)
    flat_a, flat_b = a.ravel(), b.ravel()
    while k < n:
        total += flat_a[at + k] * flat_b[bt + k]
        k += 1
    return total


@njit(**INNER)
def add_rows(out, rows, index, value, first, last):
    """`out += sum value[e] rows[index[e]]` over `first <= e < last`, four rows at a time."""
    d = len(out)
    e = first
    while e + 4 <= last:
        a, b, c, f = (index[e] * d, index[e + 1] * d, index[e + 2] * d, index[e + 3] * d)
        va, vb, vc, vf = (
            splat(value[e]),
            splat(value[e + 1]),
            splat(value[e + 2]),
            splat(value[e + 3]),
        )
        k = 0
        while k + LANES <= d:
            total = fma(va, load(rows, a + k), load(out, k))
            total = fma(vb, load(rows, b + k), total)
            total = fma(vc, load(rows, c + k), total)
            store(out, k, fma(vf, load(rows, f + k), total))
            k += LANES
        while k < d:
            for i in range(e, e + 4):
                out[k] += value[i] * rows[index[i], k]
            k += 1
        e += 4
    while e < last:
        row = rows[index[e]]
        for k in range(d):
            out[k] += value[e] * row[k]
        e += 1


@njit(**INNER)
def dot_rows(row, at, rows, index, first, last, out):
    """`out[e]` is `rows[index[e]]` times the `d` elements of `row` from `at` on, four at a time."""
    d = rows.shape[1]
    flat = row.ravel()
    e = first
    while e + 4 <= last:
        a, b, c, f = (index[e] * d, index[e + 1] * d, index[e + 2] * d, index[e + 3] * d)
        p, q, r, t = splat(_ZERO), splat(_ZERO), splat(_ZERO), splat(_ZERO)
        k = 0
        while k + LANES <= d:
            x = load(row, at + k)
            p = fma(load(rows, a + k), x, p)
            q = fma(load(rows, b + k), x, q)
            r = fma(load(rows, c + k), x, r)
            t = fma(load(rows, f + k), x, t)
            k += LANES
        out[e], out[e + 1] = lane_sum(p), lane_sum(q)
        out[e + 2], out[e + 3] = lane_sum(r), lane_sum(t)
        while k < d:
            for i in range(e, e + 4):
                out[i] += rows[index[i], k] * flat[at + k]
            k += 1
        e += 4
    while e < last:
        out[e] = row_dot(row, at, rows, index[e] * d, d)
        e += 1


@njit(**INNER)
def penalise(penalty, j, f):
    """Penalty of an activation of latent `j`, and its derivative by the activation."""
    norm = penalty.norms[j]
    value, slope = value_and_slope(penalty.kind, f * norm, penalty.parameter)
    return penalty.scale * value, penalty.scale * slope * norm


@njit(**INNER)
def threshold_slope(penalty, threshold, level, slope):
    """Straight-through derivative of the loss by a threshold that `level` may have crossed."""
    if not abs(level - threshold) < penalty.bandwidth / _TWO:
        return _ZERO
    return -(threshold * slope + penalty.scale) / penalty.bandwidth
