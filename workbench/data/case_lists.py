"""Lists of cases: CSV, TSV and JSONL with the columns ``image``, ``labels``, ``group``, ``id``."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from workbench.core import kinds
from workbench.core.csv_text import cell_text
from workbench.core.errors import InputError, reading, reason
from workbench.core.types import Case, case_name
from workbench.data import formats
from workbench.data.groups import group_of

_RESULT = "embeddings.h5"
_FILE = re.compile(r"\.(?!\d+$)[a-z0-9_]{2,9}$|\.(?:gz|bz2)$|^[~/.]|^[a-z]:", re.IGNORECASE)
"""What looks like the path of a file: an ending that is no number, or a beginning as of a path."""
_GROUPS = ("subject", "patient", "patient_id")
"""Columns that say what is kept apart as a whole, where no column is called group."""
LISTS = (".csv", ".tsv", ".jsonl", ".ndjson")
_LINES = (".jsonl", ".ndjson")
_HEAD = 1 << 16
"""Bytes in which the first line of a list ends."""


def is_list(path: Path) -> bool:
    """Whether a file is a list of cases: it has a column ``image``, or its suffix is that of a list and no kind of
    data reads it. Tables of leads have the same suffix.
    """
    if path.suffix.lower() not in LISTS:
        return False
    return path.suffix.lower() in _LINES or _names_images(path) or not formats.is_readable(path)


def _names_images(path: Path) -> bool:
    """Whether the first line of a table has a column ``image``; what cannot be read has none."""
    try:
        with path.open("rb") as file:
            first = file.read(_HEAD).decode("utf-8-sig", errors="replace")
        names = next(csv.reader(first.splitlines()[:1], delimiter=_delimiter(first)), [])
    except (OSError, csv.Error):
        return False
    return "image" in [n.strip().lower() for n in names]


def from_list(path: Path, missing_ok: bool = False) -> Iterator[Case]:
    """The cases of a list, row by row; with `missing_ok` files that do not exist are left to who opens them."""
    for number, row in read_rows(path):
        where = f"{path}, line {number}"
        if not row.get("image"):
            have = ", ".join(k for k in row if k) or "nothing"
            raise InputError(f"{where}: no value for 'image' (found: {have}). Each row needs the path of an image.")
        image = _resolved(path, row.pop("image"))
        mask_text = row.pop("labels", "") or ("" if _is_word(path, row.get("label", "")) else row.pop("label", ""))
        mask = _resolved(path, mask_text) if mask_text else None
        for what, file in (("image", image), ("labels", mask)):
            if not missing_ok and file is not None and not formats.split_address(file)[0].exists():
                raise InputError(f"{where}: {what} {file} does not exist. Paths are relative to the list.")
        case_id = row.pop("id", "") or _name_of(image)
        if any(c in case_id for c in "/\\\0") or case_id in (".", ".."):
            raise InputError(f"{where}: id '{case_id}' cannot be a folder name. Use letters, digits, '-' and '_'.")
        group = row.pop("group", "") or next((row[c] for c in _GROUPS if row.get(c)), "") or group_of(case_id)
        for column in _file_columns():
            if row.get(column):
                row[column] = str(_resolved(path, row[column]))
        yield Case(case_id, image, mask, group, {k: v for k, v in row.items() if k and v})


def _name_of(image: Path) -> str:
    """The name of a case by its file; results of ours are called alike, and their folder says of what they are."""
    return image.parent.name if image.name == _RESULT and image.parent.name else case_name(image)


def _is_word(path: Path, text: str) -> bool:
    """Whether a column ``label`` says what a case is ("tumour", "grade 1.5") instead of naming a file."""
    return bool(text) and not _FILE.search(text) and not _resolved(path, text).exists()


def _file_columns() -> tuple[str, ...]:
    """Columns of a list that hold paths, besides those of the images and the labels."""
    return tuple(dict.fromkeys(c for _, columns in kinds.hooks("cases", "FILE_COLUMNS") for c in columns))


def read_rows(path: Path, images: Sequence[str] = ("image",)) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a list with their line numbers; all values as text, columns in small letters.

    Parameters
    ----------
    images
        What its column of images may be called.

    Raises
    ------
    InputError
        It is no list.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path}: not a readable text list ({error}). Save it as UTF-8.") from error
    if path.suffix.lower() in _LINES:
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield number, _json_row(path, number, line)
        return
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(text)
    table = csv.DictReader(text.splitlines(), delimiter=delimiter)
    with reading(path, "not readable as a table", "Save it as CSV again.", kinds=(csv.Error,)):
        names = [n.strip().lower() for n in table.fieldnames or []]
    if not set(images) & set(names):
        raise InputError(f"{path}: the first line has the columns {names}, '{images[0]}' was expected. Add a header.")
    if twice := sorted({n for n in names if n and names.count(n) > 1}):
        raise InputError(f"{path}: the first line has the column {twice[0]!r} twice. Remove one.")
    table.fieldnames = names
    with reading(path, "not readable as a table", "Save it as CSV again.", kinds=(csv.Error,)):
        rows = [(table.line_num, values) for values in table]
    for number, values in rows:
        if None in values:
            raise InputError(f"{path}, line {number}: more values than columns. Quote values that hold commas.")
        if any((v or "").strip() for v in values.values()):
            yield number, {k: cell_text((v or "").strip()) for k, v in values.items()}


def _delimiter(text: str) -> str:
    first = text.splitlines()[0] if text.strip() else ""
    return max(",;\t", key=first.count)


def _json_row(path: Path, number: int, line: str) -> dict[str, str]:
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}, line {number}: not JSON ({reason(error)}). Each line is one object.") from error
    if not isinstance(row, dict):
        raise InputError(f"{path}, line {number}: a {type(row).__name__}, expected an object with 'image'.")
    return {str(k).strip().lower(): "" if v is None else str(v) for k, v in row.items()}


def _resolved(path: Path, text: str) -> Path:
    found = f"{text[:60]!r} is no path"
    with reading(path, found, kinds=(RuntimeError, ValueError)):  # the home of a user who is not known
        file = Path(text).expanduser()
    file = file if file.is_absolute() else path.parent / file
    with reading(path, found, kinds=(OSError, ValueError)):  # longer than any path may be
        formats.split_address(file)[0].exists()
    return file
