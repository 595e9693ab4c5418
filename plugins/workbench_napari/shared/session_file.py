"""The file of a session: which files and layers a window held, as JSON; copies of what has no file lie beside it.

``NAME.session`` is the JSON, ``NAME.session-layers`` the folder of the copies, each as the recovery store writes it:
arrays without pickle and a record. A session may come from a stranger: its paths are only ever read, and only where the
file is still the one that was open; copies are looked for by plain names in that one folder. No Qt, no napari.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.atomic import write_text
from workbench.core.errors import InputError, UsageError, reading
from workbench_napari.shared.recovery_store import LIMIT_BYTES, Store, read_arrays, write_arrays

FORMAT = 1
SUFFIX = ".session"
_LAYERS = "-layers"
_JSON_BYTES = 64 << 20
_MOST_LAYERS = 1000
_HASHED_BYTES = 256 << 20
"""Files up to this size are known by their content; larger ones by size and time."""
_BESIDE = 16
_IN_FOLDER = 20_000
_NAME = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{8}")

_LISTS = ("layers", "tools")
_OBJECTS = ("camera", "dims")


def is_session(path: str | Path) -> bool:
    """Whether a path is called as sessions are."""
    return Path(path).suffix.lower() == SUFFIX


def copies_of(path: Path) -> Store:
    """Where the copies of a session lie.

    Raises
    ------
    InputError
        A link lies there: it could lead anywhere.
    """
    root = path.with_name(path.name + _LAYERS)
    if os.path.lexists(root) and not stat.S_ISDIR(root.lstat().st_mode):
        raise InputError(f"{root}: a link or a file, expected the folder with the layers of {path.name}.")
    return Store(root)


# --- reading


def read_session(path: Path) -> dict[str, Any]:
    """The content of a session file, with every field of the type it must have.

    Raises
    ------
    InputError
        It is no session, is damaged, or was written by a later version.
    """
    advice = "Choose a file that 'Save session as...' has written."
    with reading(path, "cannot be read as a session", advice, kinds=(OSError, ValueError, RecursionError)):
        if path.stat().st_size > _JSON_BYTES:
            raise InputError(f"{path}: {path.stat().st_size / 1e6:.0f} MB, a session is small. {advice}")
        found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or not isinstance(found.get("format"), int):
        raise InputError(f"{path}: no session. {advice}")
    if found["format"] > FORMAT:
        raise InputError(
            f"{path}: written by a later version of the workbench (format {found['format']}, this one reads {FORMAT}). "
            "Update napari-workbench."
        )
    lists = {key: found.get(key, []) for key in _LISTS}
    for key, rows in lists.items():
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or len(rows) > _MOST_LAYERS:
            raise InputError(f"{path}: '{key}' is no list of at most {_MOST_LAYERS} objects. {advice}")
    objects = {key: value if isinstance(value := found.get(key), dict) else {} for key in _OBJECTS}
    return {**lists, **objects, "active": found.get("active")}


def numbers(value: Any, count: int | None = None) -> list[float] | None:
    """A list of finite numbers (of that length), or ``None`` if it is none."""
    if not isinstance(value, list) or (count is not None and len(value) != count):
        return None
    right = all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in value)
    return [float(v) for v in value] if right else None


def text(row: Mapping[str, Any], key: str) -> str:
    """A text of a row; "" if it is none."""
    value = row.get(key)
    return value if isinstance(value, str) else ""


def index(value: Any, count: int) -> int | None:
    """A place in a list of that length, or ``None``."""
    right = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < count
    return value if right else None


# --- files that layers refer to


@dataclass(frozen=True)
class FileRef:
    """A file or folder that layers were opened from: where it lies, and what tells that it is still the same."""

    path: str
    absolute: str
    files: tuple[tuple[str, int, int, str | None], ...]
    """Name, size, time of change and hash (of those that are not large) of the files that belong together."""

    @classmethod
    def of(cls, source: Path, session: Path) -> FileRef:
        """A reference to a file as it is now."""
        source = Path(os.path.abspath(source))
        try:
            path = os.path.relpath(source, Path(os.path.abspath(session)).parent)
        except ValueError:  # on another drive
            path = str(source)
        return cls(Path(path).as_posix(), str(source), _marks(source))

    def to_json(self) -> dict[str, Any]:
        return {"path": self.path, "absolute": self.absolute, "files": [list(row) for row in self.files]}

    @classmethod
    def from_json(cls, row: Any) -> FileRef | None:
        """A stored one again; ``None`` if it is none."""
        if not isinstance(row, dict) or not text(row, "path") or "\0" in text(row, "path") + text(row, "absolute"):
            return None
        files = row.get("files")
        if not isinstance(files, list) or not files or not all(_is_mark(file) for file in files):
            return None
        return cls(text(row, "path"), text(row, "absolute"), tuple(tuple(file) for file in files))

    def find(self, session: Path) -> Path:
        """The file, beside the session or where it was.

        Raises
        ------
        InputError
            It is gone, or it is another one by now.
        """
        places = [Path(os.path.abspath(session)).parent / self.path, Path(self.absolute or self.path)]
        there = [Path(os.path.abspath(p)) for p in places if p.is_absolute() and (p.is_file() or p.is_dir())]
        for place in there:
            if self._is_same(place):
                return place
        if there:
            raise InputError(f"{there[0]}: has changed since the session was saved")
        raise InputError(f"{self.absolute or self.path}: is gone")

    def _is_same(self, place: Path) -> bool:
        now = {name: (path, size, changed) for name, path, size, changed in _members(place)}
        for name, size, changed, sha256 in self.files:
            if name not in now or now[name][1] != size:
                return False
            if now[name][2] != changed and (sha256 is None or _hash(now[name][0]) != sha256):
                return False
        return not place.is_dir() or len(now) == len(self.files)


def _is_mark(file: Any) -> bool:
    return (
        isinstance(file, list)
        and len(file) == 4
        and isinstance(file[0], str)
        and all(isinstance(n, int) and not isinstance(n, bool) for n in file[1:3])
        and isinstance(file[3], str | None)
    )


def _members(source: Path) -> list[tuple[str, Path, int, int]]:
    """A file with those of its stem beside it (headers, samples, settings), or what is in a folder."""
    if source.is_dir():
        files = sorted(islice((p for p in source.rglob("*") if p.is_file()), _IN_FOLDER))
        named = [(p.relative_to(source).as_posix(), p) for p in files]
    else:
        stem = source.name.split(".")[0]
        beside = sorted(p for p in source.parent.glob(f"{_escape(stem)}.*") if p.is_file() and p != source)[:_BESIDE]
        kept = [p for p in beside if not is_session(p)]
        named = [(p.name, p) for p in (source, *kept)]
    found = []
    for name, path in named:
        at = path.stat()
        found.append((name, path, at.st_size, at.st_mtime_ns))
    return found


def _escape(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)


def _marks(source: Path) -> tuple[tuple[str, int, int, str | None], ...]:
    members = _members(source)
    small = sum(size for _, _, size, _ in members) <= _HASHED_BYTES
    return tuple((name, size, changed, _hash(path) if small else None) for name, path, size, changed in members)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- copies of what has no file


def write_copy(store: Store, arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """Write the arrays of a layer into a folder of their own; returns its name."""
    folder = store.new_folder()
    write_arrays(folder / "base-000001.npz", arrays)
    return folder.name


def read_copy(store: Store, name: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a layer.

    Raises
    ------
    InputError
        The name leads elsewhere, the copy is gone, damaged, or larger than what is ever written.
    """
    folder = store.root / name
    if _NAME.fullmatch(name) is None or folder.is_symlink():
        raise InputError(f"{name[:80]!r} is no copy of this session.")
    path = folder / "base-000001.npz"
    with reading(path, "the copy of a layer cannot be read", kinds=(OSError, zipfile.BadZipFile)):
        if path.is_symlink() or not path.is_file():
            raise InputError(f"{path}: is gone")
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    if size > LIMIT_BYTES:
        raise InputError(f"{path}: {size / 1e9:.1f} GB of arrays, a copy has at most {LIMIT_BYTES / 1e9:.1f} GB.")
    return read_arrays(path)


def write_session(path: Path, content: Mapping[str, Any], copies: Mapping[int, Callable[[], Any]]) -> Path:
    """Write a session: the copies first, then the file that names them, then older copies go.

    Parameters
    ----------
    content
        What `read_session` gives.
    copies
        By the place of a layer in ``content["layers"]``: gives the arrays to keep.

    Raises
    ------
    UsageError
        The folder cannot be written to.
    """
    store = copies_of(path)
    layers = [dict(row) for row in content["layers"]]
    new = []
    try:
        for row in layers:
            if isinstance(source := row.pop("source_path", None), str):
                row["file"] = FileRef.of(Path(source), path).to_json()
        for place, arrays in copies.items():
            layers[place]["copy"] = write_copy(store, arrays())
            new.append(layers[place]["copy"])
        write_text(path, json.dumps({"format": FORMAT, **content, "layers": layers}, indent=1, default=_plain) + "\n")
    except BaseException as error:
        for name in new:
            store.discard(store.root / name)
        if isinstance(error, OSError):
            raise UsageError(f"cannot write {path}: {error.strerror or error}. Choose another folder.") from error
        raise
    for folder in store.root.iterdir() if store.root.is_dir() else ():
        if _NAME.fullmatch(folder.name) and folder.name not in new:
            store.discard(folder)
    return path


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)
