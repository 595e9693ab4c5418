"""How many pages the description of a TIFF file promises: that of OME, of ImageJ and of tifffile."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

from workbench.core.errors import InputError
from workbench.data.found import Damaged
from workbench.scene.data.tiff_layout import Directory

_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b([^<>]*)>")
_SIDE = re.compile(r"\bSize([CZT])\s*=\s*[\"']([^\"'<>]{0,40})[\"']")


def require_all(path: Path, pages: list[Directory]) -> None:
    """Refuse a file with fewer pages than it promises: its chain of pages was cut, or other files hold the rest."""
    first = pages[0]
    full = sum(page.is_full for page in pages)
    promised, whose = _promised(path, first)
    if first.total_pages > promised:
        promised, whose = first.total_pages, "the number of pages in it"
    if full < promised:
        others = any(p != path and p.suffix.lower() in (".tif", ".tiff") for p in path.parent.iterdir())
        raise (InputError if others else Damaged)(
            f"{path}: {whose} promises {promised} pages, found {full}. The file was cut off, or other files hold the"
            " rest: copy or export it again, as one page per band."
        )


def _promised(path: Path, first: Directory) -> tuple[int, str]:
    text = first.description
    if "<OME" in text[:2000] or "<Pixels" in text:
        return _of_ome(path, text, first.samples), "its OME description"
    if text.startswith("ImageJ="):
        found = re.search(r"^images=(\d{1,9})\s*$", text, re.MULTILINE)
        return int(found[1]) if found else 1, "its ImageJ description"
    if text.startswith('{"shape"'):
        return _of_tifffile(path, text, first), "its description"
    return 1, ""


def _of_ome(path: Path, text: str, samples: int) -> int:
    """Planes of all images, by their sides: nothing is parsed that could refer to something else."""
    planes = 0
    for pixels in _PIXELS.finditer(text):
        sides = dict(_SIDE.findall(pixels[1]))
        if set(sides) != {"C", "Z", "T"} or not all(re.fullmatch(r"\d{1,9}", n, re.ASCII) for n in sides.values()):
            raise InputError(f"{path}: its OME description gives no whole SizeC, SizeZ and SizeT. Export it again.")
        count = math.prod(int(n) for n in sides.values())
        planes += count // samples if count % samples == 0 else count
    if not planes and "<Pixels" in text:
        raise InputError(f"{path}: its OME description is damaged. Export it again.")
    return max(planes, 1)


def _of_tifffile(path: Path, text: str, first: Directory) -> int:
    try:
        shape = json.loads(text)["shape"]
        count = math.prod(int(n) for n in shape)
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        raise InputError(f"{path}: its description is damaged: {text[:60]!r}. Export it again.") from None
    page = first.width * first.height * first.samples
    if count < page or count % page:
        raise InputError(
            f"{path}: its description promises {count} samples, a page has {page}. Copy or export it again."
        )
    return count // page
