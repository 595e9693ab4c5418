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
from workbench.data.picture_heads import ACCEPTED, begins_like, head_of
from workbench.page.data import page_numbers

AXES = ("down", "across")
CHANNELS = ("red", "green", "blue")
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".heic", ".heif")
MOST_PIXELS = 80_000_000
"""Of a picture; telephones have up to 50 million, and a page needs 10."""
_ORIENTATION = 0x0112
_SUBFILE, _COPY_OR_MASK = 254, 0b101
"""The tag of a TIFF that says what a page is beside the others, and its bits for a smaller copy and a mask."""
_TURNS = {3: "by 180 degrees", 6: "by 90 degrees clockwise", 8: "by 90 degrees anticlockwise"}
_HEIC = (".heic", ".heif")
_BRANDS = tuple(b"ftyp" + brand for brand in (b"heic", b"heix", b"mif1", b"heim", b"heis"))
"""How HEIC begins, behind four bytes: some telephones name it .jpg."""
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
"""What Pillow may take a file for, whatever its name: of others some run programs (PostScript)."""


def can_open(path: Path) -> bool:
    """Whether Pillow finds a picture in a file, by its header."""
    try:
        with _opened(path):
            return True
    except InputError:
        return False


def count(path: Path) -> int:
    """How many pages a file has: those of a TIFF, one of any other picture.

    Raises
    ------
    InputError
        It is damaged, or no picture.
    """
    with _opened(path) as file:
        return len(_pages(path, file))


def read(path: Path, series: str | int | None = None) -> Image:
    """Open a picture of a page: its size now, its pixels when they are asked for.

    Pixels are ``(3, rows, columns)`` uint8, turned as the camera says (EXIF), on white where they are transparent;
    16 bits are cut to 8. There is no scale: only the grid of the paper has one.

    Parameters
    ----------
    series
        Which page of a TIFF, from 1; needed where there are several.

    Raises
    ------
    InputError
        It is damaged, larger than `MOST_PIXELS`, or no picture; has no such page, or several and none was chosen.
    MissingExtra
        It is HEIC, and the package for it is not installed.
    """
    with _opened(path) as file:
        pages = _pages(path, file)
        number = page_numbers.chosen(path, series, len(pages))
        frame = pages[number - 1]
        file.seek(frame)
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
    notes = [*page_numbers.notes_of(number, len(pages))]
    if turn in _TURNS:
        notes.append(f"was turned {_TURNS[turn]}, as the camera says")
    elif turn in (2, 4, 5, 7):
        notes.append("was mirrored, as its header says: times and leads would be wrong otherwise, and are if it lies")
    if mode.startswith(("I", "F")):
        notes.append(f"its samples ({mode}) were brought to 8 bits")
    if mode == "F" and (count := _no_numbers(path, frame)):
        notes.append(f"{count} pixel(s) are no finite number, and were taken as paper")
    if frames > 1 and form != "tiff":
        notes.append(f"holds {frames} pictures; the first is read")
    return Image(
        geometry=Geometry((height, width), None, AXES, None),
        dtype=np.dtype(np.uint8),
        channels=CHANNELS,
        loader=lambda: _decoded(path, frame),
        kind="page",
        source=path,
        format="jpeg" if form in ("jpg", "mpo") else form,
        header={} if len(pages) == 1 else {"page": number, "pages": len(pages)},
        notes=tuple(notes),
    )


def _pages(path: Path, file: Any) -> list[int]:
    """Numbers of the frames of an opened picture that are pages: of a TIFF those that are no smaller copy and no mask.

    Other formats hold a picture for a film or for a small screen beside the first.
    """
    if file.format != "TIFF":
        return [0]
    found = []
    try:
        for frame in range(int(file.n_frames)):
            file.seek(frame)
            if not int(file.tag_v2.get(_SUBFILE, 0)) & _COPY_OR_MASK:
                found.append(frame)
    except (OSError, ValueError, TypeError, SyntaxError, EOFError, KeyError, struct.error) as error:
        raise InputError(f"{path}: its pages cannot be counted ({one_line(error)}); copy it again.") from error
    return found or [0]


def _turn(file: Any) -> int:
    """How the camera was held, by the header; 1 where that says nothing that can be read."""
    try:
        return int(file.getexif().get(_ORIENTATION, 1))
    except (OSError, ValueError, TypeError, SyntaxError, IndexError, EOFError, struct.error):
        return 1  # cut off or damaged: said when the pixels are read


def _decoded(path: Path, frame: int) -> npt.NDArray[np.uint8]:
    from PIL import Image as Pillow
    from PIL import ImageOps

    with _damage_said(path), _opened(path) as file:
        file.seek(frame)
        file.load()
        picture = ImageOps.exif_transpose(file)
        if picture.mode.startswith(("I", "F")):
            return _of_numbers(np.asarray(picture))
        if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
            shown = picture.convert("RGBA")
            picture = Pillow.alpha_composite(Pillow.new("RGBA", shown.size, (255, 255, 255, 255)), shown)
        pixels = np.asarray(picture.convert("RGB"))
    return np.ascontiguousarray(np.moveaxis(pixels, 2, 0))


def _no_numbers(path: Path, frame: int) -> int:
    """How many pixels of a picture of floating-point numbers are NaN or infinite."""
    with _damage_said(path), _opened(path) as file:
        file.seek(frame)
        return int(np.count_nonzero(~np.isfinite(np.asarray(file))))


@contextmanager
def _damage_said(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, SyntaxError, IndexError, EOFError, struct.error) as error:
        raise InputError(
            f"{path}: the picture cannot be decoded ({one_line(error)}); copy it again, or export it anew."
        ) from error


def _of_numbers(samples: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Grey values of 16 or 32 bits as 8: by the range of their type, or of the picture where that has none."""
    values = samples.astype(np.float64)
    there = values[np.isfinite(values)]
    highest = float(there.max(initial=0))
    top = 65535.0 if 255 < highest <= 65535 else max(highest, 1.0)
    shown = np.where(np.isfinite(values), values, top)  # paper: nothing says that there is ink
    grey = np.clip(np.round(255 * shown / top), 0, 255).astype(np.uint8)
    return np.repeat(grey[None], 3, axis=0)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    formats = _formats(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged EXIF; Pillow's own limit, ours is said above
            file = Pillow.open(path, formats=formats)
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: is no picture that can be read ({begins_like(path)}). {ACCEPTED}") from error
    except Pillow.DecompressionBombError as error:
        raise InputError(f"{path}: {one_line(error)} Make it smaller, or cut the page out.") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise InputError(f"{path}: is no picture that can be read ({one_line(error)}). {ACCEPTED}") from error
    with file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield file


def _formats(path: Path) -> tuple[str, ...]:
    """What the file may be; HEIC only where the package for it is installed."""
    if path.suffix.lower() not in _HEIC and head_of(path)[4:12] not in _BRANDS:
        return _FORMATS
    _know_heic(path)
    return (*_FORMATS, "HEIF")


def _know_heic(path: Path) -> None:
    try:
        import pi_heif
    except ImportError as error:
        raise MissingExtra(f"{path}: a picture in HEIC", "heic") from error
    pi_heif.register_heif_opener()
