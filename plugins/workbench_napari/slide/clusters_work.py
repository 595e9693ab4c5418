"""Grouping the tiles of the result that is shown: the work, beside the window. No Qt here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.core.layers import KEY, LayerTuple, colormap
from workbench.core.types import Image, Labels, Progress
from workbench.slide import (
    CLUSTERS,
    Clusters,
    Plane,
    TileGrid,
    TileIndex,
    cluster_map,
    clustered,
    common_attributes,
    plane_of,
)
from workbench_napari.shared.layer_record import HINT
from workbench_napari.slide.on_slide import slide_image

_OPACITY = 0.55


@dataclass(frozen=True, eq=False)
class Grouped:
    """The tiles of a slide in groups.

    Parameters
    ----------
    clusters, plane
        Which tiles belong together, and where each lies in a picture of them all.
    layer
        The clusters over the slide.
    grid, image
        Where the tiles lie, and on what.
    record
        What a layer remembers of that slide.
    """

    clusters: Clusters
    plane: Plane
    layer: LayerTuple
    grid: TileGrid
    image: Image
    record: dict[str, Any]

    def frames(self, tiles: Any) -> LayerTuple:
        """Frames around some tiles, as a layer over the slide."""
        return _layer(self.grid.frames(tiles, self.image), self.image, self.record, 1.0)


def group(index: TileIndex, count: int, by: str, record: Mapping[str, Any], progress: Progress) -> Grouped:
    """Group the tiles of a slide, and lay them out in a plane.

    Parameters
    ----------
    count
        How many clusters; 0 for a number that is found.
    record
        Of the layer of the slide.

    Raises
    ------
    WorkbenchError
        There is nothing to group, or UMAP is not installed.
    """
    clusters = clustered(index, count, progress=lambda done, whole: progress(done, whole + 2))
    plane = plane_of(index, "umap" if by == "umap" else "pca")
    image, slide, own = slide_image(dict(record)), index.slides[0], dict(record)
    corners = np.asarray(index.corners)
    part = cluster_map(image, slide, corners, clusters.labels, clusters)
    layer = _layer(part, image, own, _OPACITY)
    return Grouped(clusters, plane, layer, TileGrid.of(corners, slide.side, slide.step), image, own)


def _layer(part: Labels, image: Image, record: Mapping[str, Any], opacity: float) -> LayerTuple:
    """A map as a layer of labels that points at something: it is nobody's work, and the tool makes it anew."""
    attributes = {
        "name": f"{image.name} {part.name}", "opacity": opacity,
        "colormap": colormap(part.classes), **common_attributes(part.geometry, record),
    }  # fmt: skip
    attributes["metadata"] = {KEY: {**record, "role": HINT, "part": CLUSTERS, "classes": part.classes.to_json()}}
    return part.data, attributes, "labels"
