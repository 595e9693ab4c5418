"""Pictures of a region (PNG, JPEG, plain TIFF) as slides with one level."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, one_line
from workbench.core.pyramid import Level, Pyramid
from workbench.core.types import Image
from workbench.slide.data.color import Profiled
from workbench.slide.data.scale import Scale, believed
from workbench.slide.data.tiff_pages import turned_note
from workbench.slide.data.wsi import CHANNELS, image_from

SUFFIXES = (".png", ".jpg", ".jpeg")
_ORIENTATION = 0x0112
_FORMATS = ("PNG", "JPEG")
"""What Pillow may take a file for, whatever its name: of others some run programs (PostScript)."""
_PNG = b"\x89PNG\r\n\x1a\n"


class Picture:
    """The pixels of a picture, decoded once when they are first asked for; transparent ones are white."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._pixels: npt.NDArray[np.uint8] | None = None

    def read(self, level: int, row: int, column: int, height: int, width: int) -> npt.NDArray[np.uint8]:
        with self._lock:
            if self._pixels is None:
                self._pixels = _decode(self.path)
        return np.ascontiguousarray(self._pixels[row : row + height, column : column + width])


def is_grey(path: Path) -> bool:
    """Whether a PNG holds one channel (a label map, say), by its header."""
    try:
        with path.open("rb") as file:
            head = file.read(26)
    except OSError:
        return False
    return head[:8] == _PNG and head[25:26] in (b"\0", b"\x04")


def _bits_of_png(path: Path) -> int:
    """Bits of a sample of a PNG by its header, 8 for other pictures: Pillow cuts 16 of them to 8 without a word."""
    with path.open("rb") as file:
        head = file.read(25)
    return head[24] if head[:8] == _PNG and len(head) == 25 else 8


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A picture by Pillow, header first; it is decoded whole, so that its limit of pixels is ours, too."""
    from PIL import Image as Pillow

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Pillow.DecompressionBombWarning)
            file = Pillow.open(path, formats=_FORMATS)
    except (Pillow.DecompressionBombWarning, Pillow.DecompressionBombError) as error:
        raise InputError(
            f"{path}: {one_line(error)}; too large for a picture without levels. Convert it to a pyramidal TIFF "
            "(libvips: vips tiffsave --tile --pyramid)."
        ) from error
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{path}: is no picture that can be read ({one_line(error)})") from error
    with file:
        yield file


def _decode(path: Path) -> npt.NDArray[np.uint8]:
    from PIL import Image as Pillow

    try:
        with opened(path) as file:
            if file.mode in ("RGBA", "LA", "PA") or "transparency" in file.info:
                shown = file.convert("RGBA")
                shown = Pillow.alpha_composite(Pillow.new("RGBA", shown.size, (255, 255, 255, 255)), shown)
                return np.asarray(shown.convert("RGB"))
            return np.asarray(file.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        problem = one_line(error)
        raise InputError(f"{path}: the picture cannot be decoded ({problem}); copy or export it again") from error


def read(path: Path) -> Image:
    """Open a picture: its size now, its pixels when they are asked for.

    Raises
    ------
    InputError
        It is no picture, one of more than 8 bits or of other colours, or too large to be decoded whole.
    """
    with opened(path) as file:
        (columns, rows), mode, info = file.size, file.mode, dict(file.info)
        turned = file.getexif().get(_ORIENTATION) if "exif" in file.info else None
    if mode in ("1", "L", "LA", "La"):
        raise InputError(f"{path}: is grey; a picture of a slide has red, green and blue of 8 bits")
    if mode in ("I", "F", "I;16", "I;16B", "CMYK", "LAB", "HSV"):
        raise InputError(f"{path}: has pixels of type {mode}; a picture of a slide has red, green and blue of 8 bits")
    if _bits_of_png(path) > 8:
        raise InputError(f"{path}: has 16 bits; a picture of a slide has red, green and blue of 8 bits")
    pyramid_scale = scale_of(info)
    pyramid = Pyramid(
        (Level((rows, columns)),), Picture(path).read, np.dtype(np.uint8), CHANNELS, pyramid_scale.mpp,
        pyramid_scale.source, None, (min(rows, 512), columns),
    )  # fmt: skip
    image = image_from(pyramid, path, pyramid_scale, path.suffix.lower().lstrip("."), turned_note(turned))
    profile = info.get("icc_profile")
    return replace(image, native=Profiled(path, profile if isinstance(profile, bytes) and profile else None))


def scale_of(info: Mapping[Any, Any]) -> Scale:
    """What the file states: dots per inch are nearly always those of a screen or a printer, and are looked at."""
    dots = info.get("dpi")
    if not isinstance(dots, tuple) or len(dots) != 2:
        return Scale()
    try:
        x, y = (25_400 / float(d) for d in dots)
    except (ValueError, ZeroDivisionError):
        return Scale()
    return believed(x, y, "dots per inch")
