"""Layers that people make with napari's own buttons over a slide become annotations of it. No Qt here."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.core.layers import KEY
from workbench.slide import Annotations, annotation_layers, line_width
from workbench_napari.slide.on_slide import is_picture, placement, record_of, same_slide

_DOTS = 13
"""A point is so many times as wide as a line, as in annotations of a file."""


def adopt(viewer: Any, layer: Any, name: str) -> str:
    """Make an empty layer of shapes or points one of annotations, where it lies over one slide; returns what to say.

    Parameters
    ----------
    name
        What its annotations are called: free, so that no other layer is put together with it.
    """
    if not _is_new(layer) or not any(is_picture(x) for x in viewer.layers):
        return ""
    slides = [x for x in viewer.layers if is_picture(x) and _fits(layer, x)]
    others = [x for x in viewer.layers if _is_strange_image(x)]
    if slides and all(same_slide(x, slides[0]) for x in slides) and not any(_fits(layer, x) for x in others):
        _take(layer, slides[0], name)
        return f"'{layer.name}' holds annotations of {slides[0].name} now; Save writes them as annotations.geojson."
    if others and not slides:
        return ""  # it is about something else
    why = "could be of several images" if slides else "does not lie on the pixels of a slide"
    return f"'{layer.name}' {why} and will not be saved here: draw with New annotations."


def strange_picture(viewer: Any) -> str:
    """Why a picture in the window is no slide, and what to do; "" where there is none."""
    return next((told for layer in reversed(viewer.layers) if (told := why_no_slide(layer))), "")


def why_no_slide(layer: Any) -> str:
    """Why a picture is no slide, and what to do; "" for layers that nobody would take for one."""
    looks_like = getattr(layer, "rgb", False) or getattr(layer, "multiscale", False)
    if type(layer).__name__ != "Image" or record_of(layer).get("kind") or not looks_like:
        return ""
    path = layer.source.path
    file = "its file" if path is None else str(path).replace(chr(92), "/").rpartition("/")[2]
    return f"'{layer.name}' is a picture without a file of a slide: open {file} with 'Open a slide...'."


def _is_new(layer: Any) -> bool:
    made_here = layer.source.path is None and layer.source.reader_plugin is None
    return (
        type(layer).__name__ in ("Shapes", "Points")
        and layer.ndim == 2
        and not len(layer.data)
        and not record_of(layer)
        and made_here
    )


def _is_strange_image(layer: Any) -> bool:
    return type(layer).__name__ == "Image" and record_of(layer).get("kind") != "slide"


def _fits(layer: Any, image: Any) -> bool:
    if image.ndim != 2 or [str(u) for u in image.units] != [str(u) for u in layer.units]:
        return False
    return bool(np.allclose(placement(layer), placement(image), rtol=1e-6, atol=1e-9))


def _take(layer: Any, slide: Any, name: str) -> None:
    (_, attributes, _), *_ = annotation_layers(Annotations(name=name), record_of(slide), empty=True)
    own = attributes["metadata"][KEY]
    width = line_width(record_of(slide))
    if type(layer).__name__ == "Points":
        own["shown_as"] = "points"
        layer.current_size = _DOTS * width
    else:
        layer.current_edge_width = width
    layer.features = attributes["features"]
    layer.feature_defaults = attributes["feature_defaults"]
    layer.metadata[KEY] = own
