"""Rows and columns as a compressed picture states them itself: JPEG of all kinds, JPEG-LS and JPEG 2000."""

from __future__ import annotations

from pathlib import Path

_START = 1 << 20  # application segments come first, and are short
_ITEM = b"\xfe\xff\x00\xe0"
_FRAMES = {0xF7, *range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of frames; three of the range are tables


def size(path: Path, start: int) -> tuple[int, int] | None:
    """Rows and columns of the first picture in encapsulated pixels, ``None`` where none begins there.

    Parameters
    ----------
    start
        The byte of the first item, which is the table of offsets.
    """
    with path.open("rb") as f:
        f.seek(start)
        head = f.read(8)
        if head[:4] != _ITEM:
            return None
        f.seek(start + 8 + int.from_bytes(head[4:], "little"))
        head = f.read(8)
        if head[:4] != _ITEM:
            return None
        content = f.read(min(_START, int.from_bytes(head[4:], "little")))
    begin = content.find(b"\xff\x4f\xff\x51", 0, 1024)  # JPEG 2000, bare or in boxes, begins with its size
    if begin >= 0 and len(content) >= begin + 24:
        right, bottom, left, top = (int.from_bytes(content[begin + at :][:4], "big") for at in (8, 12, 16, 20))
        return bottom - top, right - left
    return _jpeg(content)


def _jpeg(content: bytes) -> tuple[int, int] | None:
    if content[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # filling
            at += 1
            continue
        if marker in _FRAMES:
            return int.from_bytes(content[at + 5 : at + 7], "big"), int.from_bytes(content[at + 7 : at + 9], "big")
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return None
