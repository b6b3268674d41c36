"""How long the stages of collinearity at real size take, for their progress."""

from __future__ import annotations

from toysae.metrics.codes import SparseCodes


def stage_costs(codes: SparseCodes, size: int) -> dict[str, float]:
    """Seconds that each stage takes for `size` of the latents, up to a common factor.

    Fitted to what was measured on two cores; tests/diagnostics/test_costs.py has the numbers.
    """
    square, cube = float(size) ** 2, float(size) ** 3
    return {
        "gram": 450 * len(codes.values) ** 2 / codes.n_samples + 1,
        "band": 5 * cube,
        "chase": 5000 * square,
        "factor": 1.2 * cube,
        "inverse": 1.2 * cube,
    }
