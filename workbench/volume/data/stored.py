"""Uncompressed voxels held against the length of their file, and voxels written as text, number by number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError

_LONGEST = 64  # characters of a number and of what separates it from the next
_NUMBER = rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"


@dataclass(frozen=True)
class Stored:
    """Where uncompressed voxels lie.

    Attributes
    ----------
    files
        They hold equal shares.
    start
        First byte of the voxels in each, ``None`` where they are the end of the file, whatever comes before.
    text
        They are numbers in plain text.
    """

    files: tuple[Path, ...]
    start: int | None
    text: bool = False


def surplus(stored: Stored, needed: int, piece: int) -> str | None:
    """Compare the lengths of the files with what the header promises: fewer bytes are for the loader to refuse.

    Parameters
    ----------
    needed, piece
        Bytes of all voxels, and of one slice.

    Raises
    ------
    InputError
        If a file holds a further slice, so that the header promises too few.
    """
    if stored.text or stored.start is None:
        return None
    share, note = needed // len(stored.files), None
    for file in stored.files:
        more = _size(file) - stored.start - share
        if more >= min(piece, share):
            raise InputError(
                f"{file}: the header promises {share} bytes of voxels, and {share + more} follow it: at least one more"
                " slice is in it. The header is wrong: export it again."
            )
        if more > 0:
            note = f"{more} bytes follow the voxels, and are left out"
    return note


def require(stored: Stored, needed: int) -> None:
    """Refuse files that hold fewer bytes than their share, before memory is taken for it."""
    if stored.text:
        return
    share = needed // len(stored.files)
    for file in stored.files:
        found = max(_size(file) - (stored.start or 0), 0)
        if found < share:
            raise InputError(
                f"{file}: truncated: the header promises {share} bytes of voxels, the file has {found}. Copy or export"
                " it again."
            )


def require_numbers(stored: Stored, count: int, dtype: np.dtype[Any]) -> None:
    """Refuse a text that does not hold so many numbers that fit the type: libraries go on with what they have got."""
    (file,) = stored.files
    if _size(file) - (stored.start or 0) > _LONGEST * (count + 1):
        raise InputError(f"{file}: far more text than the {count} numbers that its header promises. Export it again.")
    with file.open("rb") as f:
        f.seek(stored.start or 0)
        words = f.read().replace(b",", b" ").split()
    bad = next((w for w in words if not re.fullmatch(_NUMBER, w)), None)
    if bad is not None or len(words) != count:
        what = f"{len(words)} numbers" if bad is None else f"{bad[:20]!r} among the numbers"
        raise InputError(
            f"{file}: damaged: {what} in its text, the header promises {count} numbers. Copy or export it again."
        )
    if dtype.kind in "iu":
        values: npt.NDArray[np.float64] = np.array(words, dtype="S").astype(np.float64)
        limits = np.iinfo(dtype)
        if values.min() < limits.min or values.max() > limits.max or (values % 1).any():
            raise InputError(
                f"{file}: numbers from {values.min():g} to {values.max():g} in its text, expected whole ones from"
                f" {limits.min} to {limits.max} ({dtype}). The header is wrong: export it again."
            )


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0  # missing: said by the one who opens it


def present(files: Sequence[Path]) -> bool:
    """Whether all of these files are there; a header answers without its voxels."""
    return all(f.is_file() for f in files)
