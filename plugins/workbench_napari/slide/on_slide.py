"""The layers that lie on a slide: which they are, what they show now, and another size of a pixel for all. No Qt."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from workbench.core.errors import GeometryError
from workbench.core.frame import Frame
from workbench.core.layers import KEY
from workbench.core.types import Geometry, Image
from workbench.slide import STAIN, common_attributes, frame_of, geometry_of, is_annotations, is_mask, scaled
from workbench_napari.general.restored import read_image
from workbench_napari.shared.saving import LayerState

_SLIDE = ("kind", "source", "series", "key", "stamp")
"""What of a record is the same in all layers of a slide. Another file may lie under its path: the stamp tells."""
GIVEN, AS_READ = "mpp_given", "as_read"
"""In the record of a slide's layer: micrometres per pixel that were given, and the affine and unit of its file."""


def record_of(layer: Any) -> dict[str, Any]:
    """What a layer of ours remembers; empty for others."""
    found = layer.metadata.get(KEY)
    return found if isinstance(found, dict) else {}


def same_slide(layer: Any, other: Any) -> bool:
    """Whether two layers are of one slide: of the same file, with the content that it had when they were made."""
    one, two = record_of(layer), record_of(other)
    return one.get("kind") == "slide" and all(one.get(k) == two.get(k) for k in _SLIDE)


def masks_on(viewer: Any, slide: Any) -> list[Any]:
    """Labels layers over a slide: found, painted, or of a result."""
    return [x for x in viewer.layers if _is_labels(x) and is_mask(record_of(x)) and same_slide(x, slide)]


def annotations_on(viewer: Any, slide: Any) -> list[Any]:
    """Layers of annotations on a slide."""
    return [x for x in viewer.layers if is_drawn(x) and same_slide(x, slide)]


def stains_on(viewer: Any, slide: Any) -> list[Any]:
    """Layers that show the stains of a slide."""
    return [x for x in viewer.layers if record_of(x).get("role") == STAIN and same_slide(x, slide)]


def is_drawn(layer: Any) -> bool:
    return is_annotations(record_of(layer)) and type(layer).__name__ in ("Shapes", "Points")


def is_own_mask(layer: Any) -> bool:
    """Whether a layer is a mask that no run made."""
    return _is_labels(layer) and is_mask(record_of(layer)) and not record_of(layer).get("result")


def _is_labels(layer: Any) -> bool:
    return type(layer).__name__ == "Labels"


def is_picture(layer: Any) -> bool:
    """Whether a layer is a slide itself."""
    return record_of(layer).get("kind") == "slide" and record_of(layer).get("role") == "image"


def slide_image(record: dict[str, Any]) -> Image:
    """The slide that a layer was made of, with the size of a pixel that was given for it; only headers are read."""
    return scaled(read_image(record), record.get(GIVEN))


def size_of(affine: Any) -> float | None:
    """Micrometres per pixel of an affine in micrometres."""
    return None if affine is None else float(np.sqrt(abs(np.linalg.det(np.array(affine)[:2, :2]))))


def about(slide: Any) -> str:
    """A slide in a few words: how many pixels of what size, and who says so."""
    own = record_of(slide)
    geometry = geometry_of(own)
    if geometry is None:
        return str(slide.name)
    rows, columns = geometry.shape[:2]
    size = size_of(geometry.affine)
    name = str(own["source"]).replace("\\", "/").rpartition("/")[2]
    head = f"{name}: {columns:,} x {rows:,} pixels"
    if size is None:
        return f"{head}; how large they are is not known: give it as Mpp"
    return f"{head} of {size:.4g} um{', as given' if own.get(GIVEN) else ''}"


def state_now(layer: Any, slide: Any = None) -> LayerState:
    """Data and attributes of a layer as they are at this moment: people go on drawing.

    Annotations that were moved, turned or scaled as a layer have the coordinates at which they are seen.

    Parameters
    ----------
    slide
        The layer of the slide that it is seen over; by default the slide lies where it was opened.

    Raises
    ------
    GeometryError
        A mask was moved against its slide, or the size of the slide's pixels is not known.
    """
    require_in_place(layer, slide)
    data, attributes, _ = layer.as_layer_data_tuple()
    own = dict(attributes)
    own["metadata"] = copy.deepcopy(dict(own.get("metadata") or {}))
    own["features"] = layer.features.copy(deep=True)
    way = _way_to_slide(layer, slide) if is_annotations(record_of(layer)) else None
    if type(layer).__name__ == "Shapes":
        own["shape_type"] = list(layer.shape_type)
        return [_moved(np.array(d), way) for d in data], own
    return _moved(np.array(data), way), own


def require_in_place(layer: Any, slide: Any = None) -> None:
    """Raise a `GeometryError` where a mask was moved against its slide: its pixels would be saved in another place."""
    own = geometry_of(record_of(layer))
    if not _is_labels(layer) or own is None or layer.ndim != 2:
        return
    if own.unit != "um":
        raise GeometryError(f"'{layer.name}' lies on a slide whose pixels are of unknown size: give it as Mpp")
    affine = np.eye(3) if own.affine is None else np.array(own.affine)
    if slide is not None and (base := geometry_of(record_of(slide))) is not None:
        affine = placement(slide) @ np.linalg.inv(np.eye(3) if base.affine is None else base.affine) @ affine
    way = np.linalg.inv(affine) @ placement(layer)
    if not _is_nothing(way, max(layer.data.shape), 0.5):
        raise GeometryError(
            f"'{layer.name}' was moved, turned or scaled against its slide; it is saved in its own place only. "
            "Put it back, or make it again"
        )


def _way_to_slide(layer: Any, slide: Any) -> Any:
    """From the coordinates of a layer of annotations to pixels of the slide, or ``None`` where they are the same."""
    if layer.ndim != 2:
        return None
    frame = Frame.from_json(record_of(layer)["frame"])
    corner = np.array([[0, 1, -0.5], [1, 0, -0.5], [0, 0, 1]])  # (x, y) from the corner to (row, column) of centres
    base = np.eye(3) if frame.affine is None else np.asarray(frame.affine) @ np.linalg.inv(corner)
    way = np.linalg.inv(base if slide is None else placement(slide)) @ placement(layer)
    return None if _is_nothing(way, 1e5, 1e-3) else way


def placement(layer: Any) -> Any:
    """The affine from the coordinates of a layer to the world, with all that napari knows of it."""
    origin, down, right = (np.array(layer.data_to_world(p), float) for p in ((0, 0), (1, 0), (0, 1)))
    return np.vstack([np.stack([down - origin, right - origin, origin], axis=1), [0, 0, 1]])


def _is_nothing(way: Any, size: float, tolerance: float) -> bool:
    corners = np.array([[0, size, 0, size], [0, 0, size, size], [1, 1, 1, 1]])
    return bool(np.abs((way @ corners - corners)[:2]).max() <= tolerance)


def _moved(points: Any, way: Any) -> Any:
    return points if way is None or not len(points) else points @ way[:2, :2].T + way[:2, 2]


def rescale(viewer: Any, slide: Any, geometry: Geometry, *, drawn: bool = True, but: Any = None) -> bool:
    """Lay a slide, and what was drawn on it, in a world where its pixels have another size; whether they had.

    Results lie where they were made: those of before keep the size of before.

    Parameters
    ----------
    drawn
        Whether its masks and annotations go along; of a slide that is open twice they do so once.
    but
        A layer that lies right already.
    """
    before = geometry_of(record_of(slide))
    if before is None:
        return False
    old, new = (np.eye(3) if g.affine is None else np.array(g.affine) for g in (before, geometry))
    if before.unit == geometry.unit and np.allclose(old, new, rtol=1e-9, atol=0):
        return False
    factor = np.diag(new)[:2] / np.diag(old)[:2]
    given = record_of(slide).get(GIVEN)
    hand = [*masks_on(viewer, slide), *annotations_on(viewer, slide), *stains_on(viewer, slide)] if drawn else []
    for layer in (slide, *(x for x in hand if x is not but and not record_of(x).get("result"))):
        layer.units = ("um" if geometry.unit == "um" else "pixel",) * 2
        layer.scale, layer.translate = layer.scale * factor, layer.translate * factor
        _note(layer, record_of(layer), factor, geometry)
        if given is None:
            record_of(layer).pop(GIVEN, None)
        else:
            record_of(layer)[GIVEN] = given
    return True


def _note(layer: Any, record: dict[str, Any], factor: Any, geometry: Geometry) -> None:
    own = geometry if is_picture(layer) else geometry_of(record)
    if own is not None and own is not geometry:
        affine = np.eye(3) if own.affine is None else np.array(own.affine)
        affine[:2] *= factor[:, None]
        own = Geometry(own.shape, affine, own.axes, geometry.unit)
    if own is not None:
        record.update(common_attributes(own, record)["metadata"][KEY])
    if is_annotations(record):
        record["frame"] = frame_of(geometry).to_json()
