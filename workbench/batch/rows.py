"""What became of the cases of a run, a row each, gone through as often as needed without being held in memory.

A row is a plain mapping as it comes out of a line of JSON: ``case``, ``status``, ``source``, ``group``, ``columns``
(those of the input list), ``seconds``, ``peak_memory_mb``, ``files``, ``table`` (a mapping per class), ``notes``,
``stage``, ``error``, ``message``, ``hint``. What it lacks is taken for empty.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

Row: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = Iterable[Row]
"""Iterated several times, from the beginning each time: a list, or `JsonLines`; not a generator."""

STATUSES = ("done", "skipped", "failed", "not run")
_COUNTED = ("voxels", "pixels")


@dataclass(frozen=True)
class JsonLines:
    """The rows of a file of JSON lines, read anew each time."""

    path: Path

    def __iter__(self) -> Iterator[Row]:
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                if line.strip():
                    yield json.loads(line)


@dataclass(frozen=True)
class Survey:
    """What the columns of a study are, and how many cases became what.

    Parameters
    ----------
    columns
        Those of the input list, in its order.
    measure
        The column of sizes in the tables of classes: that of the kind, or one of counted samples where no case has a
        size (no spacing is known). "" where there are no sizes.
    classes
        Names of the classes in order of appearance.
    counts
        Number of cases by status.
    seconds
        Of all cases together.
    """

    columns: tuple[str, ...] = ()
    measure: str = ""
    classes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def survey(rows: Rows, size_column: str) -> Survey:
    """One pass over the rows for the columns that they need; see `Survey`."""
    columns: dict[str, None] = {}
    counts = dict.fromkeys(STATUSES, 0)
    names: dict[str, dict[str, None]] = {m: {} for m in (size_column, *_COUNTED) if m}
    seconds = 0.0
    for row in rows:
        status = str(row.get("status") or "not run")
        counts[status] = counts.get(status, 0) + 1
        seconds += number(row.get("seconds")) or 0.0
        columns.update(dict.fromkeys(map(str, row.get("columns") or ())))
        for measure, found in names.items():
            if of_case := sizes(row, measure):
                found.update(dict.fromkeys(of_case))
                break  # what comes after is only asked for where there is no size
    measure = next((m for m, found in names.items() if found), "")
    return Survey(tuple(columns), measure, tuple(names.get(measure, ())), counts, seconds)


def sizes(row: Row, measure: str) -> dict[str, float]:
    """The sizes of a case by class; classes without a size that is a number are left out.

    Classes of one name in one case get a number, as they must not be added up unasked.
    """
    found: dict[str, float] = {}
    if not measure:
        return found
    for entry in row.get("table") or ():
        size = number(entry.get(measure))
        if size is None or "class" not in entry:
            continue
        name = again = str(entry["class"])
        n = 2
        while again in found:
            again, n = f"{name} ({n})", n + 1
        found[again] = size
    return found


def number(value: Any) -> float | None:
    """The value if it is a finite number."""
    if type(value) is float:
        return value if math.isfinite(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def notes(row: Row) -> Sequence[str]:
    """The notes of a case."""
    return [str(n) for n in row.get("notes") or ()]
