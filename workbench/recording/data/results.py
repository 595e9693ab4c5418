"""A folder of results of a recording, as it was before it was written."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.core import case_folder
from workbench.core.csv_text import cell_text
from workbench.core.errors import InputError, NothingFound
from workbench.core.types import Image, Part, Provenance, Result, Scores

SIGNALS = ("tokens", "surprisal", "reconstruction", "generated")
"""Parts of a result that are signals, tokens or maps; files are named after them."""
MARKS = ("annotations", "peaks")
"""Parts of a result that are annotations: those of a person (or all, from the shell), and those of a run."""
TABLES = ("variance", "comparison")
"""Parts of a result that are tables."""


def read_results(folder: str | Path, image: Image) -> Result:
    """Read what `workbench.api.write` or ``workbench predict`` wrote of a recording.

    Parameters
    ----------
    folder
        The folder of this one recording.
    image
        The recording that the results are of.

    Returns
    -------
    Result
        The parts that are there, of `SIGNALS`, `TABLES` and `MARKS`. Without a ``provenance.json`` they count
        as made by hand.

    Raises
    ------
    NothingFound
        There are neither signals nor annotations in it.
    InputError
        A file is damaged.
    """
    from workbench.data import formats
    from workbench.recording.data.marks_files import read_marks
    from workbench.recording.data.write import signals_of

    folder = Path(folder).expanduser()
    case_folder.settle(folder)
    parts: dict[str, Part] = {}
    for key in SIGNALS:
        for name in (f"{key}.npy", f"{key}_raw.fif", f"{key}-ave.fif"):
            if (folder / name).is_file():
                parts[key] = replace(signals_of(formats.read(folder / name)), name=key)
                break
    for key in MARKS:
        if (folder / f"{key}.csv").is_file():
            parts[key] = replace(read_marks(folder / f"{key}.csv"), name=key)
    if not parts:
        raise NothingFound(f"{folder}: holds no results of a recording; choose the folder that Save made")
    parts |= {key: _table(folder / f"{key}.csv", key) for key in TABLES if (folder / f"{key}.csv").is_file()}
    return Result(parts, image, _provenance(folder / "provenance.json"))


def _provenance(path: Path) -> Provenance:
    from workbench.core.provenance import versions

    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        stored = None
    if not stored:
        return Provenance("by hand", "none", None, {}, versions=versions())
    try:
        return Provenance.from_json(stored)
    except TypeError as error:
        raise InputError(f"{path}: not readable as the record of a result ({error}).") from error


def _table(path: Path, name: str) -> Scores:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not readable as a table ({error}).") from error
    return Scores(tuple(cell_text(c) for c in header), tuple(tuple(_value(v) for v in row) for row in rows), name)


def _value(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return cell_text(text)
