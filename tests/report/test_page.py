from __future__ import annotations

import base64
import io
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from toysae.errors import ResultsError, ShapeError
from toysae.figures.style import canvas, panel_axes
from toysae.report.findings import findings_markdown, print_findings
from toysae.report.page import Report
from toysae.report.tables import renamed
from toysae.results.findings import Finding, Verdict

HOSTILE = "<script>alert('x')</script> & \"quoted\""
VOID = {"meta", "img"}
FINDING = Finding(
    claim="SAEs find composed features",
    source="Anders et al. (2024)",
    statistic="share of cells",
    value=0.33333,
    interval=(0.21, 0.45),
    null=0.0417,
    threshold="interval at least 0.5",
    verdict=Verdict.REFUTED,
    note="8 seeds",
)


class Outline(HTMLParser):
    """Every element with its attributes, the text of each kind of element, and broken nesting."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def attributes(self, tag: str, name: str) -> list[str]:
        return [found[name] for element, found in self.elements if element == tag and name in found]


def full_report() -> Report:
    figure = canvas(2.0, 1.0)
    panel_axes(figure, 1)[0].plot([0, 1], [0, 1])
    return (
        Report(f"Title {HOSTILE}", f"Subtitle {HOSTILE}")
        .text(f"Lead {HOSTILE}\n\nSecond paragraph,\nof two lines.")
        .section("Findings")
        .findings(
            [FINDING, replace(FINDING, claim=HOSTILE, note=HOSTILE, verdict=Verdict.INCONCLUSIVE)]
        )
        .section(f"Sweep {HOSTILE}")
        .figure(figure, f"Caption {HOSTILE}")
        .table([{HOSTILE: HOSTILE, "cosine": float("nan")}, {"cosine": 0.5}], f"Table {HOSTILE}")
        .table({"layer": [2, 6], "L0": [18.4, 42.8]}, "Columns")
    )


def test_page_fetches_nothing_and_runs_nothing() -> None:
    outline = Outline(full_report().html())
    tags = {tag for tag, _ in outline.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base"}
    assert all(url.startswith("data:image/png;base64,") for url in outline.attributes("img", "src"))
    assert all(url.startswith("#") for url in outline.attributes("a", "href"))
    page = re.sub(r"base64,[A-Za-z0-9+/=]+", "", full_report().html())
    assert not re.search(r"https?://|//[a-z]|url\(|@import|srcset", page)


def test_everything_is_escaped() -> None:
    html = full_report().html()
    assert "<script" not in html
    outline = Outline(html)
    assert outline.texts["title"] == [f"Title {HOSTILE}"]
    assert outline.texts["h1"] == [f"Title {HOSTILE}"]
    assert f"Sweep {HOSTILE}" in outline.texts["h2"]
    assert outline.attributes("img", "alt") == [f"Caption {HOSTILE}"]
    assert HOSTILE in outline.texts["th"]
    assert HOSTILE in outline.texts["td"]
    assert HOSTILE in outline.texts["p"]


def test_elements_are_nested_and_closed() -> None:
    assert Outline(full_report().html()).open == []


def test_contents_lead_to_every_section() -> None:
    outline = Outline(full_report().html())
    sections = outline.attributes("section", "id")
    assert sections == ["section-1", "section-2"]
    assert outline.attributes("a", "href") == [f"#{name}" for name in sections]
    assert outline.texts["a"] == ["Findings", f"Sweep {HOSTILE}"]


def test_paragraphs_are_split_at_blank_lines() -> None:
    report = Report("Title").text("one\n\n\n\ntwo\nlines\n\n")
    assert Outline(report.html()).texts["p"] == ["one", "two lines"]


def test_figures_are_drawn_at_twice_their_size() -> None:
    outline = Outline(full_report().html())
    assert outline.attributes("img", "width") == ["192"]
    assert outline.attributes("img", "height") == ["96"]
    png = base64.b64decode(outline.attributes("img", "src")[0].partition(",")[2])
    assert (int.from_bytes(png[16:20]), int.from_bytes(png[20:24])) == (384, 192)


def test_figures_and_tables_are_numbered() -> None:
    assert Outline(full_report().html()).texts["b"] == ["Figure 1.", "Table 1.", "Table 2."]


def test_rows_with_missing_and_undefined_cells() -> None:
    report = Report("Title").table([{"a": float("nan"), "b": 1}, {"b": 24576, "c": "x"}], "cells")
    outline = Outline(report.html())
    assert outline.texts["th"] == ["a", "b", "c"]
    assert outline.texts["td"] == ["undefined", "1", "–", "–", "24,576", "x"]
    assert outline.attributes("th", "class") == ["numeric", "numeric"]


def test_columns_become_rows() -> None:
    outline = Outline(Report("Title").table({"layer": [2, 6], "L0": [18.4, 42.8]}, "").html())
    assert outline.texts["td"] == ["2", "18.4", "6", "42.8"]


def test_tables_without_rows_say_so() -> None:
    assert Outline(Report("Title").table([], "none").html()).texts["td"] == ["no rows"]
    empty = Outline(Report("Title").table({"layer": []}, "none").html())
    assert (empty.texts["th"], empty.texts["td"]) == (["layer"], ["no rows"])


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ShapeError, match="different lengths"):
        Report("Title").table({"a": [1], "b": [1, 2]}, "")


def test_findings_show_verdict_and_numbers() -> None:
    verdicts = [Verdict.REPRODUCED, Verdict.REFUTED, Verdict.INCONCLUSIVE, Verdict.REFUTED]
    report = Report("Title").findings([replace(FINDING, verdict=verdict) for verdict in verdicts])
    outline = Outline(report.html())
    assert outline.attributes("span", "class") == [f"chip {verdict}" for verdict in verdicts]
    assert "✗ refuted" in outline.texts["span"]
    assert outline.texts["dt"][:2] == ["value", "95 % interval"]
    assert "share of cells" in outline.texts["p"]
    assert outline.texts["dd"][:4] == ["0.3333", "[0.21, 0.45]", "0.0417", "interval at least 0.5"]
    assert "4 findings: 1 reproduced, 2 refuted, 1 inconclusive" in outline.texts["p"]
    assert "Source: Anders et al. (2024)" in outline.texts["p"]
    assert "8 seeds" in outline.texts["p"]


def test_findings_on_terminal_and_in_markdown_carry_the_same_numbers() -> None:
    console = Console(record=True, width=160, file=io.StringIO())
    print_findings([FINDING], console)
    markdown = findings_markdown([FINDING])
    for text in (console.export_text(), markdown):
        for part in ("refuted", "SAEs find composed", "0.333", "[0.21, 0.45]", "0.0417"):
            assert part in text


def test_undefined_numbers_of_a_finding_are_dashes() -> None:
    nothing = replace(FINDING, interval=(math.nan, math.nan), null=math.nan, note="")
    outline = Outline(Report("Title").findings([nothing]).html())
    assert outline.texts["dd"][1:3] == ["–", "–"]


def test_equal_reports_are_equal_bytes(tmp_path: Path) -> None:
    report = full_report()
    first = report.write(tmp_path / "a.html").read_bytes()
    assert report.write(tmp_path / "a.html").read_bytes() == first
    assert full_report().write(tmp_path / "b.html").read_bytes() == first


def test_write_makes_folders_and_leaves_only_the_page(tmp_path: Path) -> None:
    path = full_report().write(tmp_path / "deep" / "report.html")
    assert [found.name for found in path.parent.iterdir()] == ["report.html"]
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_a_failed_write_leaves_the_old_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Report("Old").write(tmp_path / "report.html")
    before = path.read_bytes()

    def full_disk(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(ResultsError, match="No space left on device"):
        Report("New").write(path)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_in_the_place_of_the_page_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="cannot write the report"):
        Report("Title").write(tmp_path)


def test_an_empty_report_is_a_page() -> None:
    outline = Outline(Report("Only a title").html())
    assert outline.texts["h1"] == ["Only a title"]
    assert outline.open == []
    assert "nav" not in {tag for tag, _ in outline.elements}


def test_renamed_columns_are_those_that_a_row_has():
    rows = [{"a": 1, "b": 2}, {"a": 3}]
    shown = renamed({"B": "b", "A": "a", "C": "c"}, rows)
    assert shown == [{"B": 2, "A": 1}, {"B": None, "A": 3}]
    assert list(shown[0]) == ["B", "A"]
    assert renamed({"A": "a"}, []) == []
