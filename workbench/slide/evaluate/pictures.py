"""Larger pictures of what was found on a slide, for reports."""

from __future__ import annotations

import numpy as np

from workbench.core.frame import PIXELS
from workbench.core.objects import Objects
from workbench.core.types import Image, Result
from workbench.slide.preview import drawn

SIDE = 900
"""Pixels along the longer side of each half."""


def overview(result: Result) -> bytes:
    """PNG: the slide with the edge of its tissue, and beside it a colour for each tile."""
    return drawn(result, SIDE)


def nuclei_of(image: Image, nuclei: Objects, region: tuple[int, int, int, int]) -> bytes:
    """PNG: a region (row, column, height, width of level 0), and beside it with the outlines of its nuclei."""
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    from workbench.report.pictures import png_of

    assert image.pyramid is not None
    top, left, high, wide = region
    pixels = image.pyramid.read(0, top, left, high, wide)
    own = nuclei.in_frame(PIXELS)
    rings = np.split(own.coordinates - (left + 0.5, top + 0.5), own.ring_offsets[1:-1])
    figure = Figure(figsize=(11, 11 * high / (2 * wide) + 0.1), layout="constrained")
    for ax, outlined in zip(figure.subplots(1, 2), (False, True), strict=True):
        ax.imshow(pixels)
        ax.set_axis_off()
        if outlined and len(own):
            lines = [np.vstack([ring, ring[:1]]) for ring in rings]
            ax.add_collection(LineCollection(lines, colors="#ff1744", linewidths=1.0))
        ax.set(xlim=(-0.5, wide - 0.5), ylim=(high - 0.5, -0.5))
    return png_of(figure)
