"""Embeddings of tiles in the files that others load: HDF5 as TRIDENT and CLAM users know it, Parquet, AnnData.

HDF5: ``features`` ``(N, D)`` and ``coords`` int64 ``(N, 2)``, (x, y) of the upper left corner of each tile in pixels of
level 0 of the whole file; what a tile is stands in the attributes of ``coords``. Of nuclei ``coords`` are the centres,
and ``ids`` ``(N,)`` their ids, as in the outlines beside the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, MissingExtra, one_line, reading
from workbench.core.types import Embeddings

EXTRA = "slides"
_WHOLE = ("patch_size", "patch_size_level0", "overlap", "level0_width", "level0_height")
_REAL = ("level0_magnification", "target_magnification")
_MORE = ("mpp_x", "mpp_y", "target_mpp")
_TEXT = ("encoder", "weights_sha256", "pooling", "stain_profile", "icc", "version")
_SOURCE = "level0_magnification_source"
_IDS = "ids"
_CHUNK = 1024
_MOST_RATIO = 1100
"""Deflate makes no more of a byte."""


@dataclass(frozen=True, eq=False)
class TileEmbeddings:
    """What a file of embeddings holds.

    Parameters
    ----------
    features
        ``(N, D)`` float32 or float16.
    coords
        ``(N, 2)`` int64, (x, y) of the upper left corner in pixels of level 0.
    facts
        ``patch_size`` (side of a tile at its scale), ``patch_size_level0`` (in pixels of level 0), ``overlap`` (pixels
        of a tile), ``level0_magnification``, ``target_magnification``, ``name``, ``level0_width``, ``level0_height``;
        of ours also ``mpp_x``, ``mpp_y``, ``target_mpp``, ``encoder``, ``weights_sha256``, ``version``, and
        ``level0_magnification_source`` (of the objective, or computed from the size of a pixel).
    ids
        Name of each tile, or none.
    scores
        More numbers for each tile ``(N,)``, by name; for tables (AnnData, Parquet).
    """

    features: npt.NDArray[np.floating[Any]]
    coords: npt.NDArray[np.int64]
    facts: Mapping[str, Any] = field(default_factory=dict)
    ids: tuple[str, ...] = ()
    scores: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, part: Embeddings) -> TileEmbeddings:
        """Those of a result."""
        places = np.zeros((0, 2)) if part.places is None else part.places
        coords = np.rint(places).astype(np.int64).reshape(-1, 2)
        return cls(part.data, coords, part.about, part.ids, part.about.get("scores", {}))

    @property
    def centres(self) -> npt.NDArray[np.float64]:
        """Centres of the tiles ``(N, 2)`` in pixels of level 0."""
        half = float(self.facts.get("patch_size_level0", 0)) / 2  # as other programs have it
        return self.coords.astype(np.float64) + half


_LARGEST = 1e18
_SENSE = (
    ("patch_size", 0, 1e6), ("patch_size_level0", 0, 1e6), ("overlap", -1e6, 1e6), ("target_mpp", 0, 1e3),
    ("mpp_x", 0, 1e3), ("mpp_y", 0, 1e3), ("level0_width", 0, 2**40), ("level0_height", 0, 2**40),
)  # fmt: skip
"""Numbers of a file of embeddings, and what they can be."""
COMPARED = ("encoder", "weights_sha256", "pooling", "stain_profile", "icc", "patch_size", "target_mpp")
_BEFORE = {"pooling": "cls", "stain_profile": "", "icc": ""}
"""What must be equal for two tiles to be comparable, and what files say that were written before it was told."""


def side_of(facts: Mapping[str, Any]) -> float:
    """Of a tile, in pixels of level 0; 0 where nobody says it.

    Files count whole pixels, as other programs do, but 256 pixels of 0.5 um are 256.51 of 0.499 um.
    """
    whole = float(facts.get("patch_size_level0", 0))
    size, target, x, y = (float(facts.get(k) or 0) for k in ("patch_size", "target_mpp", "mpp_x", "mpp_y"))
    if min(whole, size, target, x, y) <= 0:
        return whole
    exact = size * target / math.sqrt(x * y)
    return exact if abs(exact - whole) <= 0.5 + 1e-9 else whole


def require_comparable(tiles: TileEmbeddings, name: str, about: dict[str, Any], of: str) -> dict[str, Any]:
    """What the tiles of a file have in common: encoder, hash of its weights, size, scale and width of an embedding.

    Parameters
    ----------
    about, of
        The same of another file, and its name; nothing where there is none.

    Raises
    ------
    InputError
        They differ.
    """
    own = {key: tiles.facts.get(key, _BEFORE.get(key)) for key in COMPARED} | {"width": tiles.features.shape[1]}
    known = own["weights_sha256"] and about.get("weights_sha256")
    for key, value in own.items():
        if key == "encoder" and known:
            continue  # the hash of its weights says more than how they were called
        if about and not _equal(about[key], value):
            raise InputError(
                f"{name}: its {key} is {value}, that of {of} is {about[key]}: tiles of different encoders or scales "
                "cannot be compared. Embed all slides the same way."
            )
    return own


def recipe_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What weights that are taught on top of embeddings say of their tiles: scale, side, pooling, and colours."""
    colours = {key: facts[key] for key in ("stain_profile", "icc") if facts.get(key)}
    return {
        "mpp": float(facts["target_mpp"]), "tile": int(facts["patch_size"]),
        "pooling": str(facts.get("pooling", "cls")), **colours,
    }  # fmt: skip


def require_sense(tiles: TileEmbeddings, name: object) -> None:
    """Refuse what no embeddings of the tiles of a slide can say.

    Raises
    ------
    InputError
        One line names the file and what makes no sense.
    """
    for key, low, high in _SENSE:
        value = tiles.facts.get(key, low)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise InputError(f"{name}: its {key} is {str(value)[:40]}, which makes no sense. Make it again.")
    features = tiles.features
    if features.ndim != 2 or not features.shape[1]:
        raise InputError(f"{name}: holds embeddings of the shape {features.shape}. Make it again.")
    if not np.isfinite(features).all() or not float(np.abs(features).max(initial=0)) < _LARGEST:
        raise InputError(f"{name}: some of its embeddings are no numbers, or too large. Make it again.")
    side = side_of(tiles.facts)
    if (np.abs(tiles.coords) > 2**31).any() or (tiles.coords < -side).any():
        raise InputError(f"{name}: some of its tiles lie beside the slide. Make it again.")


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-3 * max(abs(one), abs(other))
    return bool(one == other)


def write_hdf5(path: Path, tiles: TileEmbeddings, savetodir: str | None = None) -> None:
    """Write them; equal embeddings give equal bytes.

    Parameters
    ----------
    savetodir
        The attribute of this name, which loaders expect; by default the name of the slide, no path of this machine.
    """
    import h5py

    count, width = tiles.features.shape
    name = str(tiles.facts.get("name", path.stem))
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        features = file.create_dataset(
            "features", data=tiles.features, track_times=False, chunks=(min(_CHUNK, count), width) if count else None
        )
        features.attrs["name"] = name
        features.attrs["savetodir"] = savetodir or name
        coords = file.create_dataset("coords", data=tiles.coords.astype(np.int64), track_times=False)
        coords.attrs["name"] = name
        coords.attrs["savetodir"] = savetodir or name
        if tiles.ids and "patch_size" not in tiles.facts:  # objects, not squares of a lattice
            file.create_dataset(_IDS, data=np.array(tiles.ids, np.bytes_), track_times=False)
        for key in _WHOLE:
            coords.attrs[key] = int(tiles.facts.get(key, 0))
        for key in (*_REAL, *_MORE):
            if key in tiles.facts:
                coords.attrs[key] = float(tiles.facts[key])
        for key in _TEXT:
            if key in tiles.facts:
                features.attrs[key] = str(tiles.facts[key])
        if _SOURCE in tiles.facts:
            coords.attrs[_SOURCE] = str(tiles.facts[_SOURCE])


def read_hdf5(path: Path) -> TileEmbeddings:
    """Read embeddings of ours, of TRIDENT, or of CLAM (features ``(1, N, D)``, ``patch_level`` among the attributes).

    Raises
    ------
    InputError
        It is no HDF5, or lacks ``features`` or ``coords``; one line says what was found.
    """
    import h5py

    if path.exists() and not path.is_file():
        raise InputError(f"{path}: is no file; embeddings of tiles (HDF5) were expected")
    try:
        with h5py.File(path, "r") as file:
            missing = [
                k for k in ("features", "coords")
                if not isinstance(file.get(k, getlink=True), h5py.HardLink) or not isinstance(file[k], h5py.Dataset)
            ]  # fmt: skip
            if missing:
                there = ", ".join(sorted(file)[:8]) or "nothing"
                raise InputError(f"{path}: has no {' and no '.join(missing)}; it holds {there}. Are these embeddings?")
            _require_tiles(path, file["features"], file["coords"])
            with reading(path, "its embeddings cannot be read", "Copy it again."):
                features, coords = np.asarray(file["features"]), np.asarray(file["coords"])
                ids = _ids(path, file, len(coords))
                facts = {k: _plain(v) for part in ("features", "coords") for k, v in file[part].attrs.items()}
    except (OSError, KeyError, RuntimeError) as error:  # the last two: h5py, of damaged headers
        raise InputError(f"{path}: is no HDF5 file that can be read ({one_line(error)}). Copy it again.") from error
    return TileEmbeddings(features[0] if features.ndim == 3 else features, coords.astype(np.int64), facts, ids)


def _ids(path: Path, file: Any, count: int) -> tuple[str, ...]:
    """Those of objects; none where the file has none, or something else by that name."""
    import h5py

    found = file[_IDS] if isinstance(file.get(_IDS, getlink=True), h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset) or found.shape != (count,) or found.dtype.kind != "S":
        return ()
    _require_held(path, found)
    return tuple(one.decode(errors="replace") for one in np.asarray(found).tolist())


def _require_tiles(path: Path, features: Any, coords: Any) -> None:
    """Refuse other arrays before their samples are read; a header can promise more than the file holds."""
    shape = features.shape[1:] if len(features.shape) == 3 and features.shape[0] == 1 else features.shape
    if len(shape) != 2 or coords.shape != (shape[0], 2) or features.dtype.kind != "f" or coords.dtype.kind not in "iu":
        raise InputError(
            f"{path}: holds features of {features.shape} {features.dtype} and coords of {coords.shape} {coords.dtype}; "
            "one row of real numbers and one (x, y) of whole numbers per tile were expected."
        )
    for part in (features, coords):
        _require_held(path, part)


def _require_held(path: Path, part: Any) -> None:
    """Refuse samples in other files, and more of them than a file can hold."""
    if part.is_virtual or part.external:
        raise InputError(f"{path}: its samples lie in other files; this is refused. Copy them into one file.")
    held = part.id.get_storage_size()
    if part.nbytes > _MOST_RATIO * held:
        raise InputError(
            f"{path}: {part.name} promises {part.nbytes} bytes and the file holds {held} for it; it was not "
            "written to the end. Make it again."
        )


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.item() if getattr(value, "size", 0) == 1 else value


def write_parquet(path: Path, tiles: TileEmbeddings) -> None:
    """A row per tile: x, y [pixels of level 0], x_um, y_um, and its embedding as a list of fixed length."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("writing Parquet (pyarrow)", EXTRA) from None
    width = tiles.features.shape[1]
    values = arrow.array(np.ascontiguousarray(tiles.features, np.float32).ravel())
    columns: dict[str, Any] = {"x": tiles.coords[:, 0], "y": tiles.coords[:, 1]}
    for axis, key in enumerate(("mpp_x", "mpp_y")):
        if key in tiles.facts:
            columns[f"{'xy'[axis]}_um"] = tiles.coords[:, axis] * float(tiles.facts[key])
    if tiles.ids:
        columns["tile"] = list(tiles.ids)
    columns |= {str(k): np.asarray(v) for k, v in tiles.scores.items() if k not in columns}
    columns["embedding"] = arrow.FixedSizeListArray.from_arrays(values, width)
    table = arrow.table(columns)
    table = table.replace_schema_metadata({str(k): str(v) for k, v in tiles.facts.items()})
    parquet.write_table(table, path)


def write_h5ad(path: Path, tiles: TileEmbeddings) -> None:
    """AnnData: embeddings in ``X``, corners, names and scores in ``obs``, centres of the tiles in ``obsm["spatial"]``.

    ``uns["spatial"]`` has the side of a tile in pixels of level 0 where tools of scverse look for the size of a spot.
    """
    try:
        import anndata
        import pandas as pd
    except ImportError:
        raise MissingExtra("writing AnnData (anndata)", EXTRA) from None
    names = list(tiles.ids) or [str(i) for i in range(len(tiles.coords))]
    obs = pd.DataFrame({"x": tiles.coords[:, 0], "y": tiles.coords[:, 1]}, index=pd.Index(names, dtype=object))
    for key, values in tiles.scores.items():
        if key not in obs:
            obs[str(key)] = np.asarray(values)
    plain = {k: v for k, v in tiles.facts.items() if isinstance(v, str | int | float)}
    made = anndata.AnnData(X=np.asarray(tiles.features, np.float32), obs=obs)
    made.obsm["spatial"] = tiles.centres
    made.uns["workbench"] = plain
    library = str(tiles.facts.get("name", path.stem)).replace("/", "_") or "slide"
    side = float(tiles.facts.get("patch_size_level0", 0))
    made.uns["spatial"] = {library: {"images": {}, "scalefactors": {"spot_diameter_fullres": side}}}
    made.write_h5ad(path)
