"""The layers that show what was learnt: map, reference map, confidence, disagreement; filled while work goes on."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.layers import KEY
from workbench.core.provenance import versions
from workbench.core.types import Geometry, Heatmap, Image, Labels, Provenance, Result
from workbench.scene import area_table, heatmap_layer, labels_layer, scene_record
from workbench_napari.scene.paint_layer import classes_in, counts_of, set_classes
from workbench_napari.shared.following import our_choice
from workbench_napari.shared.layer_features import set_features

NAMES = {
    "labels": "map",
    "reference_labels": "SVM map",
    "confidence": "confidence",
    "disagreement": "disagreement",
}


class MapLayers:
    """Keeps one layer per part of the latest result of a scene, and reuses it for the next."""

    def __init__(self, viewer: Any, journal: Any) -> None:
        self.viewer, self._journal = viewer, journal
        self._layers: dict[str, weakref.ref[Any]] = {}

    def get(self, key: str) -> Any:
        """The layer of a part, or ``None`` if there is none or it was removed."""
        layer = self._layers[key]() if key in self._layers else None
        return layer if layer is not None and layer in self.viewer.layers else None

    def layers(self) -> dict[str, Any]:
        """The layer of every part, ``None`` where there is none."""
        return {key: self.get(key) for key in NAMES}

    def array(self, key: str) -> npt.NDArray[Any] | None:
        """A copy of what a layer shows now, or ``None`` if there is none."""
        layer = self.get(key)
        return None if layer is None else np.array(layer.data)

    def find(self, scene: Any) -> None:
        """Take up the layers of a scene that are in the viewer already (after another scene was chosen)."""
        self._layers = {}
        for layer in self.viewer.layers:
            record = layer.metadata.get(KEY) or {}
            mine = record.get("part") in NAMES and record.get("result") and not getattr(layer, "multiscale", False)
            if mine and _same_scene(record, scene):
                self._layers[record["part"]] = weakref.ref(layer)

    def beside(self, scene: Any) -> MapLayers:
        """The maps of another scene than the one that is looked at."""
        other = MapLayers(self.viewer, self._journal)
        other.find(scene)
        return other

    def show_labels(self, image: Image, key: str, data: npt.NDArray[Any], classes: ClassTable, token: str) -> Any:
        """Show a class map; returns its layer. One that was corrected by hand stays, the new one comes beside it."""
        layer = self.get(key)
        edited = layer is not None and bool((layer.metadata.get(KEY) or {}).get("edited"))
        if layer is None or edited or tuple(layer.data.shape) != tuple(data.shape):
            labels = Labels(np.array(data, np.uint16), image.geometry, classes, NAMES[key])
            record = scene_record(image) | {"part": key, "result": token}
            layer = self._add(labels_layer(labels, record, f"{image.name} {NAMES[key]}"))
            if key != "labels":
                layer.visible = False
            self._layers[key] = weakref.ref(layer)
            return layer
        # In place: to the journal a new array would be an edit by hand.
        layer.data[...] = data
        layer.metadata[KEY]["result"] = token
        set_classes(layer, classes)
        layer.refresh()
        return layer

    @staticmethod
    def shown(result: Result) -> list[str]:
        """Parts of a result that have a layer here."""
        return [key for key, part in result.parts.items() if isinstance(part, Labels | Heatmap) and key in NAMES]

    def finish(self, result: Result, token: str) -> Iterator[None]:
        """Show every part of a result, one in a step."""
        for key, part in result.parts.items():
            if isinstance(part, Labels) and key in NAMES:
                layer = self.show_labels(result.image, key, part.data, part.classes, token)
                layer.metadata[KEY]["provenance"] = result.provenance.to_json()
            elif isinstance(part, Heatmap) and key in NAMES:
                self._show_heatmap(result.image, key, part, token)
            yield

    def restore(self, layer: Any, whole: npt.NDArray[Any] | None, whole_is: str = "") -> None:
        """Go back to a whole map in a layer that a job has begun; where there never was one, the layer goes.

        A map that is not what the job was to make (`whole_is`) is recorded as just that, not as the map before.
        """
        if layer not in self.viewer.layers:
            return
        if whole is None:
            with our_choice():
                self.viewer.layers.remove(layer)
            return
        layer.data[...] = whole
        if whole_is:
            record = layer.metadata[KEY]
            made = Provenance("lola_specvit", "none", None, {}, source=record.get("source"), versions=versions())
            record["provenance"] = replace(made, notes=(whole_is,)).to_json()
        layer.refresh()

    def set_classes(self, classes: ClassTable) -> None:
        """Name and colour the classes of the maps."""
        for key in ("labels", "reference_labels"):
            layer = self.get(key)
            if layer is not None:
                set_classes(layer, classes)

    def areas(self, geometry: Geometry, counts: Mapping[int, int] | None = None) -> dict[int, tuple[int, float]] | None:
        """Pixels and square metres per class value of the map, also as a table of its layer; ``None`` without a map.

        Parameters
        ----------
        counts
            Pixels per class value of the map, where they have been counted already.
        """
        layer = self.get("labels")
        if layer is None:
            return None
        table = area_table(counts_of(layer) if counts is None else counts, classes_in(layer), geometry)
        set_features(layer, table)
        rows = zip(table["index"], table["pixels"], table["area [m2]"], strict=True)
        return {v: (n, a) for v, n, a in rows}

    def _show_heatmap(self, image: Image, key: str, part: Heatmap, token: str) -> None:
        layer = self.get(key)
        if layer is not None and tuple(layer.data.shape) == tuple(part.data.shape):
            layer.data = part.data
            layer.metadata[KEY]["result"] = token
            return
        record = scene_record(image) | {"part": key, "result": token}
        self._layers[key] = weakref.ref(self._add(heatmap_layer(part, record, f"{image.name} {NAMES[key]}")))

    def _add(self, item: Any) -> Any:
        """Add below the layer that is painted in, and leave that one active."""
        from napari.layers import Layer

        layers = self.viewer.layers
        active, made = layers.selection.active, Layer.create(*item)
        with our_choice():
            added = self.viewer.add_layer(made)
            painted = [i for i, layer in enumerate(layers) if (layer.metadata.get(KEY) or {}).get("part") == "painted"]
            if painted:
                layers.move(len(layers) - 1, painted[0])
            if active is not None and active in layers:
                layers.selection.active = active
        return added


def is_same(one: Any, other: Any) -> bool:
    """Whether two open scenes are of one file."""
    return one is other or (scene_record(one.image) == scene_record(other.image) and one.shape == other.shape)


def _same_scene(record: dict[str, Any], scene: Any) -> bool:
    mine = scene_record(scene.image)
    same = record.get("source") == mine["source"] and record.get("name") == mine["name"]
    return same and tuple(record.get("shape", ())) == scene.shape
