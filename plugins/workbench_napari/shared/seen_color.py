"""The colour that a class has on the screen: its own, through the opacity and the blending of its layer."""

from __future__ import annotations

from typing import Any

from workbench_napari.shared.theme import hex_of, mixed


def seen_color(viewer: Any, layer: Any, color: Any) -> str:
    """``#rrggbb`` of a class colour as the canvas shows it, over the middle grey of the image below.

    Parameters
    ----------
    viewer
        Whose layers lie below, and whose theme the canvas has.
    layer
        The labels layer.
    color
        Colour of the class in its table.
    """
    below = _below(viewer, layer)
    share, blending = float(layer.opacity), str(layer.blending)
    if blending == "opaque":
        return hex_of(color)
    if blending == "additive":
        return _added(below, mixed("#000000", color, share))
    if blending == "minimum":
        return _joined(below, color, min)
    if blending == "multiplicative":
        return _joined(below, color, lambda a, b: a * b / 255)
    return mixed(below, color, share)


def _below(viewer: Any, layer: Any) -> str:
    """The middle colour of the topmost image below, else that of the empty canvas."""
    from napari.utils.theme import get_theme

    layers = list(viewer.layers)
    under = layers[: layers.index(layer)] if layer in layers else []
    for image in reversed(under):
        if type(image).__name__ == "Image" and image.visible and image.opacity > 0:
            if getattr(image, "rgb", False):
                return "#808080"
            return hex_of([255 * float(c) for c in image.colormap.map([0.5])[0][:3]])
    return hex_of(get_theme(viewer.theme).canvas)


def _added(one: str, other: str) -> str:
    return _joined(one, other, lambda a, b: min(255.0, a + b))


def _joined(one: Any, other: Any, how: Any) -> str:
    parts = [[int(hex_of(c)[i : i + 2], 16) for i in (1, 3, 5)] for c in (one, other)]
    return "#{:02x}{:02x}{:02x}".format(*(round(how(a, b)) for a, b in zip(*parts, strict=True)))
