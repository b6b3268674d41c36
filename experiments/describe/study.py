"""Everything that is described, in order, and the files that come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from experiments.describe.agreement import Comparison, compare
from experiments.describe.config import DescribeConfig, parse
from experiments.describe.sampling import Realised, draw
from experiments.describe.selection import Selection, select
from experiments.describe.space import Sharing, sharing
from experiments.describe.tables import (
    comparison_rows,
    feature_rows,
    group_rows,
    l0_row,
    magnitude_rows,
    pair_rows,
)
from experiments.describe.tree import depth_rows
from toysae.device import resolve_device
from toysae.generators.truth import PairMoments, Truth
from toysae.results.files import Row
from toysae.results.run import RunDirectory, open_run
from toysae.results.table import flatten


@dataclass(frozen=True, eq=False)
class Description:
    """A world, as stated and as realised.

    Attributes:
        config: what was asked.
        parameters: the configuration of the generator, one entry a leaf.
        truth: what is stated of features.
        pairs: what is stated of the shown features together.
        selection: groups of the figures, and the shown features.
        realised: what samples did.
        comparisons: the one held against the other.
        sharing: the hidden space; None without one.
    """

    config: DescribeConfig
    parameters: Mapping[str, Any]
    truth: Truth
    pairs: PairMoments
    selection: Selection
    realised: Realised
    comparisons: tuple[Comparison, ...]
    sharing: Sharing | None

    @property
    def as_stated(self) -> bool:
        """Whether chance explains every deviation."""
        return all(comparison.as_stated for comparison in self.comparisons)

    @property
    def pairs_exact(self) -> bool:
        """Whether pair probabilities are exact, and not estimates."""
        return not bool((self.pairs.probabilities_error > 0).any())

    @cached_property
    def groups(self) -> list[Row]:
        """One row a group of the generator."""
        return group_rows(self.truth, self.realised)

    @cached_property
    def magnitudes(self) -> list[Row]:
        """One row a group of the figures."""
        return magnitude_rows(self.selection, self.truth, self.realised)

    @cached_property
    def pair_rows(self) -> list[Row]:
        """One row a pair of shown features, the most correlated first."""
        return pair_rows(self.truth, self.pairs, self.selection, self.realised, self.comparisons)

    @cached_property
    def depths(self) -> list[Row]:
        """One row a depth of the tree; none without a tree."""
        if self.truth.parents is None:
            return []
        return depth_rows(self.truth, self.realised.marginals)


def describe(node: DictConfig, directory: Path, overrides: list[str]) -> Description:
    """Describe a world, and leave tables, figures and report in `directory`.

    Nothing is written before the world could be made.

    Raises:
        ToysaeError: a configuration that cannot be used.
    """
    config = parse(node)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    device = resolve_device(config.device)
    truth = config.generator.truth()
    space = None
    if config.hidden is not None:
        (space,) = config.hidden.spaces(config.generator, [config.seed], device)
    run = open_run(directory, node, overrides, device)
    try:
        selection = select(truth, config.most_features)
        pairs = truth.pair_moments(selection.shown)
        realised = draw(config, truth, selection, device)
        found = Description(
            config,
            flatten(OmegaConf.to_container(node.generator, resolve=True)),
            truth,
            pairs,
            selection,
            realised,
            tuple(compare(truth, pairs, selection, realised)),
            None if space is None else sharing(space, config),
        )
        _write(run, found)
        run.done()
    finally:
        run.close()
    return found


def scalars(found: Description) -> dict[str, Any]:
    """The numbers of `metrics.json`."""
    numbers: dict[str, Any] = {
        "as_stated": found.as_stated,
        "truth_exact": found.truth.exact,
        "n_features": found.truth.n_features,
        "n_samples": found.realised.n_samples,
        "l0": l0_row(found.truth, found.realised),
    }
    for row in comparison_rows(found.comparisons):
        name = str(row["compared"]).replace(" ", "_")
        numbers[f"{name}/comparisons"] = row["comparisons"]
        numbers[f"{name}/largest_sigmas"] = row["largest"]
        numbers[f"{name}/expected_largest_sigmas"] = row["expected_largest"]
    if found.realised.tree is not None:
        tree = found.realised.tree
        numbers["tree/child_firings"] = tree.child_firings
        numbers["tree/without_parent"] = tree.without_parent
        numbers["tree/beside_sibling"] = tree.beside_sibling
    if found.sharing is not None:
        numbers["hidden/nearest_cosine"] = float(found.sharing.nearest.nanmean())
        numbers["hidden/nearest_cosine_chance"] = found.sharing.chance
        if found.sharing.components is not None:
            numbers["hidden/participation_ratio"] = found.sharing.components.participation_ratio
            numbers["hidden/effective_rank"] = found.sharing.components.effective_rank
    return numbers


def _write(run: RunDirectory, found: Description) -> None:
    from experiments.describe.page import build_page
    from experiments.describe.plots import pictures
    from toysae.figures.style import to_png_bytes

    run.metrics(scalars(found))
    run.table("comparisons.csv", comparison_rows(found.comparisons))
    run.table("groups.csv", found.groups)
    run.table("features.csv", feature_rows(found.truth, found.realised, found.comparisons))
    run.table("pairs.csv", found.pair_rows)
    drawn = pictures(found)
    folder = run.path / "figures"
    folder.mkdir()
    for name, picture in drawn.items():
        (folder / f"{name}.png").write_bytes(to_png_bytes(picture.figure))
    build_page(found, drawn).write(run.path / "report.html")
