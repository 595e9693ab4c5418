"""The part of the Volume tool for drawing: new labels, on the grid of the image that they are drawn over."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError, WorkbenchError
from workbench.core.layers import KEY, colormap, map_labels
from workbench.volume import Below, attributes_over, balls, choose_image, fit_of, has_grid, labels_over, to_voxels
from workbench_napari.volume.layer_roles import is_label_map, is_volume, record_of

_PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
# Features of points and shapes in which people and programs write what a thing is.
_CLASS_COLUMNS = ("class", "label", "name", "type")


class Drawing(QObject):
    """Makes labels to draw in, and gives labels that others made the grid of the image they were drawn over.

    Signals
    -------
    said
        A line for the user.
    made
        Labels to draw in that were just made.
    """

    said = Signal(str)
    made = Signal(object)

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._unclear: dict[int, tuple[weakref.ref[Any], str]] = {}

    # --- what others drew

    def look_around(self, chosen: Any, journal: Any) -> None:
        """Labels that lie on the grid of no file get that of the image below them; `chosen` is the tool's image."""
        images = [layer for layer in self._viewer.layers if is_volume(layer)]
        self._unclear = {k: v for k, v in self._unclear.items() if v[0]() is not None}
        for layer in self._viewer.layers:
            if is_label_map(layer) and not has_grid(attributes_of(layer)):
                self._look(layer, images, chosen, journal)

    def _look(self, labels: Any, images: Sequence[Any], chosen: Any, journal: Any) -> None:
        shown = [below(image) for image in images]
        preferred = next((i for i, image in enumerate(images) if image is chosen), -1)
        own = attributes_of(labels)
        self._unclear.pop(id(labels), None)
        try:
            found = choose_image(labels.data.shape, own, shown, preferred)
        except WorkbenchError as error:
            self._unclear[id(labels)] = (weakref.ref(labels), str(error))
            self.said.emit(str(error))
            return
        if found < 0:
            return
        image = shown[found]
        if fit_of(labels.data.shape, own, image) != "grid":
            if journal.revision(labels) or bool(np.any(labels.data)):
                return  # what was drawn there stays where it is; it is brought to the grid when it is saved
            labels.data = np.zeros(image.spatial, labels.data.dtype)
            journal.saved(labels)
        take_over(labels, image)
        labels.metadata[KEY]["over"] = str(images[found].unique_id)
        self.said.emit(f"'{labels.name}' is drawn over '{image.name}' and is saved on its grid.")

    def unclear(self, labels: Any) -> str:
        """Why labels cannot be saved yet: several images could be theirs; "" if it is clear."""
        found = self._unclear.get(id(labels))
        return found[1] if found is not None and found[0]() is labels else ""

    # --- what a person makes

    def drawn(self) -> list[Any]:
        """The points and shapes that can become labels."""
        return [layer for layer in self._viewer.layers if _kind(layer) in ("points", "shapes") and layer.ndim == 3]

    def new_labels(self, image_layer: Any) -> Any:
        """Add empty labels on the grid of an image, with one class in the brush."""
        image = below(image_layer)
        made = np.zeros(image.spatial, np.uint16)
        return self._add(made, ClassTable.from_values([1]), image_layer, image, "labels")

    def labels_of(self, drawn: Any, image_layer: Any) -> Any:
        """Add labels that points or shapes cover, on the grid of an image; ``None`` if they cover none of it."""
        image = below(image_layer)
        array, classes = rasterised(drawn, image)
        if not array.any():
            self.said.emit(f"'{drawn.name}' covers no voxel of '{image.name}'.")
            return None
        return self._add(array, classes, image_layer, image, drawn.name)

    def _add(self, array: npt.NDArray[Any], classes: ClassTable, image_layer: Any, image: Below, name: str) -> Any:
        from napari.layers import Labels

        record = {"classes": classes.to_json(), "over": str(image_layer.unique_id)}
        attributes = attributes_over({"metadata": {KEY: record}}, image)
        record = attributes["metadata"][KEY]
        layer = Labels(
            array,
            name=f"{record['drawn_over']} {name}",
            opacity=0.5,
            colormap=colormap(classes),
            metadata=attributes["metadata"],
            **{k: attributes[k] for k in _PLACE if k in attributes},
        )
        self._viewer.add_layer(layer)
        self._viewer.layers.selection.active = layer
        layer.selected_label = next((c.value for c in classes), 1)
        self.made.emit(layer)
        return layer


def attributes_of(layer: Any) -> dict[str, Any]:
    """The attributes of a layer as in a layer-data tuple; its array is not looked at."""
    return dict(layer.as_layer_data_tuple()[1])


def below(image: Any) -> Below:
    """An image layer as something to draw over; of a pyramid its finest level."""
    array = image.data[0] if getattr(image, "multiscale", False) else image.data
    return Below(tuple(int(n) for n in array.shape), attributes_of(image))


def take_over(labels: Any, image: Below) -> None:
    """Put a labels layer, whose array has the grid of an image, to its place, and note so."""
    attributes = attributes_over(attributes_of(labels), image)
    for key in _PLACE:
        if key in attributes:
            setattr(labels, key, attributes[key])
    labels.metadata[KEY] = attributes["metadata"][KEY]


def rasterised(drawn: Any, image: Below) -> tuple[npt.NDArray[np.uint16], ClassTable]:
    """Label map on the grid of an image that points (as balls of their size) or shapes cover, and its classes.

    A column of features called class, label, name or type says what each is; without one all are of one class.
    """
    names = _names(drawn)
    classes = ClassTable.from_names(list(dict.fromkeys(names)))
    value_of = {c.name: c.value for c in classes}
    values = [value_of[n] for n in names]
    if not values:
        return np.zeros(image.spatial, np.uint16), classes
    own = attributes_of(drawn)
    if _kind(drawn) == "points":
        scale = float(np.abs(np.linalg.det(_millimetres(own, drawn.ndim))) ** (1 / 3))
        sizes = np.broadcast_to(np.asarray(drawn.size, dtype=float), len(values))
        return balls(to_voxels(drawn.data, own, image), (sizes / 2 * scale).tolist(), values, image), classes
    return _filled(drawn, own, values, image), classes


def _millimetres(attributes: dict[str, Any], ndim: int) -> npt.NDArray[Any]:
    """3 x 3: how a step in a layer's own coordinates lies in the world."""
    image = Below((1,) * 3, {"units": "mm"})
    return to_voxels(np.vstack([np.zeros(ndim), np.eye(ndim)[-3:]]), attributes, image)[1:] - to_voxels(
        np.zeros((1, ndim)), attributes, image
    )


def _names(drawn: Any) -> list[str]:
    number = len(drawn.data)
    for column in _CLASS_COLUMNS:
        if column in drawn.features.columns:
            given = [str(v).strip() for v in drawn.features[column]]
            if any(v and v.lower() not in ("nan", "none") for v in given):
                return [v if v and v.lower() not in ("nan", "none") else "class" for v in given]
    return [str(drawn.name)] * number


def _filled(drawn: Any, attributes: dict[str, Any], values: Sequence[int], image: Below) -> npt.NDArray[np.uint16]:
    """Shapes as napari fills them, each in the slice of the image that it was drawn in, whichever way that one lies."""
    from napari.layers import Shapes

    out = np.zeros(image.spatial, np.uint16)
    outlines = [to_voxels(vertices, attributes, image) for vertices in drawn.data]
    through = [int(np.ptp(o, axis=0).argmin()) for o in outlines]
    for axis in sorted(set(through)):
        order = (axis, *(a for a in range(3) if a != axis))
        chosen = [i for i, a in enumerate(through) if a == axis]
        turned = []
        for i in chosen:
            outline = outlines[i][:, order]
            outline[:, 0] = np.rint(outline[:, 0].mean())
            turned.append(outline)
        shape = tuple(image.spatial[a] for a in order)
        for plane in sorted({int(o[0, 0]) for o in turned}):
            if not 0 <= plane < shape[0]:
                continue
            here = [n for n, o in enumerate(turned) if int(o[0, 0]) == plane]
            flat = Shapes([turned[n][:, 1:] for n in here], shape_type=[drawn.shape_type[chosen[n]] for n in here])
            numbers = flat.to_labels(labels_shape=shape[1:])
            painted = map_labels(numbers, {k + 1: values[chosen[n]] for k, n in enumerate(here)}, np.uint16)
            target = np.moveaxis(out, axis, 0)[plane]
            target[painted > 0] = painted[painted > 0]
    return out


def note_on(labels: Any) -> tuple[str, ...]:
    """Over which image labels were drawn, for a person to see; nothing for others."""
    over = record_of(labels).get("drawn_over") if labels is not None else None
    return (f"drawn over '{over}', saved on its grid",) if over else ()


def brought_to_grid(layer: Any, layers: Iterable[Any]) -> tuple[npt.NDArray[Any], dict[str, Any]] | None:
    """A layer of labels, points or shapes as labels on the grid of the image it was drawn over; ``None`` without one.

    Raises
    ------
    GeometryError
        It could be that of several images.
    """
    own = attributes_of(layer)
    images = [below(other) for other in layers if is_volume(other)]
    if _kind(layer) == "labels":
        if has_grid(own):
            return None
        found = choose_image(layer.data.shape, own, images)
        return None if found < 0 else labels_over(np.asarray(layer.data), own, images[found])
    found = _image_of(layer, own, images)
    array, classes = rasterised(layer, images[found])
    record = {"classes": classes.to_json()}
    attributes = attributes_over({"name": layer.name, "metadata": {KEY: record}}, images[found])
    return array, {**attributes, "colormap": colormap(classes)}


def _image_of(drawn: Any, own: dict[str, Any], images: Sequence[Below]) -> int:
    """The image that points or shapes lie on: the one with their transform, or the only one that they lie in."""
    data = [np.atleast_2d(np.asarray(d, dtype=float)) for d in drawn.data]
    if not data or not images:
        what = "holds nothing" if images else "lies over no open volume"
        raise GeometryError(f"layer '{drawn.name}' {what}: there is no grid to save it on")
    places = np.vstack(data)
    within = []
    for i, image in enumerate(images):
        at = to_voxels(places, own, image)
        if ((at > -1) & (at < np.array(image.spatial))).all():
            within.append(i)
    if not within:
        raise GeometryError(f"layer '{drawn.name}' does not lie within an open volume: there is no grid to save it on")
    corners = np.vstack([np.zeros(drawn.ndim), np.eye(drawn.ndim)])
    same = [i for i in within if np.allclose(to_voxels(corners, own, images[i]), corners[:, -3:], atol=1e-6)]
    found = same or within
    seen = [i for i in found if images[i].attributes.get("visible", True)] or found
    first = images[seen[0]]
    if any(fit_of(images[i].shape, images[i].attributes, first) != "grid" for i in seen):
        names = " or ".join(f"'{images[i].name}'" for i in seen)
        raise GeometryError(f"layer '{drawn.name}' may belong to {names}: hide the others, then save again")
    return seen[choose_image(first.shape, first.attributes, [images[i] for i in seen])]


def _kind(layer: Any) -> str:
    return type(layer).__name__.lower()
