"""What slides add to the cases of a study: the files of a DICOM slide are one, and a list may give micrometres."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from workbench.core.errors import UsageError
from workbench.core.study import Place, Study
from workbench.core.types import Case, Image, case_name
from workbench.slide.data.ome_zarr import is_ome_zarr
from workbench.slide.data.scale import number
from workbench.slide.data.scaled import scaled
from workbench.slide.data.side_files import is_dicom_slide, series_of

__all__ = ["READING_COLUMNS", "cases_of_files", "labels_in", "opened", "takes", "takes_folder"]

_LABELS = (".png", ".bmp", ".tif", ".tiff", ".npy", ".mat", ".geojson", ".json", ".parquet", ".xml", ".ndpa")
READING_COLUMNS = ("mpp",)
"""Columns of a list that change what is read: micrometres per pixel of level 0."""


def takes(path: Path) -> bool:
    """Whether a file of a tree is a part of a DICOM slide."""
    return path.suffix.lower() in (".dcm", "") and is_dicom_slide(path)


def takes_folder(path: Path) -> bool:
    """Whether a folder of a tree is an OME-Zarr, which is one slide."""
    return path.suffix.lower() == ".zarr" and is_ome_zarr(path)


def cases_of_files(files: Iterable[Path], place: Place) -> Study:
    """A case for each series of each folder, called as the folder; several of one folder have numbers behind."""
    groups: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(files):
        groups[path.parent][series_of(path) or path.name].append(path)
    found = []
    for folder, series in groups.items():
        names = place.names.get(folder, ())
        own = "_".join(names) or case_name(place.root)
        for number_, paths in enumerate(series.values(), 1):
            name = own if len(series) == 1 else f"{own}_{number_}"
            found.append(Case(name, paths[0]))
    return Study(tuple(found))


def labels_in(folder: Path) -> dict[str, Path]:
    """Nuclei and regions in a folder by their names: numbers of pixels and outlines; no classes beside numbers."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix.lower() in _LABELS and not path.stem.endswith("_types"):
            found.setdefault(case_name(path), path)
    return found


def opened(image: Image, case: Case) -> Image:
    """The slide, with the size of its pixels as the list says it (column ``mpp``)."""
    text = case.options.get("mpp", "")
    if not text.strip():
        return image
    mpp = number(text)
    if mpp is None:
        raise UsageError(f"{case.image}: column mpp holds '{text}', micrometres per pixel were expected (0.25)")
    return scaled(image, mpp)
