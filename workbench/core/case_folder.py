"""The folder of one case: its newest state under plain names, earlier work of people beside it in ``versions``.

A new state is written whole into a hidden folder. What would be lost of the state before is then put into a folder of
its own, ``versions/<time>_<author>``, and only after that one rename makes the new state count. From then on whoever
comes to the folder puts its files in place, so that a process killed at any moment leaves either the state before or
the new one, and never less than both of them where people worked on the one before.

    scan/labels.nii.gz, volumes.csv, provenance.json
    scan/versions/20260314T091500Z_anna/labels.nii.gz, volumes.csv, provenance.json
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.core import leftovers
from workbench.core.atomic import sha256_of, write_json
from workbench.core.errors import UsageError, WorkbenchError
from workbench.core.lock import locked
from workbench.core.output import require_inside
from workbench.core.types import plain_name

RECORD = "provenance.json"
"""The completion record of a state: the last file that is written, with the hash of every other."""

VERSIONS = "versions"
"""Folder beside the newest state, with one folder per earlier state that people worked on."""

NEXT = f"{leftovers.PART}-next"
"""A whole new state that counts already, but whose files are not yet in place; no leftover."""

_LOCK = f"{leftovers.PART}-lock"
_SECONDS = 60.0
_MOST_BYTES = 64 << 20
"""Of a record that is read."""


def author() -> str:
    """Who works here: ``WORKBENCH_AUTHOR``, else the name of the login."""
    chosen = os.environ.get("WORKBENCH_AUTHOR", "").strip()
    if chosen:
        return chosen
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no login has this number, as in some containers
        return "unknown"


def now() -> str:
    """This second in UTC, as records say it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_record(folder: Path) -> dict[str, Any] | None:
    """The completion record in a folder, or ``None`` where none can be read."""
    try:
        path = os.path.join(folder, RECORD)  # thousands are read in a row: no Path for each
        if not os.path.isfile(path):
            return None
        if os.path.getsize(path) > _MOST_BYTES:
            return None
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and _is_sound(record) else None


def _is_sound(record: Mapping[str, Any]) -> bool:
    """Whether a record holds what all who read it take for granted; an edited one may hold anything."""
    files, times, notes, run = (record.get(key) for key in ("files", "times", "notes", "run"))
    return (
        (files is None or (isinstance(files, dict) and all(_is_entry(n, e) for n, e in files.items())))
        and (times is None or isinstance(times, dict))
        and (notes is None or (isinstance(notes, list) and all(isinstance(note, str) for note in notes)))
        and (run is None or isinstance(run, dict))
        and isinstance(record.get("settings", {}), dict)
        and isinstance(record.get("details") or {}, dict)
    )


def _is_entry(name: str, entry: Any) -> bool:
    return "\0" not in name and isinstance(entry, dict)


def record_of_file(path: Path) -> dict[str, Any] | None:
    """The completion record beside a file, if it names that file: how the file came to be."""
    record = read_record(path.parent)
    return record if record is not None and path.name in _entries(record) else None


# --- a new state


def stage_of(case: Path) -> Path:
    """Where a new state of a case is to be written; nothing is made yet, see `staging`."""
    return case / f"{leftovers.PART}-{leftovers.tag()}-{secrets.token_hex(4)}"


@contextmanager
def staging(case: Path, stage: Path) -> Iterator[None]:
    """Makes `stage`, a hidden folder in `case`; it is gone afterwards, unless `replace` took it."""
    made = not case.exists()
    try:
        try:
            case.mkdir(parents=True, exist_ok=True)
            leftovers.clean(case)
            stage.mkdir()
        except OSError as error:
            raise UsageError(
                f"cannot write {case}: {error.strerror}. Choose an output folder that you may write to."
            ) from error
        yield
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if made:
            with suppress(OSError):  # only one that is still empty goes
                case.rmdir()


class Superseded(WorkbenchError):
    """Somebody else has taken over what is written here: nothing was replaced."""


def replace(
    case: Path, stage: Path, record: Mapping[str, Any], *, allowed: Callable[[], bool] | None = None
) -> dict[str, Any]:
    """Let the files in `stage` be the newest state of a case; returns the record as it was written.

    Parameters
    ----------
    record
        The completion record; ``files`` names all that is in `stage`. Its ``kept`` will say where the state before is
        now, ``None`` where that could be replaced: what a method made, and nobody changed since.
    allowed
        Asked at the last moment, while nobody else writes here.

    Raises
    ------
    Superseded
        `allowed` said no.
    UsageError
        The folder cannot be written to, or another program has been writing into it for a minute.
    """
    try:
        with locked(case / _LOCK, _SECONDS):
            if allowed is not None and not allowed():
                raise Superseded(f"{case}: another run has taken it over; nothing was written")
            _settle(case)
            kept = _keep(case, record)
            whole = {**record, "kept": None if kept is None else f"{VERSIONS}/{kept}"}
            _write_record(stage, whole)
            _sync(stage)
            os.rename(stage, case / NEXT)
            _sync(case)
            _sync(case.parent)  # the folder itself may be new
            _settle(case)
    except OSError as error:
        raise UsageError(
            f"cannot write {case}: {error.strerror or error}. Free space, or choose an output folder that you may "
            "write to."
        ) from error
    return whole


def amend(case: Path, changes: Mapping[str, Any]) -> None:
    """Add to the completion record of a case what was found out since; its files stay as they are."""
    with suppress(OSError, UsageError), locked(case / _LOCK, 0.0):
        record = read_record(case)
        if record is not None and not _is_folder(case / NEXT):
            write_json(case / RECORD, {**record, **changes})


def settle(case: Path) -> None:
    """Put the files of a new state in place, where the process that wrote it was killed before it had done so."""
    if not _is_folder(case / NEXT):
        return
    # Who may not write here, or meets a program that is doing just that, reads what there is.
    with suppress(OSError, UsageError), locked(case / _LOCK, 0.0):
        _settle(case)


def _settle(case: Path) -> None:
    coming = case / NEXT
    if not _is_folder(coming):
        return
    record = read_record(coming)
    if record is not None:
        for name in sorted(_entries(read_record(case)) - _entries(record)):
            # What an earlier run left and this one does not have would look as if it belonged to it.
            (case / name).unlink(missing_ok=True)
        for name in sorted(_plain_files(coming) - {RECORD}):
            os.replace(coming / name, case / name)
        os.replace(coming / RECORD, case / RECORD)
        _sync(case)
    with suppress(OSError):
        coming.rmdir()


# --- the state before


def _keep(case: Path, record: Mapping[str, Any]) -> str | None:
    """Put the state before into a version where it would be lost; returns the name of that folder."""
    before = read_record(case)
    known = _entries(before)
    there = {n for n in known | _entries(record) if _is_file(case / n)}
    if not there or not _would_be_lost(case, before, known, there, record):
        return None
    home = case / VERSIONS
    require_inside(home, case)
    home.mkdir(exist_ok=True)
    leftovers.clean(home)
    when, who = _made(case, before, there)
    files = {name: _entry(case / name) for name in sorted(there)}
    name = _free_name(home, when, who, files)
    if (home / name).exists():
        return name  # the process before was killed between this and the next step
    part = stage_of(home)  # which the next process removes if this one is killed
    part.mkdir()
    try:
        for file in sorted(there):
            _copy(case / file, part / file)
        by_hand = {"edited_by_hand": True, "author": who, "saved": when, "files": files}
        _write_record(part, {**(before or {}), **by_hand})
        _sync(part)
        os.rename(part, home / name)
        _sync(home)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return name


def _would_be_lost(
    case: Path, before: Mapping[str, Any] | None, known: set[str], there: set[str], coming: Mapping[str, Any]
) -> bool:
    """Whether a state holds what no run makes again; what comes in its place may be the very same."""
    changed = before is None or there - known or any(not is_intact(case / n, before["files"][n]) for n in there)
    if not changed and before is not None and not before.get("edited_by_hand"):
        return False
    return bool(changed) or before is None or before.get("files") != coming.get("files")


def is_intact(path: Path, entry: Mapping[str, Any]) -> bool:
    """Whether a file is what a completion record says of it."""
    return path.is_file() and path.stat().st_size == entry.get("size") and sha256_of(path) == entry.get("sha256")


def _made(case: Path, before: Mapping[str, Any] | None, there: Iterable[str]) -> tuple[str, str]:
    """When and by whom a state was made, as far as its record or the file system knows."""
    newest = max((case / name for name in there), key=lambda p: p.stat().st_mtime)
    about = before or {}
    when = about.get("saved")
    if not isinstance(when, str) or not _stamp(when):
        when = datetime.fromtimestamp(newest.stat().st_mtime, UTC).isoformat(timespec="seconds")
    who = about.get("author")
    if not isinstance(who, str) or not who:
        try:
            who = newest.owner()
        except (OSError, KeyError, NotImplementedError):
            who = "unknown"
    return when, who


def _stamp(when: str) -> str:
    """A time as part of a file name; "" if it is none."""
    try:
        return datetime.fromisoformat(when).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    except ValueError:
        return ""


def _free_name(home: Path, when: str, who: str, files: Mapping[str, Any]) -> str:
    base = name = f"{_stamp(when)}_{plain_name(who)}"
    number = 1
    while os.path.lexists(home / name):
        kept = read_record(home / name)
        if kept is not None and kept.get("files") == files:
            return name
        number += 1
        name = f"{base}-{number}"
    return name


def _copy(source: Path, target: Path) -> None:
    """The same file under a second name, without a second copy of its content where the file system can do that."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target)


# --- files


def _entries(record: Mapping[str, Any] | None) -> set[str]:
    """Names of the files that a record lists; whatever it says, they lie in its own folder."""
    files = record.get("files") if record is not None else None
    if not isinstance(files, dict):
        return set()
    return {name for name, entry in files.items() if name == Path(name).name and isinstance(entry, dict)}


def _entry(path: Path) -> dict[str, Any]:
    return {"size": path.stat().st_size, "sha256": sha256_of(path)}


def listing(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What a completion record says of files: size and hash by name."""
    return {name: _entry(folder / name) for name in names}


def _write_record(folder: Path, record: Mapping[str, Any]) -> None:
    path = folder / RECORD
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(record, indent=2, default=str) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _plain_files(folder: Path) -> set[str]:
    return {entry.name for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)}


def _is_file(path: Path) -> bool:
    return _is(path, stat.S_ISREG)


def _is_folder(path: Path) -> bool:
    return _is(path, stat.S_ISDIR)


def _is(path: Path, kind: Any) -> bool:
    try:
        return bool(kind(path.lstat().st_mode))
    except (OSError, ValueError):
        return False


def _sync(folder: Path) -> None:
    """Have renames reach the disk in this order, where the system can be asked to."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
