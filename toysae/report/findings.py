"""Findings as HTML, as a table on the terminal, and as Markdown."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from html import escape

from rich import markup
from rich.console import Console
from rich.table import Table

from toysae.report.numbers import MISSING, format_number
from toysae.results.findings import Finding, Verdict

_MARKS = {Verdict.REPRODUCED: "✓", Verdict.REFUTED: "✗", Verdict.INCONCLUSIVE: "?"}
_COLOURS = {Verdict.REPRODUCED: "green", Verdict.REFUTED: "red", Verdict.INCONCLUSIVE: "yellow"}


def findings_html(findings: Sequence[Finding]) -> str:
    """A tally of verdicts followed by one block for each finding."""
    blocks = "\n".join(_block(finding) for finding in findings)
    return f'<p class="tally">{tally(findings)}</p>\n{blocks}'


def print_findings(findings: Sequence[Finding], console: Console) -> None:
    """The findings as a table on the terminal."""
    table = Table(title="Findings", title_justify="left", show_lines=True)
    for heading in ("verdict", "claim", "statistic"):
        table.add_column(heading, overflow="fold", min_width=12 if heading == "verdict" else None)
    for heading in ("value", "95 % interval", "null"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("rule", overflow="fold")
    for finding in findings:
        verdict = f"[{_COLOURS[finding.verdict]}]{_MARKS[finding.verdict]} {finding.verdict}[/]"
        table.add_row(
            verdict,
            markup.escape(finding.claim),
            markup.escape(finding.statistic),
            format_number(finding.value, 3),
            markup.escape(_interval(finding)),
            _null(finding),
            finding.threshold,
        )
    console.print(table)
    console.print(tally(findings))


def findings_markdown(findings: Sequence[Finding]) -> str:
    """The findings as a Markdown list: claim, numbers, rule, source, note."""
    return "\n".join(_paragraph(finding) for finding in findings)


def tally(findings: Sequence[Finding]) -> str:
    """How many findings there are of each verdict."""
    counts = Counter(finding.verdict for finding in findings)
    listed = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict)
    return f"{len(findings)} findings: {listed}"


def _block(finding: Finding) -> str:
    verdict = finding.verdict
    numbers = {
        "value": format_number(finding.value),
        "95 % interval": _interval(finding),
        "null level": _null(finding),
        "rule": finding.threshold,
    }
    listed = "".join(
        f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>"
        for label, value in numbers.items()
    )
    note = f'<p class="source">{escape(finding.note)}</p>' if finding.note else ""
    return (
        '<article class="finding">'
        f'<div class="head"><span class="chip {verdict}">{_MARKS[verdict]} {verdict}</span>'
        f'<p class="claim">{escape(finding.claim)}</p></div>'
        f'<p class="statistic">{escape(finding.statistic)}</p><dl>{listed}</dl>{note}'
        f'<p class="source">Source: {escape(finding.source)}</p>'
        "</article>"
    )


def _paragraph(finding: Finding) -> str:
    numbers = f"{finding.statistic}: **{format_number(finding.value, 3)}** {_interval(finding)}"
    if not math.isnan(finding.null):
        numbers += f", null {_null(finding)}"
    note = f" {finding.note}." if finding.note else ""
    return (
        f"- **{_MARKS[finding.verdict]} {finding.verdict}**: {finding.claim}.\n"
        f"  {numbers}; rule: {finding.threshold}.{note}\n"
        f"  *Source: {finding.source}.*"
    )


def _interval(finding: Finding) -> str:
    low, high = finding.interval
    if math.isnan(low):
        return MISSING
    return f"[{format_number(low, 3)}, {format_number(high, 3)}]"


def _null(finding: Finding) -> str:
    return MISSING if math.isnan(finding.null) else format_number(finding.null, 3)
