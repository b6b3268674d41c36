"""The product of half the precision tells all that fires, and no more is multiplied than needed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from toysae.training.kernels.bfloat16 import bfloat16_at, load_bfloat16
from toysae.training.kernels.simd import store
from toysae.training.kernels.simd_types import LANES
from toysae.training.kernels.wide_candidates import (
    count_candidates,
    count_largest_candidates,
    find_candidates,
    find_largest_candidates,
)
from toysae.training.kernels.wide_loops import Entries
from toysae.training.kernels.wide_ranges import of_samples, ranges, tiles
from toysae.training.kernels.wide_screen import Screen

SAMPLES = 24


def spread(work, parts):
    return [work(*part) for part in parts]


def screened(x, w_enc, *, candidates=0):
    """A screen that has multiplied, and whether so many candidates passed."""
    (n, d), m = x.shape, len(w_enc)
    screen = Screen(n, d, m, ranges(n, 16), ranges(m, 16), tiles(n, m, (16, 24)))
    return screen, screen.passes(x, w_enc, lambda first, last: candidates, spread)


def room(n, per_sample):
    places = np.zeros((2, n), np.int64)
    latents = np.zeros(n * per_sample, np.int32)
    return Entries(*places, latents, *np.zeros((2, n * per_sample), np.float32))


def listed(entries):
    """Latents and values of each sample."""
    return [
        (entries.latent[a:b].tolist(), entries.value[a:b])
        for a, b in zip(entries.start, entries.stop)
    ]


def drawn(seed, d, m, spread_of_scales):
    """Samples, rows and biases, with levels on both sides of 0 and as near to it as it gets."""
    rng = np.random.default_rng(seed)
    scales = np.exp(spread_of_scales * rng.normal(size=(m, 1)))
    x = rng.normal(size=(SAMPLES, d)) * np.exp(spread_of_scales * rng.normal(size=(SAMPLES, 1)))
    w_enc = scales * rng.normal(size=(m, d))
    # Some latents are at the very edge on some sample.
    bias = np.where(rng.random(m) < 0.5, -(w_enc @ x[rng.integers(SAMPLES)]), -scales[:, 0])
    return (each.astype(np.float32) for each in (x, w_enc, bias))


def rounding(x, w_enc, bias):
    """What float32 may make of a level, `[samples, m]`."""
    norms = (np.linalg.norm(each.astype(np.float64), axis=1) for each in (x, w_enc))
    return 1e-5 * (np.outer(*norms) + abs(bias))


CASES = st.tuples(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 7, 16, 40]),
    st.sampled_from([1, 16, 37]),
    st.sampled_from([0.0, 2.0, 5.0]),
)


@given(case=CASES)
def test_nothing_that_fires_is_missed(case):
    x, w_enc, bias = drawn(*case)
    m = len(bias)
    threshold = np.zeros(m, np.float32)
    entries = room(SAMPLES, m)
    screen, _ = screened(x, w_enc)
    assert find_candidates(
        0, SAMPLES, screen.product, x, w_enc, bias, threshold, np.float32(0), m, entries
    )
    levels = x.astype(np.float64) @ w_enc.T.astype(np.float64) + bias
    unsure = rounding(x, w_enc, bias)
    for s, (latents, values) in enumerate(listed(entries)):
        assert set(np.flatnonzero(levels[s] > unsure[s])) <= set(latents)
        assert set(latents) <= set(np.flatnonzero(levels[s] > -unsure[s]))
        assert (abs(values - levels[s][latents]) <= unsure[s][latents]).all()


@given(case=CASES, share=st.floats(0, 1))
def test_the_largest_are_those_of_the_full_product(case, share):
    x, w_enc, bias = drawn(*case)
    m = len(bias)
    k = 1 + int(share * (m - 1))
    entries = room(SAMPLES, k)
    screen, _ = screened(x, w_enc)
    find_largest_candidates(0, SAMPLES, screen.product, x, w_enc, bias, k, entries)
    levels = x.astype(np.float64) @ w_enc.T.astype(np.float64) + bias
    unsure = rounding(x, w_enc, bias)
    for s, (latents, values) in enumerate(listed(entries)):
        assert len(set(latents)) == len(latents) <= k
        # One that lies surely above the cut is listed; one surely below is not.
        cut = max(np.sort(levels[s] + unsure[s])[-k], 0)
        assert set(np.flatnonzero(levels[s] - unsure[s] > cut)) <= set(latents)
        cut = max(np.sort(levels[s] - unsure[s])[-k], 0)
        assert (levels[s] + unsure[s])[latents].min(initial=np.inf) >= cut
        assert (abs(values - levels[s][latents]) <= unsure[s][latents]).all()


# 1 in bfloat16, whose next number is 1.0078.
ROUNDED_DOWN = 1.0038


@pytest.mark.parametrize(
    ("x", "row"),
    [
        ([1.0, 1.0], [ROUNDED_DOWN, 0.00382]),
        ([ROUNDED_DOWN, 1.0], [1.0, 0.00382]),
        ([ROUNDED_DOWN, 1.0], [ROUNDED_DOWN, 0.00382]),
        ([1.0, 1.0], [1.0, 0.00382]),
    ],
    ids=["of row and result", "of sample and result", "of all", "of the result"],
)
def test_rounding_at_its_worst_is_within_the_bound(x, row):
    """All errors have one sign, and the latent fires by a tenth of what they come to."""
    x, w_enc = (np.array([each], np.float32) for each in (x, row))
    level = float(x[0].astype(np.float64) @ w_enc[0])
    screen, _ = screened(x, w_enc)
    (product,) = screen.product.bits[:, :1].view(np.int16)
    product = float(torch.from_numpy(product).view(torch.bfloat16))
    assert product < level
    bias = np.array([0.1 * (level - product) - level], np.float32)
    nothing = np.zeros(1, np.float32)
    assert count_candidates(0, 1, screen.product, bias, nothing) == 1
    entries = room(1, 1)
    assert find_candidates(0, 1, screen.product, x, w_enc, bias, nothing, np.float32(0), 1, entries)
    assert listed(entries)[0][0] == [0]


def test_few_are_multiplied_in_full():
    """A thousandth of levels lies within the bound; without it, or with a loose one, all would."""
    rng = np.random.default_rng(0)
    x, w_enc = (rng.normal(size=(n, 768)).astype(np.float32) for n in (64, 512))
    bias = np.full(512, -2.5 * 768**0.5, np.float32)
    screen, _ = screened(x, w_enc)
    fire = (x @ w_enc.T + bias > 0).sum()
    floor = np.zeros(512, np.float32)
    assert fire < count_candidates(0, 64, screen.product, bias, floor) < 1.5 * fire
    assert 64 * 8 <= count_largest_candidates(0, 64, screen.product, bias, 8) < 64 * 8 * 2


@pytest.mark.parametrize(("candidates", "passes"), [(4 * 37, True), (4 * 37 + 1, False)])
def test_few_candidates_pass(candidates, passes):
    x, w_enc, _ = drawn(0, 16, 37, 0.0)
    assert screened(x, w_enc, candidates=candidates)[1] is passes


def test_no_room_for_what_is_found():
    x, w_enc, bias = drawn(0, 16, 37, 0.0)
    nothing = np.zeros(37, np.float32)
    screen, _ = screened(x, w_enc)
    arguments = screen.product, x, w_enc, bias + 99, nothing, np.float32(0)
    assert not find_candidates(0, SAMPLES, *arguments, 36, room(SAMPLES, 36))
    assert find_candidates(0, SAMPLES, *arguments, 37, room(SAMPLES, 37))


@njit
def _widen(bits, out):
    for at in range(0, len(out) - LANES + 1, LANES):
        store(out, at, load_bfloat16(bits, at))
    for at in range(len(out) - len(out) % LANES, len(out)):
        out[at] = bfloat16_at(bits, at)


def test_bfloat16_is_as_torch_has_it():
    values = torch.tensor([0.0, -0.0, 1.0, -3.14, 1e38, -1e-39, torch.inf, torch.nan, 257.0])
    half = values.repeat(5).bfloat16()
    out = np.zeros(45, np.float32)
    _widen(half.view(torch.uint16).numpy(), out)
    np.testing.assert_array_equal(out, half.float().numpy())


def test_parts_of_tiles_cover_each_sample_once():
    every = tiles(50, 30, (16, 24))
    seen = np.zeros((50, 30), int)
    for first, last in ((0, 20), (20, 50)):
        for samples, latents in of_samples(every, first, last):
            assert first <= samples.start < samples.stop <= last
            seen[samples, latents] += 1
    assert (seen == 1).all()
