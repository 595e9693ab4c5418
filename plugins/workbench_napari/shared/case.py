"""Save a result into the folder of its case: of that very image, with what people did before kept. No Qt here."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.core import case_folder
from workbench.core.errors import UsageError
from workbench.core.identity import DETAIL, Identity
from workbench.core.layers import KEY
from workbench.core.lock import locked
from workbench.core.types import Provenance, Result

_WAIT_SECONDS = 600.0
BY_HAND = "by hand"
"""The method of what people drew without any run."""


@dataclass(frozen=True)
class Saved:
    """What was written.

    Parameters
    ----------
    paths
        The files, the record last.
    notes
        What to know of where it went: which folder was not taken and why, where earlier work is now.
    identity
        Of the image that it belongs to.
    """

    paths: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    identity: Identity | None = None


def save_result(
    result: Result,
    folder: Path,
    identity: Identity,
    *,
    format: str = "auto",
    per_backend: bool = False,
    beside: Callable[[Path], Iterable[Path]] | None = None,
) -> Saved:
    """Write a result into the folder of its case inside `folder`; see `choose_case` and `workbench.api.write`.

    Raises
    ------
    UsageError
        The folder cannot be written to.
    """
    import workbench as wb

    details = {**result.provenance.details, DETAIL: identity.to_json()}
    result = replace(result, provenance=replace(result.provenance, details=details))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Two windows that save images of one name at one moment must not find the same folder free.
        with locked(folder / f"{case_folder.NEXT}-lock", _WAIT_SECONDS):
            name, reason = choose_case(folder, identity, result.provenance.backend if per_backend else None)
            paths = wb.write(result, folder, format=format, name=name, beside=beside)
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror or error}. Choose another folder.") from error
    return Saved(tuple(paths), tuple(n for n in (reason, _kept_note(folder / name)) if n), identity)


def choose_case(folder: Path, identity: Identity, backend: str | None = None) -> tuple[str, str]:
    """Name of the case folder of an image inside `folder`, and why it is not plainly that of the image.

    The folder that holds work on this image, wherever the image lies now. Without one the first name that is free:
    a folder is taken by work on another image, and by files that are none of ours.

    Parameters
    ----------
    backend
        If given, results of other backends take a folder too.
    """
    base = plain_base(identity.name)
    there = [base, *_numbered(folder, base)]
    for name in there:
        case_folder.settle(folder / name)
    reasons = {name: _taken(folder / name, identity, backend) for name in there}
    said = f"{base} holds {reasons[base]} and was kept" if reasons[base] else ""
    for name, reason in reasons.items():
        if not reason and case_folder.read_record(folder / name) is not None:
            return name, said if name != base else ""
    if backend is not None:
        # Outlines were saved before the first run of their image: both are one work, and what is replaced is kept.
        for name in there:
            if _is_hand_work(folder / name, identity):
                return name, said if name != base else ""
    name, number = base, 1
    while reasons.get(name, ""):
        number += 1
        name = f"{base}-{number}"
    return name, said


def plain_base(name: str) -> str:
    """The name of an image as one file name."""
    return "".join("_" if c in '/\\\0:*?"<>|\n\r' else c for c in name).strip(" .~") or "labels"


def _numbered(folder: Path, base: str) -> list[str]:
    pattern = re.compile(rf"{re.escape(base)}-(\d{{1,9}})")
    numbers = sorted(int(m[1]) for entry in folder.iterdir() if (m := pattern.fullmatch(entry.name)))
    return [f"{base}-{n}" for n in numbers]


def _taken(case: Path, identity: Identity, backend: str | None) -> str:
    """What lies in a case folder that does not belong to this image; "" if nothing does."""
    record = case_folder.read_record(case)
    if record is None:
        if (case / case_folder.RECORD).exists():
            return "files without a readable record"
        return "other files" if case.is_file() or (case.is_dir() and _seen(case)) else ""
    if not identity.is_that_of(record):
        return "a result of another image"
    if backend is not None and record.get("backend") != backend:
        return "work by hand" if record.get("backend") == BY_HAND else f"a result of {record.get('backend')}"
    return ""


def _is_hand_work(case: Path, identity: Identity) -> bool:
    record = case_folder.read_record(case)
    return record is not None and record.get("backend") == BY_HAND and identity.is_that_of(record)


def _seen(folder: Path) -> bool:
    return any(not entry.name.startswith(".") for entry in folder.iterdir())


def _kept_note(case: Path) -> str:
    record = case_folder.read_record(case) or {}
    kept = record.get("kept")
    if not kept:
        return ""
    before = case_folder.read_record(case / str(kept)) or {}
    return f"what {before.get('author')} had saved on {_local(before.get('saved'))} is kept in {case.name}/{kept}"


def _local(when: Any) -> str:
    try:
        return time.strftime("%d %b %Y, %H:%M:%S", datetime.fromisoformat(str(when)).astimezone().timetuple())
    except ValueError:
        return str(when)


# --- what layers remember


def stored_identity(record: Mapping[str, Any], made: Provenance | None = None) -> Identity | None:
    """The image that a layer of ours, or the run that made it, is known to belong to; ``None`` where that is not."""
    found = Identity.from_json(record.get(DETAIL))
    if found is None and made is not None:
        found = Identity.from_json(made.details.get(DETAIL))
    return found


def remember(layers: Iterable[Any], identity: Identity | None) -> None:
    """Note in layers which image they were saved for: whatever comes and goes in the window, they stay with it."""
    for layer in layers:
        if identity is not None:
            layer.metadata.setdefault(KEY, {})[DETAIL] = identity.to_json()


def is_edited(record: Mapping[str, Any]) -> bool:
    """Whether a person worked on what a layer shows: here, or before it was opened from the folder of a case."""
    return any(_edited(record))


def _edited(record: Mapping[str, Any]) -> Iterator[bool]:
    yield bool(record.get("edited"))
    yield bool((record.get("provenance") or {}).get("edited_by_hand"))
    if record.get("source") and not record.get("provenance"):
        yield bool((case_folder.record_of_file(Path(record["source"])) or {}).get("edited_by_hand"))
