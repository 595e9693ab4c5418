"""Who works on a case: runs that share an output folder never do one twice, and never wait for the dead.

A lease is a small file in ``<output>/.workbench/leases`` that names machine, process and its start. Its holder touches
it every few seconds. Somebody else takes it over

- at once, if that very process no longer runs: on this machine, since it was started, in what it sees of processes;
- when nobody has touched it for `SILENT_SECONDS`, watched on the own clock: clocks of other machines are never asked.

A holder that was only asleep finds another name in the file when it wakes up, and writes nothing (`Lease.is_held`).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from workbench.core import leftovers
from workbench.core.errors import UsageError
from workbench.core.lock import locked

STATE = ".workbench"
"""Folder in an output folder with what runs tell each other and the next one; nothing in it is a result."""

BEAT_SECONDS = 5.0
SILENT_SECONDS = 180.0
_TRIES = 20


def file_name(case: str) -> str:
    """A case's name as that of a file here: ids may be as long as a name may be."""
    return hashlib.sha256(case.encode("utf-8", "surrogateescape")).hexdigest()[:32] + ".json"


@dataclass(frozen=True)
class Lease:
    """The right to work on one case, as long as nobody else's name is in its file."""

    path: Path
    token: str

    def is_held(self) -> bool:
        """Whether it is still ours: asked at the last moment before a result gets its name."""
        found = _read(self.path)
        return found is not None and found.get("token") == self.token

    def to_json(self) -> dict[str, str]:
        return {"path": str(self.path), "token": self.token}

    @classmethod
    def from_json(cls, stored: dict[str, str]) -> Lease:
        return cls(Path(stored["path"]), stored["token"])


@dataclass
class _Seen:
    """What was seen of somebody else's lease, and when it last changed, on our clock."""

    token: str
    touched_ns: int
    since: float


@dataclass
class Leases:
    """The leases of one run on an output folder."""

    output: Path
    beat: float = BEAT_SECONDS
    silent: float = SILENT_SECONDS
    _mine: dict[str, Lease] = field(default_factory=dict)
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)
    _beating: threading.Thread | None = None
    _began_ns: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def folder(self) -> Path:
        return self.output / STATE / "leases"

    def open(self) -> None:
        """Begin: make the folder, and keep what is taken alive from now on."""
        for tries in range(_TRIES):
            self._make_folder()
            try:
                with tempfile.TemporaryFile(dir=self.folder) as file:  # the clock of the disk: another machine's, maybe
                    self._began_ns = os.fstat(file.fileno()).st_mtime_ns
                break
            except FileNotFoundError:  # removed by a run that has just ended
                if tries == _TRIES - 1:
                    raise
        self._beating = threading.Thread(target=self._beat, name="workbench-leases", daemon=True)
        self._beating.start()

    def _make_folder(self) -> None:
        state = self.output / STATE
        if state.is_symlink():
            raise UsageError(f"{state} is a link, and what runs tell each other stays in {self.output}. Remove it.")
        for _ in range(_TRIES):  # another run may just be removing what is empty
            with suppress(FileNotFoundError):
                state.mkdir(exist_ok=True)
                self.folder.mkdir(exist_ok=True)
                return
        self.folder.mkdir(exist_ok=True)

    def close(self) -> None:
        """End: give back all that is held, and leave no empty folder behind."""
        self._ended.set()
        if self._beating is not None:
            self._beating.join()
        for case in list(self._mine):
            self.give_back(case)
        for folder in (self.folder, self.output / STATE):
            with suppress(OSError):
                folder.rmdir()

    def is_since(self, path: Path) -> bool:
        """Whether a file was written since this run began, by the clock of the disk."""
        try:
            return self._began_ns is not None and path.stat().st_mtime_ns > self._began_ns
        except OSError:
            return False

    def take(self, case: str) -> Lease | None:
        """The lease of a case, or ``None`` while somebody else has it who may be alive.

        Raises
        ------
        OSError
            The output folder cannot be written to, or is gone.
        """
        path = self.folder / file_name(case)
        mine = Lease(path, secrets.token_hex(16))
        text = json.dumps({"token": mine.token, "case": case, **_me()})
        for tries in range(_TRIES):
            try:
                # Judging and replacing the dead is one step: of two that see the same dead one, one gets it.
                with locked(self.folder / ".lock", 60.0):
                    if not self._is_free(case, path):
                        return None
                    part = path.with_name(f".{path.name}-{mine.token}")
                    try:
                        part.write_text(text, encoding="ascii")
                        os.replace(part, path)
                    finally:
                        with suppress(OSError):
                            part.unlink(missing_ok=True)
                break
            except FileNotFoundError:
                # A run that ended beside this one has removed the folder, which was empty; one that is gone stays so.
                if tries == _TRIES - 1 or not self.output.is_dir():
                    raise
                self._make_folder()
        with self._lock:
            self._mine[case] = mine
        return mine

    def _is_free(self, case: str, path: Path) -> bool:
        try:
            touched = path.stat().st_mtime_ns
        except FileNotFoundError:
            return True
        found = _read(path)
        if found is None:  # half a file of a machine that lost its power; nobody can prove that it is theirs
            found = {"token": ""}
        if _is_dead(found):
            return True
        seen = self._seen.get(case)
        if seen is None or (seen.token, seen.touched_ns) != (found.get("token"), touched):
            self._seen[case] = _Seen(str(found.get("token")), touched, time.monotonic())
            return False
        return time.monotonic() - seen.since > self.silent

    def holder(self, case: str) -> str:
        """Who has a case, for people."""
        found = _read(self.folder / file_name(case)) or {}
        return f"process {found.get('pid', '?')} on {found.get('host', '?')}"

    def give_back(self, case: str) -> None:
        """Others may have the case now."""
        with self._lock:
            lease = self._mine.pop(case, None)
        if lease is None:
            return
        with suppress(OSError), locked(self.folder / ".lock", 60.0):
            if lease.is_held():
                lease.path.unlink()

    def _beat(self) -> None:
        while not self._ended.wait(self.beat):
            with self._lock:
                held = list(self._mine.values())
            for lease in held:
                if lease.is_held():
                    with suppress(OSError):
                        os.utime(lease.path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _me() -> dict[str, Any]:
    return {**_machine(), "pid": os.getpid(), "started": leftovers.started(os.getpid())}


@cache
def _machine() -> dict[str, str]:
    """What tells this machine, since when it runs, and what this process sees of its processes."""
    found = {"host": platform.node(), "machine": "", "boot": "", "processes": ""}
    for key, file in (("machine", "/etc/machine-id"), ("boot", "/proc/sys/kernel/random/boot_id")):
        with suppress(OSError):
            found[key] = Path(file).read_text(encoding="ascii", errors="replace").strip()
    with suppress(OSError):  # containers of one machine may have one name, and each its own process 7
        found["processes"] = os.readlink("/proc/self/ns/pid")
    return found


def _is_dead(found: dict[str, Any]) -> bool:
    """Whether it is proven that the process that holds a lease has ended; never of another machine."""
    here = _machine()
    if any(found.get(key) != here[key] for key in ("host", "machine", "processes")):
        return False
    if found.get("boot") != here["boot"]:
        return bool(here["machine"] and here["boot"])  # nothing of before the restart is left
    try:
        return not leftovers.lives(int(found["pid"]), int(found["started"]))
    except (KeyError, TypeError, ValueError):
        return False
