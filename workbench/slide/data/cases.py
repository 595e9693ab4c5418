"""What slides add to the cases of a study: the files of a DICOM slide are one, and a list may give micrometres."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from workbench.core.errors import UsageError
from workbench.core.study import Place, Study
from workbench.core.types import Case, Image, case_name
from workbench.slide.data import stacks
from workbench.slide.data.ome_zarr import is_ome_zarr
from workbench.slide.data.scale import number
from workbench.slide.data.scaled import scaled
from workbench.slide.data.side_files import is_dicom_slide, series_of

__all__ = [
    "READING_COLUMNS", "cases_in", "cases_of_files", "folder_cases", "holds_results", "labels_in", "made_by_us",
    "opened", "takes", "takes_folder",
]  # fmt: skip

_LABELS = (".png", ".bmp", ".tif", ".tiff", ".npy", ".mat", ".geojson", ".json", ".parquet", ".xml", ".ndpa")
_INDEX = ("index.json", "vectors.npy", "corners.npy")
READING_COLUMNS = ("mpp",)
"""Columns of a list that change what is read: micrometres per pixel of level 0."""


def folder_cases(folder: Path) -> list[Case]:
    """The pictures of a folder of PanNuke or CoNIC (``images.npy``); see `workbench.slide.data.stacks`."""
    images = folder / stacks.IMAGES
    if not stacks.count_of(images) and images.is_file() and stacks.labels_beside(images):
        stacks.require_pictures(images)
    return stacks.cases_of(images, stacks.labels_beside(images)) if stacks.count_of(images) > 1 else []


def cases_in(path: Path, labels: Path | None) -> list[Case]:
    """The pictures of a NumPy file, with the labels of another, or of that beside it."""
    if stacks.count_of(path) < 2:
        return []
    return stacks.cases_of(path, labels or (stacks.labels_beside(path) if path.name == stacks.IMAGES else None))


def takes(path: Path) -> bool:
    """Whether a file of a tree is a part of a DICOM slide."""
    return path.suffix.lower() in (".dcm", "") and is_dicom_slide(path)


def made_by_us(folder: Path) -> str:
    """The index of tiles of ``workbench search``."""
    return "an index of tiles" if all((folder / name).is_file() for name in _INDEX) else ""


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


def holds_results(path: Path) -> bool:
    """Whether a file is none of the kind, but what a backend of it learns from: embeddings of the tiles of a slide."""
    if path.suffix.lower() not in (".h5", ".hdf5") or not path.is_file():
        return False
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return {"features", "coords"} <= set(file)
    except OSError:
        return False
