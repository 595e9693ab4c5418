"""Pictures of scenes for reports: the scene in colour, class maps, confidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workbench.core.classes import ClassTable
from workbench.core.types import Image
from workbench.report.pictures import png_of
from workbench.scene.data.scene import ignore_of, open_blocks
from workbench.scene.display import composite, preset_bands, spread_bands

_SIDE = 700  # pixels of a panel at most


def colour_picture(image: Image) -> npt.NDArray[np.float32]:
    """(rows, columns, 3) 0 to 1: natural colour where wavelengths are known, else three bands spread over the cube."""
    good = image.header.get("good_bands")
    bands = preset_bands("Natural colour", image.header.get("wavelengths_nm"), good)
    bands = bands or spread_bands(len(image.channels), good)
    step = max(1, max(image.geometry.shape) // _SIDE)
    shown = composite(open_blocks(image), bands, ignore=ignore_of(image), step=step)
    return np.asarray((shown / np.float32(255)) ** 0.7, np.float32)


def maps_picture(
    image: Image,
    maps: Mapping[str, npt.NDArray[np.integer[Any]]],
    classes: ClassTable,
    confidence: npt.NDArray[np.floating[Any]] | None = None,
) -> bytes:
    """PNG: the scene in colour, then class maps (rows, columns) by title (0 is grey), then the confidence if given."""
    step = max(1, max(image.geometry.shape) // _SIDE)
    top = max(c.value for c in classes)
    palette = np.full((top + 1, 3), 0.85)
    for c in classes:
        palette[c.value] = np.array(c.color) / 255
    panels: list[tuple[str, npt.NDArray[Any]]] = [("scene", colour_picture(image))]
    panels += [(title, palette[np.minimum(m[::step, ::step], top)]) for title, m in maps.items()]
    count = len(panels) + (confidence is not None)
    across = min(count, 3)
    down = -(-count // across)
    rows, columns = image.geometry.shape
    tall = min(2.0, max(0.4, rows / columns))
    figure = Figure(figsize=(3.9 * across, down * (3.9 * tall + 0.25) + 0.5), layout="constrained", facecolor="white")
    axes = np.atleast_1d(figure.subplots(down, across)).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, (title, picture) in zip(axes, panels, strict=False):
        ax.imshow(picture, interpolation="nearest")
        ax.set_title(title, fontsize=10)
    if confidence is not None:
        ax = axes[len(panels)]
        shown = ax.imshow(confidence[::step, ::step], cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
        ax.set_title("confidence", fontsize=10)
        figure.colorbar(shown, ax=ax, shrink=0.7)
    handles = [
        Line2D([], [], marker="s", linestyle="", markersize=8, color=tuple(palette[c.value]), label=c.name)
        for c in classes
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(8, len(handles)), frameon=False, fontsize=9)
    return png_of(figure)
