"""Which folder a result goes into: never into one that holds other work. No Qt here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.core.jsonable import plain_json
from workbench.core.types import Provenance, Result
from workbench_napari.shared.saving import case_base


def free_folder(folder: Path, result: Result, *, restored: bool = False) -> tuple[str, str]:
    """Name of the case folder inside `folder`, numbered where the plain one is taken, and why it was.

    A folder is taken by whatever cannot be had again by pressing Run: a result of another image or another backend, one
    that a person edited in another run, or files of unknown origin. An unedited result of the same backend is replaced.

    Parameters
    ----------
    restored
        The result was made in an earlier session: what was saved of the same run then may be replaced.

    Returns
    -------
    name, reason
        `reason` is "" where the name is plainly that of the image.
    """
    base = case_base(result, result.image.name)
    name, number, first = base, 1, ""
    while reason := _taken(folder / name, result, restored):
        first = first or f"{name} holds {reason} and was kept"
        number += 1
        name = f"{base}-{number}"
    return name, first


def _taken(case: Path, result: Result, restored: bool) -> str:
    """What lies in a case folder that must not be replaced; "" if nothing does."""
    made = result.provenance
    try:
        record = json.loads((case / "provenance.json").read_text(encoding="utf-8"))
        source, backend = record.get("source"), record.get("backend")
    except FileNotFoundError:
        return "other files" if case.is_file() or (case.is_dir() and any(case.iterdir())) else ""
    except (OSError, ValueError, AttributeError):
        return "files without a readable record"
    if not _same_file(source, made.source):
        return "a result of another image"
    if backend != made.backend:
        return f"a result of {backend}"
    if record.get("edited_by_hand") and not (restored and _is_same_run(record, made)):
        return "work that was edited by hand"
    return ""


def _is_same_run(record: Mapping[str, Any], made: Provenance) -> bool:
    """Whether a record is that of the same run: a run has no number, but a time, a duration and settings."""
    mine = json.loads(json.dumps(plain_json(made.to_json()), default=str))
    return bool(made.started) and all(record.get(k) == mine[k] for k in ("started", "seconds", "settings"))


def _same_file(a: str | None, b: str | None) -> bool:
    return a == b or (a is not None and b is not None and Path(a).absolute() == Path(b).absolute())
