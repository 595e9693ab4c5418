"""Open files of every kind as layers: the rows of the kinds say which files are theirs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from workbench.core import kinds
from workbench.core.errors import InputError
from workbench.core.layers import LayerTuple, to_layers
from workbench.core.study import Study
from workbench.core.types import Image
from workbench_napari.shared.room import require_room_for
from workbench_napari.shared.studies import case_to_open, first_image, is_archive, study_of

Reader = Callable[[Any], list[LayerTuple]]


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """A reader for files and folders of the kinds that the workbench knows; ``None`` for anything else.

    Decides by the name and the first bytes, so that napari's file dialogs stay quick. Files that hold everything (TIFF,
    NumPy) are taken only where their header tells that they are ours; other pictures are left to napari. A file that
    could be of several kinds is taken too: opening it asks which.
    """
    paths = [_path(p) for p in _listed(path)]
    return _read_beside if paths and all(_is_ours(p) for p in paths) else None


def _read_beside(path: str | Sequence[str]) -> list[LayerTuple]:
    """Read files that napari shows in its current viewer."""
    items = read(path)
    require_room_for(items)
    return items


def read(path: str | Sequence[str], *, kind: str | None = None) -> list[LayerTuple]:
    """Read one or several files (each becomes its own layers)."""
    layers: list[LayerTuple] = []
    for p in _listed(path):
        layers += _read_one(_path(p), kind)
    return layers


def is_ours(row: kinds.Kind, path: Path, key: str | None) -> bool:
    """Whether a file of this kind should be opened by us, where napari may know better what it is."""
    claims = row.hook("files", "claims")
    return bool(claims(path, key)) if claims is not None else True


def _is_ours(path: Path) -> bool:
    from workbench import is_readable, split_address
    from workbench.core.errors import WorkbenchError

    if _attached(path) is not None:
        return True
    try:
        if is_archive(path):
            return is_readable(path)
        file, key = split_address(path)
        found = kinds.candidates(file, key) if file.exists() else {}
        if file.is_dir() and "sure" not in found.values():
            inside = first_image(file)
            return inside is not None and _is_ours(inside)
        if file.is_dir():
            return True
        return any(is_ours(kinds.find(name), path, key) for name in found)
    except (WorkbenchError, OSError):
        return False


def _listed(path: str | Sequence[str]) -> list[Any]:
    return [path] if isinstance(path, str | os.PathLike) else list(path)


def _path(path: Any) -> Path:
    return Path(path)


def _attached(path: Path) -> Callable[[Path], list[LayerTuple]] | None:
    """The function that reads a file which is no image but belongs on one (annotations), if it is such a file."""
    for _, own in kinds.hooks("layers", "attached_reader"):
        if (found := own(path)) is not None:
            reader: Callable[[Path], list[LayerTuple]] = found
            return reader
    return None


def _read_one(path: Path, kind: str | None) -> list[LayerTuple]:
    import workbench as wb

    attached = _attached(path) if kind is None else None
    if attached is not None:
        return attached(path)
    study, name = study_of(path, kind), None
    if study is not None:
        case = case_to_open(path, study, choose if _has_window() else None)
        if case is None:
            return [(None,)]  # type: ignore[list-item]
        name = case.id if len(study.cases) > 1 else None
        _say_skipped(path, study)
        if not (case.problem and wb.split_address(case.image)[0].is_dir()):
            return _shown(wb.read(case), name)
        path = case.image  # several series of one folder: which is the next question
    row = _chosen_kind(path) if kind is None and _has_window() else wb.kind_of(path, kind=kind)
    if row is None:
        return [(None,)]  # type: ignore[list-item]  # npe2's way to say: read, and nothing to show
    try:
        return _shown(wb.read(path, kind=row.name), name)
    except InputError:
        # A folder, or a file of evoked responses, may hold several: then it is not a fault but a question.
        rows = wb.info(path, kind=row.name) if row.series else []
        if len(rows) < 2 or not _has_window():
            raise
    series = choose_series(path, rows, row.series)
    if series is None:
        return [(None,)]  # type: ignore[list-item]
    return _shown(wb.read(path, series=series, kind=row.name), name)


def _shown(image: Image, name: str | None = None) -> list[LayerTuple]:
    """The layers of an image; what its reader had to say is said as a notification.

    With a name they are called by it: of the patients in a folder all files may be called the same.
    """
    if image.notes and _has_window():
        from napari.utils.notifications import show_warning

        from workbench_napari.shared.plain_text import plain_tip

        show_warning(plain_tip(f"{name or image.name}: {'; '.join(image.notes)}"))
    if _has_window():
        from workbench_napari.shared import tool_hint

        tool_hint.tell_soon(image.kind, name or image.name)
    layers = to_layers(image)
    if name is None:
        return layers
    return [
        (data, own | {"name": own.get("name", image.name).replace(image.name, name, 1)}, kind)
        for data, own, kind in layers
    ]


def _say_skipped(path: Path, study: Study) -> None:
    """What of a folder is no image, as a notification."""
    lines = [*study.skipped_lines(5), *study.notes]
    if lines and _has_window():
        from napari.utils.notifications import show_info

        from workbench_napari.shared.plain_text import plain_tip

        show_info(plain_tip(f"{path.name}: {'; '.join(lines)}"))


def _chosen_kind(path: Path) -> kinds.Kind | None:
    """The kind of a file; asks where it could be several. ``None`` if the user cancels."""
    import workbench as wb

    file, key = wb.split_address(path)
    found = kinds.candidates(file, key) if file.exists() else {}
    certain = [name for name, verdict in found.items() if verdict == "sure"] or list(found)
    # What a kind would leave to napari is no candidate for a question either.
    names = [n for n in certain if is_ours(kinds.find(n), path, key)] or certain
    if len(names) < 2:
        return wb.kind_of(path)
    titles = {kinds.find(name).title: name for name in names}
    chosen = choose("Choose a kind of data", f"{path.name} can be:", list(titles))
    return None if chosen is None else kinds.find(titles[chosen])


def _has_window() -> bool:
    import sys

    # Where Qt was never imported there can be no window to ask in.
    widgets = sys.modules.get("qtpy.QtWidgets")
    return widgets is not None and widgets.QApplication.instance() is not None


def choose(title: str, text: str, names: list[str]) -> str | None:
    """Ask for one of several; ``None`` if the user cancels."""
    from qtpy.QtWidgets import QApplication, QInputDialog

    name, accepted = QInputDialog.getItem(QApplication.activeWindow(), title, text, names, 0, False)
    return str(name) if accepted else None


def choose_series(path: Path, rows: list[dict[str, Any]], what: str) -> str | None:
    """Ask which of several images of a folder or file to open; ``None`` if the user cancels."""
    names = [_describe(row) for row in rows]
    name = choose(f"Choose a {what}", f"{path.name} holds {len(rows)}:", names)
    if name is None:
        return None
    row = rows[names.index(name)]
    return str(row.get("series_uid") or row["series"])


def _describe(row: dict[str, Any]) -> str:
    size = " x ".join(str(n) for n in row.get("shape") or ())
    parts = [str(row.get("series", "")), row.get("modality") or "", row.get("description") or "", size]
    return "  ".join(p for p in parts if p) + (f"  ({row['problem']})" if row.get("problem") else "")
