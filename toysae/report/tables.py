"""Tables as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from toysae.errors import ShapeError
from toysae.report.numbers import MISSING, UNDEFINED, format_number, is_number

Rows = Sequence[Mapping[str, object]]
Columns = Mapping[str, Sequence[object]]


def table_html(table: Rows | Columns, caption: str) -> str:
    """An HTML table; columns that hold numbers are aligned right.

    Args:
        table: rows (a cell that a row lacks is a dash; columns in order of first appearance), or
            columns of equal length.
        caption: HTML of the caption.

    Raises:
        ShapeError: columns of different length.
    """
    rows = _as_rows(table) if isinstance(table, Mapping) else list(table)
    names = list(dict.fromkeys(name for row in rows for name in row))
    if isinstance(table, Mapping):
        names = list(table)
    numeric = {name: any(is_number(row.get(name)) for row in rows) for name in names}
    head = "".join(f"<th{_class(numeric[name])}>{escape(name)}</th>" for name in names)
    body = "\n".join(
        "<tr>" + "".join(_cell(row.get(name), numeric[name]) for name in names) + "</tr>"
        for row in rows
    )
    if not rows:
        body = f'<tr><td class="muted" colspan="{max(1, len(names))}">no rows</td></tr>'
    return (
        f'<div class="table"><table><caption>{caption}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _as_rows(columns: Columns) -> list[Mapping[str, object]]:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ShapeError(f"columns of different lengths {lengths}: expected equal lengths")
    return [dict(zip(columns, values)) for values in zip(*columns.values())]


def _cell(value: object, numeric: bool) -> str:
    text = format_number(value)
    muted = text in (UNDEFINED, MISSING)
    return f"<td{_class(numeric, muted)}>{escape(text)}</td>"


def _class(numeric: bool, muted: bool = False) -> str:
    names = ["numeric"] * numeric + ["muted"] * muted
    return f' class="{" ".join(names)}"' if names else ""


def renamed(columns: Mapping[str, str], rows: Rows) -> list[dict[str, object]]:
    """Rows under the names that readers see; columns that no row has are left out.

    Args:
        columns: key of a row by its heading, in the order of the table.
        rows: rows with these keys, and others.
    """
    present = {name: key for name, key in columns.items() if any(key in row for row in rows)}
    return [{name: row.get(key) for name, key in present.items()} for row in rows]
