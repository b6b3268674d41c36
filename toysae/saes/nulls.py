"""SAEs that learned nothing, or nothing but what needs no learning: the level that real ones beat.

Each is an ordinary SAE and goes through every measurement and table. `toysae.saes.oracle` is the
other end. Nulls that are trained come from `toysae.training`: `Trainer.frozen`, and
`toysae.hidden.shuffled`.

That frozen and random dictionaries come close to trained ones in many published evaluations is the
finding of "Sanity Checks for Sparse Autoencoders" (arXiv 2602.14111). `pca_sae` and `identity_sae`
are baselines of SAEBench.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from toysae.draws import CPU, Draws
from toysae.errors import DataError, ShapeError
from toysae.saes.base import SAE, SAEFamily, Shapes
from toysae.saes.folding import untied
from toysae.saes.relu import ReLU


def pca_sae(x: Tensor, n_components: int | None = None) -> SAE:
    """Principal components with both signs: `f = ReLU(+-(x - mean) PC^T)`, `2 k` latents.

    Latents `2 i` and `2 i + 1` are component `i` and its opposite. All components together
    reconstruct every input, with `d` latents active on it.

    Args:
        x: inputs `[n, d]`, at least one.
        n_components: `k`, those of the largest variance; all `d` by default.

    Raises:
        ShapeError: no inputs, or not so many components.
        DataError: NaN or infinity.
    """
    if x.ndim != 2 or not len(x):
        raise ShapeError(f"inputs {tuple(x.shape)}: expected [n, d] with at least one sample")
    if not bool(torch.isfinite(x).all()):
        raise DataError("inputs hold NaN or infinite values: drop those samples first")
    d = x.shape[1]
    kept = d if n_components is None else n_components
    if not 1 <= kept <= d:
        raise ShapeError(f"n_components = {kept}: must lie from 1 to the {d} dimensions")
    centred = x.double() - x.double().mean(0)
    axes = torch.linalg.eigh(centred.T @ centred).eigenvectors.T.flip(0)
    return _both_signs(axes[:kept].to(x.dtype), x.double().mean(0).to(x.dtype))


def identity_sae(d_hidden: int, device: torch.device = CPU) -> SAE:
    """The coordinates with both signs, `2 d` latents: it reconstructs everything and finds nothing.

    Args:
        d_hidden: dimension of the inputs, `>= 1`.
        device: where the inputs will lie.

    Raises:
        ShapeError: no dimension.
    """
    if d_hidden < 1:
        raise ShapeError(f"d_hidden = {d_hidden}: must be at least 1")
    return _both_signs(torch.eye(d_hidden, device=device), torch.zeros(d_hidden, device=device))


def random_decoder(sae: SAE, seed: int) -> SAE:
    """Random unit decoder rows with a tied encoder, `f = ReLU(x W_dec^T)`, of the size of `sae`.

    Biases are 0. Members have rows of their own.
    """
    shape = (sae.n_members, sae.n_latents, sae.d_hidden)
    decoder = normalize(Draws(seed, ("null", "decoder")).normal("rows", shape), dim=-1)
    return _tied(decoder.to(sae.decoder), sae.decoder.new_zeros(shape[0], shape[2]))


def permuted_decoder(sae: SAE, seed: int) -> SAE:
    """The same activations, decoded with the rows of other latents: no latent keeps its own.

    One order for all members: a random cycle.

    Raises:
        ShapeError: a single latent.
    """
    if sae.n_latents < 2:
        raise ShapeError("1 latent: a permuted decoder takes at least 2")
    cycle = Draws(seed, ("null", "permutation")).uniform("order", (sae.n_latents,)).argsort()
    order = torch.empty_like(cycle)
    order[cycle] = cycle.roll(1)
    return _redecoded(sae, sae.decoder[:, order.to(sae.decoder.device)])


def rotated_decoder(sae: SAE, seed: int) -> SAE:
    """The same activations, decoded with all rows turned by one random rotation or reflection.

    Norms of rows and cosines between them stay, and the decoder bias does.
    """
    gaussian = Draws(seed, ("null", "rotation")).normal("matrix", (sae.d_hidden, sae.d_hidden))
    q, r = torch.linalg.qr(gaussian.double())
    rotation = q * r.diagonal().sign()
    return _redecoded(sae, sae.decoder @ rotation.to(sae.decoder))


@dataclass(frozen=True)
class Redecoded(SAEFamily):
    """Encodes like another family and decodes with rows that its encoder does not know of.

    For families whose activations depend on the decoder. `W_dec` are the rows that decode and
    `W_dec_of_encoder` those that encode, each `[M, m, d]`.

    Attributes:
        encoding: the other family.
    """

    encoding: SAEFamily = field(kw_only=True)

    name: ClassVar[str] = "redecoded"

    def param_shapes(self, d_hidden: int, n_latents: int) -> Shapes:
        shapes = self.encoding.param_shapes(d_hidden, n_latents)
        return {**shapes, "W_dec_of_encoder": shapes["W_dec"]}

    @property
    def encodes_with_decoder(self) -> bool:
        return False

    def encoder(self, params: Mapping[str, Tensor]) -> Tensor:
        return self.encoding.encoder(_of_encoder(params))

    def pre_activations(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        return self.encoding.pre_activations(_of_encoder(params), x)

    def encode(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        return self.encoding.encode(_of_encoder(params), x)

    def decode(self, params: Mapping[str, Tensor], latents: Tensor) -> Tensor:
        return self.encoding.decode(params, latents)


def _of_encoder(params: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    return {**params, "W_dec": params["W_dec_of_encoder"]}


def _redecoded(sae: SAE, decoder: Tensor) -> SAE:
    """The same activations, decoded with other rows; in the family of `sae` where that can be."""
    sae = untied(sae)
    params = {**sae.params, "W_dec": decoder.contiguous()}
    if not sae.family.encodes_with_decoder:
        return replace(sae, params=params)
    params["W_dec_of_encoder"] = sae.decoder
    family = Redecoded(sae.family.subtract_decoder_bias, encoding=sae.family)
    return replace(sae, family=family, params=params)


def _both_signs(axes: Tensor, mean: Tensor) -> SAE:
    """An SAE with the orthonormal `axes [k, d]` and their opposites, in turn, around `mean`."""
    decoder = torch.stack([axes, -axes], dim=1).flatten(0, 1)
    return _tied(decoder[None].contiguous(), mean[None])


def _tied(decoder: Tensor, mean: Tensor) -> SAE:
    """`f = ReLU((x - mean) W_dec^T)`, in the form that every reader of checkpoints knows."""
    members, n_latents, _ = decoder.shape
    params = {
        "W_enc": decoder.transpose(1, 2).contiguous(),
        "b_enc": decoder.new_zeros(members, n_latents),
        "W_dec": decoder,
        "b_dec": mean,
    }
    return SAE(ReLU(n_latents=n_latents, l1=0.0, subtract_decoder_bias=True), params)
