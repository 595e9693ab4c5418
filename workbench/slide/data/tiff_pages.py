"""What a TIFF says of itself, looked at before anybody decodes it: pages that go round in a circle or have tiles of
terabytes end libraries and processes, and samples of other colours or types would be shown as something else.

TIFF 6.0 (Adobe, 1992) and BigTIFF.
"""

from __future__ import annotations

import logging
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError

JPEG = 7
RGB, YCBCR = 2, 6
_GREY, _PALETTE = (0, 1), 3
_YCC_JPEG2000 = 33003
MOST_TILE = 1 << 26
"""Pixels of one tile of a slide."""
_MOST_STRIP = 1 << 28
_MOST_PAGES = 20_000
_MOST_TAGS = 4096
_TILE_SIDES = (322, 323)
_SIZES = {3: 2, 4: 4, 16: 8}


# What tifffile complains of is said in lines of ours; without a reader of its log Python would print it as it stands.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class CutOff(InputError):
    """A file that ends before its pixels do: who reads what is there takes the rest for glass."""


def require_sound(path: Path) -> None:
    """Refuse a TIFF whose pages go round in a circle, or whose tiles are larger than any program makes.

    Other files, NDPI (whose numbers of pages are of its own kind) and damage of other sorts are left to the readers.

    Raises
    ------
    InputError
        With one line that says what was found.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None or len(head) < 16 or path.suffix.lower() == ".ndpi":
            return
        version = struct.unpack(order + "H", head[2:4])[0]
        if version not in (42, 43):
            return
        big = version == 43
        place = struct.unpack(order + ("Q" if big else "I"), head[8:16] if big else head[4:8])[0]
        size, seen = os.fstat(file.fileno()).st_size, set[int]()
        count_of, length = ("Q", 20) if big else ("H", 12)
        while 0 < place < size:
            if place in seen or len(seen) > _MOST_PAGES:
                raise InputError(f"{path}: damaged: its pages go round in a circle (at byte {place}). Copy it again.")
            seen.add(place)
            file.seek(place)
            raw = file.read(struct.calcsize(order + count_of))
            if len(raw) < struct.calcsize(order + count_of):
                return
            count = struct.unpack(order + count_of, raw)[0]
            if count > _MOST_TAGS:
                return
            tags = file.read(count * length)
            raw = file.read(8 if big else 4)
            if len(tags) < count * length or len(raw) < (8 if big else 4):
                return
            sides = [_side(tags[i : i + length], order, big) for i in range(0, len(tags), length)]
            high_wide = [side for side in sides if side is not None]
            if len(high_wide) == 2 and high_wide[0] * high_wide[1] > MOST_TILE:
                raise InputError(
                    f"{path}: damaged: states tiles of {high_wide[0]} x {high_wide[1]} pixels. Copy it again."
                )
            place = struct.unpack(order + ("Q" if big else "I"), raw)[0]


def _side(entry: bytes, order: str, big: bool) -> int | None:
    """The value of an entry that is a side of the tiles."""
    tag, kind = struct.unpack(order + "HH", entry[:4])
    width = _SIZES.get(kind)
    if tag not in _TILE_SIDES or width is None:
        return None
    at = 12 if big else 8
    return int.from_bytes(entry[at : at + min(width, len(entry) - at)], "little" if order == "<" else "big")


@dataclass(frozen=True)
class Page:
    """A page of a TIFF with red, green and blue of 8 bits in one plane, in tiles or strips, as plain numbers.

    Parameters
    ----------
    page
        That of tifffile, for what is no JPEG.
    shape, chunk
        (rows, columns) of it, and of its tiles or strips.
    offsets, counts
        Place and number of bytes of each.
    tables
        The tables of JPEG that stand once for all.
    """

    page: Any
    shape: tuple[int, int]
    chunk: tuple[int, int]
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    compression: int
    photometric: int
    is_tiled: bool
    tables: bytes | None

    @property
    def across(self) -> int:
        """Tiles in a row."""
        return -(-self.shape[1] // self.chunk[1])

    def size_of(self, index: int) -> tuple[int, int]:
        """(rows, columns) that a tile or strip holds by itself: the last strip may be shorter."""
        if self.is_tiled:
            return self.chunk
        return min(self.chunk[0], self.shape[0] - index * self.chunk[0]), self.chunk[1]


def page_of(page: Any) -> Page | str:
    """A page as it can be shown, or why it cannot: a few words after "it has"."""
    try:
        bits, samples, plane = int(page.bitspersample), int(page.samplesperpixel), int(page.planarconfig)
        kind, photometric, compression = int(page.sampleformat), int(page.photometric), int(page.compression)
        rows, columns = (int(n) for n in page.shape[:2])
        chunk = tuple(int(n) for n in page.chunks[:2])
        offsets, counts = tuple(int(n) for n in page.dataoffsets), tuple(int(n) for n in page.databytecounts)
        tables, is_tiled = page.jpegtables, bool(page.is_tiled)
        dimensions = len(page.shape)
    except Exception:  # tags of any type stand there; whatever they do to tifffile, no picture can be made of them
        return "a damaged header"
    if samples != 3 or bits != 8 or plane != 1 or kind != 1 or dimensions != 3:
        planes = "" if plane == 1 or samples == 1 else " in planes of their own"
        signed = "" if kind == 1 else ", signed or of real numbers"
        return f"{samples} samples of {bits} bits{signed}{planes}"
    is_ycc = photometric == YCBCR and compression != JPEG
    if photometric not in (RGB, YCBCR) or is_ycc or compression == _YCC_JPEG2000:
        name = getattr(page.photometric, "name", str(photometric))
        return f"colours of another kind ({name}, packed by method {compression})"
    if min(rows, columns, *chunk) < 1 or len(chunk) != 2 or (tables is not None and not isinstance(tables, bytes)):
        return "a damaged header"
    if chunk[0] * chunk[1] > (MOST_TILE if is_tiled else _MOST_STRIP):
        what = "tiles" if is_tiled else "a strip"
        return f"{what} of {chunk[0]} x {chunk[1]} pixels, which would be unpacked for every look"
    needed = -(-rows // chunk[0]) * -(-columns // chunk[1])
    if len(offsets) != needed or len(counts) != needed:
        return f"{len(offsets)} tiles or strips where its size needs {needed}: a damaged header"
    return Page(
        page, (rows, columns), (chunk[0], chunk[1]), offsets, counts, compression, photometric, is_tiled, tables
    )


def turned_note(orientation: object) -> tuple[str, ...]:
    """A line where a file says that its picture is to be shown turned or mirrored (tag 274), else none."""
    if orientation in (None, 0, 1):
        return ()
    return (
        f"the file says that its picture is to be shown turned (orientation {orientation}); it is taken as it is "
        "stored, as other programs for slides take it",
    )


def require_colours(path: Path) -> None:
    """Refuse a TIFF that OpenSlide would show as another: it cuts samples to 8 bits and makes grey ones coloured.

    Raises
    ------
    InputError
        With what was found.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path, _multifile=False) as file:
            page: Any = file.pages[0]
            bits, samples, kind = int(page.bitspersample), int(page.samplesperpixel), int(page.sampleformat)
            photometric = int(page.photometric)
    except Exception:  # what no page can be read of is refused by whoever opens it
        return
    is_palette = photometric == _PALETTE
    if bits != 8 or kind != 1 or samples not in (1, 3, 4) or (samples == 1 and not is_palette) or photometric in _GREY:
        raise InputError(
            f"{path}: {samples} sample(s) of {bits} bits{'' if kind == 1 else ', signed or of real numbers'}; a slide "
            "in brightfield has red, green and blue of 8 bits"
        )
