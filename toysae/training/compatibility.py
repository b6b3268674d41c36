"""Which SAE families and trainers go together: said in words before anything is trained."""

from __future__ import annotations

from toysae.errors import ConfigError
from toysae.saes.batch_topk import BatchTopK
from toysae.saes.trainable import TrainableFamily
from toysae.training.trainer import Trainer


def check_together(family: TrainableFamily, trainer: Trainer, d_hidden: int) -> None:
    """Raise `ConfigError` where `trainer` asks for what `family` cannot give."""
    if trainer.target_l0 is not None:
        _check_can_be_steered(family, trainer.target_l0)
    if trainer.input_scaling == "unit_mean_norm" and not family.foldable:
        raise ConfigError(
            f"trainer.input_scaling = 'unit_mean_norm': the factor cannot be moved into the "
            f"weights of {family.name}; use none or layer_norm"
        )
    if trainer.frozen != "none" and "W_enc" not in family.param_shapes(1, 1):
        raise ConfigError(
            f"trainer.frozen = {trainer.frozen!r}: encoder and decoder of {family.name} are one; "
            "use none, or a family with weights of their own for each"
        )
    if trainer.finetune_fraction > 0 and family.encodes_with_decoder:
        raise ConfigError(
            f"trainer.finetune_fraction = {trainer.finetune_fraction}: must be 0 with "
            f"{family.name} as it is configured: its activations follow the decoder, so that the "
            "encoder cannot be held while the decoder is trained"
        )
    if isinstance(family, BatchTopK) and int(family.k * trainer.batch_size) < 1:
        raise ConfigError(
            f"sae.k = {family.k}: must be at least 1 / trainer.batch_size = "
            f"{1 / trainer.batch_size:g}, or no latent of a batch is kept"
        )
    if trainer.dead_latents == "resample":
        _check_can_be_resampled(family, d_hidden)


def _check_can_be_steered(family: TrainableFamily, target_l0: float) -> None:
    if target_l0 > family.n_latents:
        raise ConfigError(
            f"trainer.target_l0 = {target_l0}: must be at most sae.n_latents = {family.n_latents}"
        )
    if family.coefficient == 0:
        raise ConfigError(
            f"trainer.target_l0 = {target_l0}: {family.name} has no penalty that could be steered, "
            "or its coefficient is 0; set that, or target_l0 to null"
        )


def _check_can_be_resampled(family: TrainableFamily, d_hidden: int) -> None:
    shapes = family.param_shapes(d_hidden, family.n_latents)
    for name in sorted(shapes.keys() - {"W_enc", "W_dec", "b_dec"} - set(family.buffers)):
        if shapes[name] != (family.n_latents,):
            raise ConfigError(
                f"trainer.dead_latents = 'resample': {name} of {family.name} is not one number a "
                "latent, and how to start it anew is not known; use none, ghost or auxiliary"
            )
