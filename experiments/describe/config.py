"""What is described, and how closely it is looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from toysae.checks import check_at_least, check_interval
from toysae.config import build, build_generator, build_hidden
from toysae.generators.base import Generator
from toysae.hidden.base import HiddenConfig
from toysae.hidden.stream import BLOCK

#: Tables and heat maps over pairs are for reading.
_MOST_SHOWN = 1000


@dataclass(frozen=True)
class DescribeConfig:
    """Everything that `conf/describe.yaml` describes.

    Attributes:
        generator: what is described.
        n_samples: samples drawn, `>= 1`; rounded up to whole blocks of 8,192.
        most_features: features in tables and figures of pairs, in [2, 1000].
        seed: of the samples and of the hidden space, `>= 0`.
        device: auto, cpu, cuda or cuda:N.
        threads: CPU threads, `>= 1`; null is torch's own choice. Does not change results.
        hidden: where the features live; None describes the generator alone.
    """

    generator: Generator
    n_samples: int
    most_features: int
    seed: int
    device: str
    threads: int | None
    hidden: HiddenConfig | None = None

    def __post_init__(self) -> None:
        check_at_least("n_samples", self.n_samples, 1)
        check_interval("most_features", self.most_features, 2, _MOST_SHOWN)
        check_at_least("seed", self.seed, 0)
        if self.threads is not None:
            check_at_least("threads", self.threads, 1)

    @property
    def blocks(self) -> int:
        """Blocks of samples that are drawn."""
        return math.ceil(self.n_samples / BLOCK)


def parse(config: DictConfig) -> DescribeConfig:
    """Check the whole configuration.

    Raises:
        ConfigError: anything that cannot be described, naming the key.
    """
    values: dict[str, Any] = {str(key): value for key, value in config.items()}
    values["generator"] = build_generator(config.generator)
    if OmegaConf.select(config, "hidden") is not None:
        values["hidden"] = build_hidden(config.hidden)
    return build("", values, DescribeConfig)
