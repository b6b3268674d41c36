"""What progress announces against what was measured."""

from __future__ import annotations

import pytest
import torch

from toysae.diagnostics._large.costs import stage_costs
from toysae.metrics.codes import SparseCodes

# Seconds on two cores of an EPYC server, by latents, samples and firings.
MEASURED = {
    (2048, 10**6, 49_171_414): (10.55, 0.50, 0.17, 0.28, 0.14),
    (4096, 200_000, 9_916_930): (2.15, 3.73, 0.71, 0.80, 0.95),
    (8192, 200_000, 9_958_452): (2.26, 19.44, 3.01, 4.80, 4.70),
    (12_288, 500_000, 24_930_427): (5.88, 57.64, 6.75, 13.34, 13.46),
}


class Sized(SparseCodes):
    """Codes of which nothing is there but how many firings there are."""

    def __post_init__(self) -> None:
        """Nothing is checked."""


@pytest.mark.parametrize("sizes", MEASURED)
def test_stages_take_the_announced_shares_of_the_time(sizes: tuple[int, int, int]) -> None:
    n_latents, n_samples, n_firings = sizes
    offsets = torch.zeros(1, dtype=torch.int64).expand(n_samples + 1)
    latents = torch.zeros(1, dtype=torch.int32).expand(n_firings)
    values = torch.ones(1).expand(n_firings)
    costs = stage_costs(Sized(offsets, latents, values, n_latents), n_latents)
    assert list(costs) == ["gram", "band", "chase", "factor", "inverse"]
    shares = [cost / sum(costs.values()) for cost in costs.values()]
    measured = [seconds / sum(MEASURED[sizes]) for seconds in MEASURED[sizes]]
    assert shares == pytest.approx(measured, abs=0.03)


def test_without_latents_the_gram_matrix_is_all_there_is() -> None:
    assert stage_costs(SparseCodes.from_dense(torch.zeros(3, 0)), 0) == {
        "gram": 1, "band": 0, "chase": 0, "factor": 0, "inverse": 0
    }  # fmt: skip
