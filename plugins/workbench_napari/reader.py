"""Open CT and MR volumes and label maps as layers, placed in the patient's millimetre world."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from workbench.errors import InputError
from workbench.layers import LayerTuple, to_layers

Reader = Callable[[Any], list[LayerTuple]]


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """A reader for NIfTI, NRRD, MHA/MHD and DICOM files and for folders of DICOM files; ``None`` for anything else.

    Decides by the suffix, and for folders by the first bytes of their files: no header is parsed here.
    """
    from workbench.data.formats import is_readable

    paths = _paths(path)
    return read if paths and all(is_readable(p) for p in paths) else None


def read(path: str | Sequence[str]) -> list[LayerTuple]:
    """Read one or several files (each becomes its own layers)."""
    layers: list[LayerTuple] = []
    for p in _paths(path):
        layers += _read_one(p)
    return layers


def _paths(path: str | Sequence[str]) -> list[Path]:
    given = [path] if isinstance(path, str | os.PathLike) else list(path)
    return [Path(p) for p in given]


def _read_one(path: Path) -> list[LayerTuple]:
    from workbench.data import formats

    try:
        return to_layers(formats.read(path))
    except InputError:
        # A folder may hold several series: then it is not a fault but a question.
        rows = formats.info(path) if path.is_dir() else []
        if len(rows) < 2 or not _has_window():
            raise
    series = choose_series(path, rows)
    if series is None:
        return [(None,)]  # type: ignore[list-item]  # npe2's way to say: read, and nothing to show
    return to_layers(formats.read(path, series=series))


def _has_window() -> bool:
    import sys

    # Where Qt was never imported there can be no window to ask in.
    widgets = sys.modules.get("qtpy.QtWidgets")
    return widgets is not None and widgets.QApplication.instance() is not None


def choose_series(path: Path, rows: list[dict[str, Any]]) -> str | None:
    """Ask which DICOM series of a folder to open; ``None`` if the user cancels."""
    from qtpy.QtWidgets import QApplication, QInputDialog

    names = [_describe(row) for row in rows]
    name, accepted = QInputDialog.getItem(
        QApplication.activeWindow(), "Choose a DICOM series", f"{path.name} holds {len(rows)} series:", names, 0, False
    )
    return str(rows[names.index(name)]["series_uid"]) if accepted else None


def _describe(row: dict[str, Any]) -> str:
    size = " x ".join(str(n) for n in row.get("shape") or ())
    parts = [str(row.get("series", "")), row.get("modality") or "", row.get("description") or "", size]
    return "  ".join(p for p in parts if p) + (f"  ({row['problem']})" if row.get("problem") else "")
