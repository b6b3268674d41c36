"""From configuration to objects: the one place that instantiates.

A configuration node is a mapping with a `name` and the fields of the dataclass of that name. The
dataclasses are the schema (types here, ranges in their `__post_init__`); YAML holds the values.
A wrong name lists the known ones, a wrong value says its key and what is allowed.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, ClassVar, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

from omegaconf import OmegaConf

from toysae.errors import ConfigError
from toysae.generators.base import Generator
from toysae.generators.board import Board
from toysae.generators.composed_sets import ComposedSets
from toysae.generators.copula import correlation
from toysae.generators.copula.low_rank import LowRank
from toysae.generators.correlated import Correlated
from toysae.generators.groups import GroupsAtMostOne, GroupsExactlyOne, GroupsTogether
from toysae.generators.independent import Independent
from toysae.generators.islands import Islands
from toysae.generators.joint_table import JointTable
from toysae.generators.laws import magnitudes, profiles
from toysae.generators.positional import Positional
from toysae.generators.sharkey import SharkeyHuben
from toysae.generators.tree import Tree
from toysae.generators.union import Union as UnionOfGenerators
from toysae.hidden.antipodal import Antipodal
from toysae.hidden.base import HiddenConfig
from toysae.hidden.gram import Gram
from toysae.hidden.orthogonalised import Orthogonalised
from toysae.hidden.orthonormal import Orthonormal
from toysae.hidden.random_unit import RandomUnit
from toysae.hidden.readout import ReadoutConfig
from toysae.hidden.toy_model import ToyModel
from toysae.saes.batch_topk import BatchTopK
from toysae.saes.gated import Gated
from toysae.saes.jumprelu import JumpReLU
from toysae.saes.l0_penalty import L0
from toysae.saes.lista import Lista
from toysae.saes.log_penalty import Log
from toysae.saes.lp import Lp
from toysae.saes.matching_pursuit import MatchingPursuit
from toysae.saes.matryoshka import Matryoshka
from toysae.saes.matryoshka_relu import MatryoshkaReLU
from toysae.saes.relu import ReLU
from toysae.saes.tanh_penalty import Tanh
from toysae.saes.tied import Tied
from toysae.saes.topk import TopK
from toysae.saes.trainable import TrainableFamily
from toysae.training.trainer import Trainer

Named = TypeVar("Named", bound="type[HasName]")


class HasName(Protocol):
    """What a registry holds: classes with the name that a configuration calls them by."""

    name: ClassVar[str]


def _by_own_name(*classes: Named) -> dict[str, Named]:
    return {c.name: c for c in classes}


GENERATORS: dict[str, type[Generator]] = _by_own_name(
    Board,
    ComposedSets,
    Correlated,
    GroupsAtMostOne,
    GroupsExactlyOne,
    GroupsTogether,
    Independent,
    Islands,
    JointTable,
    Positional,
    SharkeyHuben,
    Tree,
    UnionOfGenerators,
)
HIDDEN_SPACES: dict[str, type[HiddenConfig]] = {
    c.name: c for c in (Antipodal, Gram, Orthogonalised, Orthonormal, RandomUnit, ToyModel)
}
SAES: dict[str, type[TrainableFamily]] = _by_own_name(
    ReLU,
    Lp,
    Log,
    Tanh,
    L0,
    Tied,
    TopK,
    BatchTopK,
    JumpReLU,
    Gated,
    Matryoshka,
    MatryoshkaReLU,
    MatchingPursuit,
    Lista,
)
PROFILES: dict[str, type[profiles.Profile]] = _by_own_name(
    profiles.Array,
    profiles.Constant,
    profiles.FoldedNormal,
    profiles.Geometric,
    profiles.Linear,
    profiles.RescaledZipf,
    profiles.UniformRandom,
    profiles.Zipf,
)
MAGNITUDES: dict[str, type[magnitudes.Magnitude]] = _by_own_name(
    magnitudes.Constant,
    magnitudes.Exponential,
    magnitudes.HalfNormal,
    magnitudes.LogNormal,
    magnitudes.TruncatedNormal,
    magnitudes.Uniform,
)
CORRELATIONS: dict[str, type[correlation.Correlation]] = _by_own_name(
    correlation.Blocks,
    correlation.CommonFactors,
    correlation.Full,
    correlation.Hub,
    correlation.Pairs,
    correlation.Random,
)

#: Fields annotated with one of these hold a node of their own, with a `name` from the registry.
NESTED: dict[type, Mapping[str, type[Any]]] = {
    Generator: GENERATORS,
    profiles.Profile: PROFILES,
    magnitudes.Magnitude: MAGNITUDES,
    LowRank: {LowRank.name: LowRank},
    ReadoutConfig: {ReadoutConfig.name: ReadoutConfig},
    correlation.Correlation: CORRELATIONS,
}

T = TypeVar("T")


def build_generator(node: object, key: str = "generator") -> Generator:
    """The generator that a `generator` node describes."""
    return _by_name("generator", key, node, GENERATORS)


def build_hidden(node: object, key: str = "hidden") -> HiddenConfig:
    """The way to make hidden spaces that a `hidden` node describes."""
    return _by_name("hidden", key, node, HIDDEN_SPACES)


def build_sae(node: object, key: str = "sae") -> TrainableFamily:
    """The SAE family that an `sae` node describes."""
    return _by_name("sae", key, node, SAES)


def build_trainer(node: object, key: str = "trainer") -> Trainer:
    """The trainer that a `trainer` node describes."""
    return _relocated("trainer", key, lambda: build(key, node, Trainer))


def build(key: str, node: object, cls: type[T]) -> T:
    """Make a `cls` out of a node whose keys are its fields.

    Args:
        key: path of the node in the configuration, for messages; empty at the root.
        node: mapping or OmegaConf node.
        cls: a dataclass.

    Raises:
        ConfigError: unknown or missing key, wrong type, or a value that `cls` refuses.
    """
    values = _plain(key, node)
    prefix = f"{key}." if key else ""
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise ConfigError(f"{prefix}{name}: unknown key; known: {', '.join(sorted(known))}")
    for name, f in known.items():
        if name not in values and f.default is MISSING and f.default_factory is MISSING:
            raise ConfigError(f"{prefix}{name}: missing; it has no default")
    types_of = get_type_hints(cls)
    return cls(
        **{name: _coerce(f"{prefix}{name}", v, types_of[name]) for name, v in values.items()}
    )


def _by_name(kind: str, key: str, node: object, registry: Mapping[str, type[T]]) -> T:
    values = _plain(key, node)
    name = values.pop("name", None)
    if name not in registry:
        raise ConfigError(f"{key}.name = {name!r}: known names are {', '.join(sorted(registry))}")
    return _relocated(kind, key, lambda: build(key, values, registry[name]))


def _relocated(kind: str, key: str, make: Callable[[], T]) -> T:
    """What `make` returns; its errors name `key`, where the node lies, instead of its `kind`."""
    try:
        return make()
    except ConfigError as error:
        text = str(error)
        if text.startswith(f"{kind}.") and not text.startswith(f"{key}."):
            text = key + text.removeprefix(kind)
        raise ConfigError(text) from None


def _plain(key: str, node: object) -> dict[str, Any]:
    values = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    if not isinstance(values, Mapping):
        raise ConfigError(f"{key} = {values!r}: must be a mapping of keys to values")
    return {str(k): v for k, v in values.items()}


def _coerce(key: str, value: Any, expected: Any) -> Any:
    """`value` as the annotated type `expected`; lists become tuples, integers become floats."""
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value, resolve=True)
    origin, arguments = get_origin(expected), get_args(expected)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _coerce(key, value, next(a for a in arguments if a is not type(None)))
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{key} = {value!r}: must be a list")
        return tuple(_coerce(f"{key}[{i}]", v, arguments[0]) for i, v in enumerate(value))
    if origin in (dict, Mapping):
        return {
            str(k): _coerce(f"{key}.{k}", v, arguments[1]) for k, v in _plain(key, value).items()
        }
    if expected in NESTED:
        return _nested(key, value, expected)
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if expected is not Any and (
        not isinstance(value, expected) or (expected is int and isinstance(value, bool))
    ):
        raise ConfigError(f"{key} = {value!r}: must be of type {expected.__name__}")
    return value


def _nested(key: str, value: Any, expected: type) -> Any:
    """The object that a nested node describes.

    A bare name stands for the defaults of what it names, a bare number or list for a profile.
    """
    if isinstance(value, expected):
        return value
    if expected is profiles.Profile:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return profiles.Constant(float(value))
        if isinstance(value, (list, tuple)):
            return profiles.Array(_coerce(key, value, tuple[float, ...]))
    if isinstance(value, str):
        value = {"name": value}
    kind = "generator"
    if expected is not Generator and isinstance(value, Mapping):
        kind = str(value.get("name"))
    return _by_name(kind, key, value, NESTED[expected])
