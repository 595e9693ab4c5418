"""Names for the values of label files that carry none: from files beside them, or a table that a person gives.

nnU-Net and the Medical Segmentation Decathlon keep them in ``dataset.json`` above the labels, BIDS in ``*_dseg.tsv``,
ITK-SNAP, 3D Slicer and FreeSurfer in text tables. Nothing is guessed from the values.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import InputError, UsageError, nearest, reading
from workbench.core.types import Case, Geometry, Labels, case_name
from workbench.data import formats
from workbench.volume.data.totalsegmentator import LISTS

_BESIDE = ("dseg.tsv", "labels.tsv", "labels.txt", "labels.label", "labels.ctbl")
_MAX_BYTES = 4 << 20
_LUT = re.compile(r'^\s*(\d+)\s+(?:"([^"]*)"|(\S+))(?:\s+[\d.]+){3,5}\s*$')  # FreeSurfer, Slicer: value name r g b a
_SNAP = re.compile(r'^\s*(\d+)(?:\s+[\d.]+){4,6}\s+"([^"]*)"\s*$')  # ITK-SNAP: value r g b a visible mesh "name"
_VALUE_COLUMNS = ("index", "value", "label", "id", "number")
_NAME_COLUMNS = ("name", "class", "structure", "organ", "label_name")


def is_nameless(classes: ClassTable) -> bool:
    """Whether every class is only called after its value."""
    return all(c.name == f"class {c.value}" for c in classes)


def read_named(path: str | Path, *, reference: Geometry | None = None, names: str = "", **options: Any) -> Labels:
    """A label map with the names of its classes: its own, else of a file beside it.

    Parameters
    ----------
    names
        A table that names the values, in place of all others: see `table_of`.

    Raises
    ------
    InputError, GeometryError
        As `workbench.data.formats.read_labels`; or a ``dataset.json`` that is damaged.
    """
    labels = formats.read_labels(path, reference=reference, **options)
    table = table_of(names) if names else None
    if table is None and is_nameless(labels.classes):
        table = _beside(Path(path))
    return labels if table is None else replace(labels, classes=_named(labels, table))


def _named(labels: Labels, table: Mapping[int, str]) -> ClassTable:
    """The table as classes, and values that it does not name as ``class N``."""
    present = {int(v) for v in np.unique(labels.data) if v > 0}
    colors = {c.value: c.color for c in labels.classes}
    values = sorted(present | {v for v in table if v > 0})
    plain = ClassTable.from_values(values)
    return ClassTable(
        tuple(ClassInfo(c.value, table.get(c.value, c.name), colors.get(c.value, c.color)) for c in plain)
    )


def table_of(names: str) -> dict[int, str]:
    """Value -> name.

    Parameters
    ----------
    names
        ``totalsegmentator``, ``totalsegmentator_v1`` or ``totalsegmentator_mr``; or a file: ``dataset.json`` of nnU-Net
        or the Decathlon, JSON of names and values, CSV or TSV with the columns ``index`` and ``name``, or a text table
        of ITK-SNAP, 3D Slicer or FreeSurfer.

    Raises
    ------
    UsageError
        Neither such a name nor a file.
    InputError
        The file holds no names of values.
    """
    text = names.strip()
    if text in LISTS:
        return dict(LISTS[text])
    path = Path(text).expanduser()
    if not path.is_file():
        raise UsageError(f"names={text!r}: neither a file nor a known list.{nearest(text, LISTS)}")
    found = _parsed(path)
    if not found:
        raise InputError(
            f"{path}: names no values. Give a JSON object of value -> name, a table with the columns 'index' and "
            "'name', or a label table of ITK-SNAP, 3D Slicer or FreeSurfer."
        )
    return found


def _beside(path: Path) -> dict[int, str] | None:
    """The first file beside or above a label file that names values."""
    folder, stem = path.parent, case_name(path)
    near: list[Path] = [folder / f"{stem}{end}" for end in (".tsv", ".txt", ".label", ".ctbl", "_ColorTable.ctbl")]
    near += [f / "dataset.json" for f in (folder, folder.parent)]
    near += [folder / name for name in _BESIDE]
    for candidate in near:
        if candidate.is_file() and (found := _parsed(candidate)):
            return found
    return None


def _parsed(path: Path) -> dict[int, str]:
    """The names in a file; empty where it holds none."""
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(
            f"{path}: {path.stat().st_size >> 20} MB, a table of class names is small. Is it another file?"
        )
    with reading(path, "not readable as a table of class names", "Save it as UTF-8 text.", kinds=(OSError, ValueError)):
        text = path.read_text(encoding="utf-8-sig")
    if path.suffix.lower() == ".json":
        with reading(
            path, "not JSON", "Repair it, or give the names with --names.", kinds=(ValueError, RecursionError)
        ):
            content = json.loads(text)
        return _from_json(content)
    if path.suffix.lower() in (".csv", ".tsv"):
        return _from_columns(text, "\t" if path.suffix.lower() == ".tsv" else ",")
    return _from_lines(text.splitlines())


def _from_json(content: Any) -> dict[int, str]:
    """``{"labels": {...}}`` of nnU-Net (name -> value) and the Decathlon (value -> name), or such an object itself."""
    rows = content.get("labels", content) if isinstance(content, dict) else None
    if not isinstance(rows, dict):
        return {}
    found: dict[int, str] = {}
    shared: set[int] = set()
    for key, value in rows.items():
        if isinstance(value, str) and key.strip().isdigit():
            found[int(key)] = value
            continue
        for v in value if isinstance(value, list) else [value]:
            if isinstance(v, int) and not isinstance(v, bool):
                # Regions of nnU-Net overlap: a value of two regions has no one name.
                shared |= {v} & found.keys()
                found[v] = str(key)
    return {v: n.strip() for v, n in found.items() if v > 0 and v not in shared and n.strip()}


def _from_columns(text: str, delimiter: str) -> dict[int, str]:
    rows = csv.DictReader(text.splitlines(), delimiter=delimiter)
    columns = {(n or "").strip().lower(): n for n in rows.fieldnames or []}
    name = next((columns[c] for c in _NAME_COLUMNS if c in columns), None)
    value = next((columns[c] for c in _VALUE_COLUMNS if c in columns and columns[c] != name), None)
    if name is None or value is None:
        return {}
    found = {}
    for row in rows:
        number, said = str(row.get(value) or "").strip(), str(row.get(name) or "").strip()
        if number.isdigit() and int(number) > 0 and said:
            found[int(number)] = said
    return found


def _from_lines(lines: Iterable[str]) -> dict[int, str]:
    found: dict[int, str] = {}
    for line in lines:
        if match := _SNAP.match(line):
            value, name = int(match[1]), match[2]
        elif match := _LUT.match(line):
            value, name = int(match[1]), match[2] or match[3] or ""
        else:
            continue
        if value > 0 and name.strip():
            found[value] = name.strip()
    return found


@dataclass(frozen=True)
class LabelReader:
    """Label maps of cases on the grid of their image, as the settings of a verb want them read.

    Parameters
    ----------
    names
        A table that names the values; see `table_of`.
    resample
        Resample maps of another lattice, instead of refusing them.
    told
        Given what was done to the map of a case, where anything was.
    """

    names: str = ""
    resample: bool = False
    told: Callable[[Case, tuple[str, ...]], None] | None = None

    def __call__(self, case: Case, reference: Geometry) -> Labels:
        """The label map of a case on the grid `reference`."""
        assert case.labels is not None
        labels = read_named(case.labels, reference=reference, names=self.names, resample=self.resample)
        if self.told is not None and labels.notes:
            self.told(case, labels.notes)
        return labels
