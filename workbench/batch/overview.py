"""A run on one HTML page (``overview.html``): figures, failures first, statistics with outliers, a table of all cases.

The page needs nothing but the files beside it, and no network. It is written as the rows are read: neither the page
nor the rows are ever whole in memory.
"""

from __future__ import annotations

import base64
import hashlib
import math
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from workbench.batch.rows import STATUSES, Row, Rows, Survey, notes, number, sizes, survey
from workbench.batch.statistics import CUT, LEAST, RULE, ClassStatistics, class_statistics, outliers
from workbench.core.atomic import replacing
from workbench.core.errors import visible

MOST_CLASSES = 12
MOST_COLUMNS = 8
"""Of classes, and of columns of the input list, that the table of cases shows; ``summary.csv`` has all."""
MOST_FAILURES = 500

STATUS_TEXT = dict(zip(STATUSES, ("done", "already complete", "failed", "not run"), strict=True))
_SIGNS = {"high": "▲", "low": "▼", "empty": "○"}
_DASH = "–"


def write_overview(
    path: Path, rows: Rows, *, title: str, facts: Mapping[str, Any], size_column: str, pictures: Path
) -> Path:
    """Write the page, whole or not at all.

    Parameters
    ----------
    rows
        One per case; gone through five times.
    facts
        What is said of the run, by name. ``seconds`` is how long it took by the clock, and stands among the figures;
        where it is missing the sum over the cases does.
    size_column
        Of the kind: the column of the tables of classes that holds sizes (``"volume [mL]"``).
    pictures
        Folder with ``<case>.png``; a case without one has none on the page.
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("workbench.batch", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(plain=plain, amount=amount, marked=marked)
    found = survey(rows, size_column)
    statistics = class_statistics(rows, found.measure, found.classes)
    links = Links(path.parent)
    page = _Page(rows, found, statistics, links, Path(pictures))
    script = resources.files("workbench.batch").joinpath("overview.js").read_text(encoding="utf-8")
    chunks = environment.get_template("overview.html.j2").generate(
        title=title,
        figures=figures(found, facts),
        facts=readable(facts),
        page=page,
        failed=found.counts["failed"],
        most_failures=MOST_FAILURES,
        measure=found.measure,
        statistics=statistics,
        outliers=outliers(rows, found.measure, statistics),
        least=LEAST,
        cut=CUT,
        rule=RULE,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
    )
    with replacing(path) as part, part.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        file.writelines(chunks)
    return path


def readable(facts: Mapping[str, Any]) -> dict[str, str]:
    """What is said of the run, for people: the command as it is typed, and nothing of what is not set."""
    said = {}
    for name, value in facts.items():
        text = shlex.join(map(str, value)) if name == "command" and isinstance(value, list | tuple) else _text(value)
        if text and name != "seconds":
            said[name.replace("_", " ")] = text
    return said


def _text(value: Any) -> str:
    """A value in words; "" for one that is not set."""
    if value is None or value is False:
        return ""
    if isinstance(value, Mapping):
        each = {str(name).replace("_", " "): _text(own) for name, own in value.items()}
        return ", ".join(f"{name}: {text}" for name, text in each.items() if text)
    if isinstance(value, list | tuple):
        return "; ".join(text for text in map(_text, value) if text)
    return "yes" if value is True else str(value)


def figures(found: Survey, facts: Mapping[str, Any]) -> dict[str, str]:
    """The figures on top, by name."""
    seconds = number(facts.get("seconds"))
    seconds = found.seconds if seconds is None else seconds
    done = found.counts["done"]
    return {
        **{STATUS_TEXT.get(status, status): f"{count:,}" for status, count in found.counts.items()},
        "time": duration(seconds),
        "cases per hour": amount(done * 3600 / seconds) if seconds > 0 and done else _DASH,
    }


def plain(value: Any) -> str:
    """A value as text that steers nothing: control characters, directions of writing and broken letters as escapes."""
    if value is None:
        return _DASH
    if isinstance(value, float):
        return amount(value)
    text = visible(str(value))
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def amount(value: float | None) -> str:
    """A number for people: about four digits; a dash for none."""
    if value is None or math.isnan(value):
        return _DASH
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if value == int(value) and size < 1e15:
        return f"{int(value):,}"
    return (
        f"{value:,.{0 if size >= 10_000 else 1 if size >= 100 else 2 if size >= 1 else 4}f}"
        if size >= 1e-3
        else (f"{value:.3g}")
    )


def marked(says: str) -> str:
    """The sign of an outlier; the word stands beside it."""
    return _SIGNS[says]


def duration(seconds: float) -> str:
    """Time for people."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


class Links:
    """Addresses of files relative to a page, percent-encoded byte by byte, so that any name of a file is one."""

    def __init__(self, page: Path) -> None:
        self._page = os.path.abspath(page)
        self._folders: dict[str, str] = {}

    def to(self, path: str) -> str:
        """The address, or "" where there can be none (another drive, a name that no file system holds)."""
        folder, name = os.path.split(path)
        try:
            if folder not in self._folders:
                if len(self._folders) > 64:  # the files of a case lie together
                    self._folders.clear()
                relative = os.path.relpath(folder or ".", self._page)
                self._folders[folder] = "" if relative == "." else _quoted(relative.replace(os.sep, "/")) + "/"
            return self._folders[folder] + _quoted(name)
        except ValueError:
            return ""


def _quoted(text: str) -> str:
    return quote(os.fsencode(text), safe="/")


@dataclass(frozen=True)
class Cell:
    """A size in the table of cases: as text, as a number to sort by, and what the rule says of it."""

    text: str
    value: str = ""
    says: str = ""


class _Page:
    """What the template asks for: headings, and the cases one by one."""

    def __init__(
        self, rows: Rows, found: Survey, statistics: Sequence[ClassStatistics], links: Links, pictures: Path
    ) -> None:
        self._rows, self._found, self._links, self._pictures = rows, found, links, pictures
        self._rules = {s.name: s.rule for s in statistics if s.is_marked}
        self._drawn = frozenset(os.listdir(pictures)) if pictures.is_dir() else frozenset()
        self.classes = found.classes[:MOST_CLASSES]
        self.columns = found.columns[:MOST_COLUMNS]
        self.more_classes = len(found.classes) - len(self.classes)
        self.more_columns = len(found.columns) - len(self.columns)
        self.has_pictures = bool(self._drawn)

    def failures(self) -> Iterator[dict[str, Any]]:
        """The first of the cases that failed, in the order of the rows."""
        failed = ((n, row) for n, row in enumerate(self._rows) if row.get("status") == "failed")
        for n, row in islice(failed, MOST_FAILURES):
            yield {
                "number": n,
                "case": row.get("case", ""),
                "stage": row.get("stage") or "",
                "cause": row.get("message") or row.get("error") or "",
                "error": row.get("error") or "",
                "hint": row.get("hint") or "",
            }

    def cases(self) -> Iterator[dict[str, Any]]:
        """All cases, in the order of the rows."""
        for n, row in enumerate(self._rows):
            yield self._case(n, row)

    def _case(self, n: int, row: Row) -> dict[str, Any]:
        case, has, columns = str(row.get("case", "")), sizes(row, self._found.measure), row.get("columns") or {}
        says = {name: self._rules[name].says(size) for name, size in has.items() if name in self._rules}
        status = str(row.get("status") or "not run")
        picture = f"{case}.png"
        return {
            "number": n,
            "case": case,
            "status": STATUS_TEXT.get(status, status),
            "picture": self._links.to(os.path.join(self._pictures, picture)) if picture in self._drawn else "",
            "seconds": number(row.get("seconds")) if status in ("done", "failed") else None,
            "memory": number(row.get("peak_memory_mb")),
            "sizes": [_cell(has.get(name), says.get(name, "")) for name in self.classes],
            "marked": [(name, what) for name, what in says.items() if what],
            "columns": [columns.get(name, "") for name in self.columns],
            "files": [(os.path.basename(str(f)), self._links.to(str(f))) for f in row.get("files") or ()],
            "notes": notes(row),
            "source": row.get("source") or "",
            "group": row.get("group") or "",
        }


def _cell(size: float | None, says: str) -> Cell:
    return Cell("") if size is None else Cell(amount(size), repr(size), says)
