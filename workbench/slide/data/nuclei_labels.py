"""What is right for the nuclei of a picture: numbers of pixels (PNG, TIFF, NumPy, MATLAB) or outlines (GeoJSON,
GeoParquet).

Layouts of others: HoVer-Net's ``inst_map`` and ``type_map`` (MATLAB), CoNIC's two channels (number and class) and
PanNuke's channels (the numbers of each class, and what is none), of one picture or of one of many (``masks.npy:17``).
Nothing pickled is ever unpacked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.errors import PARSING, GeometryError, InputError, NothingFound, reading
from workbench.core.frame import PIXELS
from workbench.core.objects import REJECTED, Objects
from workbench.core.provenance import input_hash
from workbench.core.types import Image
from workbench.data.formats import split_address
from workbench.slide.data.pictures import opened
from workbench.slide.data.stacks import number_of
from workbench.slide.nuclei_now import NUCLEI
from workbench.slide.predict.traced import parted, traced, types_of

PICTURES = (".png", ".tif", ".tiff", ".bmp")
OUTLINES = (".geojson", ".json", ".parquet", ".dcm")
_LARGEST = 400_000_000
"""Pixels of a picture whose nuclei are painted whole."""
_LARGE = 1_000_000
"""Numbers up to this stay as they are."""
_MOST_CLASSES = 10_000
_FURTHEST = 1e9
"""Places beyond this are damage: no slide has so many pixels along a side."""
_MOST_PIECES = 2
"""Pieces of a number on average, above which they number something else."""
_NUMBERS, _TYPES = ("_instances", "_inst", "_labels", "_label", "_mask"), "_types"

Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Reference:
    """The nuclei of a picture as they should be.

    Parameters
    ----------
    labels
        ``(H, W)`` int32: the number of the nucleus, 0 for none.
    types
        ``(H, W)`` int32: its class, or ``None`` where no class is told.
    classes
        Names of the classes; empty without any.
    notes
        What a person should know of them.
    """

    labels: Numbers
    types: Numbers | None = None
    classes: ClassTable = field(default_factory=ClassTable)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(np.count_nonzero(np.bincount(self.labels.ravel())[1:]))


def read_reference(path: Path, shape: tuple[int, int]) -> Reference:
    """The nuclei of a picture of `shape` (rows, columns).

    Raises
    ------
    InputError
        The file cannot be read, or holds something else than numbers of nuclei.
    GeometryError
        It is of another size.
    """
    path, key = split_address(path)
    if not path.is_file():
        raise NothingFound(f"{path}: no such file. Check the path.")
    if shape[0] * shape[1] > _LARGEST:
        raise InputError(f"{path}: nuclei are compared on pictures of at most {_LARGEST:,} pixels; cut out regions")
    suffix = path.suffix.lower()
    if suffix in OUTLINES:
        return _of_outlines(path, shape)
    labels, types = _numbers(path, suffix, key)
    if labels.shape != shape:
        raise GeometryError(
            f"{path}: {labels.shape[0]} x {labels.shape[1]} pixels, its image has {shape[0]} x {shape[1]}. Give the "
            "labels of this very picture."
        )
    return _of_numbers(path, labels, types)


def require_same_picture(labels: Path, image: Image) -> None:
    """Refuse nuclei of a result of ours that says it is of another file.

    Raises
    ------
    InputError
        The record beside them has the hash of another picture.
    """
    record = labels.with_name("provenance.json")
    if labels.stem != NUCLEI or not record.is_file():
        return
    try:
        told = json.loads(record.read_text(encoding="utf-8"))
        right, source = str(told["input_sha256"] or ""), str(told["source"])
    except (OSError, ValueError, KeyError, TypeError):
        return  # whatever it is, it says nothing of pictures
    own = input_hash(image) if right else None
    if own is not None and own != right:
        raise InputError(
            f"{labels}: is of {Path(source).name} ({record.name} beside it), and {image.source} is another file. If it "
            "is the same picture, put the outlines in a folder of their own."
        )


def _numbers(path: Path, suffix: str, key: str | None) -> tuple[Numbers, Numbers | None]:
    """Numbers of nuclei, and classes where the file (or one beside it) tells them."""
    if suffix in PICTURES:
        beside = _types_beside(path)
        return _whole(path, _picture(path)), None if beside is None else _whole(beside, _picture(beside))
    if suffix == ".npy":
        from workbench.data.npy_files import mapped

        found = mapped(path)
        if key is not None or found.ndim == 4:
            found = found[number_of(path, key, len(found))]
        return _channels(path, np.asarray(found))
    if suffix == ".mat":
        return _matlab(path)
    raise InputError(
        f"{path}: nuclei are read from {', '.join((*PICTURES, '.npy', '.mat', *OUTLINES))}, this is '{suffix}'"
    )


def _picture(path: Path) -> npt.NDArray[Any]:
    if path.suffix.lower() in (".tif", ".tiff"):
        import tifffile

        with reading(path, "is no TIFF that can be read", "Save it again.", kinds=(*PARSING, RuntimeError)):
            return np.asarray(tifffile.imread(path))
    with opened(path) as file, reading(path, "the picture cannot be decoded", "Save it again."):
        return np.asarray(file)  # of a palette the numbers, not the colours


def _types_beside(path: Path) -> Path | None:
    """``x_types.png`` beside ``x_instances.png``."""
    for ending in _NUMBERS:
        if path.stem.endswith(ending):
            other = path.with_name(path.stem.removesuffix(ending) + _TYPES + path.suffix)
            return other if other.is_file() else None
    return None


def _channels(path: Path, found: npt.NDArray[Any]) -> tuple[Numbers, Numbers | None]:
    """One number a pixel; CoNIC's number and class; PanNuke's channel for each class, the last for none."""
    if found.ndim == 3 and found.shape[2] == 2:
        return _whole(path, found[..., 0]), _whole(path, found[..., 1])
    if found.ndim == 3 and 3 <= found.shape[2] <= 16:
        if not np.array_equal(found[..., -1] > 0, ~(found[..., :-1] > 0).any(2)):
            raise InputError(
                f"{path}: an array of {' x '.join(map(str, found.shape))}, which is none of PanNuke: its last channel "
                "is not what is no nucleus. One number per pixel was expected, not colours"
            )
        _require_background_last(path, found)
        labels = np.zeros(found.shape[:2], np.int32)
        types = np.zeros_like(labels)
        top = 0
        for value in range(1, found.shape[2]):
            one = _compact(_whole(path, found[..., value - 1]))
            both = int(np.count_nonzero((labels > 0) & (one > 0)))
            if both:
                raise InputError(f"{path}: {both} pixels are of nuclei of two classes. Each is of one nucleus.")
            labels[one > 0], types[one > 0] = one[one > 0] + top, value
            top += int(one.max(initial=0))
        return labels, types
    return _whole(path, found), None


def _require_background_last(path: Path, found: npt.NDArray[Any]) -> None:
    """Refuse channels whose background is another than the last: it has one number, and nuclei have their own.

    Raises
    ------
    InputError
        Then all classes would be shifted, and the background one large nucleus.
    """
    sizes = [np.count_nonzero(found[..., i]) for i in range(found.shape[2])]
    is_plain = [len(np.unique(found[..., i])) <= 2 for i in range(found.shape[2])]
    larger = [i for i, size in enumerate(sizes[:-1]) if is_plain[i] and size > sizes[-1]]
    if not is_plain[-1] or larger:
        where = f"channel {larger[0]}" if larger else "no channel"
        raise InputError(
            f"{path}: the last channel should be what is no nucleus (PanNuke), and {where} looks like it; put it last"
        )


def _compact(found: Numbers) -> Numbers:
    """Numbers from 1 on where they are so large that a table of them would not fit; the order stays."""
    if int(found.max(initial=0)) <= max(_LARGE, found.size):
        return found
    values, places = np.unique(found, return_inverse=True)
    return np.asarray(places.reshape(found.shape) + (values[0] != 0), np.int32)


def _matlab(path: Path) -> tuple[Numbers, Numbers | None]:
    from workbench.data.mat_files import open_store

    store = open_store(path)
    known = {v.name for v in store.variables}
    if "inst_map" not in known:
        raise InputError(f"{path}: has no inst_map, as HoVer-Net's files have; it holds {', '.join(sorted(known)[:5])}")
    maps = [_whole(path, store.array(n)) if n in known else None for n in ("inst_map", "type_map")]
    assert maps[0] is not None
    if maps[1] is None and "inst_type" in known:
        return maps[0], _typed(path, maps[0], np.asarray(store.array("inst_type")).ravel())
    return maps[0], maps[1]


def _typed(path: Path, labels: Numbers, kinds: npt.NDArray[Any]) -> Numbers:
    """HoVer-Net's ``inst_type``: a class for each number of ``inst_map``, in their order."""
    ids, places = np.unique(labels, return_inverse=True)
    has_none = int(ids[0] == 0)
    if len(kinds) != len(ids) - has_none:
        raise InputError(f"{path}: inst_type has {len(kinds)} classes, inst_map {len(ids) - has_none} nuclei")
    table = _whole(path, np.concatenate([np.zeros(has_none), kinds])[None])[0]
    return np.asarray(table[places.reshape(labels.shape)], np.int32)


def _whole(path: Path, found: npt.NDArray[Any]) -> Numbers:
    """A plane of whole numbers, whatever type they are stored in."""
    if found.dtype == bool:
        found = found.astype(np.uint8)
    if found.ndim != 2:
        raise InputError(
            f"{path}: an array of {' x '.join(map(str, found.shape))}; one number per pixel was expected (0 for none, "
            "else that of the nucleus), not colours"
        )
    if found.dtype.kind == "f" and not (np.isfinite(found).all() and (found == np.rint(found)).all()):
        raise InputError(f"{path}: holds fractions; whole numbers of nuclei were expected")
    if found.dtype.kind not in "iuf" or found.min(initial=0) < 0 or found.max(initial=0) > np.iinfo(np.int32).max:
        raise InputError(f"{path}: holds {found.dtype} that are no numbers of nuclei; 0 and positive were expected")
    return np.ascontiguousarray(found, np.int32)


def _of_numbers(path: Path, labels: Numbers, types: Numbers | None) -> Reference:
    labels = _compact(labels)
    numbers = np.unique(labels[labels > 0])
    if types is not None and int(types.max(initial=0)) > _MOST_CLASSES:
        raise InputError(f"{path}: a class has the number {int(types.max())}: are these classes?")
    pieces = int(parted(labels).max(initial=0))
    if labels.all():
        raise InputError(f"{path}: has no background (0): numbers of nuclei were expected, and 0 where there are none")
    if len(numbers) == 1 and pieces > 1:
        raise InputError(
            f"{path}: one number ({numbers[0]}) for {pieces} pieces: a mask, where each nucleus should have a number "
            "of its own (nuclei that touch could not be told apart)"
        )
    if pieces > _MOST_PIECES * len(numbers) + _MOST_PIECES:
        raise InputError(
            f"{path}: {len(numbers)} numbers for {pieces} pieces: these are no numbers of nuclei. A picture, classes, "
            "or a mask with soft edges or borders?"
        )
    notes = []
    if len(numbers) and pieces > len(numbers):
        notes.append(f"{pieces - len(numbers)} more pieces than numbers: nuclei in pieces count as one each")
    if types is None:
        return Reference(labels, notes=tuple(notes))
    if types.shape != labels.shape:
        raise GeometryError(f"{path}: numbers of {labels.shape}, but classes of {types.shape} pixels")
    values = np.unique(types[labels > 0])
    if len(numbers) and not values.any():
        raise InputError(f"{path}: its classes are 0 on all nuclei; give their classes, or labels without any")
    own = of_most(labels, types)
    notes += _without(len(np.unique(labels[(labels > 0) & (own == 0)])))
    return Reference(labels, own, ClassTable.from_values(values[values > 0].tolist()), tuple(notes))


def _without(count: int) -> list[str]:
    return [f"{count} of the labelled nuclei have no class"] if count else []


def of_most(labels: Numbers, types: Numbers) -> Numbers:
    """The class of every nucleus at all of its pixels: that of most of them that have one, 0 where none has."""
    if not types.any():
        return np.zeros_like(labels)
    ids = traced(labels).ids
    found, _ = types_of(labels, types, ids, int(types.max(initial=0)) + 1)
    table = np.zeros(int(labels.max(initial=0)) + 1, np.int32)
    table[ids] = found
    return np.asarray(table[labels], np.int32)


def _of_outlines(path: Path, shape: tuple[int, int]) -> Reference:
    from workbench.data.objects import read_objects

    read = read_objects(path).in_frame(PIXELS)
    notes = []
    if read.review is not None and (out := read.review == REJECTED).any():
        if out.all():
            raise InputError(
                f"{path}: all its outlines were rejected: these are no nuclei. Give the file of the others"
            )
        notes.append(f"{int(out.sum())} outline(s) were rejected by who looked at them, and do not count")
        read = read.select(~out)
    notes += _only_proposed(path, read)
    if read.coordinates.size and float(np.abs(read.coordinates).max()) > _FURTHEST:
        raise InputError(f"{path}: a place is {float(np.abs(read.coordinates).max()):.3g} pixels away: it is damaged")
    found = read.exploded()
    if len(found) > len(read):
        notes.append(f"{len(read)} outline(s) of several pieces are {len(found)} nuclei: each piece is one")
    if outside := int(((found.bounds()[:, :2] >= shape[::-1]) | (found.bounds()[:, 2:] <= 0)).any(1).sum()):
        if outside == len(found):
            raise GeometryError(f"{path}: all {outside} outlines lie outside the image of {shape[1]} x {shape[0]}")
        notes.append(f"{outside} outline(s) lie outside the image, and do not count")
    return of_objects(found, shape, tuple(notes), outside)


def _only_proposed(path: Path, read: Objects) -> list[str]:
    """What to say of outlines that a model proposed and nobody looked at."""
    if read.review is not None:
        count = int((read.review == 0).sum())
        return [f"{count} of {len(read)} outlines were looked at by nobody, and count as right"] if count else []
    if path.stem == NUCLEI and path.with_name("provenance.json").is_file():
        return [f"its {len(read)} outlines are what a model proposed; nobody looked at them, and they count as right"]
    return []


def of_objects(found: Objects, shape: tuple[int, int], notes: tuple[str, ...] = (), outside: int = 0) -> Reference:
    """Nuclei in pixels, one of each outline, on a picture of `shape`; `outside` of them lie beyond it."""
    import shapely

    from workbench.data.outlines import geometries_of

    said = list(notes)
    if crossing := int((~shapely.is_valid(geometries_of(found))).sum()):
        said.append(f"{crossing} outline(s) cross themselves: what they hold is counted by the even-odd rule")
    labels = painted(found, shape)
    missing = len(found) - outside - len(np.unique(labels[labels > 0]))
    if missing:
        said.append(f"{missing} outline(s) hold no middle of a pixel, or lie under others, and do not count")
    if not len(found.classes):
        return Reference(labels, notes=tuple(said))
    types = np.concatenate([[0], found.class_values]).astype(np.int32)[labels]
    said += _without(int((found.class_values == 0).sum()))
    return Reference(labels, types, found.classes, tuple(said))


def painted(objects: Any, shape: tuple[int, int]) -> Numbers:
    """Outlines in pixels as numbers from 1 on ``(rows, columns)``: a pixel is of that which holds its middle, and
    of several of the smallest.
    """
    import shapely
    from rasterio.features import rasterize

    from workbench.data.outlines import geometries_of

    if not len(objects):
        return np.zeros(shape, np.int32)
    outlines = geometries_of(objects)
    order = np.argsort(-shapely.area(outlines), kind="stable")
    return np.asarray(rasterize(zip(outlines[order], (order + 1).tolist(), strict=True), shape, dtype="int32"))
