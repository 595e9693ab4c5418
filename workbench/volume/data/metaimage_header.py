"""The text header of MetaImage files (``.mha``, ``.mhd``): its fields, and where compressed voxels lie."""

from __future__ import annotations

import re
from pathlib import Path

from workbench.volume.data.header_fields import numbered_names, whole_number
from workbench.volume.data.payload import Packed

_MAX_HEADER = 1 << 20
_MANY, _MOST = 2**31 - 1, 2**53
_DATA = "ElementDataFile"  # always the last field; the voxels follow its line


def packed(path: Path) -> list[Packed]:
    """Where the compressed voxels lie, nothing if they are not compressed; several files hold equal shares."""
    fields, start = read_fields(path)
    if not _is_true(fields.get("CompressedData", "")):
        return []
    order = any(_is_true(fields.get(k, "")) for k in ("BinaryDataByteOrderMSB", "ElementByteOrderMSB"))
    files = data_files(path)
    # A header inside the data file: MetaIO goes to that very byte.
    start = _number(path, fields, "HeaderSize", -1) or (start if is_inside(fields) else 0)
    stated = _number(path, fields, "CompressedDataSize") if len(files) == 1 else 0
    plain = len(files) == 1 and _is_true(fields.get("BinaryData", ""))
    return [Packed(f, "zlib", max(start, 0), stated or None, ">" if order else "<", plain=plain) for f in files]


def data_files(path: Path) -> list[Path]:
    """Files that hold the voxels: the file itself, one beside it, a list of names, or numbered names."""
    fields, start = read_fields(path)
    name = fields.get(_DATA, "")
    if not name:
        return []
    if is_inside(fields):
        return [path]
    if name.upper().startswith("LIST"):
        with path.open("rb") as f:
            f.seek(start)
            names = [n.strip() for n in f.read(_MAX_HEADER).decode("utf-8", errors="replace").splitlines()]
        return [path.parent / n for n in names if n]
    if "%" in name:
        pattern, *given = name.split()
        last_side = (fields.get("DimSize", "").split() or ["1"])[-1]
        words = [*given, *("1", last_side, "1")[len(given) :]][:3]
        first, last, step = (whole_number(path, _DATA, w, -_MANY, _MANY) for w in words)
        return [path.parent / n for n in numbered_names(path, _DATA, pattern, (first, last, step))]
    return [path.parent / name]


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
        name = key.decode("utf-8", errors="replace").strip()
        fields[name] = value.decode("utf-8", errors="surrogateescape").strip()
        position = end + 1
        if name == _DATA:
            return fields, position
    return {}, 0


def _number(path: Path, fields: dict[str, str], name: str, low: int = 0) -> int:
    return whole_number(path, name, fields.get(name) or "0", low, _MOST)


def _is_true(text: str) -> bool:
    return text[:1] in ("T", "t", "1")
