"""Lines of a page as they are in a file, held against the picture that they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench.core import case_folder
from workbench.core.errors import GeometryError, InputError, one_line
from workbench.core.lines import Lines
from workbench.core.provenance import input_hash
from workbench.core.types import Image
from workbench.data.header_text import shortened
from workbench.data.lines import read_lines
from workbench.page.corrected import BY_HAND
from workbench.page.data.cases import LINES
from workbench.page.data.pictures import AXES
from workbench.page.traces import LEAD, ORIGIN, STRIP, Sheet, channels_of, completed, unsaid

SUFFIXES = (".geojson", ".json")
_LONGEST_NAME = 40
_NOT_IN_NAMES = "/\\<>|="
"""Of leads: they would make them paths, markup or formulas."""


@dataclass(frozen=True, eq=False)
class PageLines:
    """Lines, whether a person corrected them (``None`` where no record beside them says it), what is to be known."""

    lines: Lines
    corrected: bool | None
    notes: tuple[str, ...] = ()


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
        The file is damaged, says nothing of paper (it lacks the block ``workbench``), belongs to another picture, or
        names no lead; a line lies off the picture or has a name that no lead has; or the image is no picture.
    """
    subject = image.source or image.name
    if image.geometry.axes != AXES:
        raise InputError(
            f"{subject}: is a digital electrocardiogram, and lines lie on the picture of a page. Give the picture."
        )
    lines = read_lines(path)
    if "paper" not in lines.about:
        raise InputError(
            f"{path}: lacks the block 'workbench' that predict writes, and with it the scale of the paper; QGIS, for "
            f"one, leaves it out when it saves. Copy it into this file from the {LINES} that predict writes of the "
            "picture."
        )
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
    _require_names(path, lines)
    _require_on_picture(path, lines, (columns, rows))
    whole = completed(lines)
    corrected, notes = _corrected(path, image)
    return PageLines(whole, corrected, (*notes, *_completed(lines, whole)))


def _require_names(path: Path, lines: Lines) -> None:
    for n, lead in enumerate(lines.feature(LEAD, ""), 1):
        name = str(lead or "")
        if len(name) > _LONGEST_NAME or not name.isprintable() or any(c in name for c in _NOT_IN_NAMES):
            raise InputError(
                f"{path}: line {n} has the lead {shortened(name, _LONGEST_NAME)}, expected a name such as II or V1. "
                "Correct it, in napari or as the property 'lead'."
            )


def _require_on_picture(path: Path, lines: Lines, size: tuple[int, int]) -> None:
    """Each line lies on the picture of that size (width, height), and leaves it by no more than that size."""
    for n in range(len(lines)):
        points = np.asarray(lines.line(n), float)
        on = ((points >= -0.5) & (points <= np.array(size) + 0.5)).all(axis=1)
        if on.any() and (np.abs(points) <= 2.0 * max(size)).all():
            continue
        worst = points[int(np.argmax(np.abs(points).max(axis=1)))]
        raise InputError(
            f"{path}: line {n + 1} runs to ({worst[0]:.6g}, {worst[1]:.6g}), and the picture has {size[0]} x {size[1]} "
            "pixels. Draw the line along its trace, or delete it."
        )


def _completed(before: Lines, now: Lines) -> list[str]:
    """What was missing among the properties of lines, and how it was found."""
    notes = []
    for name, how in ((STRIP, "those longer than a piece of a row are strips"),
                      (ORIGIN, "it was taken from where their rows begin, as a page is read")):  # fmt: skip
        if (missing := unsaid(before, name)) > unsaid(now, name):
            notes.append(f"{missing} of {len(before)} lines have no property '{name}': {how}")
    return notes


def _corrected(path: Path, image: Image) -> tuple[bool | None, list[str]]:
    """What the record of the result says that the lines lie in, and notes; refuses that of another picture."""
    told = case_folder.record_of_file(path)
    if told is None or "notes" not in told or "input_sha256" not in told:
        return None, []
    right, entry = told["input_sha256"], told["files"][path.name]
    own = input_hash(image) if right else None
    if own is not None and own != right:
        raise InputError(
            f"{path}: is of {Path(str(told.get('source'))).name} ({case_folder.RECORD} beside it), and {image.source} "
            "is another file. If it is the same picture, copy the lines beside it."
        )
    if any(note.startswith(BY_HAND) for note in told["notes"] or ()):
        return True, []
    if entry.get("sha256") and not case_folder.is_intact(path, entry):
        return True, [f"{path.name} is another file than {case_folder.RECORD} says was written: taken as corrected"]
    return False, []
