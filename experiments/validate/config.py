"""What is read and how it is measured, checked before anything is opened."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from omegaconf import DictConfig

from experiments.validate.published import Published
from toysae.checks import check_at_least, check_interval
from toysae.config import build
from toysae.errors import ConfigError


@dataclass(frozen=True)
class Real:
    """A place where real SAEs lie; see `conf/real`.

    Attributes:
        directory: holds SAELens checkpoints, at any depth.
        activations: file of activations, relative to the directory or to where the command runs;
            null takes the only `*acts*.npy` in the directory, where there is exactly one.
        hook: where in the model the activations were recorded; SAEs of another hook are not
            applied to them. Null where all SAEs come from one place.
        origin: where the SAEs come from, and how to get them.
        published: numbers to compare with.
    """

    directory: str
    activations: str | None
    hook: str | None
    origin: str
    published: tuple[Published, ...]


@dataclass(frozen=True)
class MostLatents:
    """Above these widths a table takes the latents that fire most, or is left out.

    Attributes:
        jaccard: latents of each SAE in a Jaccard table, `>= 1`.
        collinearity: latents of each SAE in a design matrix, `>= 1`; costs samples x latents^2.
        chance: widest SAE that is also matched after random rotations, `>= 0`.
    """

    jaccard: int
    collinearity: int
    chance: int

    def __post_init__(self) -> None:
        check_at_least("most_latents.jaccard", self.jaccard, 1)
        check_at_least("most_latents.collinearity", self.collinearity, 1)
        check_at_least("most_latents.chance", self.chance, 0)


@dataclass(frozen=True)
class ValidateConfig:
    """Everything that is measured; see `conf/validate.yaml`.

    Attributes:
        real: what is read.
        most_latents: limits of what is quadratic in the number of latents.
        cosine_thresholds: shares of latents with a best cosine above these are reported.
        same_above: cosine above which a latent counts as found again, in [-1, 1].
        fire_threshold: a latent fires where its activation is strictly above this, `>= 0`.
        min_firings: firings a latent needs on both sides of a Jaccard overlap, `>= 1`.
        dense_above: a latent that fires on more than this share of samples is dense, in [0, 1].
        samples: use the first so many activations; null for all.
        batch_size: activations that are encoded at once, `>= 1`.
        chance_draws: random rotations that the chance levels are means of, `>= 1`.
        seed: of the rotations.
        device: auto, cpu, cuda or cuda:N.
        threads: CPU threads, `>= 1`; null is torch's own choice. Does not change results.
    """

    real: Real
    most_latents: MostLatents
    cosine_thresholds: tuple[float, ...]
    same_above: float
    fire_threshold: float
    min_firings: int
    dense_above: float
    samples: int | None
    batch_size: int
    chance_draws: int
    seed: int
    device: str
    threads: int | None

    def __post_init__(self) -> None:
        for threshold in (*self.cosine_thresholds, self.same_above):
            check_interval("cosine_thresholds and same_above", threshold, -1, 1)
        check_at_least("fire_threshold", self.fire_threshold, 0)
        check_at_least("min_firings", self.min_firings, 1)
        check_interval("dense_above", self.dense_above, 0, 1)
        if self.samples is not None:
            check_at_least("samples", self.samples, 2)
        check_at_least("batch_size", self.batch_size, 1)
        check_at_least("chance_draws", self.chance_draws, 1)
        if self.threads is not None:
            check_at_least("threads", self.threads, 1)


def parse(config: DictConfig) -> ValidateConfig:
    """Check the whole configuration.

    Raises:
        ConfigError: a key that is missing or a value that cannot be used, naming it.
    """
    real: dict[str, Any] = dict(config.real)
    if real.get("directory") is None:
        raise ConfigError("real: not given; must be a directory of SAELens checkpoints, or a name")
    published = tuple(
        build(f"real.published[{i}]", node, Published)
        for i, node in enumerate(config.real.published)
    )
    chosen = {"activations": config.activations, "hook": config.hook}
    own = {f.name: config[f.name] for f in fields(ValidateConfig) if f.name in config}
    return build(
        "validate",
        {
            **own,
            "real": build("real", {**real, "published": published, **chosen}, Real),
            "most_latents": build("most_latents", config.most_latents, MostLatents),
        },
        ValidateConfig,
    )
