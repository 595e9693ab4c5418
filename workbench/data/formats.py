"""From a path to an image: which kind of data it is, and the module that reads it. The rows of `core.kinds` decide."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.core import kinds
from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError, InputError, NothingFound, UsageError
from workbench.core.kinds import Kind
from workbench.core.layers import count_labels
from workbench.core.types import Geometry, Image, Labels
from workbench.data import archive
from workbench.data.companion import require_regular
from workbench.data.geometry import orientation, require_match
from workbench.data.label_values import whole_numbers

__all__ = ["info", "is_readable", "kind_of", "read", "read_labels", "suffixes"]

_ADDRESS = re.compile(r"^(.+\.(?:mat|npz|npy|gpkg|geojson|shp)):([^/\\:]+)$", re.IGNORECASE)


def suffixes() -> tuple[str, ...]:
    """All suffixes that some kind reads, in the order of the rows."""
    return tuple(dict.fromkeys(s for row in kinds.kinds().values() for s in row.readers))


def read(
    path: str | Path,
    *,
    series: str | int | None = None,
    kind: str | None = None,
    hint: str | None = None,
    allow_truncated: bool = False,
    regularise: bool = False,
) -> Image:
    """Open an image of any kind: header now, samples when ``data`` is asked for.

    Parameters
    ----------
    path
        Volumes: NIfTI, NRRD, MHA/MHD file, DICOM file, or a folder with a DICOM series (subfolders included).
        Scenes: ENVI (header or samples), MATLAB and NumPy (``file.mat``, or ``file.mat:key`` for one array of several),
        TIFF and GeoTIFF, EMIT, PRISMA and NEON products in HDF5, ERDAS ``.lan``.
        Recordings: FIF, EDF/BDF, BrainVision, KIT, a CTF ``.ds`` or BTi folder, the top of a BIDS data set; parcel time
        courses in NumPy and MATLAB files (``file.npy:250Hz`` gives the sampling rate).
        Other kinds: what their rows say.
    series
        Which DICOM series of a folder: its number in the listing, its UID or the end of its UID. Which evoked response
        of a FIF file, or which recording of a BIDS data set: number or name.
    kind, hint
        Read it as this kind of data; needed where a file can be several. See `kind_of`.
    allow_truncated
        Read what is there of a file that was cut off or never closed, where its kind can; its `Image.notes` say how
        much was promised and found.
    regularise
        Resample DICOM slices in uneven steps to even ones; the notes say so.

    Raises
    ------
    NothingFound
        If the path does not exist.
    InputError, GeometryError
        If it cannot be read; one line says why and what to do.
    UsageError
        If `allow_truncated` or `regularise` is asked of a kind that knows no such thing.
    """
    file, key = split_address(path)
    row = kind_of(path, kind=kind, hint=hint)
    return _read(row, file, series, key, allow_truncated=allow_truncated, regularise=regularise)


def read_as(row: Kind, path: str | Path, *, series: str | int | None = None) -> Image:
    """Open a path as that kind of data, whether its row is installed or not."""
    file, key = split_address(path)
    return _read(row, file, series, key)


def _read(
    row: Kind,
    file: Path,
    series: str | int | None,
    key: str | None,
    as_map: bool = False,
    *,
    allow_truncated: bool = False,
    regularise: bool = False,
) -> Image:
    require_regular_or_folder(file)
    own = row.hook("files", "read")
    asked = asked_of(row, allow_truncated=allow_truncated, regularise=regularise)
    image: Image
    with archive.naming():
        if own is not None:
            image = own(file, series=series, key=key, as_map=as_map, **asked)
        elif series is not None:
            raise InputError(f"{file}: 'series' chooses one image of several, and this file holds one. Leave it out.")
        else:
            image = row.reader_of(file).read(file)
    return _from_archive(_with_files(row, file, image))


def _from_archive(image: Image) -> Image:
    """The image under the name that people know, where its files were unpacked."""
    if image.source is None or (source := archive.shown(image.source)) == image.source:
        return image
    loader = image.loader

    def load() -> Any:
        with archive.naming():
            return loader()

    return replace(image, source=source, files=image.all_files, loader=load)


def can_be_cut_off(row: Kind) -> bool:
    """Whether a kind reads what is there of files that were cut off or never closed."""
    return _takes(row, "allow_truncated")


def _takes(row: Kind, option: str) -> bool:
    own = row.hook("files", "read")
    return own is not None and option in inspect.signature(own).parameters


def asked_of(row: Kind, *, allow_truncated: bool = False, regularise: bool = False) -> dict[str, bool]:
    """The arguments for the hooks of a kind, only where somebody asked for them.

    Raises
    ------
    UsageError
        The kind knows no such thing.
    """
    if allow_truncated and not can_be_cut_off(row):
        raise UsageError(f"{row.title} is never read in part: leave out --allow-truncated (allow_truncated).")
    if regularise and not _takes(row, "regularise"):
        raise UsageError(f"{row.title} has no slices in uneven steps: leave out --regularise (regularise).")
    asked = {"allow_truncated": allow_truncated, "regularise": regularise}
    return {name: True for name, wanted in asked.items() if wanted}


def require_regular_or_folder(file: Path) -> None:
    """Refuse a device, a pipe or a socket as an input, before anything reads it."""
    if not file.is_dir():
        require_regular(file)


def _with_files(row: Kind, file: Path, image: Image) -> Image:
    """The image with all files that decide what it is (side files too): what resume and provenance take hashes of."""
    own = None if row.is_built_in or image.files else row.hook("files", "input_files")
    files = () if own is None else tuple(own(file))
    return replace(image, files=files, stamp=None) if len(files) > 1 else image


def kind_of(path: str | Path, *, kind: str | None = None, hint: str | None = None) -> Kind:
    """The kind of data that a path is.

    Parameters
    ----------
    kind
        What the user says it is; believed.
    hint
        What is expected, e.g. the kind of a backend: settles what could be several kinds, never what is sure.

    Raises
    ------
    NothingFound
        If the path does not exist.
    InputError
        If no kind reads it, or several could: then they are named.
    """
    file, key = split_address(path)
    if not file.exists():
        raise NothingFound(f"{file}: no such file or folder. Check the path.")
    require_regular_or_folder(file)
    if kind is not None:
        return kinds.find(kind)
    found = kinds.candidates(file, key)
    if hint is not None and kinds.accepts(hint, found, file):
        return kinds.find(hint)
    names = kinds.likely(found, file)
    if len(names) == 1:
        return kinds.find(names[0])
    if names:
        titles = " or ".join(kinds.find(n).title for n in names)
        flags = " or ".join(f"--kind {n}" for n in names)
        raise InputError(f"{file}: this can be {titles}. Say which: {flags} (in Python kind={names[0]!r}).")
    return _nobodys(file)


def _nobodys(file: Path) -> Kind:
    """The kind whose suffix it has, so that its reader says what is wrong; else an error with what can be read."""
    named = [row for row in kinds.kinds().values() if not file.is_dir() and row.suffix_of(file) is not None]
    if len(named) == 1:
        return named[0]
    for _, explain in kinds.hooks("files", "explain"):
        explain(file)
    known = ", ".join(suffixes())
    raise InputError(f"{file}: no reader for '{file.suffix or file.name}'. Can be read: {known}, or a DICOM folder.")


def split_address(path: str | Path) -> tuple[Path, str | None]:
    """``scene.mat:cube`` as (``scene.mat``, ``"cube"``); other paths with ``None``.

    A zip archive is the folder that it was unpacked into, and a path through one leads into that.
    """
    match = _ADDRESS.match(str(path))
    plain = archive.located(Path(path).expanduser())
    if match is None or plain.exists():
        return plain, None
    return archive.located(Path(match[1]).expanduser()), match[2]


def data_file(path: str | Path) -> Path:
    """The file or folder that holds the samples: of an ENVI header the file beside it, of ``file.mat:key`` the file."""
    return input_files(path)[0]


def input_files(path: str | Path) -> tuple[Path, ...]:
    """The files that decide what is read from a path, that with the samples first."""
    file, _ = split_address(path)
    for name in kinds.candidates(file) if file.exists() else ():
        own = kinds.find(name).hook("files", "input_files")
        if own is not None:
            files: tuple[Path, ...] = own(file)
            return files
    return (file,)


def is_companion(path: Path) -> bool:
    """Whether a file belongs to another one in the same folder: an ENVI header, a later part of a split FIF file."""
    return any(own(path) for _, own in kinds.hooks("files", "is_companion"))


def info(path: str | Path, *, kind: str | None = None, allow_truncated: bool = False) -> list[dict[str, Any]]:
    """What headers say: one JSON-able row per image (several for a DICOM folder with several series, a file of evoked
    responses, or a BIDS data set).

    Keys: ``path, format, kind, shape, channels, spacing, unit, orientation, dtype, value_unit, modality, affine,
    classes, n_series, header, notes``; a DICOM series has ``series, series_uid, description, n_files``, and ``problem``
    where it cannot be read as a volume.
    """
    file, key = split_address(path)
    row = kind_of(path, kind=kind)
    own = row.hook("files", "info")
    if own is not None and key is None:
        rows: list[dict[str, Any]] = own(file, **asked_of(row, allow_truncated=allow_truncated))
        return rows
    return [describe(_read(row, file, None, key, allow_truncated=allow_truncated))]


def describe(image: Image) -> dict[str, Any]:
    """One row of `info`, from an image whose samples need not be loaded."""
    g = image.geometry
    return {
        "path": str(image.source),
        "format": image.format,
        "kind": image.kind,
        "shape": list(g.shape),
        "channels": list(image.channels),
        "spacing": None if g.spacing is None else list(g.spacing),
        "unit": g.unit,
        "orientation": orientation(g.affine) if g.ndim == 3 else None,
        "dtype": str(image.dtype),
        "value_unit": image.value_unit,
        "modality": image.modality,
        "affine": None if g.affine is None else g.affine.tolist(),
        "classes": None if image.classes is None else image.classes.to_json(),
        "n_series": 1,
        "header": dict(image.header),
        "notes": list(image.notes),
    }


def is_readable(path: str | Path) -> bool:
    """Whether some kind takes this path, by its suffix, else by its first bytes; of a folder one must be sure.

    An archive is looked into, and not unpacked.
    """
    try:
        if archive.is_archive(Path(path).expanduser()):
            return archive.holds_images(Path(path).expanduser())
        file, key = split_address(path)
        if not file.exists():
            return False
        require_regular_or_folder(file)
        found = kinds.candidates(file, key)
    except (InputError, NothingFound, OSError):
        return False
    return "sure" in found.values() if file.is_dir() else bool(found)


def read_labels(
    path: str | Path, *, reference: Geometry | None = None, series: str | int | None = None, resample: bool = False
) -> Labels:
    """Read a label map: whole numbers, one channel, with the classes the file names (or ``class N`` for value N).

    Parameters
    ----------
    reference
        Grid of the image that the map belongs to. A volume's map that is stored otherwise on the same lattice (turned,
        flipped, padded, cropped) is brought onto it voxel for voxel; its ``notes`` say so.
    resample
        Resample a volume's map of another lattice to the nearest voxel, instead of refusing it.

    Raises
    ------
    GeometryError
        If `reference` is given and the map lies on another grid.
    InputError
        If the samples are not whole numbers >= 0, or there are several channels.
    """
    file, key = split_address(path)
    row = _kind_of_map(path, file, key)
    drawn = row.hook("files", "labels_from")
    if drawn is not None and (filled := drawn(file, reference, resample)) is not None:
        contours: Labels = filled
        return contours
    image = _read(row, file, series, key, as_map=series is None)
    own = row.hook("files", "labels_of")
    if own is not None:
        labels: Labels = own(image, reference)
        return labels
    onto = row.hook("files", "onto_grid")
    way = None if reference is None or onto is None else onto(image.geometry, reference, resample)
    if reference is not None and way is None:
        require_match(image.geometry, reference, f"label map {path}", None)
    if len(image.channels) != 1:
        raise InputError(f"{path}: a label map has one channel, found {len(image.channels)}. Merge them into one map.")
    data = whole_numbers(image.data[0], path)
    classes = image.classes
    if classes is None:
        classes = ClassTable.from_values(sorted(v for v in count_labels(data) if v > 0))
    plain = Labels(data, image.geometry, classes, name=image.name, notes=image.notes)
    if way is None:
        return plain
    try:
        brought: Labels = way(plain)
    except GeometryError as error:
        raise GeometryError(f"label map {path}: {error}") from error
    return brought


def label_image(path: str | Path) -> Image | None:
    """The header of a label map as an image; ``None`` for contours, which have no grid of their own to be compared."""
    file, key = split_address(path)
    row = _kind_of_map(path, file, key)
    drawn = row.hook("files", "holds_contours")
    return None if drawn is not None and drawn(file) else read(path, kind=row.name)


def _kind_of_map(path: str | Path, file: Path, key: str | None) -> Kind:
    """`kind_of`, but a kind without labels of its own does not count: an array of numbers is a map here."""
    if not file.exists():
        return kind_of(path)  # says so
    require_regular_or_folder(file)
    found = [n for n in kinds.candidates(file, key) if kinds.find(n).needs_labels]
    named = [n for n, row in kinds.kinds().items() if row.needs_labels and row.suffix_of(file) is not None]
    names = found or named
    return kinds.find(names[0]) if len(names) == 1 else kind_of(path)
