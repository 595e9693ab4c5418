"""Where hand edits survive a crash: a folder of entries, one per edited layer. No Qt, no napari, no pickle.

An entry is a folder with ``entry.json`` (what the layer was, who is editing it), one ``base-N.npz`` (the whole array)
and any number of ``delta-N.npz`` (boxes that changed since). A delta counts if its number is above that of the base.
Files appear by renaming, so a crash leaves the state of one write earlier, never half a write.

The folder may have been damaged, or changed by somebody else: an entry is believed only where it is what this module
writes. One that is not hides no other, and nothing outside the folder is read or removed: links are not followed.
"""

from __future__ import annotations

import io
import json
import lzma
import math
import os
import re
import shutil
import socket
import stat
import time
import tokenize
import uuid
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from workbench.core.atomic import replacing
from workbench.core.errors import PARSING, InputError, reading
from workbench.core.home import recovery_folder
from workbench.core.layers import KEY, up_to_date
from workbench_napari.shared.layer_record import KINDS

Box = tuple[slice, ...]

LIMIT_BYTES = 2 << 30
"""Cap of the whole store; ``WORKBENCH_RECOVERY_MB`` sets another one."""

_FORMAT = 1
_OTHER_HOST_SECONDS = 24 * 3600
_RECORD_BYTES = 64 << 20
_LAST_TIME = 1e11  # seconds: what a calendar can show
_STATES = ("open", "removed", "closed")
_FILE = re.compile(r"(base|delta)-(\d{1,12})\.npz")
_ME = psutil.Process()


@dataclass(frozen=True)
class Entry:
    """One recoverable layer, as its ``entry.json`` describes it."""

    folder: Path
    kind: str
    name: str
    source: str | None
    updated: float
    state: str
    size: int
    record: Mapping[str, Any]

    @property
    def when(self) -> str:
        """Local time of the last edit that was kept."""
        return time.strftime("%d %b %Y, %H:%M:%S", time.localtime(self.updated))


class Store:
    """A folder of entries with a size limit."""

    def __init__(self, root: Path | None = None, limit_bytes: int | None = None) -> None:
        self.root = root or recovery_folder()
        megabytes = os.environ.get("WORKBENCH_RECOVERY_MB")
        self.limit_bytes = limit_bytes or (int(float(megabytes) * 1e6) if megabytes else LIMIT_BYTES)

    def new_folder(self) -> Path:
        """A fresh name for an entry; the folder is made by the first write."""
        return self.root / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:8]}"

    def entries(self) -> list[Entry]:
        """All readable entries, newest first."""
        found = (read_entry(folder) for folder in self._folders())
        return sorted((e for e in found if e is not None), key=lambda e: -e.updated)

    def problems(self) -> list[str]:
        """One line for each entry that is there and cannot be believed."""
        found = []
        for folder in self._folders():
            try:
                _read_entry(folder)
            except InputError as error:
                found.append(str(error))
        return found

    def _folders(self) -> list[Path]:
        try:
            return sorted(self.root.iterdir())
        except OSError:
            return []

    def claim(self, entry: Entry) -> Entry | None:
        """Take an entry over; ``None`` if another window was faster. Renaming decides who wins."""
        mine = self.new_folder()
        try:
            os.rename(entry.folder, mine)
        except OSError:
            return None
        record = {**entry.record, **owner(), "state": "open"}
        _write_json(mine / "entry.json", record)
        return read_entry(mine)

    def discard(self, folder: Path) -> None:
        """Remove an entry for good. The record goes first, so that a crash leaves nothing that looks whole."""
        if folder.parent != self.root or not _is_own(folder, stat.S_ISDIR):
            return  # a link, or no entry of this store: what it leads to is somebody else's
        (folder / "entry.json").unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    def trim(self, keep: Sequence[Path] = ()) -> list[Entry]:
        """Drop the oldest entries nobody is editing until the store is below its limit; returns what was dropped."""
        entries = self.entries()
        total = sum(e.size for e in entries)
        dropped = []
        for entry in reversed(entries):
            if total <= self.limit_bytes:
                break
            if entry.folder in keep or (is_alive(entry) and entry.record.get("pid") != os.getpid()):
                continue
            self.discard(entry.folder)
            dropped.append(entry)
            total -= entry.size
        return dropped


def owner() -> dict[str, Any]:
    """Who is editing: process, its start time (process numbers are used again) and machine."""
    return {"pid": os.getpid(), "started": _ME.create_time(), "host": socket.gethostname()}


def is_alive(entry: Entry) -> bool:
    """Whether the process that was editing this entry still runs."""
    if entry.record.get("host") != socket.gethostname():
        # Nothing here can prove that a process on another machine has ended.
        return time.time() - entry.updated < _OTHER_HOST_SECONDS
    try:
        return abs(psutil.Process(int(entry.record["pid"])).create_time() - float(entry.record["started"])) < 1.0
    except (psutil.NoSuchProcess, KeyError, ValueError, TypeError, OverflowError):
        return False
    except psutil.AccessDenied:
        return True


def read_entry(folder: Path) -> Entry | None:
    """The entry in a folder, or ``None`` if there is no complete one."""
    try:
        return _read_entry(folder)
    except InputError:
        return None


def _read_entry(folder: Path) -> Entry | None:
    """The entry in a folder; ``None`` where none is, or it is not complete yet.

    Raises
    ------
    InputError
        What is there is not what this module writes; the line says what.
    """
    try:
        return _read_present(folder)
    except (FileNotFoundError, InputError):
        if not os.path.lexists(folder / "entry.json"):
            return None  # it was discarded while it was being read
        raise


def _read_present(folder: Path) -> Entry | None:
    advice = "The other copies are not concerned. Move this folder away."
    if not os.path.lexists(folder / "entry.json") and not folder.is_symlink():
        return None
    if not _is_own(folder, stat.S_ISDIR) or not _is_own(folder / "entry.json", stat.S_ISREG):
        raise InputError(f"{folder}: a link, expected a folder with entry.json as a file in it. {advice}")
    if (size := (folder / "entry.json").stat().st_size) > _RECORD_BYTES:
        raise InputError(f"{folder}: entry.json has {size / 1e6:.0f} MB, a record is small. {advice}")
    found = "the record of a kept layer cannot be read"
    with reading(folder, found, advice, kinds=(OSError, ValueError, RecursionError)):
        text = (folder / "entry.json").read_text(encoding="utf-8")
        record = json.loads(text)
    if wrong := _wrong_with(record):
        raise InputError(f"{folder}: {wrong} in entry.json. {advice}")
    if not _is_own(folder / record["base"], stat.S_ISREG):
        raise InputError(f"{folder}: {record['base']} is not there as a file. {advice}")
    metadata = record.get("attributes", {}).get("metadata", {})
    if KEY in metadata:
        metadata[KEY] = up_to_date(metadata[KEY])
    size = 0
    for file in folder.iterdir():
        try:
            size += file.lstat().st_size
        except OSError:
            continue  # removed by the window that writes it
    return Entry(folder, record["kind"], record["name"], record.get("source"), record["updated"], record["state"],
                 size, record)  # fmt: skip


def _wrong_with(record: Any) -> str:
    """The first field that is not as it is written here; empty if all are."""
    if not isinstance(record, dict):
        return "no object"
    own = ("attributes" in record and record["attributes"]) or {}
    metadata = own.get("metadata", {}) if isinstance(own, dict) else None
    checks = {
        "format": record.get("format") == _FORMAT,
        "kind": record.get("kind") in KINDS,
        "name": isinstance(record.get("name"), str),
        "source": isinstance(record.get("source"), str | None),
        "updated": _is_time(record.get("updated")),
        "state": record.get("state") in _STATES,
        "base": isinstance(record.get("base"), str) and _is_base(record["base"]),
        "attributes": isinstance(own, dict),
        "metadata": isinstance(metadata, dict) and isinstance(metadata.get(KEY, {}), dict),
    }
    return next((f"'{k}' is {str(record.get(k))[:60]!r}" for k, right in checks.items() if not right), "")


def _is_time(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 <= value < _LAST_TIME
    )


def _is_base(name: str) -> bool:
    """A plain name of a file that `Journal` writes, so that it leads nowhere else."""
    match = _FILE.fullmatch(name)
    return match is not None and match[1] == "base"


def _is_own(path: Path, kind: Callable[[int], bool]) -> bool:
    """Whether a path itself is a folder or a file, not a link to one."""
    try:
        return kind(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def write_record(folder: Path, record: Mapping[str, Any], base: str) -> None:
    """Write ``entry.json``; from now on the entry counts."""
    stamp = {"format": _FORMAT, "updated": time.time(), "base": base, "state": "open", **owner()}
    _write_json(folder / "entry.json", {**stamp, **record})


def set_state(folder: Path, state: str) -> None:
    """Mark an entry: ``"open"``, ``"removed"`` (its layer was removed) or ``"closed"``."""
    entry = read_entry(folder)
    if entry is not None:
        _write_json(folder / "entry.json", {**entry.record, "state": state})


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> int:
    """Write arrays compressed and atomically; returns the size in bytes. Views are streamed, not copied as a whole."""
    with replacing(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as f:
                np.lib.format.write_array(f, np.asanyarray(array), allow_pickle=False)
    return path.stat().st_size


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Arrays of a file written by `write_arrays`.

    Raises
    ------
    InputError
        The file is a link, is damaged, or holds more than arrays of numbers.
    """
    if not _is_own(path, stat.S_ISREG):
        raise InputError(f"{path}: a link or no file, expected the arrays of a kept layer.")
    with _reading(path), zipfile.ZipFile(path) as archive:
        # Whole, so that the checksums are compared.
        contents = {e.filename.removesuffix(".npy"): archive.read(e) for e in archive.infolist()}
    return {name: _array_of(path, content) for name, content in contents.items()}


def _reading(path: Path) -> AbstractContextManager[None]:
    kinds = (*PARSING, SyntaxError, tokenize.TokenError, zipfile.BadZipFile, lzma.LZMAError)
    return reading(path, "damaged: not readable as the arrays of a kept layer", kinds=kinds)


def _array_of(path: Path, content: bytes) -> npt.NDArray[Any]:
    """The array in the bytes of a ``.npy`` file, which must be as many as its header promises."""
    stream = io.BytesIO(content)
    with _reading(path):
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(stream)
    start = stream.tell()
    if dtype.hasobject:
        raise InputError(f"{path}: holds Python objects, a kept layer has numbers only. Nothing of it was read.")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(content) - start:
        raise InputError(f"{path}: damaged: {len(content) - start} bytes for an array {shape} of {dtype}.")
    array: npt.NDArray[Any] = np.frombuffer(content, dtype, offset=start)
    return array.reshape(shape, order="F" if fortran else "C").copy(order="K")


def write_delta(folder: Path, number: int, boxes: Sequence[Box], arrays: Sequence[npt.NDArray[Any]]) -> int:
    """Write changed boxes as delta `number`; returns its size in bytes."""
    starts = np.array([[s.start for s in box] for box in boxes], dtype=np.int64)
    named = {f"box{i}": a for i, a in enumerate(arrays)}
    return write_arrays(folder / f"delta-{number:06d}.npz", {"starts": starts, **named})


def read_array(entry: Entry) -> npt.NDArray[Any]:
    """The label array of an entry: its base with all later deltas on top."""
    base = entry.folder / str(entry.record["base"])
    array = _named(read_arrays(base), "data", base)
    for path in sorted(entry.folder.glob("delta-*.npz")):
        number = _number(path)
        if number is None or number <= (_number(base) or 0):
            continue
        delta = read_arrays(path)
        starts = _named(delta, "starts", path)
        if starts.ndim != 2 or starts.shape[1] != array.ndim or starts.dtype.kind not in "iu":
            raise InputError(f"{path}: its boxes begin at {starts.shape} numbers, expected {array.ndim} for each.")
        for i, start in enumerate(starts.tolist()):
            part = _named(delta, f"box{i}", path)
            stops = [a + n for a, n in zip(start, part.shape, strict=False)]
            if part.ndim != array.ndim or min(start) < 0 or any(b > n for b, n in zip(stops, array.shape, strict=True)):
                raise InputError(f"{path}: box {i} of {part.shape} at {tuple(start)} lies outside {array.shape}.")
            array[tuple(slice(a, b) for a, b in zip(start, stops, strict=True))] = part
    return array


def _named(arrays: Mapping[str, npt.NDArray[Any]], name: str, path: Path) -> npt.NDArray[Any]:
    if name not in arrays:
        raise InputError(f"{path}: has no '{name}' in it. The file is damaged.")
    return arrays[name]


def drop_older(folder: Path, number: int) -> None:
    """Remove bases and deltas that base `number` makes superfluous."""
    for path in folder.glob("*.npz"):
        own = _number(path)
        if own is not None and (own < number or (path.name.startswith("delta") and own == number)):
            path.unlink(missing_ok=True)


def latest_delta(entry: Entry) -> Path | None:
    """The last delta after the base of an entry whose deltas hold all that was edited."""
    base = _number(entry.folder / str(entry.record["base"])) or 0
    found = {n: p for p in entry.folder.glob("delta-*.npz") if (n := _number(p)) is not None and n > base}
    return found[max(found)] if found else None


def drop_older_deltas(folder: Path, number: int) -> None:
    """Remove deltas that delta `number`, which holds all that was edited, makes superfluous."""
    for path in folder.glob("delta-*.npz"):
        own = _number(path)
        if own is not None and own < number:
            path.unlink(missing_ok=True)


def _number(path: Path) -> int | None:
    """The number of a base or delta; ``None`` for other files, which are left alone."""
    match = _FILE.fullmatch(path.name)
    return None if match is None else int(match[2])


def _write_json(path: Path, value: Any) -> None:
    with replacing(path) as part:
        part.write_text(json.dumps(value), encoding="utf-8")
