"""How long the stages of collinearity at real size take, for their progress."""

from __future__ import annotations

from toysae.metrics.codes import SparseCodes


def stage_costs(codes: SparseCodes, size: int) -> dict[str, float]:
    """Seconds that each stage takes for `size` of the latents, up to a common factor.

    Fitted to what was measured on two cores; tests/diagnostics/test_costs.py has the numbers.
    """
    cube = float(size) ** 3
    return {
        "gram": 500 * len(codes.values) ** 2 / codes.n_samples + 1,
        "band": 4 * cube,
        "chase": 7200 * float(size) ** 2,
        "factor": 1.3 * cube,
        "inverse": cube,
    }
