"""The text header of MetaImage files (``.mha``, ``.mhd``): its fields, and where compressed voxels lie."""

from __future__ import annotations

import math
import re
from pathlib import Path

from workbench.core.errors import GeometryError, InputError
from workbench.data.companion import beside
from workbench.data.header_text import shortened, whole_number
from workbench.volume.data.header_fields import numbered_names, unlike_names
from workbench.volume.data.payload import Packed
from workbench.volume.data.stored import Stored

_MAX_HEADER = 1 << 20
_VECTORS = ("Offset", "Position", "Origin", "ElementSpacing", "ElementSize", "CenterOfRotation")
_SWITCHES = ("BinaryData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB", "CompressedData")
_CORNERS = ("Offset", "Position", "Origin")
_MATRICES = ("TransformMatrix", "Rotation", "Orientation")
_ORDERS = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
_MM = {"mm": 1.0, "um": 1e-3, "cm": 10.0, "m": 1000.0, "?": 1.0, "": 1.0}  # "?" is MetaIO's word for none
_MANY, _MOST = 2**31 - 1, 2**53
_DATA = "ElementDataFile"  # always the last field; the voxels follow its line


def check(path: Path) -> None:
    """Refuse what MetaIO would believe: it takes memory, counts and formats names by these fields.

    Raises
    ------
    InputError
        If a number has another sign, length or count than it can have, or names of data files make no sense.
    GeometryError
        If a number of the geometry is NaN, infinite or no number.
    """
    fields, _ = read_fields(path)
    if not fields:
        raise InputError(
            f"{path}: not a readable MetaImage (MHA/MHD) file (no line of it is {_DATA} =). Export or copy it again."
        )
    for name in fields:
        if not (name.isascii() and name.isprintable()):
            raise InputError(
                f"{path}: damaged: the header has a field {shortened(name)}, expected a name in plain letters. Copy or"
                " export it again."
            )
    axes = len(_sides(path, fields))
    for name, count in {**dict.fromkeys(_VECTORS, axes), **dict.fromkeys(_MATRICES, axes**2)}.items():
        _check_numbers(path, name, fields.get(name), count)
    for name in _SWITCHES:
        if fields.get(name, "True")[:1] not in tuple("TtFf10"):
            raise InputError(
                f"{path}: {name} is {shortened(fields[name])}, expected True or False. The header is damaged: copy or"
                " export it again."
            )
    _check_synonyms(path, fields, axes)
    units_mm(path)
    whole_number(path, "ElementNumberOfChannels", fields.get("ElementNumberOfChannels") or "1", 1, 65535)
    _number(path, fields, "HeaderSize", -1)
    _number(path, fields, "CompressedDataSize")
    if not data_files(path):
        raise InputError(f"{path}: {_DATA} is empty, expected the name of a file or LOCAL. Copy or export it again.")


def packed(path: Path) -> list[Packed]:
    """Where the compressed voxels lie, nothing if they are not compressed; several files hold equal shares."""
    fields, start = read_fields(path)
    if not _is_true(fields.get("CompressedData", "")):
        return []
    order = any(_is_true(fields.get(k, "")) for k in _ORDERS)
    files = data_files(path)
    # A header inside the data file: MetaIO goes to that very byte.
    start = _number(path, fields, "HeaderSize", -1) or (start if is_inside(fields) else 0)
    stated = _number(path, fields, "CompressedDataSize") if len(files) == 1 else 0
    if stated and files[0].is_file():
        _require_padding(files[0], max(start, 0) + stated)
    plain = len(files) == 1 and _is_true(fields.get("BinaryData", ""))
    return [Packed(f, "zlib", max(start, 0), stated or None, ">" if order else "<", plain=plain) for f in files]


def stored(path: Path) -> Stored | None:
    """Where uncompressed voxels lie, ``None`` if they are compressed."""
    fields, start = read_fields(path)
    if _is_true(fields.get("CompressedData", "")):
        return None
    skip = _number(path, fields, "HeaderSize", -1)
    begin = None if skip < 0 else skip or (start if is_inside(fields) else 0)
    return Stored(tuple(data_files(path)), begin, not _is_true(fields.get("BinaryData", "")))


def notes(path: Path, itemsize: int) -> list[str]:
    """What the header leaves out and somebody assumed, a line each."""
    fields, _ = read_fields(path)
    found = []
    for names, taken in ((("ElementSpacing", "ElementSize"), "1 mm"), (_CORNERS, "0"), (_MATRICES, "no rotation")):
        if not any(n in fields for n in names):
            found.append(f"the header has no {names[0]}: {taken} was taken")
    if itemsize > 1 and _is_true(fields.get("BinaryData", "")) and not any(n in fields for n in _ORDERS):
        found.append(f"the header has no {_ORDERS[0]}: the byte order of this machine was taken")
    if units_mm(path) != 1.0:
        found.append(f"DistanceUnits are {fields['DistanceUnits'].strip()}: positions were converted to mm")
    return found


def units_mm(path: Path) -> float:
    """Millimetres per unit of its lengths; ITK takes all numbers as millimetres.

    Raises
    ------
    GeometryError
        It is no unit of length.
    """
    unit = read_fields(path)[0].get("DistanceUnits", "").strip()
    if unit.lower() not in _MM:
        raise GeometryError(
            f"{path}: DistanceUnits is {shortened(unit)}, expected um, mm, cm or m. Correct this header field."
        )
    return _MM[unit.lower()]


def sides(path: Path) -> tuple[int, ...]:
    """Voxels along each axis."""
    return tuple(_sides(path, read_fields(path)[0]))


def data_files(path: Path) -> list[Path]:
    """Files that hold the voxels: the file itself, one beside it, a list of names, or numbered names."""
    fields, start = read_fields(path)
    name = fields.get(_DATA, "")
    if not name:
        return []
    if is_inside(fields):
        return [path]
    sides = _sides(path, fields)
    if name.startswith("LIST"):
        with path.open("rb") as f:
            f.seek(start)
            lines = f.read(_MAX_HEADER).decode("utf-8", errors="surrogateescape").splitlines()
        # "LIST 2D": each file holds that many of the axes, and MetaIO trusts that there are enough names.
        axes = re.match(r"LIST\s+(\d)", name, flags=re.ASCII)
        held = int(axes[1]) if axes and 0 < int(axes[1]) <= len(sides) else len(sides) - 1
        names = [n.strip() for n in lines if n.strip()]
        listed = _exactly(path, math.prod(sides[held:]), names[: math.prod(sides[held:])])
        return [beside(path, _DATA, n) for n in unlike_names(path, _DATA, listed)]
    if "%" in name:
        pattern, *words = name.split()
        first = whole_number(path, _DATA, words[0], 0, _MANY) if words else 1
        last = whole_number(path, _DATA, words[1], 0, _MANY) if words[1:] else first + sides[-1] - 1
        # With a last number and no step, MetaIO divides to a step that is 0 or leads past the end of its memory.
        step = whole_number(path, _DATA, words[2], 1, _MANY) if words[2:] else 0 if words[1:] else 1
        names = numbered_names(path, _DATA, pattern, (first, last, step))
        return [beside(path, _DATA, n) for n in _exactly(path, sides[-1], names)]
    return [beside(path, _DATA, name)]


def is_inside(fields: dict[str, str]) -> bool:
    """Whether the voxels follow the header in the same file."""
    return fields.get(_DATA, "") in ("LOCAL", "Local", "local")


def read_fields(path: Path) -> tuple[dict[str, str], int]:
    """Fields as written, and the byte after the last one; no fields where it is no MetaImage."""
    with path.open("rb") as f:
        start = f.read(_MAX_HEADER)
    fields: dict[str, str] = {}
    position = 0
    while position < len(start):
        end = start.find(b"\n", position)
        end = len(start) if end < 0 else end
        key, _, value = re.sub(rb"[=:]", b"\0", start[position:end], count=1).partition(b"\0")
        name = key.decode("utf-8", errors="surrogateescape").strip()
        text = value.decode("utf-8", errors="surrogateescape").strip()
        if fields.setdefault(name, text) != text:
            raise InputError(
                f"{path}: the header gives {shortened(name)} twice, {shortened(fields[name])} and {shortened(text)}."
                " Correct this field, or export it again."
            )
        position = end + 1
        if name == _DATA:
            return fields, position
    return {}, 0


def _sides(path: Path, fields: dict[str, str]) -> list[int]:
    axes = whole_number(path, "NDims", fields.get("NDims", ""), 1, 10)
    sides = fields.get("DimSize", "").split()
    if len(sides) < axes:
        raise InputError(
            f"{path}: DimSize holds {len(sides)} numbers, NDims promises {axes}. The header is damaged: copy or export"
            " it again."
        )
    return [whole_number(path, "DimSize", n, 1, _MANY) for n in sides[:axes]]


def _exactly(path: Path, count: int, names: list[str]) -> list[str]:
    if len(names) != count:
        raise InputError(
            f"{path}: {_DATA} names {len(names)} files, DimSize promises {count}. Correct this field, or export it"
            " again."
        )
    return names


def _check_numbers(path: Path, name: str, text: str | None, count: int) -> None:
    if text is None:
        return
    words = text.split()[:count]
    try:
        finite = all(math.isfinite(float(w)) for w in words)
    except ValueError:
        finite = False
    if len(words) < count or not finite:
        raise GeometryError(
            f"{path}: {name} is {shortened(text)}, expected {count} finite numbers. Correct this header field."
        )


def _check_synonyms(path: Path, fields: dict[str, str], axes: int) -> None:
    """Refuse two names of one field that hold different values: MetaIO believes one, others the other."""
    for names in (_CORNERS, _MATRICES, _ORDERS):
        given = [n for n in names if n in fields]
        for name in given[1:]:
            a, b = fields[given[0]], fields[name]
            if _is_true(a) != _is_true(b) if names is _ORDERS else _floats(a, axes) != _floats(b, axes):
                raise GeometryError(
                    f"{path}: {given[0]} is {shortened(a)} and {name}, another name of it, is {shortened(b)}. Remove"
                    " the wrong one."
                )


def _floats(text: str, axes: int) -> list[float]:
    return [float(w) for w in text.split()[: axes**2]]


def _require_padding(path: Path, end: int) -> None:
    """Refuse anything but zeros after the packed voxels."""
    with path.open("rb") as f:
        f.seek(end)
        while block := f.read(_MAX_HEADER):
            if found := block.lstrip(b"\0"):
                raise InputError(
                    f"{path}: damaged: after the packed voxels it goes on with {found[:2]!r}, expected its end"
                    " (CompressedDataSize). Copy or export it again."
                )


def _number(path: Path, fields: dict[str, str], name: str, low: int = 0) -> int:
    return whole_number(path, name, fields.get(name) or "0", low, _MOST)


def _is_true(text: str) -> bool:
    return text[:1] in ("T", "t", "1")
