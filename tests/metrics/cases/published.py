from __future__ import annotations

from tests.metrics.case import RECONSTRUCTIONS, Case, data_and_reconstruction
from toysae.metrics.records.published import RECORDS

CASES = {
    record.name: Case(data_and_reconstruction, "ab", applicable=RECONSTRUCTIONS)
    for record in RECORDS
}
