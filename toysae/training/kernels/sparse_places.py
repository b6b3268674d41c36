"""What the sparse kernel knows of a stack, and where it keeps what belongs to a member."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: Names of `FastForm.activation`; kernels know them by their position.
ACTIVATIONS = ("relu", "topk", "batch_topk", "jumprelu")
RELU, TOPK, BATCH_TOPK, JUMPRELU = range(len(ACTIVATIONS))

#: Samples that pass through all latents before gradients are taken of them.
STRETCH = 128


class Rules(NamedTuple):
    """What all members of a stack have in common; see `FastForm` and `Trainer`.

    Attributes:
        batch, d, latents: sizes.
        stride, columns: `d` and `latents` rounded up to multiples of `LANES`.
        activation: position in `ACTIVATIONS`; penalty: number in `penalty_loops.PENALTIES`.
        kept: number of latents that `topk` keeps of a sample and `batch_topk` of a batch.
    """

    batch: int
    d: int
    latents: int
    stride: int
    columns: int
    activation: int
    penalty: int
    kept: int
    bandwidth: np.float32
    threshold_rate: np.float32
    penalty_by_decoder_norm: bool
    subtract_decoder_bias: bool
    unit_norm_decoder: bool
    ghosts: bool
    auxiliary: bool
    dead_window: int
    ghost_cooldown: int
    auxiliary_coefficient: float
    fire_threshold: np.float32
    control_rate: float


class Places(NamedTuple):
    """Where things begin in the memory of a member.

    Attributes:
        encoder, bias, threshold, decoder, decoder_bias: parameters: rows of a latent are `stride`
            long; of those parts that have none, a place of their own all the same.
        gradients: distance from a parameter to its gradient; the moments follow after as much each.
        weights, offset: encoder `[d, columns]` and bias as the product reads them.
        z: pre-activations, `[samples, columns]`, of a tile or of a batch.
        floor: latents are listed where pre-activations exceed it.
        penalty: factor of each latent's penalty.
        norms: of decoder rows, or 1.
        radial: gradients of the penalty by them.
        values: activations of the latents listed for a sample.
        taken: pre-activations of every latent in the samples of a stretch in which it takes part.
        along: gradients by a list of activations.
        out, ghost: what a sample is decoded to, and what dead latents decode to.
        slope: gradients by what the samples of a stretch are decoded to, in rows.
        zero: zeros.
        end: size of it all.
    """

    encoder: int
    bias: int
    threshold: int
    decoder: int
    decoder_bias: int
    gradients: int
    weights: int
    offset: int
    z: int
    floor: int
    penalty: int
    norms: int
    radial: int
    values: int
    taken: int
    along: int
    out: int
    ghost: int
    slope: int
    zero: int
    end: int


class Lists(NamedTuple):
    """Memory that is not float32, and carries nothing from step to step.

    Attributes:
        rows: latents that take part in a sample, `[columns + LANES]`.
        dead: latents that are cared for, likewise.
        keys: pre-activations in order, of a batch, `[columns * batch + LANES]`.
        counts: of every latent, the samples of a stretch in which it takes part, `[columns]`.
        samples: which these are, by the place of their rows, `[columns * STRETCH]`.
        fired: latents that fired in a step, `[columns]`.
    """

    rows: np.ndarray
    dead: np.ndarray
    keys: np.ndarray
    counts: np.ndarray
    samples: np.ndarray
    fired: np.ndarray
