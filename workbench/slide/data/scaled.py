"""A slide with pixels of another size than its file says: what a person gives comes before it."""

from __future__ import annotations

from dataclasses import replace

from workbench.core.types import Image
from workbench.slide.data.scale import Scale, given, number
from workbench.slide.data.wsi import image_from


def scale_of(image: Image) -> Scale:
    """What is known of the size of the pixels of an open slide."""
    assert image.pyramid is not None
    power = number(str(image.header.get("objective", "")).rstrip("x"))
    return Scale(image.pyramid.mpp, image.pyramid.mpp_source, image.notes, power)


def scaled(image: Image, mpp: float | None) -> Image:
    """The slide with `mpp` micrometres per pixel of level 0; notes say what the file states otherwise.

    Raises
    ------
    UsageError
        No slide has such pixels.
    """
    if mpp is None or image.pyramid is None:
        return image
    found = given(scale_of(image), mpp)
    pyramid = replace(image.pyramid, mpp=found.mpp, mpp_source=found.source)
    assert image.source is not None
    other = image_from(pyramid, image.source, found, image.format or "", (), image.all_files)
    return replace(other, native=image.native, stamp=image.stamp, header={**image.header, **other.header})
