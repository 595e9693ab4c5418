"""Save what the MEG tool made in one folder, and open such a folder again. No Qt and no napari here."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.core.errors import NothingFound
from workbench.core.types import Image, Mark, Marks, Part, Progress, Provenance, Result, Scores, Signals
from workbench_napari.shared.saving import case_name, stored_provenance

SIGNALS = ("tokens", "surprisal", "reconstruction", "generated")
TABLES = ("variance", "comparison")


@dataclass(frozen=True, eq=False)
class Saving:
    """What to save; see `save`."""

    image: Image
    marks: Sequence[Mark]
    signals: Mapping[str, Signals]
    tables: Mapping[str, Scores]
    provenance: Provenance
    edited: bool
    folder: Path
    format: str


def save(job: Saving, _progress: Progress | None = None) -> list[Path]:
    """Write annotations and results into a folder of their own inside ``job.folder``; returns the paths.

    Raises
    ------
    GeometryError
        An annotation lies outside the recording: nothing is written.
    UsageError
        The folder cannot be written to.
    """
    from workbench import api

    parts: dict[str, Part] = {"annotations": Marks(tuple(job.marks)), **job.signals, **job.tables}
    result = Result(parts, job.image, replace(job.provenance, edited_by_hand=job.edited))
    name = case_name(job.folder, result, job.image.name)
    return list(api.write(result, job.folder, format=job.format, name=name))  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Reopened:
    """What a folder of results held."""

    marks: Marks | None
    signals: dict[str, Signals]
    tables: dict[str, Scores]
    provenance: Provenance
    folder: Path


def reopen(folder: Path, _progress: Progress | None = None) -> Reopened:
    """Read a folder that `save` or ``workbench predict`` wrote.

    Raises
    ------
    NothingFound
        There are no results in it.
    InputError
        A file is damaged.
    """
    from workbench.data import formats
    from workbench.recording.data.write import read_marks, signals_of

    signals = {}
    for key in SIGNALS:
        for name in (f"{key}.npy", f"{key}_raw.fif", f"{key}-ave.fif"):
            if (folder / name).is_file():
                signals[key] = replace(signals_of(formats.read(folder / name)), name=key)
                break
    tables = {key: _table(folder / f"{key}.csv", key) for key in TABLES if (folder / f"{key}.csv").is_file()}
    marks = read_marks(folder / "annotations.csv") if (folder / "annotations.csv").is_file() else None
    if not signals and marks is None:
        raise NothingFound(f"{folder}: holds no results of a recording; choose the folder that Save made")
    try:
        made = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        made = {}
    return Reopened(marks, signals, tables, stored_provenance({"provenance": made}, None), folder)


def _table(path: Path, name: str) -> Scores:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    return Scores(tuple(header), tuple(tuple(_value(v) for v in row) for row in rows), name)


def _value(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
