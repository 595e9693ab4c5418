"""Open CT and MR volumes, hyperspectral scenes, recordings and label maps as layers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError
from workbench.core.layers import LayerTuple, to_layers

Reader = Callable[[Any], list[LayerTuple]]


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """A reader for NIfTI, NRRD, MHA/MHD and DICOM files and for folders of DICOM files; ``None`` for anything else.

    Decides by the suffix, and for folders by the first bytes of their files: no header is parsed here.
    """
    from workbench.data.formats import is_readable

    paths = _paths(path)
    return read if paths and all(is_readable(p) for p in paths) else None


SCENE_SUFFIXES = (".hdr", ".mat", ".bsq", ".bil", ".bip", ".dat", ".img", ".raw", ".tif", ".tiff", ".npy", ".npz")
_FEWEST_BANDS = 4  # a TIFF of three bands is a photo, and napari shows it better


def get_scene_reader(path: str | Sequence[str]) -> Reader | None:
    """A reader for hyperspectral scenes, class maps and parcel time courses; ``None`` for anything else.

    ENVI and MATLAB files are taken by their first bytes. TIFF and NumPy files hold everything: they are taken where
    their header tells of four bands or more, of classes, or of a sampling rate; other pictures are left to napari.
    """
    paths = _paths(path)
    return read if paths and all(_is_scene(p) for p in paths) else None


RECORDING_SUFFIXES = (".fif", ".fif.gz", ".edf", ".bdf", ".gdf", ".vhdr", ".con", ".sqd", ".ds")
_MARKS = ("-annot.fif", "_annot.fif", "-annot.fif.gz", "_annot.fif.gz")


def get_recording_reader(path: str | Sequence[str]) -> Reader | None:
    """A reader for MEG and EEG recordings and for annotations of MNE; ``None`` for anything else, by the name."""
    from workbench.data.formats import is_readable

    paths = _paths(path)
    if not paths or not all(str(p).lower().endswith(RECORDING_SUFFIXES) for p in paths):
        return None
    return read if all(p.name.lower().endswith(_MARKS) or is_readable(p) for p in paths) else None


def _is_scene(path: Path) -> bool:
    from workbench.core.errors import WorkbenchError
    from workbench.data import formats

    file, key = formats.split_address(path)
    suffix = file.suffix.lower()
    if suffix not in SCENE_SUFFIXES or not file.is_file():
        return False
    if suffix == ".mat":
        return True
    if suffix not in (".tif", ".tiff", ".npy", ".npz"):
        from workbench.scene.data.envi import is_scene

        return is_scene(file)
    try:
        image = formats.read(path)
    except WorkbenchError:
        # Who names an array means us; else napari may know better what this is.
        return key is not None
    if image.kind == "recording":
        return image.header.get("sampling_rate") is not None or key is not None
    return image.kind == "scene" and (len(image.channels) >= _FEWEST_BANDS or image.classes is not None)


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

    if path.name.lower().endswith(_MARKS):
        return read_annotations(path)
    try:
        return to_layers(formats.read(path))
    except InputError:
        # A folder, or a file of evoked responses, may hold several: then it is not a fault but a question.
        several = path.is_dir() or str(path).lower().endswith(RECORDING_SUFFIXES)
        rows = formats.info(path) if several else []
        if len(rows) < 2 or not _has_window():
            raise
    series = choose_series(path, rows)
    if series is None:
        return [(None,)]  # type: ignore[list-item]  # npe2's way to say: read, and nothing to show
    return to_layers(formats.read(path, series=series))


def read_annotations(path: Path) -> list[LayerTuple]:
    """Annotations of MNE as a layer; the MEG tool gives it to the recording that is shown."""
    from workbench.recording.data.write import read_marks
    from workbench.recording.layers import marks_layer

    return [marks_layer(read_marks(path), (), {"kind": "recording", "part": path.stem}, path.stem)]


def _has_window() -> bool:
    import sys

    # Where Qt was never imported there can be no window to ask in.
    widgets = sys.modules.get("qtpy.QtWidgets")
    return widgets is not None and widgets.QApplication.instance() is not None


def choose_series(path: Path, rows: list[dict[str, Any]]) -> str | None:
    """Ask which DICOM series of a folder, or which recording of a file, to open; ``None`` if the user cancels."""
    from qtpy.QtWidgets import QApplication, QInputDialog

    names = [_describe(row) for row in rows]
    what = "recording" if rows[0].get("kind") == "recording" else "DICOM series"
    name, accepted = QInputDialog.getItem(
        QApplication.activeWindow(), f"Choose a {what}", f"{path.name} holds {len(rows)}:", names, 0, False
    )
    row = rows[names.index(name)] if accepted else {}
    return str(row.get("series_uid") or row["series"]) if accepted else None


def _describe(row: dict[str, Any]) -> str:
    size = " x ".join(str(n) for n in row.get("shape") or ())
    parts = [str(row.get("series", "")), row.get("modality") or "", row.get("description") or "", size]
    return "  ".join(p for p in parts if p) + (f"  ({row['problem']})" if row.get("problem") else "")
