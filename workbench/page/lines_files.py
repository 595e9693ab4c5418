"""Lines of a page as they are in a file, held against the picture that they belong to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from workbench.core.errors import GeometryError, InputError, one_line
from workbench.core.lines import Lines
from workbench.core.provenance import input_hash
from workbench.core.types import Image
from workbench.data.lines import read_lines
from workbench.page.corrected import BY_HAND
from workbench.page.data.pictures import AXES
from workbench.page.traces import Sheet, channels_of

SUFFIXES = (".geojson", ".json")
_RECORD = "provenance.json"


@dataclass(frozen=True, eq=False)
class PageLines:
    """Lines, and whether a person corrected them: ``None`` where no record beside them says it."""

    lines: Lines
    corrected: bool | None


def lines_for(path: Path, image: Image) -> PageLines:
    """Read the lines of a picture.

    Parameters
    ----------
    path
        A file of `workbench.write`: ``traces.geojson`` of a result, or a copy under another name.
    image
        The picture of the page.

    Raises
    ------
    InputError
        The file is damaged, says nothing of paper, belongs to another picture, or names no lead; or the image is no
        picture.
    """
    subject = image.source or image.name
    if image.geometry.axes != AXES:
        raise InputError(
            f"{subject}: is a digital electrocardiogram, and lines lie on the picture of a page. Give the picture."
        )
    lines = read_lines(path)
    try:
        sheet = Sheet.of(lines)
    except GeometryError as error:
        raise InputError(
            f"{path}: {one_line(error)}. Give the lines that predict or the napari tool wrote for {subject}."
        ) from error
    rows, columns = image.geometry.shape
    if sheet.shape != (rows, columns):
        high, wide = sheet.shape
        raise InputError(
            f"{path}: these are lines of a picture of {wide} x {high} pixels, and {subject} has {columns} x {rows}. "
            "Give the lines of this very picture."
        )
    if not any(channels_of(lines)):
        raise InputError(
            f"{path}: none of its {len(lines)} lines has the name of a lead (I, II, V1...). Name them, in napari or as "
            "the property 'lead' of each line."
        )
    return PageLines(lines, _corrected(path, image))


def _corrected(path: Path, image: Image) -> bool | None:
    """What the record of the result says that the lines lie in; refuses that of another picture."""
    record = path.with_name(_RECORD)
    try:
        told = json.loads(record.read_text(encoding="utf-8"))
        files, notes, right = told["files"], told["notes"], told["input_sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(files, dict) or path.name not in files or not isinstance(notes, list):
        return None
    own = input_hash(image) if right else None
    if own is not None and own != right:
        raise InputError(
            f"{path}: is of {Path(str(told.get('source'))).name} ({record.name} beside it), and {image.source} is "
            "another file. If it is the same picture, copy the lines beside it."
        )
    return any(str(note).startswith(BY_HAND) for note in notes)
