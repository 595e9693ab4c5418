"""Photos and scans of pages: PNG, JPEG, TIFF, BMP, WebP, and HEIC where `pi-heif` is installed."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, MissingExtra, one_line
from workbench.core.types import Geometry, Image

AXES = ("down", "across")
CHANNELS = ("red", "green", "blue")
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".heic", ".heif")
MOST_PIXELS = 80_000_000
"""Of a picture; telephones have up to 50 million, and a page needs 10."""
_MAGIC = (b"\x89PNG\r\n", b"\xff\xd8", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ORIENTATION = 0x0112
_TURNS = {3: "by 180 degrees", 6: "by 90 degrees clockwise", 8: "by 90 degrees anticlockwise"}
_HEIC = (".heic", ".heif")


def begins_as_one(path: Path) -> bool:
    """Whether the first bytes of a file are those of a picture."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError:
        return False
    return head.startswith(_MAGIC) or head[4:8] == b"ftyp" or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def can_open(path: Path) -> bool:
    """Whether Pillow finds a picture in a file, by its header."""
    try:
        with _opened(path):
            return True
    except InputError:
        return False


def read(path: Path) -> Image:
    """Open a picture of a page: its size now, its pixels when they are asked for.

    Pixels are ``(3, rows, columns)`` uint8, turned as the camera says (EXIF), on white where they are transparent;
    16 bits are cut to 8. There is no scale: only the grid of the paper has one.

    Raises
    ------
    InputError
        It is damaged, larger than `MOST_PIXELS`, or no picture.
    MissingExtra
        It is HEIC, and the package for it is not installed.
    """
    with _opened(path) as file:
        width, height = file.size
        if width * height > MOST_PIXELS:
            raise InputError(
                f"{path}: {width} x {height} pixels, expected a page of up to {MOST_PIXELS // 1_000_000} million. "
                "Make it smaller, or cut the page out."
            )
        turn = _turn(file)
        mode, frames = file.mode, int(getattr(file, "n_frames", 1))
        form = str(file.format or path.suffix.lstrip(".")).lower()
    if turn in (5, 6, 7, 8):
        width, height = height, width
    notes = []
    if turn in _TURNS:
        notes.append(f"was turned {_TURNS[turn]}, as the camera says")
    elif turn in (2, 4, 5, 7):
        notes.append("was mirrored, as its header says: times and leads would be wrong otherwise, and are if it lies")
    if mode.startswith(("I", "F")):
        notes.append(f"its samples ({mode}) were brought to 8 bits")
    if frames > 1:
        notes.append(f"holds {frames} pictures; the first is read")
    return Image(
        geometry=Geometry((height, width), None, AXES, None),
        dtype=np.dtype(np.uint8),
        channels=CHANNELS,
        loader=lambda: _decoded(path),
        kind="page",
        source=path,
        format="jpeg" if form in ("jpg", "mpo") else form,
        notes=tuple(notes),
    )


def _turn(file: Any) -> int:
    """How the camera was held, by the header; 1 where that says nothing that can be read."""
    try:
        return int(file.getexif().get(_ORIENTATION, 1))
    except (OSError, ValueError, TypeError, SyntaxError, IndexError, EOFError, struct.error):
        return 1  # cut off or damaged: said when the pixels are read


def _decoded(path: Path) -> npt.NDArray[np.uint8]:
    from PIL import Image as Pillow
    from PIL import ImageOps

    try:
        with _opened(path) as file:
            file.load()
            picture = ImageOps.exif_transpose(file)
            if picture.mode.startswith(("I", "F")):
                return _of_numbers(np.asarray(picture))
            if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
                shown = picture.convert("RGBA")
                picture = Pillow.alpha_composite(Pillow.new("RGBA", shown.size, (255, 255, 255, 255)), shown)
            pixels = np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, IndexError, EOFError, struct.error) as error:
        raise InputError(
            f"{path}: the picture cannot be decoded ({one_line(error)}); copy it again, or export it anew."
        ) from error
    return np.ascontiguousarray(np.moveaxis(pixels, 2, 0))


def _of_numbers(samples: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Grey values of 16 or 32 bits as 8: by the range of their type, or of the picture where that has none."""
    values = samples.astype(np.float64)
    top = 65535.0 if 255 < values.max(initial=0) <= 65535 else max(float(values.max(initial=0)), 1.0)
    grey = np.clip(np.round(255 * np.nan_to_num(values) / top), 0, 255).astype(np.uint8)
    return np.repeat(grey[None], 3, axis=0)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from PIL import Image as Pillow

    if path.suffix.lower() in _HEIC:
        _know_heic(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged EXIF; Pillow's own limit, ours is said above
            file = Pillow.open(path)
    except Pillow.DecompressionBombError as error:
        raise InputError(f"{path}: {one_line(error)} Make it smaller, or cut the page out.") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise InputError(f"{path}: is no picture that can be read ({one_line(error)}). Export it as PNG.") from error
    with file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield file


def _know_heic(path: Path) -> None:
    try:
        import pi_heif
    except ImportError as error:
        raise MissingExtra(f"{path}: a picture in HEIC", "heic") from error
    pi_heif.register_heif_opener()
