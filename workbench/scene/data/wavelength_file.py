"""Wavelengths kept beside a cube whose format has no place for them: a list in a text file, or an ENVI header."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.core.errors import InputError, reading, reason
from workbench.data.companion import require_regular
from workbench.scene.data import envi_header as eh

_MAX_BYTES = 4 * 1024**2
_COLUMNS = ("wavelength", "fwhm", "good")


@dataclass(frozen=True)
class BandList:
    """What is known of the bands besides their samples; wavelengths and widths in nm."""

    wavelengths_nm: list[float]
    fwhm_nm: list[float] | None = None
    good_bands: list[bool] | None = None
    source: Path | None = None
    notes: tuple[str, ...] = ()


def in_nm(values: list[float]) -> list[float]:
    """Wavelengths without a unit in nm; see `envi_header.to_nm`."""
    factor, _ = eh.to_nm("", values)
    assert factor is not None  # only a unit that is not known has none
    return [v * factor for v in values]


def names(path: Path) -> list[Path]:
    """Files that are looked for beside ``scene.mat``: ``scene_wavelengths.csv``, ``.txt``, and ``scene.hdr``."""
    stem = path.name[: -len(path.suffix)] if path.suffix else path.name
    lists = [path.with_name(f"{stem}{joint}wavelengths{end}") for joint in "_." for end in (".csv", ".txt")]
    return [*lists, path.with_name(f"{path.name}.hdr"), path.with_name(f"{stem}.hdr")]


def wavelengths_beside(path: Path, bands: int) -> BandList | None:
    """The bands of a cube from the file beside it, or ``None`` if there is none.

    A text file holds one wavelength per line, or a table with the columns ``wavelength`` (``wavelength_nm``,
    ``wavelength_um``), ``fwhm`` and ``good`` (1 or 0).

    Raises
    ------
    InputError
        If the list has another length than the cube has bands, or holds something else than positive numbers.
    """
    for file in names(path):
        found = _read(file)
        if found is None:
            continue
        if len(found.wavelengths_nm) != bands:
            raise InputError(
                f"{file}: lists {len(found.wavelengths_nm)} wavelengths, {path.name} has {bands} bands. Correct or"
                " remove it."
            )
        return believed(found, path, file.name)
    return None


def believed(found: BandList, path: Path, source: str) -> BandList:
    """The bands that were taken from `source`, with a note of each file beside `path` that says something else."""
    notes = list(found.notes)
    for file in names(path):
        if file == found.source:
            continue
        try:
            other = _read(file)
        except InputError:  # it is not needed
            other = None
        if other is not None and differ(found.wavelengths_nm, other.wavelengths_nm):
            notes.append(f"the wavelengths of {file.name} differ from those of {source}, which were taken")
    return replace(found, notes=tuple(notes))


def differ(one: Sequence[float], other: Sequence[float], share: float = 2e-3) -> bool:
    """Whether two lists of wavelengths are not the same but for rounding."""
    return len(one) != len(other) or any(abs(a - b) > share * a for a, b in zip(one, other, strict=True))


def _read(file: Path) -> BandList | None:
    require_regular(file)
    if not file.is_file():
        return None
    return _from_header(file) if file.suffix == ".hdr" else _from_text(file)


def _from_header(file: Path) -> BandList | None:
    if not eh.is_header(file):
        return None
    fields = eh.parse(file)
    centres, widths, _, notes = eh.wavelengths_nm(fields, file)
    if centres is None:
        return None
    good = eh.numbers(fields, "bbl", file)
    return BandList(centres, widths, None if good is None else [v != 0 for v in good], file, notes)


def checked(values: list[float], source: object) -> list[float]:
    """Wavelengths that can be some: finite numbers above 0."""
    if not values or any(not 0 < v < float("inf") for v in values):
        raise InputError(f"{source}: holds a wavelength that is not above 0, or none at all. Correct or remove it.")
    return values


def _from_text(file: Path) -> BandList:
    if file.stat().st_size > _MAX_BYTES:
        raise InputError(f"{file}: {file.stat().st_size} bytes, a list of wavelengths is a short text.")
    with reading(file, "the list of wavelengths cannot be read", "Correct or remove it.", kinds=(OSError, csv.Error)):
        text = file.read_text(encoding="utf-8-sig", errors="replace")
        delimiter = max(",;\t ", key=text.count) if any(c in text for c in ",;\t ") else ","
        table_of_text = list(csv.reader(text.splitlines(), delimiter=delimiter))
    rows = [[c.strip() for c in row if c.strip()] for row in table_of_text]
    rows = [row for row in rows if row and not row[0].startswith("#")]
    header = [c.lower() for c in rows[0]] if rows and not _is_number(rows[0][0]) else []
    body = rows[1:] if header else rows
    if not header and len(body) == 1 and len(body[0]) > 1:  # all in one line
        body = [[v] for v in body[0]]
    try:
        table = [[float(v) for v in row] for row in body]
    except ValueError as error:
        raise InputError(f"{file}: {reason(error)}, expected one wavelength per line.") from error
    at = {name: next((i for i, c in enumerate(header) if c.startswith(name)), None) for name in _COLUMNS}
    first = at["wavelength"] if header else 0
    columns = len(header) or (len(table[0]) if table else 0)
    if first is None or not table or any(len(row) != columns for row in table):
        raise InputError(f"{file}: expected one wavelength per line, or a table with a column 'wavelength'.")
    centres = checked([row[first] for row in table], file)
    widths_and_good = [i for i in (at["fwhm"], at["good"]) if i is not None]
    if any(not 0 <= row[i] < float("inf") for row in table for i in widths_and_good):
        raise InputError(f"{file}: 'fwhm' or 'good' holds something else than numbers from 0 on. Correct or remove it.")
    unit = header[first] if header else ""
    named = "um" if unit.endswith(("um", "[um]", "µm")) else "nm" if "nm" in unit else ""
    factor, said = eh.to_nm(named, centres)
    assert factor is not None  # these units are known
    widths = None if at["fwhm"] is None else [row[at["fwhm"]] * factor for row in table]
    good = None if at["good"] is None else [row[at["good"]] != 0 for row in table]
    return BandList(
        [v * factor for v in centres], widths, good, file, () if said is None else (f"{file.name}: {said}",)
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
