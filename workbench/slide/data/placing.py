"""What annotations need to know of an open slide to be put in place."""

from __future__ import annotations

from workbench.core.types import Image
from workbench.slide.annotations.place import SlidePlace


def place_of(image: Image) -> SlidePlace:
    """Size, scale, bounds, and the offset of the image on the glass, of an open slide."""
    assert image.pyramid is not None
    properties = getattr(image.native, "properties", {})
    rows, columns = image.geometry.shape
    return SlidePlace.of(properties, (rows, columns), image.pyramid.mpp, image.pyramid.bounds)
