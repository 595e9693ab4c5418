"""Annotations from the files of QuPath and others (GeoJSON), NDP.view, ASAP and ImageScope; the content says which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.parsers import expat

import numpy as np

from workbench.core.errors import GeometryError, InputError, NothingFound, UsageError
from workbench.slide.annotations import asap, imagescope, ndpa
from workbench.slide.annotations.geojson import read_geojson
from workbench.slide.annotations.place import Bounds, FrameName, SlidePlace, outside_note, shift_of
from workbench.slide.annotations.types import Annotation, Annotations, Fault, Floats
from workbench.slide.annotations.xml_tree import first_tag

_HEAD = 1 << 16
_KNOWN = "GeoJSON (QuPath, Digital Slide Archive), NDPA (NDP.view), or the XML of ASAP or ImageScope"


def read_annotations(
    path: str | Path,
    *,
    slide: SlidePlace | None = None,
    frame: FrameName | None = None,
    bounds: Bounds | None = None,
) -> Annotations:
    """Open a file of annotations.

    Parameters
    ----------
    path
        GeoJSON in any shape, NDPA, ASAP or ImageScope XML: its content decides, not its name.
    slide
        What is known of the slide: NDPA cannot be placed without; for others it says the bounds and what is outside.
    frame
        Whether the file counts from the first pixel of the whole slide (``"file"``) or from the corner of its bounds
        (``"bounds"``, QuPath where it crops MRXS). By default what the file says if it is ours, else ``"file"``, which
        a note says where the slide has bounds.
    bounds
        (row, column, height, width); those of `slide` if not given.

    Returns
    -------
    Annotations
        In pixels of level 0 of the whole slide. ``notes`` say what was assumed, changed or left out.

    Raises
    ------
    NothingFound, InputError
        No such file; or it is damaged or of another format: one line with the number of the annotation.
    UsageError
        A frame that the file or the slide does not have.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        raise InputError(f"{file}: is a folder; a file of annotations was expected")
    if not file.is_file():
        raise NothingFound(f"{file}: no such file. Check the path.")
    known = bounds or (slide.bounds if slide else None)
    tag = _root(file)
    if tag == ndpa.ROOT:
        if frame == "bounds":
            raise UsageError(f"{file}: NDPA counts from the centre of the glass, there is no frame 'bounds' for it")
        found, said = ndpa.read_ndpa(file, slide), tuple[str, ...]()
    else:
        found, own = _read(file, tag)
        if own is not None:
            frame, known = _stated(file, own, frame, known), own
        change, said = shift_of(frame, known)
        if change is not None:
            found = _moved(file, found, change)
    size = slide.size if slide else None
    boxes = np.array([_box(item) for item in found]).reshape(-1, 4)
    return replace(found, notes=(*found.notes, *said, *outside_note(boxes, size)))


def _root(file: Path) -> str:
    """Name of the first element of an XML file; empty for JSON.

    Raises
    ------
    InputError
        It is neither.
    """
    with file.open("rb") as stream:
        head = stream.read(_HEAD)
    plain = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if plain[:1] in (b"{", b"["):
        return ""
    if plain[:1] != b"<" and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{file}: begins with {head[:12]!r}, which no file of annotations does. Expected {_KNOWN}.")
    try:
        tag = first_tag(head)
    except (Fault, expat.ExpatError, UnicodeError, LookupError) as error:
        raise InputError(f"{file}: no well-formed XML ({error}). Export or copy the file again.") from error
    if tag not in (ndpa.ROOT, asap.ROOT, imagescope.ROOT):
        first = repr(tag[:40]) if tag else "missing"
        raise InputError(f"{file}: XML whose first element is {first}. Expected {_KNOWN}.")
    return tag


def _read(file: Path, tag: str) -> tuple[Annotations, Bounds | None]:
    if not tag:
        return read_geojson(file)
    return asap.read_asap(file) if tag == asap.ROOT else imagescope.read_imagescope(file), None


def _stated(file: Path, own: Bounds, frame: FrameName | None, known: Bounds | None) -> FrameName:
    """``"bounds"``, as a file of ours says, unless somebody says otherwise."""
    if frame == "file" or (known is not None and known[:2] != own[:2]):
        other = "the whole slide" if frame == "file" else f"bounds {known}"
        raise UsageError(f"{file}: says that it counts from the bounds {own} of its slide, not from {other}")
    return "bounds"


def _moved(file: Path, found: Annotations, change: Callable[[Floats], Floats]) -> Annotations:
    try:
        return replace(found, items=tuple(item.moved(change) for item in found))
    except GeometryError as error:
        raise InputError(f"{file}: {error} once the bounds are added.") from error


def _box(item: Annotation) -> Floats:
    points = np.concatenate(list(item.shape.rings()))
    return np.concatenate([points.min(axis=0), points.max(axis=0)])
