"""Settings of a trainer that contradict each other, or of which one makes another void.

Said in words before anything is trained: a setting that does nothing is taken for a result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toysae.errors import ConfigError

if TYPE_CHECKING:
    from toysae.training.trainer import Trainer


def check_consistent(trainer: Trainer) -> None:
    """Raise `ConfigError` where settings of `trainer` do not go together."""
    if trainer.decay_fraction == 0:
        _check_nothing_decays(trainer)
    if trainer.frozen != "none":
        _check_goes_with_frozen(trainer)
    if trainer.objective != "local":
        _check_goes_with_readouts(trainer)
    _check_objective_has(trainer)
    if trainer.dead_latents == "resample":
        _check_resamples(trainer)
    elif trainer.dead_latents != "none" and trainer.dead_after >= trainer.steps - 1:
        raise ConfigError(
            f"trainer.dead_window = {trainer.dead_after}: must be less than trainer.steps - 1 = "
            f"{trainer.steps - 1} with trainer.dead_latents = {trainer.dead_latents!r}, or no "
            "latent is ever dead"
        )


def _check_nothing_decays(trainer: Trainer) -> None:
    if trainer.decay != "linear":
        raise ConfigError(
            f"trainer.decay = {trainer.decay!r}: does nothing with trainer.decay_fraction = 0; set "
            "that to more, or decay to linear"
        )
    if trainer.final_lr != 0:
        raise ConfigError(
            f"trainer.final_lr = {trainer.final_lr}: does nothing with trainer.decay_fraction = 0; "
            "set that to more, or final_lr to 0"
        )


def _check_goes_with_frozen(trainer: Trainer) -> None:
    if trainer.finetune_fraction > 0:
        raise ConfigError(
            f"trainer.finetune_fraction = {trainer.finetune_fraction}: must be 0 with "
            f"trainer.frozen = {trainer.frozen!r}, because it freezes the encoder itself"
        )
    if trainer.dead_latents == "resample":
        raise ConfigError(
            f"trainer.dead_latents = 'resample': must be none, ghost or auxiliary with "
            f"trainer.frozen = {trainer.frozen!r}, because new latents would replace frozen ones"
        )
    if trainer.frozen == "encoder" and trainer.target_l0 is not None:
        raise ConfigError(
            f"trainer.target_l0 = {trainer.target_l0}: must be null with trainer.frozen = "
            "'encoder', because nothing changes how many latents fire, and the coefficient would "
            "run to its limit"
        )


def _check_goes_with_readouts(trainer: Trainer) -> None:
    if trainer.input_scaling != "none":
        raise ConfigError(
            f"trainer.input_scaling = {trainer.input_scaling!r}: must be none with "
            f"trainer.objective = {trainer.objective!r}, because readouts take hidden activations "
            "as they are"
        )
    if trainer.dead_latents in ("ghost", "auxiliary"):
        raise ConfigError(
            f"trainer.dead_latents = {trainer.dead_latents!r}: must be none or resample with "
            f"trainer.objective = {trainer.objective!r}, because it would teach latents what no "
            "output sees"
        )


def _check_objective_has(trainer: Trainer) -> None:
    if trainer.output_error != "squared" and trainer.objective == "local":
        raise ConfigError(
            f"trainer.output_error = {trainer.output_error!r}: must be squared with "
            "trainer.objective = 'local', which looks at no outputs; or set that to end_to_end or "
            "end_to_end_downstream"
        )
    if trainer.downstream != 1 and trainer.objective != "end_to_end_downstream":
        raise ConfigError(
            f"trainer.downstream = {trainer.downstream}: must be 1 with trainer.objective = "
            f"{trainer.objective!r}, which has no error of the layers that follow; or set that to "
            "end_to_end_downstream"
        )


def _check_resamples(trainer: Trainer) -> None:
    if not trainer.resampled_at:
        raise ConfigError(
            f"trainer.resample_every = {trainer.resample_every}: must be at most "
            f"{trainer.steps // 2}, half of trainer.steps, or nothing is ever resampled"
        )
    last = max(trainer.resampled_at)
    if trainer.dead_after >= last:
        raise ConfigError(
            f"trainer.dead_window = {trainer.dead_after}: must be less than {last}, the number of "
            "steps before the last resampling, or no latent is ever dead by then"
        )
    if last >= trainer.finetune_from:
        raise ConfigError(
            f"trainer.finetune_fraction = {trainer.finetune_fraction}: must be less than "
            f"{1 - last / trainer.steps:g} with trainer.dead_latents = 'resample', because latents "
            f"are resampled up to step {last}, and their encoder would stay as it starts"
        )
