"""From the firing probabilities that are asked of features in trees to those of their own draws.

A feature's own draw counts only where its parent fires and, among exclusive siblings, only if it
wins: of those that want to fire a uniformly random one does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from toysae.errors import ConfigError
from toysae.generators.trees.forest import Forest

# Probabilities are typed by hand or computed in float64.
_TOLERANCE = 1e-9


def exact(forest: Forest, p: Tensor, exclusive: bool) -> Tensor:
    """Probability of each feature to fire, given its parent, for which `p` are the marginals.

    Args:
        forest: the trees.
        p: firing probabilities, float64, `[n_features]`.
        exclusive: whether siblings exclude each other; then they are alternatives of one draw.

    Raises:
        ConfigError: children that fire more often than their parent, in total if exclusive.
    """
    above = forest.of_parent(p, 1.0)
    _check_attainable(forest, forest.over_siblings(p) if exclusive else p, above, exclusive)
    return torch.where(above > 0, p / above, 0.0).clamp(max=1)


def published(forest: Forest, p: Tensor, exclusive: bool) -> Tensor:
    """Own draws by the formula of SAELens and SynthSAEBench (arXiv 2602.14687).

    `p / p_parent`, times `1 + (sum of the siblings' p) / p_parent` among exclusive siblings, at
    most 1. It restores most of the marginals; exclusive siblings compete harder than it allows for.
    """
    above = forest.of_parent(p, 1.0)
    competitors = (forest.over_siblings(p) - p).clamp(min=0) if exclusive else torch.zeros_like(p)
    return torch.where(above > 0, p / above * (1 + competitors / above), p).clamp(max=1)


def none(forest: Forest, p: Tensor, exclusive: bool) -> Tensor:
    """Own draws as asked; marginals are lower."""
    return p


#: By the name that a configuration gives.
COMPENSATIONS: Mapping[str, Callable[[Forest, Tensor, bool], Tensor]] = {
    "exact": exact,
    "published": published,
    "none": none,
}


def _check_attainable(forest: Forest, needed: Tensor, above: Tensor, exclusive: bool) -> None:
    excess = torch.where(forest.parents >= 0, needed - above, 0.0)
    worst = int(excess.argmax())
    if float(excess[worst]) <= _TOLERANCE:
        return
    parent = int(forest.parents[worst])
    who = f"all children of feature {parent}" if exclusive else f"feature {worst}"
    raise ConfigError(
        f"generator.probability: found {float(needed[worst]):.6g} for {who}, attainable is at most "
        f"the {float(above[worst]):.6g} of the parent {parent}; lower it, raise the parent's, or "
        "take generator.compensation = none"
    )
