"""Class maps, confidence maps and cubes to ENVI, GeoTIFF and NumPy files, with palette and map position.

Every file is written beside its name and renamed when complete. Of an ENVI pair the header is removed first and written
last, so that a new file never stands beside an old header.
"""

from __future__ import annotations

import importlib
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import GeometryError, InputError, UsageError, WorkbenchWarning
from workbench.core.types import Geometry, Heatmap, Image, Labels
from workbench.data.label_values import smallest_unsigned
from workbench.data.parts import Job, text_saver
from workbench.scene.data import envi_header as eh
from workbench.scene.data.anchors import WGS84, Anchors, to_envi
from workbench.scene.data.class_notes import class_notes
from workbench.scene.data.crs import crs_of, crs_of_place
from workbench.scene.data.map_place import MapPlace, to_map_info
from workbench.scene.data.scene import Blocks, SceneNative, from_array, open_blocks

SUFFIXES = {"envi": ".dat", "geotiff": ".tif", "npy": ".npy"}

_BACKGROUND = "Unclassified"


def family(format: str, source: Image | None) -> str:
    """Family to write: the one asked for; for ``auto`` that of a source in ENVI or GeoTIFF, else ENVI."""
    if format == "auto":
        return source.format if source is not None and source.format in ("envi", "geotiff") else "envi"
    if format not in SUFFIXES:
        raise UsageError(f"format {format} holds volumes, and this is a spectral scene: choose {', '.join(SUFFIXES)}.")
    return format


def jobs(
    thing: Any, target: Path, format: str, source: Image | None, *, interleave: str | None = None
) -> list[Job] | None:
    """Files to write for a scene or a map, in the order in which they must be written; ``None`` for other parts.

    Parameters
    ----------
    target
        Folder and name, without suffix.
    source
        The scene; its map position is kept as it was read.
    interleave
        Order of the samples of an ENVI cube: ``"bsq"``, ``"bil"`` or ``"bip"``; that of the source by default.
    """
    if not isinstance(thing, Labels | Heatmap | Image):
        return None
    if interleave is not None and interleave not in eh.INTERLEAVES:
        raise UsageError(f"interleave '{interleave}' is unknown, expected one of {', '.join(eh.INTERLEAVES)}.")
    owner = source if source is not None else thing
    made: list[Job]
    place, anchors = _place(thing.geometry, owner), _anchors(owner)
    blocks, shown, classes = _contents(thing)
    path = target.with_name(target.name + SUFFIXES[format])
    if format == "envi":
        order = interleave or (str(shown.get("interleave")) if shown.get("interleave") in eh.INTERLEAVES else "bsq")
        header = _envi_header(thing, blocks, classes, place, order, shown)
        if anchors is not None:
            fields = to_envi(anchors)
            header |= {} if fields is None else fields
            if fields is None:
                _say_lost(path, "ground control points of a map", "geotiff")
        text = eh.render(header)
        stale = path.with_suffix(".hdr") if "." not in target.name else path.with_name(target.name + ".hdr")
        return [
            (path, lambda part: _write_envi(part, blocks, order, stale)),
            (stale, text_saver(text)),
        ]
    if format == "geotiff":
        crs = None if place is None else _crs_or_loss(place, path)
        made = [(path, lambda part: _write_geotiff(part, blocks, classes, place, crs, shown, anchors))]
        if classes is not None:
            beside = path.with_name(f"{path.name}.aux.xml")
            made.append((beside, text_saver(class_notes(classes, _BACKGROUND))))
        return made
    if anchors is not None:
        _say_lost(path, "ground control points or RPC", "envi or geotiff")
    made = [(path, lambda part: _write_npy(part, blocks, flat=not isinstance(thing, Image)))]
    if shown.get("wavelengths_nm"):
        beside = path.with_name(f"{target.name}_wavelengths.csv")
        made.insert(0, (beside, text_saver(_wavelength_table(shown))))
    return made


def _contents(thing: Labels | Heatmap | Image) -> tuple[Blocks, dict[str, Any], ClassTable | None]:
    if isinstance(thing, Image):
        if thing.classes is not None and len(thing.channels) == 1:
            return open_blocks(thing), dict(thing.header), thing.classes
        return open_blocks(thing), {**thing.header, "band_names": thing.channels}, None
    if thing.data.shape != thing.geometry.shape:
        raise GeometryError(
            f"map '{thing.name}' has shape {thing.data.shape}, its geometry says {thing.geometry.shape}. Nothing was"
            " written."
        )
    if isinstance(thing, Heatmap):
        return from_array(np.asarray(thing.data, dtype=np.float32)[None]), {}, None
    return from_array(smallest_unsigned(thing.data, thing.name)[None]), {}, thing.classes


def _place(geometry: Geometry, source: Labels | Heatmap | Image) -> MapPlace | None:
    """The position as the source's reader kept it, else what the geometry says."""
    native = getattr(source, "native", None)
    if isinstance(native, SceneNative) and native.place is not None:
        return native.place
    if geometry.affine is None:
        return None
    return MapPlace(np.asarray(geometry.affine, dtype=np.float64), geometry.unit)


def _anchors(source: Labels | Heatmap | Image) -> Anchors | None:
    """The position that is no affine, as the source's reader kept it."""
    native = getattr(source, "native", None)
    return native.anchors if isinstance(native, SceneNative) and native.place is None else None


def _say_lost(path: Path, what: str, advice: str) -> None:
    text = f"{path.name}: the position of the scene ({what}) is lost, this format cannot hold it"
    warnings.warn(f"{text}. Choose format {advice}.", WorkbenchWarning, stacklevel=2)


def _crs_or_loss(place: MapPlace, path: Path) -> Any:
    """The coordinate system for GeoTIFF; a ``projection info`` that cannot be translated is lost."""
    found = crs_of_place(place)
    if found is None and place.projection is not None:
        _say_lost(path, f"its projection {place.projection[:60]}", "envi")
    return found


def _envi_header(
    thing: Labels | Heatmap | Image,
    blocks: Blocks,
    classes: ClassTable | None,
    place: MapPlace | None,
    order: str,
    shown: dict[str, Any],
) -> dict[str, Any]:
    bands, rows, columns = blocks.shape
    fields: dict[str, Any] = {
        "description": ["written by napari-workbench"],
        "samples": columns,
        "lines": rows,
        "bands": bands,
        "header offset": 0,
        "file type": "ENVI Standard" if classes is None else "ENVI Classification",
        "data type": eh.type_number(blocks.dtype),
        "interleave": order,
        "byte order": 0,
    }
    if classes is not None:
        table = _dense(classes, thing)
        fields["classes"] = len(table) + 1
        fields["class names"] = [_BACKGROUND, *(_listable(c.name) for c in table)]
        fields["class lookup"] = [0, 0, 0, *(v for c in table for v in c.color)]
        fields["band names"] = [_listable(thing.name)]
    elif isinstance(thing, Heatmap):
        fields["band names"] = [_listable(thing.name + (f" [{thing.unit}]" if thing.unit else ""))]
    else:
        fields.update(_band_fields(shown))
    if place is not None:
        fields["map info"] = to_map_info(place)
        fields["projection info"] = place.projection if place.map_info is not None else None
        text = _coordinate_system(place)
        fields["coordinate system string"] = None if text is None else f"{{{text}}}"
    return fields


def _band_fields(shown: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {"band names": [_listable(n) for n in shown.get("band_names", ())]}
    if shown.get("wavelengths_nm"):
        fields["wavelength units"] = "Nanometers"
        fields["wavelength"] = shown["wavelengths_nm"]
    if shown.get("fwhm_nm"):
        fields["fwhm"] = shown["fwhm_nm"]
    if shown.get("good_bands"):
        fields["bbl"] = [int(g) for g in shown["good_bands"]]
    if shown.get("ignore_value") is not None:
        fields["data ignore value"] = repr(shown["ignore_value"])
    return fields


def _dense(classes: ClassTable, thing: Any) -> list[ClassInfo]:
    """Classes 1 to n without gaps, as ENVI wants them; gaps get names that reading leaves out again."""
    known = {c.value: c for c in classes}
    data = thing.data[0] if isinstance(thing, Image) else thing.data
    top = max([*known, int(data.max()) if data.size else 0], default=0)
    if top > 65535:
        raise InputError(f"class map '{thing.name}' has the value {top}, ENVI lists at most 65535 classes.")
    present = set(np.unique(data).tolist())
    rest = {c.value: c for c in ClassTable.from_values(list(range(1, top + 1)))}
    return [
        known.get(v) or (rest[v] if v in present else replace(rest[v], name=eh.UNUSED_CLASS.format(v)))
        for v in range(1, top + 1)
    ]


def _listable(name: str) -> str:
    """A name that a comma-separated list in braces can hold."""
    plain = " ".join(name.split()).replace(",", ";").replace("{", "(").replace("}", ")")
    return plain or "-"


def _coordinate_system(place: MapPlace) -> str | None:
    """WKT in ESRI's dialect, which is what ENVI reads; ``None`` where ``map info`` says it all."""
    if place.wkt is None or (place.map_info is not None and place.wkt.startswith("EPSG:")):
        return None
    if place.map_info is not None:
        return place.wkt
    return str(crs_of(place.wkt).to_wkt(version="WKT1_ESRI"))


def _write_envi(path: Path, blocks: Blocks, order: str, stale: Path) -> None:
    stale.unlink(missing_ok=True)
    bands, rows, columns = blocks.shape
    shape = {"bsq": (bands, rows, columns), "bil": (rows, bands, columns), "bip": (rows, columns, bands)}[order]
    turn = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (2, 0, 1)}[order]
    out = np.memmap(path, dtype=blocks.dtype.newbyteorder("<"), mode="w+", shape=shape)
    view = out.transpose(turn)
    for r, c in blocks.windows():
        view[:, r, c] = blocks.read(r, c)
    out.flush()


def _write_geotiff(
    path: Path,
    blocks: Blocks,
    classes: ClassTable | None,
    place: MapPlace | None,
    crs: Any,
    shown: dict[str, Any],
    anchors: Anchors | None = None,
) -> None:
    rasterio: Any = importlib.import_module("rasterio")
    bands, rows, columns = blocks.shape
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "count": bands,
        "height": rows,
        "width": columns,
        "dtype": blocks.dtype.name,
        "compress": "deflate",
        "interleave": "band",
        "bigtiff": "if_safer",
    }
    if place is not None:
        profile |= {"transform": rasterio.Affine(*place.transform), "crs": crs}
    if anchors is not None and anchors.points:
        points = [rasterio.control.GroundControlPoint(p.row, p.column, p.x, p.y, p.z) for p in anchors.points]
        profile |= {"gcps": points, "crs": crs_of(anchors.wkt or WGS84)}
    if anchors is not None and anchors.rpc:
        profile["rpcs"] = rasterio.rpc.RPC.from_gdal(dict(anchors.rpc))
    if classes is not None:
        profile["nodata"] = 0  # no class
    elif shown.get("ignore_value") is not None:
        profile["nodata"] = shown["ignore_value"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", **profile) as out:
            if classes is not None:
                if blocks.dtype in (np.uint8, np.uint16):
                    out.write_colormap(1, {0: (0, 0, 0, 0), **{c.value: (*c.color, 255) for c in classes}})
                out.update_tags(WORKBENCH_CLASSES=json.dumps(classes.to_json()))
            _tag_bands(out, shown)
            for r, c in blocks.windows():
                out.write(blocks.read(r, c), window=((r.start, r.stop), (c.start, c.stop)))


def _tag_bands(out: Any, shown: dict[str, Any]) -> None:
    for i, name in enumerate(shown.get("band_names", ())):
        out.set_band_description(i + 1, name)
    for key, field in (("wavelength", "wavelengths_nm"), ("fwhm", "fwhm_nm"), ("good", "good_bands")):
        for i, value in enumerate(shown.get(field) or ()):
            out.update_tags(i + 1, **{key: str(float(value)), "wavelength_units": "Nanometers"})


def _write_npy(path: Path, blocks: Blocks, *, flat: bool) -> None:
    """An array ``rows x columns x bands``, and ``rows x columns`` for maps."""
    bands, rows, columns = blocks.shape
    shape: tuple[int, ...] = (rows, columns) if flat else (rows, columns, bands)
    out: npt.NDArray[Any] = np.lib.format.open_memmap(path, mode="w+", dtype=blocks.dtype, shape=shape)
    for r, c in blocks.windows():
        block = blocks.read(r, c)
        out[r, c] = block[0] if flat else block.transpose(1, 2, 0)
    out.flush()  # type: ignore[attr-defined]


def _wavelength_table(shown: dict[str, Any]) -> str:
    columns = {
        "wavelength_nm": shown["wavelengths_nm"],
        "fwhm": shown.get("fwhm_nm"),
        "good": None if shown.get("good_bands") is None else [int(g) for g in shown["good_bands"]],
    }
    used = {k: v for k, v in columns.items() if v is not None}
    lines = [",".join(used), *(",".join(str(v) for v in row) for row in zip(*used.values(), strict=True))]
    return "\n".join(lines) + "\n"
