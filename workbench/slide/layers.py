"""Slides and what was found on them as napari layers, and back, without importing napari.

A slide is one colour layer of several levels whose pixels are read when they are looked at. Layers lie in micrometres
from the first pixel of the slide; in pixels where its scale is not known.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.case_folder import RECORD
from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import GeometryError, WorkbenchError
from workbench.core.layers import KEY, LayerTuple, colormap, count_labels, source_record, token
from workbench.core.levels import finest
from workbench.core.objects import Objects
from workbench.core.types import Geometry, Heatmap, Image, Labels, Result, Scores
from workbench.slide.data.heat_maps import is_map, read_any_map
from workbench.slide.data.lazy_levels import lazy_levels
from workbench.slide.nuclei_edits import NucleiEdits, none_of
from workbench.slide.nuclei_now import NUCLEI, REJECTED_NUCLEI, nuclei_now
from workbench.slide.outline_levels import OutlineLevel, edits_in, outline_levels
from workbench.slide.preview import preview as preview
from workbench.slide.region_counts import REGION_OUTLINES

__all__ = ["attached_reader", "preview", "to_layers", "updated"]

CLASSES, ATTENTION = "classes", "attention"
PREDICTED = "predicted"
"""A class map that was learnt, in the record of its layer: it must not teach what it was taught."""
COVERING = {CLASSES, ATTENTION}
"""Parts that lie over the slide alone where they are."""
SEEN_FIRST = "structure"
"""The map that lies faintly over the slide at once; the others are shown when they are asked for."""


def to_layers(item: Image | Result, *, as_labels: bool | None = None) -> list[LayerTuple]:
    """A slide as one layer of levels; of a result its tissue as labels, and a heat map for each value of its tiles."""
    if isinstance(item, Result):
        return _result_layers(item, token(item))
    return [image_layer(item)]


def attached_reader(path: Path) -> Callable[[Path], list[LayerTuple]] | None:
    """Reads a map of a saved result (tissue, classes, attention) as a layer in its place; it is no slide itself."""
    is_saved = path.name.lower().endswith(".ome.tif") and (path.parent / RECORD).is_file()
    return _read_map if is_saved and is_map(path) else None


def _read_map(path: Path) -> list[LayerTuple]:
    record = _record_of_saved(path.parent)
    data, geometry, facts = read_any_map(path)
    part = str(facts.get("name", path.stem))
    name = f"{record.get('name') or path.parent.name} {part}"
    if "classes" in facts:
        labels = Labels(data, geometry, ClassTable.from_json(facts["classes"]), part)
        told = {PREDICTED: True} if part == CLASSES else {}
        return [labels_layer(labels, record | {"part": "mask"} | told, name)]
    limits = (0.0, 1.0) if part.startswith("probability") else None
    data, attributes, kind = heatmap_layer(Heatmap(data, geometry, part, facts.get("unit"), limits), record, name)
    return [(data, attributes | {"visible": True}, kind)]


def _record_of_saved(folder: Path) -> dict[str, Any]:
    """What a layer remembers of the slide that a folder of results is of; where that is not there, its name alone."""
    from workbench.data import formats

    try:
        source = json.loads((folder / RECORD).read_text(encoding="utf-8")).get("source")
    except (OSError, ValueError, AttributeError):
        source = None
    if not isinstance(source, str) or not source:
        return {"kind": "slide", "source": None, "name": folder.name}
    try:
        return slide_record(formats.read(Path(source), kind="slide"))
    except WorkbenchError:  # it was moved: the map is shown nevertheless
        return {"kind": "slide", "source": source, "name": folder.name}


def image_layer(image: Image) -> LayerTuple:
    """The levels of a slide, and lower ones made from them where the file has none."""
    levels = lazy_levels(image)
    record = slide_record(image) | {"role": "image"}
    attributes: dict[str, Any] = {"name": image.name, "rgb": True, **common_attributes(image.geometry, record)}
    attributes["multiscale"] = len(levels) > 1
    return (levels if len(levels) > 1 else levels[0]), attributes, "image"


def _result_layers(result: Result, mark: str) -> list[LayerTuple]:
    record = slide_record(result.image) | {"provenance": result.provenance.to_json(), "result": mark}
    found: list[LayerTuple] = []
    for key, part in result.parts.items():
        name = f"{result.image.name} {part.name}"
        if isinstance(part, Labels):
            found.append(labels_layer(part, record | {"part": key}, name))
            if NUCLEI in result.parts or (key != CLASSES and COVERING & set(result.parts)):
                found[-1][1]["visible"] = False  # nuclei and classes are judged by their colours: nothing lies over
        elif isinstance(part, Heatmap):
            found.append(heatmap_layer(part, record | {"part": key}, name))
            if COVERING & set(result.parts):
                found[-1][1]["visible"] = key == ATTENTION
        elif isinstance(part, Objects) and key not in (REJECTED_NUCLEI, REGION_OUTLINES):
            levels = _taken(part) or _levels_of(result, key, part)
            found.append(outlines_layer(levels, record | {"part": key}, name, result.image.geometry))
    return found


_ready: list[tuple[weakref.ref[Objects], list[OutlineLevel]]] = []
"""What `prepare` made last, until it is shown."""


def prepare(result: Result) -> None:
    """Make ready what takes long of the layers of a result, in whatever thread: `to_layers` takes it from here then.

    The boxes of hundreds of thousands of outlines, and what paints them, take a second; a window would stand still.
    """
    part = result.parts.get(NUCLEI)
    if isinstance(part, Objects):
        levels = _levels_of(result, NUCLEI, part)
        levels[0][:1, :1]  # what paints is compiled, or read from where it was kept
        _ready[:] = [(weakref.ref(part), levels)]


def _taken(part: Objects) -> list[OutlineLevel] | None:
    found, _ready[:] = [levels for own, levels in _ready if own() is part], []
    return found[0] if found else None


def _levels_of(result: Result, key: str, part: Objects) -> list[OutlineLevel]:
    others = result.parts.get(REJECTED_NUCLEI) if key == NUCLEI else None
    edits = NucleiEdits(part, others if isinstance(others, Objects) else None)
    return outline_levels(edits, result.image.geometry.shape)


def labels_layer(labels: Labels, record: Mapping[str, Any], name: str) -> LayerTuple:
    """A mask or class map on its own coarse grid, that people can paint in."""
    data = labels.data if labels.data.flags.writeable else labels.data.copy()
    own = {"role": "labels", "part_name": labels.name, "classes": labels.classes.to_json(), "counts": _counts(labels)}
    attributes = {
        "name": name,
        "opacity": 0.4,
        "colormap": colormap(labels.classes),
        **common_attributes(labels.geometry, {**record, **own}),
    }
    return data, attributes, "labels"


def _counts(labels: Labels) -> dict[str, int]:
    """Pixels of each class, as JSON keeps them."""
    return {str(value): int(count) for value, count in sorted(count_labels(labels.data).items()) if value}


def heatmap_layer(part: Heatmap, record: Mapping[str, Any], name: str) -> LayerTuple:
    """A value per tile; places without a tile are seen through."""
    values = part.data[np.isfinite(part.data)]
    low, high = (float(v) for v in np.percentile(values, (2, 98))) if values.size else (0.0, 1.0)
    limits = part.limits or ((low, high) if high > low else (low, low + 1.0))
    own = {"role": "heatmap", "value_unit": part.unit, "range": list(limits), "heatmap": part.name}
    attributes = {
        "name": name,
        "colormap": part.colormap,
        "contrast_limits": limits,
        "blending": "translucent_no_depth",
        "opacity": 0.3 if part.name == SEEN_FIRST else 0.6,
        "visible": part.name == SEEN_FIRST,
        "rgb": False,
        **common_attributes(part.geometry, {**record, **own}),
    }
    return part.data, attributes, "image"


def outlines_layer(levels: list[OutlineLevel], record: Mapping[str, Any], name: str, geometry: Geometry) -> LayerTuple:
    """Any number of outlines as the classes that they have, painted where they are looked at.

    Nobody paints in it: who corrects the nuclei does so in their `NucleiEdits`, which `edits_in` finds behind the data.
    """
    edits = edits_in(levels)
    assert edits is not None
    own = {
        "role": "outlines", "part_name": edits.base.name, "classes": edits.classes.to_json(), "count": len(edits),
        "slide_grid": list(geometry.shape),
    }  # fmt: skip
    attributes = {
        "name": name,
        "opacity": 0.6,
        "colormap": outline_colors(edits.classes),
        "multiscale": True,
        **common_attributes(geometry, {**record, **own}),
    }
    return levels, attributes, "labels"


def outline_colors(classes: ClassTable) -> dict[int | None, tuple[float, ...]]:
    """Colours of the values that outlines are painted with; those without a class are gray."""
    none = ClassInfo(none_of(classes), "unclassified", (160, 160, 160))
    return colormap(ClassTable((*classes, none)))


def kept_outlines(
    attributes: Mapping[str, Any], about: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]
) -> LayerTuple:
    """A layer of outlines from what was kept of it: its attributes, and the nuclei with what a person did to them."""
    edits = NucleiEdits.of_arrays(about, arrays)
    record = attributes["metadata"][KEY]
    own = {**attributes, "colormap": outline_colors(edits.classes), "multiscale": True}
    return outline_levels(edits, tuple(int(n) for n in record["slide_grid"])), own, "labels"


def slide_record(image: Image) -> dict[str, Any]:
    """What a layer remembers of its slide: small, plain values that survive JSON."""
    mpp = None if image.pyramid is None or image.pyramid.mpp is None else list(image.pyramid.mpp)
    own = {"mpp": mpp, "slide_shape": list(image.geometry.shape), "key": image.header.get("key")}
    return source_record(image) | own


def common_attributes(geometry: Geometry, record: Mapping[str, Any]) -> dict[str, Any]:
    """Transform and metadata of a layer on the grid of a slide, or on a coarser one over it."""
    unit = "um" if geometry.affine is not None and geometry.unit == "um" else "pixel"
    affine = np.eye(3) if geometry.affine is None else np.asarray(geometry.affine, np.float64)
    own = {
        "shape": list(geometry.shape),
        "affine": None if geometry.affine is None else affine.tolist(),
        "axes": list(geometry.axes),
        "unit": geometry.unit,
    }
    return {
        "scale": (float(affine[0, 0]), float(affine[1, 1])),
        "translate": (float(affine[0, 2]), float(affine[1, 2])),
        "units": (unit, unit),
        "axis_labels": ("y", "x"),
        "metadata": {KEY: {**record, **own}},
    }


def geometry_of(record: Mapping[str, Any]) -> Geometry | None:
    """Grid of a layer, bit for bit, from its metadata; ``None`` if it is no layer of a slide."""
    if record.get("kind") != "slide" or "shape" not in record:
        return None
    affine = record.get("affine")
    matrix = None if affine is None else np.array(affine, np.float64)
    return Geometry(tuple(record["shape"]), matrix, tuple(record.get("axes", ("y", "x"))), record.get("unit"))


def labels_from_layer(array: npt.NDArray[Any], metadata: Mapping[str, Any], name: str = "tissue") -> Labels:
    """A labels layer as `Labels` on its own grid over its slide.

    Raises
    ------
    GeometryError
        The layer has other rows and columns than when it was made, or belongs to no slide.
    """
    record = metadata.get(KEY) or {}
    geometry = geometry_of(record)
    if geometry is None or geometry.shape != tuple(array.shape):
        expected = "no slide" if geometry is None else " x ".join(map(str, geometry.shape))
        raise GeometryError(f"labels of {' x '.join(map(str, array.shape))} pixels belong to {expected}")
    known = ClassTable.from_json(record.get("classes", []))
    classes = ClassTable((*known, *known.unlisted(count_labels(array))))
    return Labels(array, geometry, classes, record.get("part_name", name))


def updated(result: Result, layers: Mapping[str, tuple[Any, dict[str, Any]]]) -> Result:
    """The result with its masks as the layers show them now (data and attributes by part), and areas that fit them."""
    parts = dict(result.parts)
    for key, (data, attributes) in layers.items():
        if isinstance(parts.get(key), Labels):
            part = labels_from_layer(np.asarray(finest(data, attributes)), attributes.get("metadata") or {}, key)
            parts[key] = replace(part, name=key)
        elif isinstance(parts.get(key), Objects) and (edits := edits_in(data)) is not None and edits.is_touched:
            parts |= nuclei_now(parts, key, edits, result.image.geometry)
            made = result.provenance
            result = replace(result, provenance=replace(made, notes=tuple(dict.fromkeys((*made.notes, *edits.notes)))))
    now, table = parts.get("tissue"), parts.get("areas")
    if "tissue" in layers and isinstance(now, Labels) and isinstance(table, Scores):
        # Whether it was edited cannot be told from the mask of the run: its layer paints in the very array. Areas of
        # outlines are finer than the mask, and stay as they are where nobody painted.
        record = layers["tissue"][1].get("metadata", {}).get(KEY) or {}
        if record.get("counts") != _counts(now):
            parts["areas"] = areas_now(now, table, result.image.geometry)
    return replace(result, parts=parts)


def areas_now(labels: Labels, table: Scores, slide: Geometry) -> Scores:
    """The table of areas for a mask that was corrected: its classes are counted anew, its tiles are as they were.

    Pixels of the mask count as far as they lie on the slide.
    """
    affine = labels.geometry.affine
    if affine is None or slide.affine is None:
        return table
    step = np.abs(np.diag(affine)[:2] / np.diag(slide.affine)[:2])
    sides = zip(slide.shape, labels.data.shape, step, strict=True)
    rows_on, columns_on = (np.clip(n - np.arange(count) * s, 0, s) for n, count, s in sides)
    pixel = float(abs(slide.affine[0, 0] * slide.affine[1, 1])) * 1e-6
    sizes = {c.value: float(rows_on @ (labels.data == c.value) @ columns_on) for c in labels.classes}
    rows = [(c.name, round(sizes[c.value] * pixel, 6), "") for c in labels.classes]
    behind = next((i for i, row in enumerate(table.rows) if row[0] == "tiles"), len(table.rows))
    return replace(table, rows=(*rows, *table.rows[behind:]))  # the tiles, and what their classes cover
