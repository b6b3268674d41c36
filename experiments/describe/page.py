"""The report: tables and figures of one world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.describe import columns, words
from experiments.describe.agreement import SIGMAS
from experiments.describe.plots import Picture
from experiments.describe.study import Description
from experiments.describe.tables import MOST_FEATURES, comparison_rows, l0_row
from toysae.report.page import Report
from toysae.report.tables import renamed
from toysae.results.files import Row

_MOST_ROWS = 40
_MOST_PAIRS = 10


def build_page(found: Description, pictures: Mapping[str, Picture]) -> Report:
    """The report as a page."""
    page = Report(words.title(found), words.size(found))
    page.text(f"{words.origin(found)} {words.dependence(found)} {words.verdict(found)}")
    page.table(
        {
            "parameter": list(words.parameters(found)),
            "value": list(words.parameters(found).values()),
        },
        "Configuration of the generator.",
    )
    _agreement(page, found, pictures)
    page.section("How often features fire")
    _figure(page, pictures, "densities")
    _table(page, columns.GROUPS, found.groups, "Groups of features; they may overlap.", "groups")
    page.section("How many fire at once")
    page.table(
        renamed(columns.L0, [l0_row(found.truth, found.realised)]),
        "Features that fire on a sample: mean as stated and as realised, standard deviation beside "
        "that of independent features of the same densities, and quantiles.",
    )
    _figure(page, pictures, "l0")
    page.section("Which fire together")
    _figure(page, pictures, "phi")
    page.table(
        renamed(columns.PAIRS, found.pair_rows[:_MOST_PAIRS]),
        "The most correlated of the shown features. φ: correlation of firing indicators; "
        "conditional probabilities as stated. All pairs of the shown features are in pairs.csv.",
    )
    page.section("How strongly they fire")
    _figure(page, pictures, "magnitudes")
    page.table(
        renamed(columns.MAGNITUDES, found.magnitudes),
        "Coefficients given that a feature fires: mean over all firings of a group, and quantiles "
        "over the first of them.",
    )
    page.section("Samples")
    _figure(page, pictures, "raster")
    if found.depths:
        page.section("Trees")
        page.text(words.tree(found))
        _figure(page, pictures, "tree")
        page.table(renamed(columns.DEPTHS, found.depths), "Features by depth.")
    if found.sharing is not None:
        page.section("Hidden space")
        page.text(" ".join(words.sharing(found)))
        _figure(page, pictures, "nearest_directions")
        if "spectrum" in pictures:
            _figure(page, pictures, "spectrum")
    return page


def _agreement(page: Report, found: Description, pictures: Mapping[str, Picture]) -> None:
    page.section("Realised against stated")
    page.text(words.reading())
    page.table(
        renamed(columns.COMPARISONS, comparison_rows(found.comparisons)),
        f"Deviations in sigmas. Beyond {SIGMAS:g} chance is no explanation (4 in 10⁸ a "
        "comparison). Pairs are those of the shown features.",
    )
    _figure(page, pictures, "realised_against_stated")
    if found.truth.n_features > MOST_FEATURES:
        page.text(
            f"features.csv holds the {MOST_FEATURES:,} most frequent features; all were compared."
        )


def _figure(page: Report, pictures: Mapping[str, Picture], name: str) -> None:
    page.figure(pictures[name].figure, pictures[name].caption)


def _table(
    page: Report, shown: Mapping[str, str], rows: Sequence[Row], caption: str, file: str
) -> None:
    """A table of at most `_MOST_ROWS` rows."""
    more = f" The first {_MOST_ROWS} of {len(rows):,} rows; all are in {file}.csv."
    page.table(
        renamed(shown, rows[:_MOST_ROWS]), caption + (more if len(rows) > _MOST_ROWS else "")
    )
