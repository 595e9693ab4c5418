"""What a FIF file holds, and the file that a reader opens: itself, or an unpacked copy."""

from __future__ import annotations

import gzip
import tempfile
import zlib
from functools import cache
from pathlib import Path
from typing import Literal

from workbench.core import leftovers
from workbench.core.errors import InputError
from workbench.recording.data import fif_tags

What = Literal["raw", "epochs", "evoked"]

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
        If the file is no FIF file, is damaged, or holds no recording.
    """
    tags = fif_tags.walk(plain(path), path)
    if fif_tags.EPOCHS in tags.kinds:
        return "epochs"
    if fif_tags.EVOKED in tags.kinds:
        return "evoked"
    if tags.kinds & fif_tags.CONTINUOUS:
        return "raw"
    if tags.cut:
        raise fif_tags.truncated(path, tags.cut)
    raise InputError(f"{path}: this FIF file holds no recording: no raw data, epochs or evoked data.")


def whole(path: Path) -> Path:
    """The file for a reader, `plain`, all of whose tags are there and can be.

    Raises
    ------
    InputError
        If it is no FIF file, is cut off, or damaged.
    """
    file = plain(path)
    tags = fif_tags.walk(file, path)
    if tags.cut:
        raise fif_tags.truncated(path, tags.cut)
    return file


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


def first_bytes(path: Path, size: int, folder: str = "") -> Path:
    """A copy of the first bytes of a file, under its name in a folder of its own; it vanishes with the program."""
    about = path.stat()
    return _shortened(path.resolve(), path.name, size, folder, about.st_mtime_ns, about.st_size)


@cache
def _shortened(path: Path, name: str, size: int, folder: str, modified: int, _size: int) -> Path:
    place = own_folder() / folder
    place.mkdir(exist_ok=True)
    copy, left = place / name, size
    with path.open("rb") as whole, copy.open("wb") as out:
        while left and (block := whole.read(min(left, 1 << 20))):
            out.write(block)
            left -= len(block)
    return copy


def own_folder() -> Path:
    """A new folder for the copy of a recording that MNE opens in its place; it vanishes when the program ends."""
    return Path(tempfile.mkdtemp(dir=_folder().name))


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    leftovers.clean(Path(tempfile.gettempdir()), "workbench-fif")
    return tempfile.TemporaryDirectory(prefix=f"workbench-fif-{leftovers.tag()}-")
