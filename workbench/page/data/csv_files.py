"""Electrocardiograms as tables: a row of lead names, one column for each lead, one row for each sample.

Neither the unit nor the sampling rate is ever guessed by the size of numbers: both are stated in the table, in a line
before it, in a JSON file beside it, or given by the caller.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.csv_text import cell_text
from workbench.core.errors import InputError, UsageError, reason, visible
from workbench.core.types import Image
from workbench.data.header_text import shortened
from workbench.page.data import plausible
from workbench.page.data.ecg_image import (
    MOST_LEADS,
    ecg_image,
    lead_names,
    listed,
    millivolts_of,
    require_rate,
    require_size,
)
from workbench.page.leads import STANDARD, standard_name

LARGEST = 64 << 20
"""Bytes of a table that is read at once."""
_BLOCK = 4096
_LONGEST_ROW = 1 << 16
"""Characters of a row."""
_LONGEST_LINE = 400
"""Characters of a line before the table that is looked at."""
_TIMES = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "us": 1e-6}
_NONE = frozenset(("", "nan", "na", "n/a", "null", "none"))
_UNIT_LINE = re.compile(r"^[# \t]*(?:value[ _-]?)?units?[ \t]*[:=][ \t]*\[?([^\s,;\]]+)", re.IGNORECASE)
_RATE_LINE = re.compile(
    r"^[# \t]*(?:sampling[ _-]?(?:rate|frequency)|sample[ _-]?rate|fs|frequency)[ \t]*"
    r"(?:[\[(][ \t]*(k?hz)[ \t]*[\])])?[ \t]*[:=][ \t]*([0-9.eE+-]+)[ \t]*(k?hz)?",
    re.IGNORECASE,
)
_TAIL = re.compile(r"^(.+?)[_/ ]([m\u00b5\u03bcu]V)$")
_CELL = re.compile(r"^(.*?)[ \t]*[\[(]([^\])]*)[\])][ \t]*$")


@dataclass(frozen=True)
class _Column:
    """One column: what it is called, the unit in its name, and whether it holds times."""

    label: str
    unit: str
    is_time: bool


def is_ecg(path: Path) -> bool:
    """Whether the first row of a text file names at least three leads, among them one of the twelve."""
    try:
        with path.open("rb") as file:
            head = file.read(1 << 14)
    except OSError:
        return False
    if b"\0" in head:
        return False
    for line in head.decode("utf-8-sig", errors="replace").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            cells = [_column(c).label for c in _split(line, _delimiter(line))]
            known = [name for c in cells if (name := standard_name(c)) is not None]
            return len(known) >= 3 and any(name in STANDARD for name in known)
    return False


def read(path: Path, *, sampling_rate: float | None = None, unit: str | None = None) -> Image:
    """Open a table of leads.

    Parameters
    ----------
    path
        Text with commas, semicolons or tabs between its cells; but with commas, numbers may have decimal commas. Lines
        that begin with ``#`` before the row of names may state ``unit: mV`` and ``sampling_rate: 500``. Empty cells are
        gaps.
    sampling_rate
        Samples per second [Hz], where the file does not state them.
    unit
        ``"mV"``, ``"uV"`` or ``"V"``, where the file does not state it.

    Returns
    -------
    workbench.core.types.Image
        Kind ``page``: ``(leads, samples)`` float32 [mV], NaN for empty cells.

    Raises
    ------
    InputError
        No unit or no sampling rate is stated, times are not regular, or the table is damaged.
    UsageError
        `unit` is no voltage, or `sampling_rate` no rate.
    """
    if unit is not None and millivolts_of(unit) is None:
        raise UsageError(f"unit {shortened(unit, 20)} is no voltage: choose mV, uV or V")
    if sampling_rate is not None and not (math.isfinite(sampling_rate) and sampling_rate > 0):
        raise UsageError(f"sampling_rate is {sampling_rate:g}, expected a positive number of Hz")
    require_size(path, LARGEST)
    raw = path.read_bytes()
    if b"\0" in raw:
        raise InputError(f"{path}: holds bytes that are no text, expected a table of leads. Export it again as CSV.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    lines = io.StringIO(text, newline=None)
    comments: list[str] = []
    head = ""
    for line in lines:
        if line.strip() and not line.lstrip().startswith("#"):
            head = line.rstrip("\n")
            break
        comments.append(line[: _LONGEST_LINE + 1].rstrip("\n"))
    if not head:
        raise InputError(f"{path}: holds no row of lead names. Export it again with a header such as 'I [mV],II [mV]'.")
    if len(head) > _LONGEST_ROW:
        raise InputError(
            f"{path}: its first row has {len(head)} characters, expected the names of leads. Export it again."
        )
    notes: list[str] = []
    delimiter = _delimiter(head)
    columns = [_column(c) for c in _split(head, delimiter)]
    _require_names(path, columns, head)
    table = _numbers(path, lines, len(comments) + 1, delimiter, len(columns))
    said = _stated(path, comments)
    keep = _leads(columns, table, notes)
    factors = _factors(path, [columns[n] for n in keep], unit, said, notes)
    kept = [n for n, factor in zip(keep, factors, strict=True) if factor is not None]
    if not kept:
        raise InputError(
            f"{path}: none of its {len(columns)} columns is a voltage, expected leads. Name them 'I [mV]'."
        )
    rate = _rate(path, columns, table, sampling_rate, said, notes)
    names, odd = lead_names([columns[n].label for n in kept])
    scale = np.array([f for f in factors if f is not None])
    data = np.ascontiguousarray((table[:, kept] * scale).T.astype(np.float32))
    notes += plausible.odd(path, names, data)
    return ecg_image(
        path, names, data.shape[1], rate, lambda: data, format="csv", header={}, notes=(*notes, *odd),
        files=(path, *([_beside(path)] if _beside(path).is_file() else [])),
    )  # fmt: skip


def _delimiter(line: str) -> str:
    return next((d for d in (";", "\t") if d in line), ",")


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter))
    except (csv.Error, StopIteration):
        return [line]


def _column(cell: str) -> _Column:
    """Name and unit of a column: ``I [mV]``, ``aVR (uV)``, ``time_ms``."""
    text = cell_text(cell).strip()[:200]
    unit = ""
    if (match := _CELL.match(text)) and (
        millivolts_of(match[2]) is not None or match[2].strip().lower() in _TIMES or "[" in text
    ):
        text, unit = match[1].strip(), match[2].strip()
    elif match := _TAIL.match(text):
        text, unit = match[1].strip(), match[2]
    lower = text.lower()
    is_time = lower in ("time", "t", "zeit", "seconds", "sec", "timestamp", "time_s", "time_ms", "time_us")
    if is_time and not unit:
        unit = "s" if lower in ("seconds", "sec") else lower.partition("_")[2]
    return _Column(text, unit, is_time)


def _require_names(path: Path, columns: list[_Column], line: str) -> None:
    numbers = [c for c in columns if _is_number(c.label.replace(",", "."))]
    if len(columns) > MOST_LEADS + 2:
        raise InputError(f"{path}: its first row has {len(columns)} cells, expected up to {MOST_LEADS} leads.")
    if numbers and len(numbers) * 2 >= len(columns):
        raise InputError(f"{path}: its first row is {shortened(line)}, expected the names of the leads. Put"
                         f" them in front,"
                         " such as 'I [mV],II [mV]'.")  # fmt: skip
    if not any(standard_name(c.label) for c in columns):
        raise InputError(f"{path}: its first row is {shortened(line)}, in which no lead is known here (I,"
                         f" aVR, V1...). Name"
                         " the columns after the leads.")  # fmt: skip


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numbers(path: Path, lines: io.StringIO, before: int, delimiter: str, width: int) -> npt.NDArray[np.float64]:
    """The rest of the lines as numbers, ``(samples, columns)``; `before` lines came before it."""
    place = lines.tell()
    rest = lines.read()
    lines.seek(place)
    comma = delimiter != "," and "," in rest
    if comma and "." in rest:
        raise InputError(f"{path}: its numbers have both points and commas, expected one decimal mark. Export it again"
                         " without marks for thousands.")  # fmt: skip
    del rest
    rows: list[list[float]] = []
    blocks: list[npt.NDArray[np.float64]] = []
    for number, line in enumerate(lines, before + 1):
        if not line.strip():
            continue
        if len(line) > _LONGEST_ROW:
            raise InputError(
                f"{path}: line {number} has {len(line)} characters, expected a row of numbers. Export again."
            )
        if comma:
            line = line.replace(",", ".")
        line = line.rstrip("\n")
        cells = _split(line, delimiter) if '"' in line else line.split(delimiter)
        if len(cells) != width:
            hint = (
                " Decimal commas need semicolons between the cells." if len(cells) > width and delimiter == "," else ""
            )
            raise InputError(f"{path}: line {number} has {len(cells)} cells, the row of names {width}.{hint} Export it"
                             " again.")  # fmt: skip
        try:
            if "_" in line:  # Python takes 1_000 for a number, people for a slip
                raise ValueError
            rows.append([float(c) if c else math.nan for c in cells])
        except ValueError:
            rows.append([_cell(path, number, c) for c in cells])
        if len(rows) == _BLOCK:
            blocks.append(np.array(rows, np.float64))
            rows = []
    if rows:
        blocks.append(np.array(rows, np.float64))
    if not blocks:
        raise InputError(f"{path}: holds no row of numbers below its names. Export it again.")
    table = np.concatenate(blocks)
    if np.isinf(table).any() or np.nanmax(np.abs(table), initial=0.0) > 1e30:
        where = int(np.flatnonzero(~(np.nan_to_num(np.abs(table)).max(axis=1) <= 1e30))[0])
        raise InputError(f"{path}: row {where + 1} of its numbers holds one beyond all sense. Export it again.")
    return table


def _cell(path: Path, number: int, cell: str) -> float:
    text = cell.strip()
    if text.lower() in _NONE:
        return math.nan
    try:
        if "_" in text:
            raise ValueError
        return float(text)
    except ValueError:
        raise InputError(f"{path}: line {number} holds {shortened(text, 30)}, expected a number or nothing. Correct the"
                         " cell, or leave it empty for a gap.") from None  # fmt: skip


def _beside(path: Path) -> Path:
    return path.with_suffix(".json")


def _stated(path: Path, comments: list[str]) -> dict[str, Any]:
    """Unit and rate of the lines before the table, and of the JSON file beside it; refused where they disagree."""
    found: dict[str, Any] = {}
    for line in (c for c in comments if len(c) <= _LONGEST_LINE):
        if (match := _UNIT_LINE.match(line)) and "unit" not in found:
            found["unit"] = (match[1], f"its line {shortened(line.strip(), 40)}")
        if (match := _RATE_LINE.match(line)) and "rate" not in found:
            try:
                value = float(match[2]) * (1000 if "khz" in (match[1] or match[3] or "").lower() else 1)
            except ValueError:
                continue
            found["rate"] = (value, f"its line {shortened(line.strip(), 40)}")
    side = _beside(path)
    if not side.is_file():
        return found
    try:
        if side.stat().st_size > 1 << 20:
            raise ValueError("larger than 1 MiB")
        record = json.loads(side.read_text(encoding="utf-8-sig"))
        if not isinstance(record, dict):
            raise ValueError("no object")
    except (ValueError, OSError, RecursionError) as error:
        raise InputError(f"{side}: no JSON object that can be read ({reason(error)}), expected"
                         ' {"sampling_rate": 500, "unit": "mV"}.') from error  # fmt: skip
    rate, unit = record.get("sampling_rate"), record.get("unit")
    if rate is not None:
        if not isinstance(rate, int | float) or isinstance(rate, bool) or not -1e300 < rate < 1e300:
            raise InputError(f"{side}: sampling_rate is {shortened(str(rate), 20)}, expected a number of Hz.")
        if "rate" in found and abs(found["rate"][0] - rate) > 1e-6 * abs(rate):
            raise InputError(
                f"{path}: {found['rate'][1]} states {found['rate'][0]:g} Hz, {side.name} {rate:g} Hz. Correct one."
            )
        found["rate"] = (float(rate), side.name)
    if unit is not None:
        if not isinstance(unit, str) or millivolts_of(unit) is None:
            raise InputError(f"{side}: unit is {shortened(str(unit), 20)}, expected mV, uV or V.")
        if "unit" in found and millivolts_of(found["unit"][0]) != millivolts_of(unit):
            raise InputError(f"{path}: {found['unit'][1]} states {found['unit'][0]}, {side.name} {unit}. Correct one.")
        found["unit"] = (unit, side.name)
    return found


def _leads(columns: list[_Column], table: npt.NDArray[np.float64], notes: list[str]) -> list[int]:
    """Columns that are leads; others are said."""
    keep, out = [], []
    for n, column in enumerate(columns):
        if column.is_time:
            continue
        if standard_name(column.label) is not None or (column.unit and millivolts_of(column.unit) is not None):
            keep.append(n)
        elif not np.array_equal(table[:, n], np.arange(len(table)) + table[0, n]):  # a running number says nothing
            out.append(visible(column.label)[:30] or f"column {n + 1}")
    if out:
        notes.append(f"{len(out)} column(s) are no lead known here and were left out: {listed(out)}")
    return keep


def _factors(
    path: Path, columns: list[_Column], unit: str | None, said: dict[str, Any], notes: list[str]
) -> list[float | None]:
    """Millivolts of one unit of each column; ``None`` for what is no voltage."""
    factors: list[float | None] = []
    out = []
    for column in columns:
        own = millivolts_of(column.unit) if column.unit else None
        if column.unit and own is None:
            out.append(f"{column.label} (in {visible(column.unit)[:20]})")
            factors.append(None)
            continue
        given = [(millivolts_of(unit), f"the setting unit={unit}")] if unit is not None else []
        if "unit" in said:
            given.append((millivolts_of(said["unit"][0]), said["unit"][1]))
            if given[-1][0] is None:
                raise InputError(
                    f"{path}: {said['unit'][1]} states {shortened(said['unit'][0], 20)}, expected mV, uV or V."
                )
        if own is not None:
            given.insert(0, (own, f"the column {column.label} [{column.unit}]"))
        if not given:
            raise InputError(
                f"{path}: states no unit of {column.label}, and none is guessed. Name the columns"
                f" '{column.label} [mV]',"
                f' put {{"unit": "mV"}} into {_beside(path).name} beside it, or give the unit.'
            )
        if len({g[0] for g in given}) > 1:
            raise InputError(f"{path}: {given[0][1]} and {given[1][1]} are two different units. Correct one.")
        factors.append(given[0][0])
    if out:
        notes.append(f"{len(out)} column(s) are no voltage and were left out: {listed(out)}")
    return factors


def _rate(
    path: Path,
    columns: list[_Column],
    table: npt.NDArray[np.float64],
    given: float | None,
    said: dict[str, Any],
    notes: list[str],
) -> float:
    """Samples per second of the time column, of the statements beside, or as given; refused where they disagree."""
    stated: list[tuple[float, str]] = []
    if given is not None:
        stated.append((given, f"the setting sampling_rate={given:g}"))
    if "rate" in said:
        stated.append(said["rate"])
    time = next((n for n, c in enumerate(columns) if c.is_time), None)
    if time is not None:
        unit = columns[time].unit.lower()
        if unit in _TIMES:
            stated.append(
                (_regular(path, table[:, time] * _TIMES[unit]), f"its column {shortened(columns[time].label, 20)}")
            )
        elif stated:
            notes.append(f"its column {shortened(columns[time].label, 20)} states no unit of time and was not used")
        else:
            raise InputError(f"{path}: its column {shortened(columns[time].label, 20)} states no unit, and"
                             f" none is guessed."
                             " Name it 'time [s]' or 'time [ms]', or give the sampling rate.")  # fmt: skip
    if not stated:
        raise InputError(
            f"{path}: states no sampling rate, and none is guessed. Add a column 'time [s]', put"
            f' {{"sampling_rate": 500}}'
            f" into {_beside(path).name} beside it, or give the sampling rate."
        )
    first, where = stated[0]
    for other, place in stated[1:]:
        if abs(other - first) > 1e-3 * first:
            raise InputError(
                f"{path}: {where} means {first:g} Hz, {place} {other:g} Hz, expected one rate. Correct one."
            )
    return require_rate(path, first)


def _regular(path: Path, times: npt.NDArray[np.float64]) -> float:
    """Samples per second of times [s] that lie evenly."""
    if len(times) < 3:
        raise InputError(f"{path}: has {len(times)} rows, from which no sampling rate is told. Give the sampling rate.")
    steps = np.diff(times)
    if not np.all(np.isfinite(steps)) or np.any(steps <= 0):
        raise InputError(f"{path}: its times are missing or do not rise. Export it again with regular times.")
    count = np.arange(len(times))
    middle = (len(times) - 1) / 2
    mean = float(np.sum((count - middle) * (times - times.mean())) / np.sum((count - middle) ** 2))
    # Times are written rounded: each lies up to half of its last digit beside the even ones.
    digits = max((len(f"{t:.9f}".rstrip("0").partition(".")[2]) for t in times[:500].tolist()), default=0)
    last = 10.0**-digits
    allowed = max(0.02 * mean, 0.6 * last if last < mean else 0.0)
    if np.abs(times - times.mean() - (count - middle) * mean).max() > allowed:
        worst = int(np.argmax(np.abs(steps - mean)))
        raise InputError(
            f"{path}: its times step by {steps[worst]:g} s after row {worst + 1} and by {mean:g} s on average, expected"
            " even steps. Resample it, or fill gaps with empty cells."
        )
    rate = 1.0 / mean
    whole = float(round(rate))
    # A whole number of Hz that fits the times as well as they are written is the one that was meant.
    fits = whole > 0 and np.abs(times - times.mean() - (count - middle) / whole).max() <= max(0.6 * last, 1e-6 * mean)
    return whole if fits else rate
