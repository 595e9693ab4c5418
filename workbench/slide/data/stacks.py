"""Pictures that lie in one NumPy array, as PanNuke and CoNIC give them: ``images.npy`` (N, H, W, 3), labels beside it.

PanNuke (J. Gamper et al., arXiv 2003.10778): ``images/fold1/images.npy``, float64 from 0 to 255, ``types.npy``
(tissue), ``masks/fold1/masks.npy`` with a channel for each class. CoNIC (S. Graham et al., arXiv 2303.06274):
``images.npy``, ``labels.npy`` with number and class, ``patch_info.csv`` (what each picture was cut out of). Nothing
pickled is read.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.core.pyramid import Level, Pyramid
from workbench.core.types import Case, Image
from workbench.data.npy_files import header_of, mapped
from workbench.slide.data.scale import Scale
from workbench.slide.data.wsi import CHANNELS, image_from

IMAGES = "images.npy"
_LABELS = ("labels.npy", "masks.npy")
_TISSUES, _SOURCES = "types.npy", "patch_info.csv"
_COLOURS = 3
_MOST = 255


def count_of(path: Path) -> int:
    """How many pictures a file holds; 0 where it is no array of pictures."""
    if path.suffix.lower() != ".npy" or not path.is_file():
        return 0
    try:
        shape, _, dtype = header_of(path)
    except InputError:
        return 0
    is_stack = len(shape) == 4 and shape[3] == _COLOURS and min(shape) > 0 and dtype.kind in "uf"
    return shape[0] if is_stack else 0


def require_pictures(path: Path) -> None:
    """Say why a file that should hold pictures does not; its labels lie beside it.

    Raises
    ------
    InputError
        It is damaged, or of another shape or type.
    """
    shape, _, dtype = header_of(path)
    raise InputError(
        f"{path}: an array of {' x '.join(map(str, shape))} {dtype}; pictures (number, rows, columns, 3) of uint8 or "
        "floats from 0 to 255 were expected"
    )


def number_of(path: Path, key: str | None, count: int) -> int:
    """Which picture (or labels) of a file of `count` is meant.

    Raises
    ------
    InputError
        None is named, or one that is not there.
    """
    if key is None and count == 1:
        return 0
    if key is None or not key.isascii() or not key.isdigit() or int(key) >= count:
        found = "" if key is None else f", and '{key}' is none of them"
        raise InputError(f"{path}: holds {count} pictures{found}; name one, {path.name}:0 to {path.name}:{count - 1}")
    return int(key)


def read(path: Path, key: str | None) -> Image:
    """One picture of a file: its size now, its pixels when they are asked for.

    Raises
    ------
    InputError
        The array is damaged, its numbers are no colours from 0 to 255, or which picture is not said.
    """
    shape, _, _ = header_of(path)
    number = number_of(path, key, count_of(path))
    rows, columns = shape[1:3]

    def pixels(level: int, row: int, column: int, height: int, width: int) -> npt.NDArray[np.uint8]:
        return _colours(path, number, mapped(path)[number, row : row + height, column : column + width])

    pyramid = Pyramid((Level((rows, columns)),), pixels, np.dtype(np.uint8), CHANNELS, tile=(min(rows, 512), columns))
    image = image_from(pyramid, path, Scale(), "npy")
    return replace(image, header={**image.header, "key": str(number)})


def _digits(count: int) -> int:
    return max(4, len(str(count - 1)))


def _colours(path: Path, number: int, found: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    if found.dtype == np.uint8:
        return np.ascontiguousarray(found, np.uint8)
    low, high = float(found.min()), float(found.max())
    if not (low >= 0 and high <= _MOST and (found == np.rint(found)).all()):
        raise InputError(
            f"{path}:{number}: holds {found.dtype} from {low:g} to {high:g}; colours are whole numbers from 0 to 255"
        )
    return np.ascontiguousarray(found).astype(np.uint8)


def cases_of(images: Path, labels: Path | None = None) -> list[Case]:
    """A case for each picture of a file, with the labels of the same place in another.

    Raises
    ------
    InputError
        There are as many labels as pictures not.
    """
    count = count_of(images)
    if labels is not None:
        shape, _, _ = header_of(labels)
        if len(shape) < 3 or shape[0] != count:
            raise InputError(
                f"{labels}: an array of {' x '.join(map(str, shape))}; {images.name} holds {count} pictures, and "
                "labels for each were expected"
            )
    groups, tissues = _sources(images.with_name(_SOURCES), count), _tissues(images.with_name(_TISSUES), count)
    digits = _digits(count)
    return [
        Case(
            f"{images.stem}_{i:0{digits}d}", Path(f"{images}:{i}"), None if labels is None else Path(f"{labels}:{i}"),
            groups[i], {"tissue": tissues[i]} if tissues[i] else {},
        )
        for i in range(count)
    ]  # fmt: skip


def belongs_to_pictures(path: Path) -> bool:
    """Whether a file holds what is told of the pictures in ``images.npy`` beside it."""
    return path.name in (*_LABELS, _TISSUES) and count_of(path.with_name(IMAGES)) > 0


def labels_beside(images: Path) -> Path | None:
    """The labels of ``images.npy``: beside it, or where PanNuke has them."""
    places = [images.with_name(name) for name in _LABELS]
    places.append(images.parent.parent.parent / "masks" / images.parent.name / "masks.npy")
    return next((p for p in places if p.is_file()), None)


def _sources(path: Path, count: int) -> list[str]:
    """What each picture was cut out of, as CoNIC says it: ``consep_1-0000`` is of ``consep_1``."""
    if not path.is_file():
        return [""] * count
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
        found = [row["patch_info"].rpartition("-")[0] for row in rows]
    except (OSError, ValueError, KeyError, AttributeError, csv.Error) as error:
        raise InputError(f"{path}: no column 'patch_info' that can be read. Copy it again, or leave it out.") from error
    if len(found) != count:
        raise InputError(f"{path}: {len(found)} rows for {count} pictures. It belongs to another file.")
    return found


def _tissues(path: Path, count: int) -> list[str]:
    """The tissue of each picture, as PanNuke says it; nothing where that is pickled."""
    try:
        shape, _, dtype = header_of(path) if path.is_file() else ((), False, np.dtype("u1"))
    except InputError:
        return [""] * count
    if dtype.kind != "U":
        return [""] * count
    if shape != (count,):
        raise InputError(
            f"{path}: {' x '.join(map(str, shape))} tissues for {count} pictures. It belongs to another file."
        )
    return [str(name) for name in mapped(path)]
