"""The report of a study: one HTML file that needs nothing but itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from toysae.errors import ResultsError
from toysae.figures.style import to_png_base64
from toysae.report.findings import findings_html
from toysae.report.tables import Columns, Rows, table_html
from toysae.report.theme import CSS
from toysae.results.findings import Finding

_CSS_PIXELS_PER_INCH = 96


class Report:
    """Builds a page from top to bottom; each method adds to it and returns the report.

    Everything is escaped, figures are inlined as PNG when they are added, and equal content gives
    equal bytes: the page carries no date and fetches nothing.

    Args:
        title: heading of the page.
        subtitle: one line below it.
    """

    def __init__(self, title: str, subtitle: str = "") -> None:
        self._title = title
        self._subtitle = subtitle
        self._lead: list[str] = []
        self._sections: list[tuple[str, list[str]]] = []
        self._n_figures = 0
        self._n_tables = 0

    def section(self, title: str) -> Report:
        """Start a numbered section; it appears in the table of contents."""
        self._sections.append((title, []))
        return self

    def text(self, text: str) -> Report:
        """Add plain text; blank lines separate paragraphs, nothing else is interpreted."""
        paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
        self._add("\n".join(f"<p>{escape(part)}</p>" for part in paragraphs if part))
        return self

    def figure(self, figure: Figure, caption: str) -> Report:
        """Add a figure at its size in inches, drawn at twice the resolution of the page."""
        self._n_figures += 1
        width, height = (
            round(float(inches) * _CSS_PIXELS_PER_INCH) for inches in figure.get_size_inches()
        )
        png = to_png_base64(figure, dpi=2 * _CSS_PIXELS_PER_INCH)
        self._add(
            f'<figure id="figure-{self._n_figures}">'
            f'<img width="{width}" height="{height}" alt="{escape(caption)}" '
            f'src="data:image/png;base64,{png}">'
            f"<figcaption><b>Figure {self._n_figures}.</b> {escape(caption)}</figcaption></figure>"
        )
        return self

    def table(self, table: Rows | Columns, caption: str) -> Report:
        """Add a table given as rows (mappings) or as columns (a mapping of sequences).

        Numbers are written by `toysae.report.numbers.format_number`.

        Raises:
            ShapeError: columns of different length.
        """
        heading = f"<b>Table {self._n_tables + 1}.</b> {escape(caption)}"
        self._add(table_html(table, heading))
        self._n_tables += 1
        return self

    def findings(self, findings: Sequence[Finding]) -> Report:
        """Add findings, each with its verdict and the numbers it rests on."""
        self._add(findings_html(findings))
        return self

    def html(self) -> str:
        """The whole page."""
        sections = "\n".join(
            f'<section id="section-{number}">\n<h2><span class="number">{number}</span>'
            f"{escape(title)}</h2>\n{_join(parts)}\n</section>"
            for number, (title, parts) in enumerate(self._sections, start=1)
        )
        lead = f'\n<section class="lead">{_join(self._lead)}</section>' if self._lead else ""
        subtitle = f'<p class="subtitle">{escape(self._subtitle)}</p>' if self._subtitle else ""
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(self._title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
            f"<header><h1>{escape(self._title)}</h1>{subtitle}</header>\n"
            f"{self._contents()}{lead}\n{sections}\n"
            "</main>\n</body>\n</html>\n"
        )

    def write(self, path: str | Path) -> Path:
        """Write the page to `path` by renaming a finished file, so that no reader sees half of it.

        Missing folders are made; an existing report is replaced.

        Raises:
            ResultsError: the place cannot be written to.
        """
        target = Path(path)
        unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(self.html(), encoding="utf-8", newline="\n")
            unfinished.replace(target)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise ResultsError(
                f"cannot write the report to {target}: {error.strerror}; choose a writable place"
            ) from error
        return target

    def _add(self, html: str) -> None:
        (self._sections[-1][1] if self._sections else self._lead).append(html)

    def _contents(self) -> str:
        if not self._sections:
            return ""
        entries = "\n".join(
            f'<li><a href="#section-{number}"><span class="number">{number}</span>'
            f"{escape(title)}</a></li>"
            for number, (title, _) in enumerate(self._sections, start=1)
        )
        return f'<nav aria-label="Contents"><ol>\n{entries}\n</ol></nav>'


def _join(parts: Sequence[str]) -> str:
    return "\n".join(parts)
