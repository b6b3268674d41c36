"""From nodes to objects. That the files under conf/ can be built is asked in test_conf.py."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from toysae.config import (
    GENERATORS,
    HIDDEN_SPACES,
    SAES,
    build,
    build_generator,
    build_hidden,
    build_sae,
    build_trainer,
)
from toysae.errors import ConfigError
from toysae.generators.composed_sets import ComposedSets
from toysae.generators.laws import magnitudes, profiles
from toysae.generators.union import Union
from toysae.saes.relu import ReLU
from toysae.training.trainer import Trainer

BUILDERS = [(build_generator, GENERATORS), (build_hidden, HIDDEN_SPACES), (build_sae, SAES)]
NAMED = [(builder, name, cls) for builder, known in BUILDERS for name, cls in known.items()]


@dataclass(frozen=True)
class Node:
    """A schema with every kind of field."""

    count: int
    rate: float = 0.5
    label: str = "a"
    flag: bool = False
    limit: float | None = None
    pair: tuple[int, ...] = (1, 2)
    table: tuple[tuple[float, ...], ...] | None = None
    weights: dict[str, float] = field(default_factory=dict)
    anything: Any = None


#: Named objects that make no sense without values.
NO_DEFAULTS = {"union"}


@pytest.mark.parametrize(("builder", "name", "cls"), [n for n in NAMED if n[1] not in NO_DEFAULTS])
def test_name_alone_gives_the_defaults(builder, name, cls):
    assert builder({"name": name}) == cls()
    assert cls.name == name


@pytest.mark.parametrize(("builder", "known"), BUILDERS)
@pytest.mark.parametrize("node", [{"name": "nonsense"}, {"name": None}, {}])
def test_unknown_name_lists_the_known_ones(builder, known, node):
    names = ", ".join(sorted(known))
    with pytest.raises(ConfigError, match=rf"^protocols.a.name = .*: known names are {names}$"):
        builder(node, "protocols.a")


def test_unknown_key_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"^sae.l2: unknown key; known: .*l1, n_latents"):
        build_sae({"name": "relu", "l2": 1.0})


def test_missing_key_without_default():
    with pytest.raises(ConfigError, match=r"^node.count: missing; it has no default$"):
        build("node", {"rate": 1.0}, Node)


def test_at_the_root_keys_have_no_prefix():
    with pytest.raises(ConfigError, match=r"^count: missing"):
        build("", {}, Node)


@pytest.mark.parametrize("node", [3, "relu", ["relu"], None])
def test_node_that_is_no_mapping(node):
    with pytest.raises(ConfigError, match=r"^sae = .*: must be a mapping of keys to values$"):
        build_sae(node)


@pytest.mark.parametrize(
    ("values", "key", "wanted"),
    [
        ({"count": 1.0}, "count", "of type int"),
        ({"count": True}, "count", "of type int"),
        ({"count": "1"}, "count", "of type int"),
        ({"count": None}, "count", "of type int"),
        ({"rate": "fast"}, "rate", "of type float"),
        ({"rate": True}, "rate", "of type float"),
        ({"limit": "none"}, "limit", "of type float"),
        ({"label": 3}, "label", "of type str"),
        ({"flag": 1}, "flag", "of type bool"),
        ({"pair": 3}, "pair", "a list"),
        ({"pair": "12"}, "pair", "a list"),
        ({"pair": [1, "b"]}, r"pair\[1\]", "of type int"),
        ({"table": [[0.5, 0.5], [0.5, "b"]]}, r"table\[1\]\[1\]", "of type float"),
        ({"weights": 3}, "weights", "a mapping of keys to values"),
        ({"weights": {"x": "b"}}, "weights.x", "of type float"),
    ],
)
def test_wrong_type_names_the_innermost_key(values, key, wanted):
    with pytest.raises(ConfigError, match=rf"^a.node.{key} = .*: must be {wanted}$"):
        build("a.node", {"count": 1, **values}, Node)


def test_values_take_the_type_of_their_field():
    node = {
        "count": 2, "rate": 1, "limit": 3, "pair": [4], "table": [[1, 0]],
        "weights": {"x": 1}, "anything": [1, "a"],
    }  # fmt: skip
    built = build("node", OmegaConf.create(node), Node)
    assert built == Node(
        2, rate=1.0, limit=3.0, pair=(4,), table=((1.0, 0.0),), weights={"x": 1.0},
        anything=[1, "a"],
    )  # fmt: skip
    numbers = (built.rate, built.limit, built.table[0][0], built.weights["x"])
    assert all(type(value) is float for value in numbers)


def test_optional_values_may_be_null():
    assert build("node", {"count": 1, "limit": None, "table": None}, Node) == Node(1)


def test_interpolations_are_resolved():
    root = OmegaConf.create({"width": 6, "sae": {"name": "relu", "n_latents": "${width}"}})
    assert build_sae(root.sae) == ReLU(n_latents=6)


def test_node_is_left_as_it_was():
    node = {"name": "relu", "l1": 0.2}
    build_sae(node)
    assert node == {"name": "relu", "l1": 0.2}


@pytest.mark.parametrize(
    ("builder", "node", "message"),
    [
        (build_sae, {"name": "relu", "l1": -1.0}, "at.l1 = -1.0: must be at least 0"),
        (build_trainer, {"beta1": 1.0}, r"at.beta1 = 1.0: must lie in \[0, 1\)"),
        (build_hidden, {"name": "toy_model", "lr": 0.0}, "at.lr = 0.0: must be greater than 0"),
        (build_generator, {"name": "composed_sets", "boost": 2.0}, "at.boost = 2.0: must lie in"),
        (build_sae, {"name": "relu", "l1": "x"}, "at.l1 = 'x': must be of type float"),
        (build_trainer, {"step": 1}, "at.step: unknown key"),
    ],
)
@pytest.mark.parametrize("key", ["protocols.plain.sae", "sae", "sae.inner", "trainer"])
def test_refused_value_names_where_the_node_lies(builder, node, message, key):
    with pytest.raises(ConfigError, match=rf"^{message.replace('at.', f'{key}.', 1)}"):
        builder(node, key)


TRAINERS = st.builds(
    Trainer,
    steps=st.integers(500, 10**6),
    lr=st.floats(1e-6, 10),
    beta1=st.floats(0, 0.99),
    warmup_fraction=st.floats(0, 0.5),
    decay_fraction=st.floats(0, 0.5),
    dead_latents=st.sampled_from(("none", "ghost")),
)


@given(TRAINERS)
def test_fields_of_an_object_build_it_again(trainer):
    assert build_trainer(OmegaConf.create(asdict(trainer))) == trainer


def test_generator_with_a_table_is_built_from_lists():
    node = {"name": "composed_sets", "sizes": [1, 2], "table": [[0.25, 0.75]]}
    generator = build_generator(OmegaConf.create(node))
    assert generator == ComposedSets(sizes=(1, 2), table=((0.25, 0.75),))
    assert hash(generator) == hash(ComposedSets(sizes=(1, 2), table=((0.25, 0.75),)))


@dataclass(frozen=True)
class Nested:
    """A schema whose fields hold nodes with names of their own."""

    rate: profiles.Profile
    magnitude: magnitudes.Magnitude | None = None


@pytest.mark.parametrize(
    ("node", "profile"),
    [
        (0.25, profiles.Constant(0.25)),
        (1, profiles.Constant(1.0)),
        ([0.5, 1], profiles.Array((0.5, 1.0))),
        ({"name": "zipf", "first": 0.5}, profiles.Zipf(0.5)),
        ({"name": "geometric", "decay": 0.9, "total": 5}, profiles.Geometric(0.9, total=5.0)),
        (profiles.Linear(1.0, 2.0), profiles.Linear(1.0, 2.0)),
    ],
)
def test_profile_is_a_number_a_list_or_a_node(node, profile):
    assert build("node", {"rate": node}, Nested).rate == profile


def test_nested_nodes_are_built():
    node = {"rate": 0.1, "magnitude": {"name": "uniform", "low": 0.5, "high": [1.0, 2]}}
    built = build("node", OmegaConf.create(node), Nested)
    expected = magnitudes.Uniform(profiles.Constant(0.5), profiles.Array((1.0, 2.0)))
    assert built == Nested(profiles.Constant(0.1), expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate": {"name": "zipf", "first": -1}}, r"node\.rate\.first = -1\.0: must be greater"),
        ({"rate": {"name": "zip"}}, r"node\.rate\.name = 'zip': known names are array, .*, zipf"),
        ({"rate": True}, r"node\.rate = True: must be a mapping"),
        ({"rate": ["a"]}, r"node\.rate\[0\] = 'a': must be of type float"),
        ({"rate": 0.1, "magnitude": "uni"}, r"node\.magnitude\.name = 'uni': known names are"),
        ({"rate": "zipf"}, r"node\.rate\.first: missing; it has no default"),
        ({"rate": 0.1, "magnitude": 2.0}, r"node\.magnitude = 2\.0: must be a mapping"),
        ({"rate": 0.1, "magnitude": {"name": "uniform", "to": 1}}, r"node\.magnitude\.to: unknown"),
    ],
)
def test_wrong_nested_nodes_name_their_key(values, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        build("node", values, Nested)


def test_bare_name_stands_for_its_defaults():
    built = build("node", {"rate": 0.1, "magnitude": "exponential"}, Nested)
    assert built.magnitude == magnitudes.Exponential()


def test_generators_nest():
    part = {"name": "composed_sets", "sizes": [1, 3]}
    node = {"name": "union", "parts": {"a": part, "b": {"name": "union", "parts": {"c": part}}}}
    sets = ComposedSets(sizes=(1, 3))
    built = build_generator(OmegaConf.create(node))
    assert built == Union({"a": sets, "b": Union({"c": sets})})
    assert hash(built)


def test_refused_part_of_a_generator_names_where_it_lies():
    node = {"name": "union", "parts": {"a": {"name": "composed_sets", "boost": 2.0}}}
    with pytest.raises(ConfigError, match=r"^generator\.parts\.a\.boost = 2\.0: must lie in"):
        build_generator(node)
    with pytest.raises(ConfigError, match=r"^worlds\.x\.parts\.a\.boost = 2\.0: must lie in"):
        build_generator(node, "worlds.x")
