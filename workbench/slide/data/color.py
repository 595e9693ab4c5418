"""Colours of a slide by its own profile (ICC.1:2022) as sRGB, so that scanners can be compared."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, one_line
from workbench.core.types import Image


@dataclass(frozen=True)
class Profiled:
    """What the file of a picture holds beside its pixels: a colour profile, or none."""

    path: Path
    content: bytes | None

    def profile(self) -> bytes | None:
        """The profile as it stands in the file."""
        return self.content


def to_srgb(image: Image) -> tuple[Image, str]:
    """The slide with colours in sRGB, and a line that says so; as it is where its file holds no profile.

    Raises
    ------
    InputError
        Its profile is damaged, or none for red, green and blue.
    """
    from PIL import Image as Pillow
    from PIL import ImageCms

    assert image.pyramid is not None
    content = image.native.profile() if hasattr(image.native, "profile") else None
    if content is None:
        return image, "the slide holds no colour profile: its colours are as they are stored"
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(content)) if isinstance(content, bytes) else content
        change = ImageCms.buildTransform(own, ImageCms.createProfile("sRGB"), "RGB", "RGB")
        title = ImageCms.getProfileDescription(own).strip()
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{image.source}: its colour profile cannot be used ({one_line(error)}); leave out --icc"
        ) from error
    plain = image.pyramid.reader
    lock = threading.Lock()

    def read(level: int, row: int, column: int, height: int, width: int) -> npt.NDArray[Any]:
        pixels = plain(level, row, column, height, width)
        if pixels.size == 0:
            return pixels
        with lock:  # a transform of LittleCMS holds a cache of its own
            done = ImageCms.applyTransform(Pillow.fromarray(pixels), change)
        return np.asarray(done)

    pyramid = replace(image.pyramid, reader=read)
    other = replace(image, pyramid=pyramid, loader=pyramid.whole)
    return other, f"colours were converted to sRGB by the profile of the slide ({title})"
