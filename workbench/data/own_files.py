"""What the workbench itself wrote beside the data of a study: results, pictures of an overview, indexes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from workbench.core import kinds
from workbench.core.case_folder import RECORD

PICTURES = "overview_pictures"
"""The folder in the output of a run that holds a small picture of each case."""
_RESULT = "a result of the workbench"


def what_wrote(folder: Path) -> str:
    """What a folder is, in words, where a verb of ours made all of it; "" for any other."""
    if folder.absolute().name == PICTURES:
        return "pictures of an overview that the workbench wrote"
    if _is_result(folder):
        return _RESULT
    return next((str(made) for _, own in kinds.hooks("cases", "made_by_us") if (made := own(folder))), "")


def of_others(paths: Iterable[Path]) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Of what a pattern matched: the paths that are not from a folder of ours, and the others, each with what it is of.

    A pattern that matches only what we wrote means that.
    """
    told: dict[Path, str] = {}
    found, ours = [], []
    for path in paths:
        if path.parent not in told:
            told[path.parent] = what_wrote(path.parent)
        if why := told[path.parent]:
            ours.append((path, f"of {why}"))
        else:
            found.append(path)
    return (found, ours) if found else ([path for path, _ in ours], [])


def _is_result(folder: Path) -> bool:
    record = folder / RECORD
    if not record.is_file():
        return False
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"backend", "weights"} <= set(content)
