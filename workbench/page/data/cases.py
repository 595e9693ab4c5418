"""What pages add to the cases of a study: the picture of a page with its corrected lines, or with its digital record.

Beside ``page.jpg`` lie its lines as ``page.geojson``, or the folder ``page`` of its result with ``traces.geojson``, and
perhaps its record under the same name (``page.hea``, ``page.csv``, ``page.dcm``...), by which a reading is scored.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from workbench.core.types import Case, case_name
from workbench.data.groups import group_of
from workbench.page.data import pictures, signal_files

__all__ = ["FILE_COLUMNS", "cases_in", "folder_cases", "labels_in"]

FILE_COLUMNS = ("reference",)
"""Columns of a list that hold paths: the digital record of a page whose labels are lines."""
LINES = "traces.geojson"
"""Lines in the folder of a result."""
_GEOJSON = ".geojson"
_PICTURES = (*pictures.SUFFIXES, ".pdf")
_HEAD, _LONG_HEAD = 4096, 1 << 20
"""Bytes within which lines of ours say that they know where on paper they lie, and others that they are leads."""


def folder_cases(folder: Path) -> list[Case]:
    """The pictures of a folder that have lines or a record beside them; a group is what their name begins with."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except OSError:
        return []
    suffixes = (_GEOJSON, *signal_files.SUFFIXES)
    stems = {Path(n).stem for n in names if n.lower().endswith(suffixes)} | {n for n in names if "." not in n}
    found = [folder / n for n in names if n.lower().endswith(_PICTURES) and Path(n).stem in stems]
    return [case for path in found if (case := _case(path)) is not None]


def cases_in(path: Path, labels: Path | None) -> list[Case]:
    """The page of a single picture with what lies beside it, or with what a folder holds for it; none without."""
    if not path.name.lower().endswith(_PICTURES) or not path.is_file():
        return []
    if labels is None:
        case = _case(path)
        return [] if case is None else [case]
    name = case_name(path)
    own = labels_in(labels).get(name) if labels.is_dir() else None
    return [] if own is None else [Case(name, path, own, group_of(name))]


def labels_in(folder: Path) -> dict[str, Path]:
    """Lines and records in a folder by the names of their pages: files, and folders of results."""
    found: dict[str, Path] = {}
    entries = sorted(folder.iterdir())
    for path in entries:
        if path.suffix.lower() == _GEOJSON and (is_lines(path) or b'"LineString"' in _head(path)):
            found.setdefault(path.stem, path)
        elif path.is_dir() and is_lines(path / LINES):
            found.setdefault(path.name, path / LINES)
    for path in entries:
        if path.is_file() and signal_files.sniff(path) == "sure":
            found.setdefault(case_name(path), path)
    return found


def is_lines(path: Path) -> bool:
    """Whether a file holds lines of leads, by its first bytes: of ours, or what another program made of those.

    Those do not say where on paper they lie any more, which whoever opens them is told.
    """
    head = _head(path)
    own = b'"workbench"' in head[:_HEAD] and b'"paper"' in head[:_HEAD]
    return own or (b'"LineString"' in head and b'"lead"' in head)


def others_beside(path: Path) -> str:
    """In words, the GeoJSON that lies beside a picture under its name and is no lines of a page; else ""."""
    beside = path.with_suffix(_GEOJSON)
    if beside == path or not beside.is_file() or is_lines(beside):
        return ""
    return (
        f" {beside.name} beside it lacks the block 'workbench' that predict writes, and lines with the property 'lead'."
    )


def _head(path: Path) -> bytes:
    """The first bytes of a file that is JSON; else none."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
                return b""
            return head + file.read(_LONG_HEAD)
    except OSError:
        return b""


def _case(path: Path) -> Case | None:
    lines = _first(p for p in (path.with_suffix(_GEOJSON), path.with_suffix("") / LINES) if is_lines(p))
    record = _first(
        p for s in signal_files.SUFFIXES if (p := path.with_suffix(s)).is_file() and signal_files.sniff(p) == "sure"
    )
    if lines is None and record is None:
        return None
    name = case_name(path)
    options = {"kind": "page"} | ({"reference": str(record)} if lines is not None and record is not None else {})
    return Case(name, path, lines or record, group_of(name), options)


def _first(paths: Iterable[Path]) -> Path | None:
    return next(iter(paths), None)
