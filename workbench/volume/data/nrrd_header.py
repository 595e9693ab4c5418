"""The geometry part of NRRD headers, read and written without rounding (ITK loses the last bit)."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError, InputError
from workbench.data.companion import beside
from workbench.data.geometry import LPS_TO_RAS
from workbench.data.header_text import shortened, whole_number
from workbench.volume.data.header_fields import numbered_names, unlike_names
from workbench.volume.data.payload import Order, Packed, Packing
from workbench.volume.data.stored import Stored

_TO_RAS = {
    "left-posterior-superior": LPS_TO_RAS,
    "lps": LPS_TO_RAS,
    "right-anterior-superior": np.eye(4),
    "ras": np.eye(4),
    "left-anterior-superior": np.diag([-1.0, 1.0, 1.0, 1.0]),
    "las": np.diag([-1.0, 1.0, 1.0, 1.0]),
}
_IN_MM = {
    "mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "millimetre": 1.0, "millimetres": 1.0,
    "um": 1e-3, "\udcb5m": 1e-3, "\u00b5m": 1e-3, "\u03bcm": 1e-3, "micron": 1e-3, "microns": 1e-3, "micrometer": 1e-3,
    "micrometers": 1e-3, "micrometre": 1e-3, "micrometres": 1e-3, "nm": 1e-6, "nanometer": 1e-6, "nanometers": 1e-6,
    "cm": 10.0, "centimeter": 10.0, "centimeters": 10.0, "centimetre": 10.0, "centimetres": 10.0,
    "m": 1000.0, "meter": 1000.0, "meters": 1000.0, "metre": 1000.0, "metres": 1000.0,
    "in": 25.4, "inch": 25.4, "inches": 25.4,
}  # fmt: skip
_TYPES = {
    "u1": "uint8", "i1": "int8", "u2": "uint16", "i2": "int16", "u4": "uint32", "i4": "int32", "u8": "uint64",
    "i8": "int64", "f4": "float", "f8": "double",
}  # fmt: skip
_PACKINGS: dict[str, Packing] = {"gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
_TEXTS = ("ascii", "text", "txt")
_DOMAINS = ("domain", "space", "time")  # kinds of axes that ITK leaves where they are
_OTHER_NAMES = {"datafile": "data file", "byteskip": "byte skip", "lineskip": "line skip"}
_MAX_HEADER = 1 << 20
_MAX_WORD = 100
_MAX_NAME = 255  # ITK copies names and words into memory of fixed size
_MANY = 2**31 - 1


def check(path: Path) -> None:
    """Refuse counts, names and texts that a C library would believe; a file that is no NRRD is left to ITK to refuse.

    Raises
    ------
    InputError
        If a number has another sign, length or count than it can have, or a name is no text.
    """
    header = _header(path)
    if not header.fields:
        return
    for name in header.names:
        if not name.isprintable() or len(name) > _MAX_NAME:  # bytes that are no UTF-8 are not
            raise InputError(
                f"{path}: damaged: the header has a field {shortened(name)}, expected a name in plain letters. Copy or"
                " export it again."
            )
    if header.end is None:
        raise InputError(
            f"{path}: its header has no end (an empty line) within {_MAX_HEADER} bytes. It is damaged: copy or"
            " export it again."
        )
    doubled = next((n for n, times in Counter(header.names).items() if times > 1 and n.strip()), None)
    if doubled is not None:
        raise InputError(
            f"{path}: the header gives {shortened(doubled)} twice. Correct this field, or export it again."
        )
    axes = whole_number(path, "dimension", header.fields.get("dimension", ""), 1, 16)
    sizes = header.fields.get("sizes", "").split()
    for n in sizes:
        whole_number(path, "sizes", n, 1, _MANY)
    if len(sizes) != axes:
        raise InputError(
            f"{path}: sizes holds {len(sizes)} numbers, dimension promises {axes}. The header is damaged: copy or"
            " export it again."
        )
    for name, value in header.fields.items():
        longest = max((len(w) for w in value.split()), default=0)
        if longest > _MAX_WORD and name not in ("content", "data file"):
            raise InputError(
                f"{path}: {shortened(name)} is {shortened(value)}, expected words of at most {_MAX_WORD} characters."
                " The header is damaged: copy or export it again."
            )
    _check_steps(path, header.fields, axes)
    _skips(path, header.fields)
    data_files(path)


def _check_steps(path: Path, fields: dict[str, str], axes: int) -> None:
    """Refuse axes of space without a step, for which ITK takes 1 mm."""
    kinds = fields.get("kinds", "").lower().split()
    for name, pattern in (("space directions", r"\([^)]*\)|[^\s()]+"), ("spacings", r"\S+")):
        steps = re.findall(pattern, fields.get(name, ""))
        lost = [axis for axis, text in enumerate(steps) if _is_no_step(text)]
        # Without kinds, an axis of colours or volumes is one that leaves three others.
        spatial = [axis for axis in lost if kinds[axis : axis + 1] in ([], ["???"], ["none"]) and axes - len(lost) < 3]
        spatial += [axis for axis in lost if kinds[axis : axis + 1] in (["domain"], ["space"])]
        if spatial:
            raise GeometryError(
                f"{path}: {name} is {shortened(fields[name])}, without a step along axis {min(spatial)}, which is one"
                " of space. Correct this header field."
            )


def _is_no_step(text: str) -> bool:
    try:
        return text.lower() == "none" or not 0 < float(np.linalg.norm(_vector(text))) < np.inf
    except ValueError:  # no number: for the reader to refuse
        return False


def read_affine(path: Path) -> npt.NDArray[np.float64] | None:
    """RAS+ affine exactly as the header spells it, or ``None`` where it gives no anatomical space directions."""
    fields = _fields(path)
    space, has_time = _space(fields)
    to_ras = _TO_RAS.get(space)
    if to_ras is None or "space directions" not in fields:
        return None
    vectors = [v for v in re.findall(r"\([^)]*\)|none", fields["space directions"]) if v != "none"]
    origin = fields.get("space origin", "(0,0,0,0)" if has_time else "(0,0,0)")
    try:
        columns = [_vector(v) for v in vectors]
        corner = _vector(origin)
    except ValueError as error:
        raise InputError(f"{path}: space directions or space origin hold '{error}', numbers were expected.") from error
    if len(columns) < 3 or any(len(c) != 3 + has_time for c in (*columns, corner)):
        return None
    own = np.eye(4)
    own[:3, :3] = np.array(columns[:3])[:, :3].T
    own[:3, 3] = corner[:3]
    return np.asarray(to_ras @ own)


def write(path: Path, data: npt.NDArray[Any], affine: npt.NDArray[np.float64], fields: dict[str, str]) -> None:
    """Write ``(X, Y, Z)`` or ``(C, X, Y, Z)`` as gzip NRRD in LPS; `fields` are key/value pairs of the header.

    Decimal numbers are written so that reading gives back the same float64.
    """
    if data.ndim == 4 and data.shape[0] == 1:
        data = data[0]
    lps = LPS_TO_RAS @ affine
    vectors = [_spell(lps[:3, axis]) for axis in range(3)]
    kinds = ["domain"] * 3
    if data.ndim == 4:
        vectors.insert(0, "none")
        kinds.insert(0, "list")
    lines = [
        "NRRD0005",
        f"type: {_TYPES[data.dtype.str[1:]]}",
        f"dimension: {data.ndim}",
        "space: left-posterior-superior",
        "sizes: " + " ".join(str(n) for n in data.shape),
        "space directions: " + " ".join(vectors),
        "kinds: " + " ".join(kinds),
        *(["endian: little"] if data.dtype.itemsize > 1 else []),
        "encoding: gzip",
        "space origin: " + _spell(lps[:3, 3]),
        *(f"{key}:={_escape(value)}" for key, value in fields.items()),
    ]
    little = data.astype(data.dtype.newbyteorder("<"), copy=False)
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)  # 31: with the header of gzip
    with path.open("wb") as f:
        f.write(("\n".join(lines) + "\n\n").encode())
        # The first axis is the fastest in the file: slabs of the last axis, in Fortran order, keep memory small.
        for k in range(data.shape[-1]):
            f.write(packer.compress(little[..., k].tobytes(order="F")))
        f.write(packer.flush())


def is_packed_inside(path: Path) -> bool:
    """Whether the voxels lie in this very file, raw or packed by DEFLATE (bzip2 packs tighter, and is left out)."""
    if path.name.lower().endswith(".mha"):
        return True
    fields = _fields(path)
    return bool(fields) and "data file" not in fields and fields.get("encoding", "") in ("raw", "gzip", "gz")


def packed(path: Path, components: int, size: tuple[int, ...]) -> list[Packed]:
    """Where the compressed voxels lie, nothing if they are not compressed.

    Parameters
    ----------
    components, size
        What ITK makes of the header; where it moves or drops an axis, the voxels are not plain.
    """
    header = _header(path)
    fields = header.fields
    packing = _PACKINGS.get(fields.get("encoding", "").lower())
    if packing is None:
        return []
    files = data_files(path)
    start = 0 if "data file" in fields else header.end or 0
    skip, lines = _skips(path, fields)
    kinds = fields.get("kinds", "").lower().split()
    in_order = components == 1 or (bool(kinds) and kinds[0] not in _DOMAINS and all(k in _DOMAINS for k in kinds[1:]))
    sizes = tuple(whole_number(path, "sizes", n, 1, _MANY) for n in fields.get("sizes", "").split())
    plain = len(files) == 1 and skip >= 0 and in_order and sizes == (*([components] if components > 1 else []), *size)
    order: Order = ">" if fields.get("endian", "").lower() == "big" else "<"
    return [Packed(f, packing, _after_lines(f, start, lines), None, order, max(skip, 0), plain) for f in files]


def stored(path: Path) -> Stored | None:
    """Where uncompressed voxels lie, ``None`` if they are compressed or of an encoding that ITK alone knows."""
    header = _header(path)
    encoding = header.fields.get("encoding", "").lower()
    if encoding not in ("raw", *_TEXTS):
        return None
    files = tuple(data_files(path))
    skip, lines = _skips(path, header.fields)
    start = 0 if "data file" in header.fields else header.end or 0
    if lines and files[0].is_file():
        start = _after_lines(files[0], start, lines)
    return Stored(files, None if skip < 0 else start + skip, encoding in _TEXTS)


def notes(path: Path) -> list[str]:
    """What the header leaves out and somebody assumed, a line each."""
    fields = _fields(path)
    found = []
    if "space directions" not in fields and "spacings" not in fields:
        found.append("the header has no space directions: 1 mm and no rotation were taken")
    elif _space(fields)[0] not in _TO_RAS:
        found.append(f"space is {shortened(fields.get('space', ''))}: axes were taken as left, posterior, superior")
    elif "space origin" not in fields:
        found.append("the header has no space origin: 0 was taken")
    scale, name = units_mm(path)
    spelled = ", ".join(dict.fromkeys(u for u in _units(fields)[1] if u and u.lower() not in _IN_MM))
    if scale != (1.0, 1.0, 1.0):
        found.append(f"{name} are {', '.join(dict.fromkeys(_units(fields)[1]))}: positions were converted to mm")
    elif spelled:
        found.append(f"{name} are {shortened(spelled)}, which is no unit of length: numbers were taken as mm")
    return found


def units_mm(path: Path) -> tuple[tuple[float, float, float], str]:
    """Millimetres per unit of the axes of space (of the array, where there is no space), and the field that says it.

    Raises
    ------
    InputError
        Some of the units are lengths and others are none: no one factor is right.
    """
    name, units = _units(_fields(path))
    known = [_IN_MM.get(u.lower()) for u in units]
    if not any(k is not None and k != 1.0 for k in known):
        return (1.0, 1.0, 1.0), name
    if len(known) != 3 or None in known:
        raise InputError(
            f"{path}: {name} are {', '.join(units) or 'empty'}, expected three lengths (mm, um, cm, m). Correct this"
            " field."
        )
    x, y, z = (k for k in known if k is not None)
    return (x, y, z), name


def _space(fields: dict[str, str]) -> tuple[str, bool]:
    """The space in lower case, and whether it has time as a fourth axis."""
    name = fields.get("space", "").lower()
    plain = name.removesuffix("-time") if name.endswith("-time") else name.removesuffix("t")
    return (plain, True) if plain != name and plain in _TO_RAS else (name, False)


def _units(fields: dict[str, str]) -> tuple[str, list[str]]:
    """Units of the three axes of space, else of the axes of the array that have a spacing, as they are spelled."""
    name = "space units" if "space units" in fields else "units"
    units = [u.strip('" ') for u in re.findall(r'"[^"]*"|\S+', fields.get(name, ""))]
    if name == "space units" and _space(fields)[1]:
        units = units[:3]
    if name == "units" and "spacings" in fields:
        spaced = [s.lower() != "nan" for s in fields["spacings"].split()]
        units = [u for u, is_spaced in zip(units, spaced, strict=False) if is_spaced]
    return name, [u for u in units if u not in ("???", "none")]


def data_files(path: Path) -> list[Path]:
    """Files that hold the voxels: the file itself, one beside it, a list of names, or numbered names."""
    header = _header(path)
    name = header.fields.get("data file", "")
    if not name:
        return [path]
    if name.split()[0] == "LIST":
        return [beside(path, "data file", n) for n in unlike_names(path, "data file", list(header.listed))]
    if re.search(r"%[0-9]*d.", name):  # other names with '%' are taken as they are
        words = name.split()
        if not 4 <= len(words) <= 5:
            raise InputError(
                f"{path}: data file is {shortened(name)}, expected a plain name, or a pattern such as a%03d.raw,"
                " the first number, the last one and the step. Rename the file, and correct this field."
            )
        first, last, step = (whole_number(path, "data file", w, -_MANY, _MANY) for w in words[1:4])
        return [beside(path, "data file", n) for n in numbered_names(path, "data file", words[0], (first, last, step))]
    return [beside(path, "data file", name)]


@dataclass(frozen=True)
class _Header:
    """Fields in lower case by the names of the definition, and the rest of a header.

    Attributes
    ----------
    names
        Of fields and of key/value pairs, as written.
    listed
        Names of data files after ``data file: LIST``.
    end
        The byte after the header, ``None`` where no empty line ends it; files of their own may have headers without.
    """

    fields: dict[str, str]
    names: tuple[str, ...]
    listed: tuple[str, ...]
    end: int | None


def _header(path: Path) -> _Header:
    with path.open("rb") as f:
        start = f.read(_MAX_HEADER)
    if not start.startswith(b"NRRD"):
        return _Header({}, (), (), 0)
    end = re.search(rb"\r?\n\r?\n", start)
    text = (start[: end.start()] if end else start).decode("utf-8", errors="surrogateescape")
    fields: dict[str, str] = {}
    names: list[str] = []
    listed: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n")[1:]:
        if fields.get("data file", "").split()[:1] == ["LIST"]:  # always the last field
            listed += [line.strip()] if line.strip() else []
            continue
        if line.startswith("#"):
            continue
        names.append(line.partition(":")[0])
        key, colon, value = line.partition(": ")
        if colon and ":=" not in key:
            name = key.strip().lower()
            fields[_OTHER_NAMES.get(name, name)] = value.strip()
    whole = len(start) < _MAX_HEADER and "data file" in fields
    return _Header(fields, tuple(names), tuple(listed), end.end() if end else len(start) if whole else None)


def _fields(path: Path) -> dict[str, str]:
    return _header(path).fields


def _skips(path: Path, fields: dict[str, str]) -> tuple[int, int]:
    """Bytes and lines before the voxels; -1 bytes are as many as leave the voxels at the end of the file."""
    return (
        whole_number(path, "byte skip", fields.get("byte skip", "0"), -1, _MANY),
        whole_number(path, "line skip", fields.get("line skip", "0"), 0, _MANY),
    )


def _after_lines(path: Path, start: int, lines: int) -> int:
    """First byte after so many lines."""
    if lines < 1:
        return start
    with path.open("rb") as f:
        f.seek(start)
        for _ in range(lines):
            if not f.readline(_MAX_HEADER):
                break
        return f.tell()


def _vector(text: str) -> list[float]:
    return [float(v) for v in text.strip(" ()").split(",")]


def _spell(vector: npt.NDArray[np.float64]) -> str:
    return "(" + ",".join(repr(float(v)) for v in vector) + ")"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")
