"""SAELens's `cfg.json`: which family and which scaling it means, and the other way round.

Architectures that exist only while training (`batchtopk`, `matryoshka_batchtopk`) are JumpReLU
SAEs once they are applied. A family of which SAELens has nothing alike is written as an
architecture of toysae's own, which SAELens does not open. Configurations written before version 6
are flat, use other names (`hook_point`, `activation_fn_str`) and leave out what had one value then;
`modernise` gives them the form of version 6.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from toysae.checkpoints.alike import applies_like
from toysae.errors import CheckpointError, ConfigError
from toysae.saes.base import SAEFamily
from toysae.saes.gated import Gated
from toysae.saes.jumprelu import JumpReLU
from toysae.saes.lista import Lista
from toysae.saes.matching_pursuit import MatchingPursuit
from toysae.saes.relu import ReLU
from toysae.saes.scaling import ConstantFactor, ConstantNorm, LayerNorm, NoScaling, Scaling
from toysae.saes.topk import TopK

Config = dict[str, Any]
Family = TypeVar("Family", bound=SAEFamily)
#: SAELens's name of `ConstantFactor`.
CONSTANT_FACTOR = "expected_average_only_in"

#: Training forms that hold one `topk_threshold` for all latents.
BATCH_TOPK = ("batchtopk", "matryoshka_batchtopk")

#: An architecture that SAELens does not know, with the fields of the family under `_OWN_FIELDS`.
OWN_LISTA = "toysae_lista"
_OWN_FIELDS = "toysae"

_OLD_NAMES = {
    "hook_point": "hook_name",
    "hook_point_layer": "hook_layer",
    "hook_point_head_index": "hook_head_index",
    "activation_fn_str": "activation_fn",
}
_METADATA = (
    "model_name",
    "model_class_name",
    "model_from_pretrained_kwargs",
    "hook_name",
    "hook_layer",
    "hook_head_index",
    "prepend_bos",
    "context_size",
    "dataset_path",
    "neuronpedia_id",
    "sae_lens_version",
    "sae_lens_training_version",
)


def modernise(raw: Mapping[str, Any]) -> Config:
    """The configuration with the names, the defaults and the `metadata` of version 6.

    Every other key is kept as it is. What stands in `metadata` already wins over the same key
    beside it.

    Raises:
        CheckpointError: `metadata` or `activation_fn_kwargs` is not an object.
    """
    config = {_OLD_NAMES.get(key, key): value for key, value in raw.items()}
    if config.get("activation_fn") == "topk":
        config["architecture"] = "topk"
        config.setdefault("k", _section(config, "activation_fn_kwargs").get("k"))
    config.setdefault("architecture", "standard")
    config.setdefault("apply_b_dec_to_input", True)
    config["normalize_activations"] = _normalisation_name(config.get("normalize_activations"))
    beside = {key: config[key] for key in _METADATA if key in config}
    config["metadata"] = {**beside, **_section(config, "metadata")}
    return config


def _section(config: Config, key: str) -> Config:
    section = config.get(key) or {}
    if not isinstance(section, dict):
        raise CheckpointError(f"{key} = {section!r}: must be an object")
    return section


def _normalisation_name(value: str | bool | None) -> str:
    """Old versions wrote a boolean, or nothing."""
    if isinstance(value, str):
        return value
    return CONSTANT_FACTOR if value else "none"


def family_of(config: Config) -> SAEFamily:
    """The family that a modern configuration describes.

    Raises:
        CheckpointError: the architecture or the activation function is unknown, or `k` is not a
            whole number from 1 to the number of latents.
    """
    architecture = config["architecture"]
    if not isinstance(architecture, str) or architecture not in _FAMILIES:
        known = ", ".join(sorted(_FAMILIES))
        raise CheckpointError(f"architecture {architecture!r} is unknown; known are {known}")
    if config.get("activation_fn", "relu") not in ("relu", "topk"):
        raise CheckpointError(
            f"activation_fn {config['activation_fn']!r} is unknown; known are relu, topk"
        )
    return _FAMILIES[architecture](config)


def _common(config: Config) -> dict[str, Any]:
    """Fields that every family has."""
    return {
        "n_latents": config["d_sae"],
        "subtract_decoder_bias": bool(config["apply_b_dec_to_input"]),
    }


def _topk(config: Config) -> TopK:
    k, n_latents = config.get("k"), config["d_sae"]
    if not isinstance(k, int) or not 1 <= k <= n_latents:
        raise CheckpointError(f"k = {k!r}: must be a whole number from 1 to d_sae = {n_latents}")
    rescale = bool(config.get("rescale_acts_by_decoder_norm", False))
    return TopK(k=k, rescale_by_decoder_norm=rescale, **_common(config))


def _matching_pursuit(config: Config) -> MatchingPursuit:
    return _built(
        MatchingPursuit,
        {
            "max_iterations": config.get("max_iterations"),
            "residual_threshold": config.get("residual_threshold", 1e-2),
            "stop_on_repetition": bool(config.get("stop_on_duplicate_support", True)),
            **_common(config),
        },
    )


def _lista(config: Config) -> Lista:
    values = _section(config, _OWN_FIELDS)
    if isinstance(values.get("widths"), list):
        values = {**values, "widths": tuple(values["widths"])}
    return _built(Lista, {**values, **_common(config)})


def _built(family: type[Family], values: Mapping[str, Any]) -> Family:
    try:
        return family(**values)
    except (ConfigError, TypeError) as error:
        raise CheckpointError(f"not a {family.name} SAE: {error}") from error


_FAMILIES: dict[str, Callable[[Config], SAEFamily]] = {
    "standard": lambda config: ReLU(**_common(config)),
    "topk": _topk,
    "jumprelu": lambda config: JumpReLU(**_common(config)),
    "gated": lambda config: Gated(**_common(config)),
    "matching_pursuit": _matching_pursuit,
    OWN_LISTA: _lista,
    **dict.fromkeys(BATCH_TOPK, lambda config: JumpReLU(**_common(config))),
}


def scaling_of(config: Config, factor: float | None) -> Scaling:
    """The scaling that a modern configuration describes.

    Args:
        config: a modern configuration.
        factor: that of `expected_average_only_in`, which the configuration does not hold.

    Raises:
        CheckpointError: the name is unknown, or the factor is missing or not greater than 0.
    """
    name = config["normalize_activations"]
    if name == CONSTANT_FACTOR:
        return _constant_factor(factor)
    if name not in _SCALINGS:
        known = ", ".join(sorted([*_SCALINGS, CONSTANT_FACTOR]))
        raise CheckpointError(f"normalize_activations {name!r} is unknown; known are {known}")
    return _SCALINGS[name]


_SCALINGS: dict[str, Scaling] = {
    "none": NoScaling(),
    "layer_norm": LayerNorm(),
    "constant_norm_rescale": ConstantNorm(),
}


def _constant_factor(factor: float | None) -> ConstantFactor:
    if factor is None:
        raise CheckpointError(
            f"normalize_activations is '{CONSTANT_FACTOR}' and its factor is not stored with the "
            "weights; give scaling_factor = sqrt(d_in) / mean norm of the training activations"
        )
    if not isinstance(factor, int | float) or not factor > 0:
        raise CheckpointError(
            f"factor of '{CONSTANT_FACTOR}' is {factor!r}: must be a number greater than 0"
        )
    return ConstantFactor(factor)


def config_of(family: SAEFamily, scaling: Scaling) -> Config:
    """The part of a `cfg.json` that describes family and scaling.

    Args:
        family: one that SAELens has something alike of (`toysae.checkpoints.alike`), or `Lista`.
        scaling: of the inputs.

    Raises:
        CheckpointError: SAELens has no architecture that encodes like `family`, or no name for
            `scaling`.
    """
    return {
        **_architecture_of(family),
        "apply_b_dec_to_input": family.subtract_decoder_bias,
        "normalize_activations": _scaling_name(scaling),
    }


def _architecture_of(family: SAEFamily) -> Config:
    if applies_like(family, TopK):
        return {
            "architecture": "topk",
            "k": family.k,
            "rescale_acts_by_decoder_norm": family.rescale_by_decoder_norm,
        }
    if applies_like(family, MatchingPursuit):
        return {
            "architecture": "matching_pursuit",
            "max_iterations": family.max_iterations,
            "residual_threshold": family.residual_threshold,
            "stop_on_duplicate_support": family.stop_on_repetition,
        }
    if applies_like(family, Lista):
        return {"architecture": OWN_LISTA, _OWN_FIELDS: asdict(family)}
    for architecture, known in (("standard", ReLU), ("jumprelu", JumpReLU), ("gated", Gated)):
        if applies_like(family, known):
            return {"architecture": architecture}
    raise CheckpointError(
        f"family {family.name!r} cannot be written in SAELens's format: it encodes or decodes like "
        "none of the families of toysae"
    )


def _scaling_name(scaling: Scaling) -> str:
    for name, known in _SCALINGS.items():
        if scaling == known:
            return name
    raise CheckpointError(
        f"scaling {scaling!r} cannot be written in SAELens's format; known are "
        f"{', '.join(sorted(_SCALINGS))}"
    )
