"""How sure a result is; the unit of replication is the seed, for features of one SAE depend.

Values are one number a seed; NaN is refused, because which seeds are missing is never random.
Conditions that are compared share their data seed and their initial seed. Six seeds are the fewest
whose exact paired test can reach p = 0.05, eight are better, and tests of fewer warn.
"""

from __future__ import annotations

from toysae.metrics._seeds.bootstrap import (
    BootstrapDistribution,
    bootstrap_interval,
    exact_bootstrap,
    hierarchical_bootstrap,
)
from toysae.metrics._seeds.intervals import Interval, jackknife_over_seeds, seed_interval, wilson
from toysae.metrics._seeds.multiple_tests import benjamini_hochberg, bonferroni, bonferroni_z, holm
from toysae.metrics._seeds.seed_tests import (
    PairedTest,
    SignFlipTest,
    minimum_p,
    paired_t_test,
    sign_flip_test,
    wilcoxon_test,
)

__all__ = [
    "BootstrapDistribution",
    "Interval",
    "PairedTest",
    "SignFlipTest",
    "benjamini_hochberg",
    "bonferroni",
    "bonferroni_z",
    "bootstrap_interval",
    "exact_bootstrap",
    "hierarchical_bootstrap",
    "holm",
    "jackknife_over_seeds",
    "minimum_p",
    "paired_t_test",
    "seed_interval",
    "sign_flip_test",
    "wilcoxon_test",
    "wilson",
]
