"""What a file is by its first bytes, where its name is that of a picture."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".svg", ".avif", ".heic", ".heif", ".eps")
"""Of files that people call pictures, whoever reads them."""
_MAGIC = (b"\x89PNG\r\n", b"\xff\xd8", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_OTHERS = (
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"%PDF", "a PDF file"),
    (b"GIF8", "a GIF"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "XML"),
)
"""How files begin that are taken for pictures and are none that is read here."""
ACCEPTED = "Export it as PNG, JPEG, TIFF, BMP, WebP or HEIC."


def head_of(path: Path) -> bytes:
    """The first bytes of a file; none where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(12)
    except OSError:
        return b""


def begins_as_one(path: Path) -> bool:
    """Whether the first bytes of a file are those of a picture that is read here."""
    head = head_of(path)
    return head.startswith(_MAGIC) or head[4:8] == b"ftyp" or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def begins_like(path: Path) -> str:
    """What a file that is no such picture begins like, in words."""
    head = head_of(path)
    told = (f"it begins like {name}" for magic, name in _OTHERS if head.startswith(magic))
    return next(told, "it begins like no picture")
