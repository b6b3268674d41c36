"""How much a model's next-token distribution changes when reconstructions take a layer's place.

`p` is the original model, `q` the patched one, and `y` the token that followed. KL and the
difference of cross-entropies are two numbers: `KL(p||q)` asks what changed and is never negative;
`dCE = ln p(y) - ln q(y)` asks what it cost on these data and may be negative. Over tokens from a
distribution `pi`, `E[dCE] = KL(pi||q) - KL(pi||p)`, which is `KL(p||q)` only for `pi = p`.

Logits are `[..., V]` and results `[...]`, one number a token, to be averaged or put into
`toysae.metrics.positions`. Everything is in nats, from log-softmax in float64, for a block of
tokens at a time: probabilities that underflow give no NaN, as `p (ln p - ln q)` of a softmax does.
"""

from __future__ import annotations

from toysae.metrics._outputs.cross_entropy import (
    ExpectedDifference,
    Recovered,
    cross_entropy,
    cross_entropy_difference,
    cross_entropy_recovered,
    expected_difference,
)
from toysae.metrics._outputs.divergences import (
    OutputChange,
    jensen_shannon,
    kl_divergence,
    output_change,
    top1_agreement,
    total_variation,
)

__all__ = [
    "ExpectedDifference",
    "OutputChange",
    "Recovered",
    "cross_entropy",
    "cross_entropy_difference",
    "cross_entropy_recovered",
    "expected_difference",
    "jensen_shannon",
    "kl_divergence",
    "output_change",
    "top1_agreement",
    "total_variation",
]
