from __future__ import annotations

from torch import Tensor

from tests.diagnostics.cases.pca import HIDDEN, hidden
from tests.metrics.case import Case
from toysae.diagnostics import streaming


def _in_two_batches(x: Tensor) -> streaming.Components:
    first, second = streaming.batch_moments(x[:7]), streaming.batch_moments(x[7:])
    return streaming.pca_of_moments(streaming.merge_moments(first, second))


CASES = {"pca_of_moments": Case(hidden, "a", _in_two_batches, applicable=HIDDEN)}
