"""What the JSON files of an OME-Zarr say, looked at before any library opens an array.

The format: J. Moore et al., "OME-Zarr", Histochem. Cell Biol. 160:223, 2023, doi 10.1007/s00418-023-02209-1; versions
0.4 (Zarr 2) and 0.5 (Zarr 3) of https://ngff.openmicroscopy.org. Only packings are let through that hold plain samples
and whose size is bounded: Zarr 2 also knows filters that execute a pickle.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError, one_line

MOST_CHUNK = 128 << 20
"""Bytes of one chunk: a square of 6,500 pixels in three colours."""
MOST_LEVELS = 64
_MOST_JSON = 16 << 20
_MOST_SIDE = 1 << 31
PACKINGS = ("blosc", "gzip", "zlib", "zstd", "lz4")
"""Codecs of bytes that are undone here, by the names of both versions."""
_PLAIN = ("bytes", "crc32c")


@dataclass(frozen=True)
class StoredArray:
    """One array.

    Parameters
    ----------
    shape, chunk
        Its size, and that of what is decoded at once.
    packing
        Codec of the bytes, or "" for none.
    is_sharded
        Whether several chunks lie in one file.
    version
        2 or 3, of the Zarr format.
    """

    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    packing: str
    is_sharded: bool
    version: int


def attributes(folder: Path) -> dict[str, Any] | None:
    """The attributes of a group, those of ``ome`` (0.5) in front; ``None`` where the folder is no group of Zarr.

    Raises
    ------
    InputError
        The files that say so cannot be read.
    """
    if (folder / "zarr.json").is_file():
        stored = json_of(folder / "zarr.json")
        if stored.get("node_type") != "group":
            return None
        found = stored.get("attributes")
        found = found if isinstance(found, dict) else {}
        inner = found.get("ome")
        return {**found, **inner} if isinstance(inner, dict) else found
    if (folder / ".zattrs").is_file():
        return json_of(folder / ".zattrs")
    return {} if (folder / ".zgroup").is_file() else None


def json_of(path: Path) -> dict[str, Any]:
    """An object of JSON of at most 16 MiB."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_JSON + 1)
        found = json.loads(content) if len(content) <= _MOST_JSON else None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read ({one_line(error)}). Copy the whole folder again.") from error
    if not isinstance(found, dict):
        raise InputError(
            f"{path}: holds no JSON object of at most {_MOST_JSON >> 20} MiB. Copy the whole folder again."
        )
    return found


def array_of(folder: Path) -> StoredArray | None:
    """What is stored in the folder of an array; ``None`` where there is none.

    Raises
    ------
    InputError
        It holds no samples of 8 bits, or is packed in a way that is not undone here.
    """
    for name, read in (("zarr.json", _third), (".zarray", _second)):
        if (folder / name).is_file():
            found = json_of(folder / name)
            try:
                array = read(folder, found)
            except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
                raise InputError(
                    f"{folder / name}: is no description of an array ({type(error).__name__}: {one_line(error)})"
                ) from error
            return _checked(folder, array)
    return None


def _second(folder: Path, stored: dict[str, Any]) -> StoredArray:
    _require_bytes(folder, str(stored["dtype"]), ("|u1", "<u1", ">u1", "u1"))
    if stored.get("filters"):
        _refuse(folder, "filters " + ", ".join(str(f["id"]) for f in stored["filters"]))
    packing = "" if stored.get("compressor") is None else str(stored["compressor"]["id"])
    if packing and packing not in PACKINGS:
        _refuse(folder, packing)
    return StoredArray(_sides(stored["shape"]), _sides(stored["chunks"]), packing, False, 2)


def _third(folder: Path, stored: dict[str, Any]) -> StoredArray:
    if stored.get("node_type") != "array":
        raise ValueError("is a group")
    _require_bytes(folder, str(stored["data_type"]), ("uint8",))
    grid = stored["chunk_grid"]
    if grid["name"] != "regular" or stored.get("storage_transformers"):
        _refuse(folder, f"grid {grid['name']}, {len(stored.get('storage_transformers') or ())} storage transformers")
    chunk, codecs, is_sharded = _sides(grid["configuration"]["chunk_shape"]), stored["codecs"], False
    sharding = [c for c in codecs if c["name"] == "sharding_indexed"]
    if sharding:
        is_sharded = True
        if len(codecs) != 1:
            _refuse(folder, "shards within other codecs")
        inside = sharding[0]["configuration"]
        for one in inside.get("index_codecs", ()):
            if one["name"] not in _PLAIN:
                _refuse(folder, str(one["name"]))
        outer, chunk, codecs = chunk, _sides(inside["chunk_shape"]), inside["codecs"]
        if len(outer) != len(chunk) or any(a % b for a, b in zip(outer, chunk, strict=True)):
            raise ValueError(f"shards of {outer} with chunks of {chunk}")
    names = [str(c["name"]) for c in codecs]
    packed = [n for n in names if n in PACKINGS]
    strange = [n for n in names if n not in (*PACKINGS, *_PLAIN, "transpose")]
    if strange or len(packed) > 1:
        _refuse(folder, ", ".join(strange or packed))
    return StoredArray(_sides(stored["shape"]), chunk, packed[0] if packed else "", is_sharded, 3)


def _require_bytes(folder: Path, dtype: str, known: tuple[str, ...]) -> None:
    if dtype not in known:
        raise InputError(f"{folder}: has samples of type {dtype[:40]}; a slide in brightfield has red, green and blue "
                         "of 8 bits")  # fmt: skip


def _refuse(folder: Path, what: str) -> None:
    raise InputError(
        f"{folder}: its pixels are packed by a method ({what[:80]}) that is not undone here; save it again with "
        f"{', '.join(PACKINGS[:-1])} or {PACKINGS[-1]}"
    )


def _sides(found: Any) -> tuple[int, ...]:
    sides = tuple(found)
    if not 2 <= len(sides) <= 5 or not all(type(n) is int and 0 < n < _MOST_SIDE for n in sides):
        raise ValueError(f"sides {sides[:6]}")
    return sides


def _checked(folder: Path, array: StoredArray) -> StoredArray:
    if len(array.shape) != len(array.chunk):
        raise InputError(f"{folder}: an array of {array.shape} with chunks of {array.chunk}: not the same axes")
    if math.prod(array.chunk) > MOST_CHUNK:
        raise InputError(
            f"{folder}: a chunk has {'x'.join(str(n) for n in array.chunk)} samples, and all of it would be unpacked "
            f"for one tile; at most {MOST_CHUNK >> 20} MiB are. Save it again with chunks of 512 or 1024 pixels."
        )
    return array
