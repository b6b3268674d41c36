"""Everything that is measured, in order, and the tables that come out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from experiments.validate.agreement import Pair, agreement_row, best_in_replicates, compare
from experiments.validate.collinearity import Design, design_of, design_row
from experiments.validate.config import ValidateConfig, parse
from experiments.validate.firing import Firing, apply_to, firing_row, overlap, overlap_row
from experiments.validate.inputs import Group, Inputs, Subject, read_inputs
from experiments.validate.published import findings_for
from experiments.validate.replicates import replicate_rows
from toysae.device import resolve_device
from toysae.diagnostics.pca import PCA, pca
from toysae.metrics.dictionary import within_dictionary
from toysae.progress import Advance, progress
from toysae.results.files import Row
from toysae.results.findings import Finding
from toysae.results.run import open_run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measured:
    """All measurements of a group of SAEs of the same dimension.

    Attributes:
        group: the SAEs and their activations.
        pairs: every two of them, in the order of `pair_rows`.
        pair_rows: one row a pair.
        sae_rows: one row an SAE.
        latent_rows: one row a latent.
        firing: by SAE; empty without activations.
        designs: by SAE; empty without activations.
        components: of the activations; None without them.
    """

    group: Group
    pairs: tuple[Pair, ...]
    pair_rows: tuple[Row, ...]
    sae_rows: tuple[Row, ...]
    latent_rows: tuple[Row, ...]
    firing: dict[str, Firing]
    designs: dict[str, Design]
    components: PCA | None


@dataclass(frozen=True)
class Results:
    """What a run of the study found.

    Attributes:
        config: what was asked.
        inputs: what was read.
        measured: by dimension.
        replicate_rows: means over pairs of seeds, with intervals.
        findings: what became of the published numbers that could be measured.
    """

    config: ValidateConfig
    inputs: Inputs
    measured: tuple[Measured, ...]
    replicate_rows: tuple[Row, ...]
    findings: tuple[Finding, ...]

    @property
    def pair_rows(self) -> list[Row]:
        """Rows of all groups."""
        return [row for measured in self.measured for row in measured.pair_rows]

    @property
    def sae_rows(self) -> list[Row]:
        """Rows of all groups."""
        return [row for measured in self.measured for row in measured.sae_rows]


def validate(node: DictConfig, directory: Path, overrides: list[str]) -> Results:
    """Read, measure, and leave tables and report in `directory`.

    Nothing is written before everything was read.

    Raises:
        ToysaeError: a configuration, checkpoint or file of activations that cannot be used.
    """
    from experiments.validate.page import write_page

    config = parse(node)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    device = resolve_device(config.device)
    inputs = read_inputs(config, device)
    run = open_run(directory, node, overrides, device)
    results = measure_all(config, inputs)
    run.table("pairs.csv", results.pair_rows)
    run.table("saes.csv", results.sae_rows)
    run.table("latents.csv", [row for one in results.measured for row in one.latent_rows])
    run.table("replicates.csv", results.replicate_rows)
    run.json("findings.json", [finding.to_dict() for finding in results.findings])
    run.metrics(scalars(results))
    write_page(results, directory / "report.html")
    run.done()
    return results


def measure_all(config: ValidateConfig, inputs: Inputs) -> Results:
    """Measure every group."""
    steps = sum(
        len(list(combinations(group.subjects, 2))) + len(group.applied) for group in inputs.groups
    )
    with progress(steps, "measuring") as advance:
        measured = tuple(measure(group, config, advance) for group in inputs.groups)
    pair_rows = [row for one in measured for row in one.pair_rows]
    sae_rows = [row for one in measured for row in one.sae_rows]
    return Results(
        config,
        inputs,
        measured,
        tuple(replicate_rows(pair_rows)),
        tuple(findings_for(config.real.published, pair_rows, sae_rows)),
    )


def measure(group: Group, config: ValidateConfig, advance: Advance) -> Measured:
    """Measure one group: each SAE, then each two of them."""
    firing: dict[str, Firing] = {}
    designs: dict[str, Design] = {}
    for subject in group.subjects:
        if group.activations is not None and subject.name in group.applied:
            found = apply_to(subject, group.activations, config)
            firing[subject.name] = found
            designs[subject.name] = design_of(subject, found, group.activations, config)
            advance(1)
    pairs, pair_rows = [], []
    for a, b in combinations(group.subjects, 2):
        pair = compare(a, b, config)
        row = agreement_row(pair, config)
        if a.name in firing and b.name in firing:
            overlaps = overlap(pair, firing[a.name], firing[b.name], config.min_firings)
            row |= overlap_row(pair, overlaps)
        pairs.append(pair)
        pair_rows.append(row)
        advance(1)
    return Measured(
        group=group,
        pairs=tuple(pairs),
        pair_rows=tuple(pair_rows),
        sae_rows=tuple(_sae_row(s, firing, designs, config) for s in group.subjects),
        latent_rows=tuple(
            row for s in group.subjects for row in _latent_rows(s, pairs, firing, designs, config)
        ),
        firing=firing,
        designs=designs,
        components=None if group.activations is None else pca(group.activations),
    )


def scalars(results: Results) -> dict[str, Any]:
    """The numbers of `metrics.json`: means over replicates, and the spectrum of the activations."""
    found: dict[str, Any] = {
        "saes": results.inputs.n_subjects,
        "pairs": len(results.pair_rows),
    }
    for row in results.replicate_rows:
        name = f"{row['replicates']}/{row['statistic']}"
        found[name] = row["mean"]
        found[f"{name}/low"], found[f"{name}/high"] = row["low"], row["high"]
    for one in results.measured:
        if one.components is not None:
            found["activations/participation_ratio"] = one.components.participation_ratio
            found["activations/effective_rank"] = one.components.effective_rank
            found["activations/components_resolved"] = int(one.components.gap_resolved.sum())
    return found


def _sae_row(
    subject: Subject,
    firing: dict[str, Firing],
    designs: dict[str, Design],
    config: ValidateConfig,
) -> dict[str, Any]:
    within = within_dictionary(subject.decoder)
    row: dict[str, Any] = {
        "sae": subject.name,
        "replicates": subject.replicates,
        "family": subject.sae.family.name,
        "hook": subject.hook,
        "seed": subject.seed,
        "d_hidden": subject.sae.d_hidden,
        "n_latents": subject.n_latents,
        "zero_rows": within.n_zero,
        "within_max_cosine": within.mean_max_cosine,
        "within_abs_cosine": within.mean_abs_cosine,
        "encoder_decoder_cosine": _own_cosines(subject).nanmean().item(),
    }
    if subject.name in firing:
        row |= firing_row(firing[subject.name], config)
        row |= design_row(designs[subject.name])
    return row


def _latent_rows(
    subject: Subject,
    pairs: Sequence[Pair],
    firing: dict[str, Firing],
    designs: dict[str, Design],
    config: ValidateConfig,
) -> list[Row]:
    m = subject.n_latents
    found = best_in_replicates(subject, pairs)
    columns: dict[str, Sequence[object]] = {
        "sae": [subject.name] * m,
        "latent": range(m),
        "decoder_norm": subject.decoder.norm(dim=1).tolist(),
        "encoder_decoder_cosine": _own_cosines(subject).tolist(),
        "within_max_cosine": within_dictionary(subject.decoder).max_cosine.tolist(),
        "replicates": [len(found)] * m,
        "replicates_max_cosine": found.mean(dim=0).tolist(),
        "replicates_found_in": (found > config.same_above).sum(dim=0).tolist(),
    }
    if subject.name in firing:
        columns["firings"] = firing[subject.name].firings.tolist()
        columns["density"] = firing[subject.name].density.tolist()
        design = designs[subject.name]
        values = torch.full((2, m), torch.nan, dtype=torch.float64)
        values[:, design.latents] = torch.stack(
            [design.inflation.vif, design.inflation.n_effective]
        ).cpu()
        columns["vif"], columns["n_effective"] = values.tolist()
    return [dict(zip(columns, row)) for row in zip(*columns.values())]


def _own_cosines(subject: Subject) -> torch.Tensor:
    """Cosine of each latent's encoder with its own decoder, `[m]`; NaN for a zero row."""
    encoder, decoder = subject.encoder.double(), subject.decoder.double()
    return (encoder * decoder).sum(dim=1) / (encoder.norm(dim=1) * decoder.norm(dim=1))
