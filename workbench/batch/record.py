"""The completion record of a case: present and true, or the case counts as not done.

``provenance.json`` is written last and names every file with its hash. Only a record whose settings, weights, input
and files all match lets a case be skipped; the mere existence of files says nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workbench import settings
from workbench.atomic import sha256_of

NAME = "provenance.json"


def read(folder: Path) -> dict[str, Any] | None:
    """The record in `folder`, or ``None`` if there is none that can be read."""
    try:
        record: dict[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record


def is_complete(folder: Path, *, config: Any, weights_sha256: str, source: Path) -> bool:
    """Whether `folder` holds exactly what would be computed again."""
    from workbench.data.formats import input_files

    record = read(folder)
    if record is None or record.get("edited_by_hand"):
        return False
    wanted = json.loads(json.dumps(settings.as_dict(config), default=str))
    same_work = (
        record.get("settings") == wanted
        and record.get("weights_sha256") == weights_sha256
        and record.get("input_sha256") == sha256_of(*input_files(source))
    )
    files: dict[str, dict[str, Any]] = record.get("files", {})
    return bool(same_work and files) and all(_intact(folder / Path(n).name, entry) for n, entry in files.items())


def _intact(path: Path, entry: dict[str, Any]) -> bool:
    return path.is_file() and path.stat().st_size == entry["size"] and sha256_of(path) == entry["sha256"]
