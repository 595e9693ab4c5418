"""What people draw on a slide before and after a run, as layers and as files: a mask to paint in, and annotations.

napari is not imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core import settings
from workbench.core.errors import GeometryError, UsageError
from workbench.core.frame import Frame
from workbench.core.layers import KEY, LayerTuple
from workbench.core.levels import finest
from workbench.core.types import Geometry, Image, Labels, Scores
from workbench.slide.annotations.place import FrameName
from workbench.slide.annotations.read import read_annotations
from workbench.slide.annotations.region import area_on
from workbench.slide.annotations.shapes import ROLE, from_layers, to_shapes
from workbench.slide.annotations.types import Annotations
from workbench.slide.annotations.write import write_annotations
from workbench.slide.data.heat_maps import write_map
from workbench.slide.data.placing import place_of
from workbench.slide.data.resample import ratio
from workbench.slide.data.scaled import scaled
from workbench.slide.layers import common_attributes, geometry_of, labels_from_layer, labels_layer, slide_record
from workbench.slide.predict.area import find_area
from workbench.slide.predict.chosen import coarse_geometry
from workbench.slide.settings import Config

MASK, ANNOTATIONS = "mask", "annotations"
MASK_FILE, ANNOTATIONS_FILE = f"{MASK}.ome.tif", f"{ANNOTATIONS}.geojson"
_LINE, _DOT = 2000, 150
"""A slide has so many widths of a line, and diameters of a point, along its longer side."""
State = tuple[Any, dict[str, Any]]
"""Data and attributes of a layer."""


# --- masks


def mask_layer(image: Image, config: Config) -> tuple[LayerTuple, tuple[str, ...]]:
    """Find the tissue of a slide, without a network, as a labels layer to paint in; and notes.

    Raises
    ------
    InputError
        The size of its pixels is not known, or it is no brightfield slide.
    """
    slide = scaled(image, config.mpp)
    name = image.source or image.name
    if slide.pyramid is None:
        raise UsageError(f"{name}: is no slide: it has no levels")
    ratio(slide.pyramid, config.target_mpp, allow_upsample=True, name=name)
    # All of the slide would be no answer to where its tissue is.
    area = find_area(slide, replace(config, roi="", tissue=config.tissue or 0.5), name)
    geometry = coarse_geometry(slide, area.mask.shape, (0.0, 0.0), area.step)
    labels = Labels(area.labels(), geometry, area.classes, "tissue")
    record = slide_record(slide) | {"part": MASK}
    return labels_layer(labels, record, f"{image.name} {MASK}"), tuple(dict.fromkeys((*slide.notes, *area.notes)))


def is_mask(record: Mapping[str, Any]) -> bool:
    """Whether a layer is a mask or class map over a slide."""
    return record.get("kind") == "slide" and record.get("role") == "labels"


def mask_of(state: State) -> Labels:
    """The mask that a layer shows."""
    data, attributes = state
    return labels_from_layer(np.asarray(finest(data, attributes)), attributes.get("metadata") or {})


# --- annotations


def annotation_layers(annotations: Annotations, record: Mapping[str, Any], *, empty: bool = False) -> list[LayerTuple]:
    """Annotations as layers over the slide of a record.

    Parameters
    ----------
    empty
        Make the shapes layer also where there is nothing to show in it.
    """
    geometry = slide_geometry(record)
    placement = {k: v for k, v in common_attributes(geometry, record).items() if k != "metadata"}
    framed = replace(annotations, frame=frame_of(geometry))
    own = {k: record[k] for k in record if k not in ("role", "shape", "affine", "axes", "unit")}
    own["part"] = ANNOTATIONS
    found = []
    for data, attributes, kind in to_shapes(framed, own, placement=placement):
        longest = max(geometry.shape)
        if kind == "shapes" and len(data):
            attributes["edge_width"] = longest / _LINE
        elif kind == "points":
            attributes["size"] = longest / _DOT
        if len(data) or (empty and kind == "shapes"):
            found.append((data if len(data) else None, attributes, kind))
    return found


def line_width(record: Mapping[str, Any]) -> float:
    """Of new outlines, in pixels of level 0."""
    return max(slide_geometry(record).shape) / _LINE


def slide_geometry(record: Mapping[str, Any]) -> Geometry:
    """The grid of the finest level of the slide that a record is of.

    Raises
    ------
    GeometryError
        It is of no slide.
    """
    found = geometry_of(record)
    if found is None:
        raise GeometryError("the layer belongs to no slide; choose one that was opened as a slide")
    return found


def frame_of(geometry: Geometry) -> Frame:
    """The frame of annotations on a slide: pixels of level 0."""
    return Frame.of(geometry.affine, geometry.unit)


def open_annotations(path: Path, image: Image, frame: FrameName) -> Annotations:
    """A file of annotations, in place on a slide; see `read_annotations`."""
    place = place_of(image)
    return read_annotations(path, slide=place, frame=frame if place.bounds else None)


def is_annotations(record: Mapping[str, Any]) -> bool:
    """Whether a layer holds annotations of a slide."""
    return record.get("kind") == "slide" and record.get("role") == ROLE


def annotations_in(states: Iterable[State]) -> Annotations:
    """All annotations of layers as they show them now: shapes and points of one file together, one file after another.

    Raises
    ------
    GeometryError
        A shape is unfinished.
    """
    groups: dict[str, list[LayerTuple]] = {}
    for data, attributes in states:
        kind = attributes["metadata"][KEY].get("shown_as", "shapes")
        groups.setdefault(str(attributes["metadata"][KEY].get("annotations")), []).append((data, attributes, kind))
    if not groups:
        return Annotations()
    found = [from_layers(group) for group in groups.values()]
    items = tuple(item for one in found for item in one)
    return Annotations(items, found[0].frame, ANNOTATIONS, tuple(note for one in found for note in one.notes))


def regions(annotations: Annotations, shape: tuple[int, ...] | None = None) -> Scores:
    """How many annotations each class has, and what they cover together: where they overlap, it counts once.

    An outline that crosses itself is all that it goes around, as everywhere else.

    Parameters
    ----------
    shape
        (rows, columns) of the slide: what lies beyond its edges does not count.
    """
    affine = annotations.frame.affine
    # Also of a slide whose scale is not known: then the area is in pixels.
    known = affine is not None and annotations.frame.world_unit == "um"
    pixel = abs(float(np.linalg.det(affine[:2, :2]))) * 1e-6 if known and affine is not None else 1.0
    names = dict.fromkeys(item.class_name for item in annotations)
    rows = []
    for name in names:
        own = [item for item in annotations if item.class_name == name]
        rows.append((name or "unclassified", len(own), round(area_on(own, shape) * pixel, 6)))
    return Scores(("class", "annotations", "area [mm2]" if known else "area [pixels]"), tuple(rows), ANNOTATIONS)


# --- files that a run takes its tiles from


def write_region(states: Sequence[State], folder: Path, name: str = "") -> Path:
    """A mask layer, or layers of annotations, as the file that `Config.roi` takes.

    Parameters
    ----------
    name
        Of the file, without its ending; by default what saved masks and annotations are called.

    Raises
    ------
    UsageError
        There is no outline with an area.
    """
    if is_mask(states[0][1]["metadata"][KEY]):
        path = folder / (f"{name}.ome.tif" if name else MASK_FILE)
        write_map(path, mask_of(states[0]))
        return path
    path = folder / (f"{name}.geojson" if name else ANNOTATIONS_FILE)
    found = annotations_in(states)
    if not any(area_on([item]) for item in found):
        raise UsageError("there is no outline with an area in it: draw one, or choose where to take tiles otherwise")
    write_annotations(found, path)
    return path


def config_of(values: Mapping[str, Any]) -> Config:
    """The settings of a form as a config."""
    found: Config = settings.build(Config, dict(values))
    return found
