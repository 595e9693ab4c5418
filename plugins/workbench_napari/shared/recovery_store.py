"""Where hand edits survive a crash: a folder of entries, one per edited layer. No Qt, no napari, no pickle.

An entry is a folder with ``entry.json`` (what the layer was, who is editing it), one ``base-N.npz`` (the whole array)
and any number of ``delta-N.npz`` (boxes that changed since). A delta counts if its number is above that of the base.
Files appear by renaming, so a crash leaves the state of one write earlier, never half a write.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
import uuid
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from workbench.core.atomic import replacing
from workbench.core.home import recovery_folder
from workbench.core.layers import KEY, up_to_date

Box = tuple[slice, ...]

LIMIT_BYTES = 2 << 30
"""Cap of the whole store; ``WORKBENCH_RECOVERY_MB`` sets another one."""

_FORMAT = 1
_OTHER_HOST_SECONDS = 24 * 3600
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
        found = []
        if self.root.is_dir():
            for folder in self.root.iterdir():
                entry = read_entry(folder)
                if entry is not None:
                    found.append(entry)
        return sorted(found, key=lambda e: -e.updated)

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
    except (psutil.NoSuchProcess, KeyError, ValueError):
        return False
    except psutil.AccessDenied:
        return True


def read_entry(folder: Path) -> Entry | None:
    """The entry in a folder, or ``None`` if there is no complete one."""
    try:
        record = json.loads((folder / "entry.json").read_text(encoding="utf-8"))
        if record["format"] != _FORMAT or not (folder / record["base"]).is_file():
            return None
        metadata = record.get("attributes", {}).get("metadata", {})
        if isinstance(metadata.get(KEY), dict):
            metadata[KEY] = up_to_date(metadata[KEY])
        size = sum(f.stat().st_size for f in folder.iterdir())
        return Entry(
            folder,
            record["kind"],
            record["name"],
            record.get("source"),
            record["updated"],
            record["state"],
            size,
            record,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


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
    """Arrays of a file written by `write_arrays`."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def write_delta(folder: Path, number: int, boxes: Sequence[Box], arrays: Sequence[npt.NDArray[Any]]) -> int:
    """Write changed boxes as delta `number`; returns its size in bytes."""
    starts = np.array([[s.start for s in box] for box in boxes], dtype=np.int64)
    named = {f"box{i}": a for i, a in enumerate(arrays)}
    return write_arrays(folder / f"delta-{number:06d}.npz", {"starts": starts, **named})


def read_array(entry: Entry) -> npt.NDArray[Any]:
    """The label array of an entry: its base with all later deltas on top."""
    base = str(entry.record["base"])
    array = read_arrays(entry.folder / base)["data"]
    for path in sorted(entry.folder.glob("delta-*.npz")):
        if _number(path) <= _number(Path(base)) or ".part" in path.name:
            continue
        delta = read_arrays(path)
        for i, start in enumerate(delta["starts"]):
            part = delta[f"box{i}"]
            array[tuple(slice(a, a + n) for a, n in zip(start, part.shape, strict=True))] = part
    return array


def drop_older(folder: Path, number: int) -> None:
    """Remove bases and deltas that base `number` makes superfluous."""
    for path in folder.glob("*.npz"):
        if _number(path) < number or (path.name.startswith("delta") and _number(path) == number):
            path.unlink(missing_ok=True)


def _number(path: Path) -> int:
    return int(path.name.split("-")[1].split(".")[0])


def _write_json(path: Path, value: Any) -> None:
    with replacing(path) as part:
        part.write_text(json.dumps(value), encoding="utf-8")
