from __future__ import annotations

import torch
from torch import Tensor

from tests.metrics.case import (
    DICTIONARIES,
    SEED_LIST,
    SPACE,
    Case,
    Rng,
    a_dictionary,
    normal,
    seed_values,
    two_dictionaries,
    two_saes,
)
from toysae.metrics import dictionary


def with_duplicates(rng: Rng) -> list[Tensor]:
    """Some latents of the first dictionary point the same way, up to sign."""
    a, b = two_dictionaries(rng)
    return [torch.cat([a, 2 * a[:2], -a[2:3]]), b]


def encoder_and_decoder(rng: Rng) -> list[Tensor]:
    return [normal(rng, 5, 4), normal(rng, 5, 4)]


CASES = {
    "cosine_matrix": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "max_cosine": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "max_abs_cosine": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "hungarian": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "hungarian_abs": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "greedy": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "greedy_abs": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "soft_matching": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "soft_matching_sinkhorn": Case(
        two_dictionaries,
        "ab",
        lambda a, b: dictionary.soft_matching_sinkhorn(a, b, tolerance=0.02),
        applicable=DICTIONARIES,
    ),
    "best_partner_ties": Case(with_duplicates, "ab", applicable=DICTIONARIES),
    "mutual_nearest": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "multiplicity": Case(
        two_dictionaries,
        "ab",
        lambda a, b: dictionary.multiplicity(dictionary.max_cosine(a, b), 0.2),
        applicable=DICTIONARIES,
    ),
    "fraction_above": Case(
        seed_values, "a", lambda v: dictionary.fraction_above(v, [0, 0.5]), applicable=SEED_LIST
    ),
    "quantiles": Case(seed_values, "a", applicable=SEED_LIST),
    "within_dictionary": Case(a_dictionary, "a", applicable=("permute_rows_a", *SPACE)),
    "matching_agreement": Case(two_saes, "abab", applicable=DICTIONARIES),
    "joint_matching": Case(two_saes, "abab", applicable=DICTIONARIES),
    "paired_cosine": Case(encoder_and_decoder, "ab", applicable=DICTIONARIES),
}
