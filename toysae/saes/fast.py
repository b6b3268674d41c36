"""What compiled kernels know of a family.

A kernel cannot call a family's Python methods. A family whose step consists of known pieces says
which; the kernels in `toysae.training.kernels` are held equal to its autograd form by tests.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FastForm:
    """The pieces of a family's step.

    Attributes:
        activation: from pre-activations to latents: `relu`, `topk`, `batch_topk` or `jumprelu`.
        penalty: of every latent on every sample: `none`, `l1`, `lp`, `log`, `tanh`, `l0` (the
            `phi` of the family of that name) or `step` (JumpReLU's count of firings).
        k: of `topk` (a whole number) and `batch_topk`.
        bandwidth: of `jumprelu`.
        threshold_rate: of `batch_topk`.
        penalty_by_decoder_norm: the penalty is of `f_j ||W_dec_j||`.
        normalize_error: each sample's error is divided by its squared norm.
    """

    activation: str
    penalty: str = "none"
    k: float = 0.0
    bandwidth: float = 0.0
    threshold_rate: float = 0.0
    penalty_by_decoder_norm: bool = False
    normalize_error: bool = False
