"""What a FIF file holds, and whether all of it is there: a walk over its tags that reads no samples."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any, Literal

from workbench.errors import InputError

What = Literal["raw", "epochs", "evoked"]

_BLOCK_START, _BLOCK_END, _FILE_ID = 104, 105, 100
_RAW, _EVOKED, _CONTINUOUS, _SHIELDED, _EPOCHS = 102, 104, 112, 119, 373
_NAMES: tuple[tuple[str, What], ...] = (("epo", "epochs"), ("ave", "evoked"), ("evoked", "evoked"), ("raw", "raw"))
_OTHERS = ("eve", "annot", "cov", "fwd", "inv", "ica", "trans", "src", "bem", "bem-sol", "proj", "tfr", "sol", "dip")


def is_other(path: Path) -> bool:
    """Whether the name says that this FIF file holds no recording (``-eve.fif``, ``-cov.fif``, ``-fwd.fif``...)."""
    return any(_stem(path).endswith((f"-{w}", f"_{w}")) for w in _OTHERS)


def contents(path: Path) -> What:
    """``"raw"``, ``"epochs"`` or ``"evoked"``, from the blocks of the file; packed files are told by their names.

    Raises
    ------
    InputError
        If the file is no FIF file, is cut off, or holds no recording.
    """
    if path.name.lower().endswith(".gz"):
        stem = _stem(path)
        for word, what in _NAMES:
            if stem.endswith((f"-{word}", f"_{word}")):
                return what
        return "raw"
    blocks = _blocks(path)
    if _EPOCHS in blocks:
        return "epochs"
    if _EVOKED in blocks:
        return "evoked"
    if blocks & {_RAW, _CONTINUOUS, _SHIELDED}:
        return "raw"
    raise InputError(f"{path}: this FIF file holds no recording: no raw data, epochs or evoked data.")


def _blocks(path: Path) -> set[int]:
    size = path.stat().st_size
    found: set[int] = set()
    open_blocks = 0
    with path.open("rb") as f:
        position, first = 0, True
        while position < size:
            f.seek(position)
            head = f.read(16)
            if len(head) < 16:
                raise _cut(path, f"a tag begins at byte {position} and the file ends at {size}")
            kind, _, length, following = struct.unpack(">4i", head)
            if first and kind != _FILE_ID:
                raise InputError(f"{path}: not a FIF file (its first tag is {kind}, {_FILE_ID} was expected).")
            first = False
            end = position + 16 + length
            if length < 0 or following < -1 or end > size:
                raise _cut(path, f"a tag needs bytes up to {end}, the file has {size}")
            if kind == _BLOCK_START:
                open_blocks += 1
                found.add(struct.unpack(">i", f.read(4))[0])
            open_blocks -= kind == _BLOCK_END
            if following == -1:
                break
            if 0 < following <= position:
                raise InputError(f"{path}: the tags of this FIF file lead in a circle. Export it again.")
            position = following if following else end
    if first:
        raise InputError(f"{path}: the file is empty, a FIF file was expected.")
    if open_blocks > 0:
        raise _cut(path, f"{open_blocks} block(s) never end")
    return found


def _cut(path: Path, why: str) -> InputError:
    return InputError(f"{path}: truncated FIF file: {why}. Copy or export it again.")


def _stem(path: Path) -> str:
    return path.name.lower().removesuffix(".gz").removesuffix(".fif")


def unpackable(path: Path) -> None:
    """Refuse a damaged ``.fif.gz`` in one line, before MNE fails somewhere inside it."""
    try:
        with gzip.open(path, "rb") as f:
            first: Any = f.read(4)
            while f.read(1 << 20):
                pass
    except (EOFError, OSError) as error:
        raise InputError(f"{path}: truncated or damaged .gz file ({error}). Copy or export it again.") from error
    if len(first) < 4 or struct.unpack(">i", first)[0] != _FILE_ID:
        raise InputError(f"{path}: not a FIF file inside this .gz.")
