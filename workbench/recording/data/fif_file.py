"""What a FIF file holds, and whether all of it is there: a walk over its tags that reads no samples."""

from __future__ import annotations

import gzip
import struct
import tempfile
import zlib
from functools import cache
from pathlib import Path
from typing import Literal

from workbench.core import leftovers
from workbench.core.errors import InputError

What = Literal["raw", "epochs", "evoked"]

_BLOCK_START, _BLOCK_END, _FILE_ID = 104, 105, 100
_RAW, _EVOKED, _CONTINUOUS, _SHIELDED, _EPOCHS = 102, 104, 112, 119, 373
LARGEST = 2**31
"""Bytes of the longest FIF file: its tags count them with 31 bits, and writers split longer ones."""

_OTHERS = ("eve", "annot", "cov", "fwd", "inv", "ica", "trans", "src", "bem", "bem-sol", "proj", "tfr", "sol", "dip")


def is_other(path: Path) -> bool:
    """Whether the name says that this FIF file holds no recording (``-eve.fif``, ``-cov.fif``, ``-fwd.fif``...)."""
    return any(_stem(path).endswith((f"-{w}", f"_{w}")) for w in _OTHERS)


def contents(path: Path) -> What:
    """``"raw"``, ``"epochs"`` or ``"evoked"``, from the blocks of the file.

    Raises
    ------
    InputError
        If the file is no FIF file, is cut off, or holds no recording.
    """
    blocks = _blocks(plain(path), path)
    if _EPOCHS in blocks:
        return "epochs"
    if _EVOKED in blocks:
        return "evoked"
    if blocks & {_RAW, _CONTINUOUS, _SHIELDED}:
        return "raw"
    raise InputError(f"{path}: this FIF file holds no recording: no raw data, epochs or evoked data.")


def _blocks(file: Path, path: Path) -> set[int]:
    size = file.stat().st_size
    found: set[int] = set()
    open_blocks = 0
    with file.open("rb") as f:
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
                if length < 4:
                    raise InputError(f"{path}: damaged FIF file: a block without a kind at byte {position}.")
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


def plain(path: Path) -> Path:
    """The file itself, or an unpacked copy of a ``.fif.gz`` that vanishes when the program ends.

    FIF readers jump about in a file; in a packed one every jump back means to unpack from the beginning again.

    Raises
    ------
    InputError
        If a packed file is damaged.
    """
    if not path.name.lower().endswith(".gz"):
        return path
    about = path.stat()
    return _unpacked(path.resolve(), about.st_mtime_ns, about.st_size)


@cache
def _unpacked(path: Path, _modified: int, _size: int) -> Path:
    copy = Path(_folder().name) / f"{_modified}-{path.name[: -len('.gz')]}"
    try:
        with gzip.open(path, "rb") as packed, copy.open("wb") as out:
            size = 0
            while block := packed.read(1 << 20):
                size += len(block)
                if size > LARGEST:
                    raise InputError(
                        f"{path}: unpacks to more than {LARGEST} bytes, which no FIF file holds; it was not read."
                    )
                out.write(block)
    except InputError:
        copy.unlink(missing_ok=True)
        raise
    except (EOFError, OSError, zlib.error) as error:
        copy.unlink(missing_ok=True)
        raise InputError(f"{path}: truncated or damaged .gz file ({error}). Copy or export it again.") from error
    return copy


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    leftovers.clean(Path(tempfile.gettempdir()), "workbench-fif")
    return tempfile.TemporaryDirectory(prefix=f"workbench-fif-{leftovers.tag()}-")
