"""Names for the values of label files that carry none: from files beside them, or a table that a person gives.

nnU-Net and the Medical Segmentation Decathlon keep them in ``dataset.json`` above the labels, BIDS in ``*_dseg.tsv``,
ITK-SNAP, 3D Slicer and FreeSurfer in text tables; the ground truth of spectral scenes comes as a bare array, with its
names in a text beside it at best. Nothing is guessed from the values.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import InputError, UsageError, nearest, reading
from workbench.core.layers import count_labels
from workbench.core.types import Geometry, Labels, case_name
from workbench.data import formats
from workbench.data.label_table import doubled_names, noting_repeats, of_file, once, value_of

_BESIDE = ("dseg.tsv", "labels.tsv", "labels.txt", "labels.label", "labels.ctbl")
_STEM_ENDS = (
    ".tsv", ".csv", ".txt", ".label", ".ctbl", "_ColorTable.ctbl", ".json",
    *(f"{word}{end}" for word in ("_names", "_classes") for end in (".json", ".csv", ".tsv", ".txt")),
)  # fmt: skip
_MAX_BYTES = 4 << 20
_LUT = re.compile(r'^\s*(\d+)\s+(?:"([^"]*)"|(\S+))(?:\s+[\d.]+){3,5}\s*$')  # FreeSurfer, Slicer: value name r g b a
_SNAP = re.compile(r'^\s*(\d+)(?:\s+[\d.]+){4,6}\s+"([^"]*)"\s*$')  # ITK-SNAP: value r g b a visible mesh "name"
_PLAIN = re.compile(r"(\d+)[\s,;:=]+(.*)")  # value name
_VALUE_COLUMNS = ("index", "value", "label", "id", "number")
_NAME_COLUMNS = ("name", "class", "structure", "organ", "label_name")


def read_named(
    path: str | Path,
    *,
    reference: Geometry | None = None,
    names: str = "",
    lists: Mapping[str, Mapping[int, str]] | None = None,
    **options: Any,
) -> Labels:
    """A label map with the names of its classes: its own, else of a file beside it.

    Parameters
    ----------
    names
        A table that names the values, in place of all others: see `table_of`.
    lists
        Tables that are known by a name.

    Raises
    ------
    InputError, GeometryError
        As `workbench.data.formats.read_labels`; or a ``dataset.json`` that is damaged.
    """
    labels = formats.read_labels(path, reference=reference, **options)
    table = table_of(names, lists) if names else None
    if table is None and labels.classes.is_nameless:
        table = _beside(formats.split_address(path)[0])
    if table is None:
        return labels
    classes = named(labels, table)
    return replace(labels, classes=classes, notes=(*labels.notes, *doubled_names(classes)))


def named(labels: Labels, table: Mapping[int, str]) -> ClassTable:
    """The table as classes, and values that it does not name as ``class N``."""
    present = {v for v in count_labels(labels.data) if v > 0}
    colors = {c.value: c.color for c in labels.classes}
    values = sorted(present | {v for v in table if v > 0})
    plain = ClassTable.from_values(values)
    return ClassTable(
        tuple(ClassInfo(c.value, table.get(c.value, c.name), colors.get(c.value, c.color)) for c in plain)
    )


def table_of(names: str, lists: Mapping[str, Mapping[int, str]] | None = None) -> dict[int, str]:
    """Value -> name.

    Parameters
    ----------
    names
        One of `lists`; or a file: ``dataset.json`` of nnU-Net or the Decathlon, JSON of names and values, CSV or TSV
        with the columns ``index`` and ``name``, a text with a value and a name on each line (``3 Corn-mintill``), or a
        table of ITK-SNAP, 3D Slicer or FreeSurfer. Or the names of 1, 2, 3... themselves, with commas between them.

    Raises
    ------
    UsageError
        Neither such a name nor a file.
    InputError
        The file holds no names of values.
    """
    text = names.strip()
    known = lists or {}
    if text in known:
        return dict(known[text])
    path = Path(text).expanduser()
    if "," in text and not path.is_file():
        return {v: name for v, part in enumerate(text.split(","), 1) if (name := part.strip())}
    if not path.is_file():
        also = f" nor a known list.{nearest(text, known)}" if known else ". Give a table of values and names."
        raise UsageError(f"names={text!r}: {'neither a' if known else 'no such'} file{also}")
    found = _parsed(path)
    if not found:
        raise InputError(
            f"{path}: names no values. Give a JSON object of value -> name, a table with the columns 'index' and "
            "'name', a text with a value and a name on each line, or a table of ITK-SNAP, 3D Slicer or FreeSurfer."
        )
    return found


def _beside(path: Path) -> dict[int, str] | None:
    """The first file beside or above a label file that names values."""
    folder, stem = path.parent, case_name(path)
    near: list[Path] = [folder / f"{stem}{end}" for end in _STEM_ENDS]
    near += [f / "dataset.json" for f in (folder, folder.parent)]
    near += [folder / name for name in _BESIDE]
    for candidate in near:
        if candidate.is_file() and (found := _parsed(candidate, beside=True)):
            return found
    return None


def _parsed(path: Path, *, beside: bool = False) -> dict[int, str]:
    """The names in a file; empty where it holds none, and refused where a value has two.

    Of a JSON file that only lies `beside`, nothing counts but what is surely names: others hold settings of a scan.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(
            f"{path}: {path.stat().st_size >> 20} MB, a table of class names is small. Is it another file?"
        )
    with reading(path, "not readable as a table of class names", "Save it as UTF-8 text.", kinds=(OSError, ValueError)):
        text = path.read_text(encoding="utf-8-sig")
    twice: list[str] = []
    if path.suffix.lower() == ".json":
        with reading(
            path, "not JSON", "Repair it, or give the names with --names.", kinds=(ValueError, RecursionError)
        ):
            content = json.loads(text, object_pairs_hook=partial(noting_repeats, twice))
        sure = isinstance(content, dict) and ("labels" in content or all(str(k).strip().isdigit() for k in content))
        if not sure and beside:
            return {}
        if twice:
            raise InputError(f"{path}: it gives {twice[0][:60]!r} twice, with different values. Repair it.")
    with of_file(path):
        if path.suffix.lower() == ".json":
            return _from_json(content)
        if path.suffix.lower() in (".csv", ".tsv"):
            delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
            return _from_columns(text, delimiter) or _from_pairs(text.splitlines())
        return _from_lines(text.splitlines())


def _from_json(content: Any) -> dict[int, str]:
    """``{"labels": {...}}`` of nnU-Net (name -> value) and the Decathlon (value -> name), or such an object itself."""
    rows = content.get("labels", content) if isinstance(content, dict) else None
    if not isinstance(rows, dict):
        return {}
    found: dict[int, str] = {}
    shared: set[int] = set()
    for key, value in rows.items():
        number = value_of(str(key))
        if isinstance(value, str) and number is not None:
            once(found, number, value)
            continue
        # A region of nnU-Net that is larger than a value does not name it: it is a part, of this one and of others.
        region = list(dict.fromkeys(value)) if _is_region(value) else [value]
        v = region[0] if len(region) == 1 else None
        if isinstance(v, int) and not isinstance(v, bool):
            shared |= {v} & found.keys()  # of two names, neither is the one
            found[v] = str(key)
    return {v: n.strip() for v, n in found.items() if v > 0 and v not in shared and n.strip()}


def _is_region(value: Any) -> bool:
    """Whether it is a list of whole numbers."""
    return isinstance(value, list) and all(isinstance(v, int) for v in value)


def _from_columns(text: str, delimiter: str) -> dict[int, str]:
    rows = csv.DictReader(text.splitlines(), delimiter=delimiter)
    columns = {(n or "").strip().lower(): n for n in rows.fieldnames or []}
    name = next((columns[c] for c in _NAME_COLUMNS if c in columns), None)
    value = next((columns[c] for c in _VALUE_COLUMNS if c in columns and columns[c] != name), None)
    if name is None or value is None:
        return {}
    found: dict[int, str] = {}
    for row in rows:
        number, said = value_of(str(row.get(value) or "")), str(row.get(name) or "").strip()
        if number and said:
            once(found, number, said)
    return found


def _from_lines(lines: Sequence[str]) -> dict[int, str]:
    found: dict[int, str] = {}
    for line in lines:
        if match := _SNAP.match(line):
            value, name = value_of(match[1]), match[2]
        elif match := _LUT.match(line):
            value, name = value_of(match[1]), match[2] or match[3] or ""
        else:
            continue
        if value and name.strip():
            once(found, value, name.strip())
    return found or _from_pairs(lines)


def _from_pairs(lines: Iterable[str]) -> dict[int, str]:
    """``3 Corn-mintill`` on every line, else nothing: a text that also says other things is no table of names."""
    found: dict[int, str] = {}
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _PLAIN.fullmatch(line.strip())
        value = None if match is None else value_of(match[1])
        if match is None or value is None or value in found or not any(c.isalpha() for c in match[2]):
            return {}
        found[value] = match[2].strip("\"' ")
    return {v: n for v, n in found.items() if v > 0 and n}
