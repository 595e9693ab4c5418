"""A folder or an archive of many images in the window: the one to open is asked for, what is skipped is said."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

from workbench.core import kinds
from workbench.core.study import Study
from workbench.core.types import Case
from workbench.core.walk import files_below

_LOOKED_AT = 300
"""Files that are looked at before a folder counts as none of ours: napari's dialogs wait for the answer."""


def is_archive(path: Path) -> bool:
    """Whether a path is called as archives are."""
    return path.suffix.lower() == ".zip" and path.is_file()


def first_image(folder: Path) -> Path | None:
    """One of the first files below a folder that some kind reads."""
    return next((f for f in islice(files_below(folder), _LOOKED_AT) if kinds.candidates(f)), None)


def study_of(path: Path, kind: str | None) -> Study | None:
    """The study that a folder or an archive is; ``None`` for a file, and for folders that one kind knows as a whole.

    Raises
    ------
    NothingFound
        No image is in it; the message says what else.
    """
    import workbench as wb

    if is_archive(path):
        return wb.study(path, kind=kind)
    file, key = wb.split_address(path)
    if key is not None or not file.is_dir():
        return None
    rows = [kinds.find(kind)] if kind is not None else list(kinds.kinds().values())
    whole = any(row.hook("cases", "takes") is None and row.sniff(file) == "sure" for row in rows)
    return None if whole else wb.study(path, kind=kind)


def case_to_open(path: Path, study: Study, choose: Callable[[str, str, list[str]], str | None] | None) -> Case | None:
    """The only case of a study, or the one that a person chooses; ``None`` if the person cancels.

    Parameters
    ----------
    choose
        Asks with a title, a text and names; ``None`` where there is no window to ask in.

    Raises
    ------
    InputError
        There are several, and nobody can be asked.
    """
    import workbench as wb

    cases = {case.id: case for case in study.cases}
    if len(cases) == 1:
        return study.cases[0]
    if choose is None:
        names = ", ".join(list(cases)[:8])
        more = f" and {len(cases) - 8} more" if len(cases) > 8 else ""
        raise wb.InputError(f"{path}: holds {len(cases)} images: {names}{more}. Open one of them.")
    left = f", {len(study.skipped)} skipped" if study.skipped else ""
    name = choose("Choose an image", f"{path.name} holds {len(cases)} images{left}:", list(cases))
    return None if name is None else cases[name]
