"""The report: tables and figures of everything that was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.validate import columns, plots
from experiments.validate.study import Measured, Results
from toysae.figures.spectrum import scree
from toysae.report.numbers import format_number
from toysae.report.page import Report
from toysae.report.tables import renamed
from toysae.results.files import Row

_MOST_ROWS = 60


def write_page(results: Results, path: Path) -> None:
    """Write the report to `path`."""
    build_page(results).write(path)


def build_page(results: Results) -> Report:
    """The report as a page."""
    inputs = results.inputs
    page = Report(
        "Real SAEs through the same functions",
        f"{inputs.n_subjects} SAEs below {results.config.real.directory}",
    )
    page.text(_summary(results))
    if results.findings:
        page.section("Published numbers").findings(results.findings)
    if results.replicate_rows:
        page.section("Seeds of the same SAE")
        page.text(
            "SAEs of the same architecture, width, scaling and hook are taken for seeds of one "
            "another. Pairs that share a seed depend on each other: intervals (95 %) come from "
            "leaving out one seed at a time. Two seeds are one pair, and have no interval."
        )
        page.table(
            renamed(columns.REPLICATES, results.replicate_rows), "Means over pairs of seeds."
        )
    for measured in results.measured:
        _group_sections(page, measured, results)
    return page


def _summary(results: Results) -> str:
    inputs = results.inputs
    parts = []
    for measured in results.measured:
        group = measured.group
        widths = sorted({subject.n_latents for subject in group.subjects})
        parts.append(
            f"{len(group.subjects)} SAEs read activations of {group.d_hidden} dimensions, have "
            f"{', '.join(f'{width:,}' for width in widths)} latents and make {len(measured.pairs)} "
            "pairs."
        )
        hooks = sorted({subject.hook for subject in group.subjects if subject.hook})
        if len(hooks) > 1:
            parts.append(
                f"They read from {len(hooks)} places of their models ({', '.join(hooks)}): "
                "agreement across places asks whether the same directions are used there."
            )
    if inputs.activations_file is None:
        parts.append(f"Nothing about activations was measured: {inputs.without_activations}.")
    else:
        samples = [m.group.activations for m in results.measured if m.group.activations is not None]
        n = sum(map(len, samples))
        parts.append(f"Activations: {n:,} samples of {inputs.activations_file.name}.")
    missing = len(results.config.real.published) - len(results.findings)
    if missing:
        parts.append(f"{missing} published numbers need SAEs or activations that are not here.")
    return "\n\n".join(parts)


def _group_sections(page: Report, measured: Measured, results: Results) -> None:
    of = f", {measured.group.d_hidden} dimensions" if len(results.measured) > 1 else ""
    page.section(f"The SAEs{of}")
    page.table(
        renamed(columns.SAES, measured.sae_rows),
        "What was read. Nearest own: mean over latents of the largest decoder cosine with "
        "another latent of the same SAE. Own encoder: mean cosine of its encoder and decoder.",
    )
    if measured.pairs:
        page.section(f"Agreement of dictionaries{of}")
        _agreement(page, measured, results)
    if measured.components is not None:
        page.section(f"Firing{of}")
        _firing(page, measured, results)
        page.section(f"Principal components of the activations{of}")
        _components(page, measured)
        page.section(f"Multicollinearity of latents{of}")
        _collinearity(page, measured, results)


def _agreement(page: Report, measured: Measured, results: Results) -> None:
    config = results.config
    page.figure(
        plots.agreement_matrix(measured),
        "Mean max cosine of decoder rows. Row A, column B: how well the latents of A are found in "
        "B. Not symmetric: copies of a latent are all found where it exists once, not in reverse.",
    )
    for figure in plots.cosine_histograms(measured):
        page.figure(
            figure,
            "Best decoder cosine of each latent in another SAE. Dotted: expected best cosine among "
            "as many independent random directions.",
        )
    _pair_table(
        page,
        columns.directed(measured.pair_rows, config.cosine_thresholds),
        "Largest cosine of each latent of one SAE among the decoder rows of another: mean, exact "
        "chance level, what is beyond chance, (mean − chance) / (1 − chance), quantiles, and "
        "shares of latents above thresholds.",
    )
    _pair_table(
        page,
        renamed(columns.ONE_TO_ONE, measured.pair_rows),
        "Decoders one-to-one. Matched: mean cosine of the pairs of the best matching; Hungarian: "
        "the same sum over the latents of the wider SAE. Mutual: share of latents in a pair of "
        "each other's best. Coverage: share of latents that are the best partner, above "
        f"{config.same_above:g}, of some latent of the other SAE; most votes: how many latents of "
        "A chose the same one of B. Chance levels are means over "
        f"{config.chance_draws} random rotations of B, which keep everything inside B and destroy "
        "its relation to A.",
    )
    _pair_table(
        page,
        renamed(columns.MATCHINGS, measured.pair_rows),
        "Decoders against encoders. Same partner: share of latents of A to which the matchings by "
        "decoder and by encoder give the same latent of B; unrelated SAEs reach a good deal of "
        "it, because an encoder resembles its decoder. Shared: the same partner, and both cosines "
        f"above {config.same_above:g}. Encoder: mean encoder cosine of the matching by encoder, "
        "and at the match by decoder.",
    )
    same = [f"{pair.a.name} and {pair.b.name}" for pair in measured.pairs if pair.same_seed]
    if same:
        page.text(
            f"{len(same)} pairs are of the same seed ({'; '.join(same[:3])}"
            f"{' ...' if len(same) > 3 else ''}). Where a seed also fixes the initial weights, "
            "part of their agreement was there before training."
        )
    wide = [s.name for s in measured.group.subjects if s.n_latents > config.most_latents.chance]
    if wide:
        page.text(
            f"Chance levels by rotation are undefined for {', '.join(wide)}: wider than "
            f"most_latents.chance = {config.most_latents.chance:,}."
        )


def _firing(page: Report, measured: Measured, results: Results) -> None:
    config = results.config
    rows = [row for row in measured.sae_rows if "l0" in row]
    page.table(
        renamed(columns.FIRING, rows),
        "The SAEs on the activations. Explained variance is pooled over samples and dimensions, "
        f"1 − Σ|x − x̂|² / Σ|x − mean|². A latent fires above {config.fire_threshold:g}; dead never "
        f"fires on these samples, dense fires on more than {100 * config.dense_above:g} % of them, "
        f"and often enough is {config.min_firings} times.",
    )
    for figure in plots.density_histograms(measured):
        page.figure(figure, "How often latents fire, as log10 of the share of samples.")
    pair_rows = [row for row in measured.pair_rows if "jaccard_a_to_b" in row]
    if not pair_rows:
        return
    page.figure(
        plots.jaccard_matrix(measured),
        "Mean best Jaccard overlap of firing sets. Row A, column B: how well the latents of A are "
        "found in B by when they fire.",
    )
    _pair_table(
        page,
        renamed(columns.JACCARD, pair_rows),
        "Overlap of firing sets, |A and B| / |A or B|, of latents that fire at least "
        f"{config.min_firings} times on both sides. A→B: best overlap of each latent of A; its "
        "chance level has the samples of B shifted by half of them. At match: overlap of latents "
        "that the decoders match, mean and median, beside the chance level of independent latents "
        "of the same densities; r: its correlation with the cosine of the match. Left: share of "
        "latents that fire often enough; the cut removes those that agree least.",
    )
    _limits(page, rows, "jaccard", config.most_latents.jaccard)


def _components(page: Report, measured: Measured) -> None:
    components = measured.components
    assert components is not None
    resolved = int(components.gap_resolved.sum())
    page.text(
        f"Participation ratio {format_number(components.participation_ratio)} of "
        f"{len(components.eigenvalues)} dimensions, effective rank "
        f"{format_number(components.effective_rank)}, stable rank "
        f"{format_number(components.stable_rank)}. The sample determines the direction of "
        f"{resolved} components; the others are too close to a neighbour to be told from it. "
        "Intervals take samples for independent, which tokens of one text are not: read them as "
        "lower bounds of the uncertainty."
    )
    page.figure(
        scree(components),
        "Eigenvalues of the covariance of the activations, with 95 % intervals, which may be "
        "narrower than the line.",
    )


def _collinearity(page: Report, measured: Measured, results: Results) -> None:
    rows = [row for row in measured.sae_rows if "vif_latents" in row]
    page.text(
        "The variance inflation factor of a latent is the factor by which its overlap with the "
        "other latents inflates the variance of its coefficient in a regression on all of them. It "
        "says nothing about whether a latent stands for one feature: a latent that absorbed "
        "another has a low one."
    )
    for figure in plots.inflation_quantiles(measured):
        page.figure(
            figure,
            "Variance inflation of latents in ascending order: mean over seeds, and their range.",
        )
    page.table(
        renamed(columns.COLLINEARITY, rows),
        "Quantiles of the variance inflation factor over latents that vary; the share above 10; "
        "the share whose coefficient the samples determine; and the largest condition index of the "
        "design with an intercept (above 30 a relation is harmful).",
    )
    _limits(page, rows, "collinearity", results.config.most_latents.collinearity)


def _limits(page: Report, rows: Sequence[Row], key: str, most: int) -> None:
    wide = [str(row["sae"]) for row in rows if row["n_latents"] > most]
    if wide:
        page.text(
            f"Of {', '.join(wide)} only the {most:,} latents that fire most were taken "
            f"(most_latents.{key})."
        )


def _pair_table(page: Report, rows: Sequence[Row], caption: str) -> None:
    """A table of at most `_MOST_ROWS` rows."""
    left = len(rows) - _MOST_ROWS
    more = f" The first {_MOST_ROWS} of {len(rows)} rows; all are in pairs.csv." if left > 0 else ""
    page.table(rows[:_MOST_ROWS], caption + more)
