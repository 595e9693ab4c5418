"""Tables as CSV text that a spreadsheet shows, and never runs.

A cell that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line break is a formula to spreadsheets, whoever put it
there: a patient's name, a channel, a class. Such text gets an apostrophe in front, which is how they write text that
looks like a formula. Numbers stay numbers, and `cell_text` takes the apostrophe off again. A carriage return ends a row
for some programs, and what stands behind it begins the next: such a cell is quoted, as one with a line break.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workbench.core.errors import visible

_ENDS = "\r\n"
"""Cells with either are quoted."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def table_text(columns: Sequence[Any], rows: Iterable[Sequence[Any] | Mapping[str, Any]]) -> str:
    """A table as CSV.

    Parameters
    ----------
    columns
        The names in the first line.
    rows
        Values in that order; or by the names of the columns, of which a row may lack some, but hold no others.
    """
    lines = [_line(columns)]
    for row in rows:
        if isinstance(row, Mapping):
            if unknown := [k for k in row if k not in columns]:
                raise ValueError(f"a row has {unknown}, which are none of the columns {list(columns)}")
            row = [row.get(c, "") for c in columns]
        lines.append(_line(row))
    return "".join(lines)


def _line(row: Iterable[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator=_ENDS).writerow([safe_cell(v) for v in row])
    return text.getvalue().removesuffix(_ENDS) + "\n"


def safe_cell(value: Any) -> Any:
    """The value, or for text that a spreadsheet would run the text behind an apostrophe; no text steers a terminal."""
    if isinstance(value, str) and (shown := visible(value, keep="\t\r\n")) != value:
        value = shown
    if not isinstance(value, str) or not value.startswith((*_FORMULA, "'")) or _is_number(value):
        return value
    # Text that begins with apostrophes and then looks like a formula gets one more, so that it comes back whole.
    return f"'{value}" if value.lstrip("'").startswith(_FORMULA) else value


def cell_text(cell: str) -> str:
    """What `safe_cell` was given, of a cell that was read."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell


def _is_number(text: str) -> bool:
    """Whether it is a plain number as programs write it: spreadsheets take it as one, too."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text and text == text.strip()
