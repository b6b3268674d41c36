"""Findings as HTML: the claim, its verdict, and the numbers that the verdict rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from toysae.errors import DataError
from toysae.report.numbers import format_number

VERDICTS = {"reproduced": "✓", "refuted": "✗", "inconclusive": "?"}
KEYS = ("claim", "statistic", "interval", "null", "threshold", "verdict", "source")

_NUMBERS = {
    "statistic": "statistic",
    "interval": "interval",
    "null": "null level",
    "threshold": "threshold",
}


def findings_html(findings: Sequence[Mapping[str, object]]) -> str:
    """A tally of verdicts followed by one block for each finding.

    Args:
        findings: mappings with the keys `claim`, `statistic`, `interval`, `null`, `threshold`,
            `verdict` and `source`.

    Raises:
        DataError: a key is missing or unknown, or the verdict is not one of `VERDICTS`.
    """
    for finding in findings:
        _check(finding)
    counts = Counter(str(finding["verdict"]) for finding in findings)
    tally = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
    blocks = "\n".join(_finding(finding) for finding in findings)
    return f'<p class="tally">{len(findings)} findings: {tally}</p>\n{blocks}'


def _check(finding: Mapping[str, object]) -> None:
    claim = str(finding.get("claim", "?"))
    missing = [key for key in KEYS if key not in finding]
    unknown = [key for key in finding if key not in KEYS]
    if missing or unknown:
        raise DataError(
            f"finding {claim!r}: missing keys {missing}, unknown keys {unknown}; "
            f"expected exactly {', '.join(KEYS)} (None where there is nothing to say)"
        )
    if finding["verdict"] not in VERDICTS:
        raise DataError(
            f"finding {claim!r} has the verdict {finding['verdict']!r}: "
            f"expected {', '.join(VERDICTS)}"
        )


def _finding(finding: Mapping[str, object]) -> str:
    verdict = str(finding["verdict"])
    numbers = "".join(
        f"<div><dt>{label}</dt><dd>{escape(format_number(finding[key]))}</dd></div>"
        for key, label in _NUMBERS.items()
    )
    return (
        '<article class="finding">'
        f'<div class="head"><span class="chip {verdict}">{VERDICTS[verdict]} {verdict}</span>'
        f'<p class="claim">{escape(str(finding["claim"]))}</p></div>'
        f"<dl>{numbers}</dl>"
        f'<p class="source">Source: {escape(format_number(finding["source"]))}</p>'
        "</article>"
    )
