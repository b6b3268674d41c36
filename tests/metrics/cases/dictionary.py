from __future__ import annotations

from tests.metrics.case import (
    DICTIONARIES,
    SEED_LIST,
    SPACE,
    Case,
    a_dictionary,
    seed_values,
    two_dictionaries,
    two_saes,
)
from toysae.metrics import dictionary

CASES = {
    "cosine_matrix": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "max_cosine": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "max_abs_cosine": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "hungarian": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
    "hungarian_abs": Case(two_dictionaries, "ab", applicable=DICTIONARIES),
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
    "within_dictionary": Case(a_dictionary, "a", applicable=("permute_rows_a", *SPACE)),
    "matching_agreement": Case(two_saes, "abab", applicable=DICTIONARIES),
}
