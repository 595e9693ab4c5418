"""Whether a series is all here, by what it says of itself: a lost end slice leaves a regular, shorter volume."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from workbench.core.errors import InputError
from workbench.volume.data.dicom_fields import many
from workbench.volume.data.dicom_header import Header
from workbench.volume.data.dicom_stack import Stack

_NAMED = 3
_APART = 1.5
"""Steps of slices in thicknesses from which on some may be missing."""
_OF_SCANS = ("KVP", "ConvolutionKernel")


def missing(
    source: Path, headers: Sequence[Header], beside: Sequence[Header], left_out: Sequence[Path]
) -> Iterator[str]:
    """What speaks for slices that are not here, a line each.

    These are notes, not errors: a series may be numbered from any number on, or be a part of an acquisition.

    Parameters
    ----------
    headers
        Of the files that make one volume.
    beside
        Of the other files of their series, which have numbers too.
    left_out
        Files that hold no picture that anybody knows, and may have been slices.

    Raises
    ------
    InputError
        If parts of a concatenation are missing: these are counted by the standard.
    """
    _require_parts(source, headers)
    yield from _by_numbers([*headers, *beside])
    yield from _by_acquisition(headers)
    first = headers[0]
    stated = first.count("NumberOfSlices", 0, low=0) * first.count("NumberOfTimeSlices", 1, low=0)  # PET
    if len(headers) < stated:
        yield f"NumberOfSlices and NumberOfTimeSlices promise {stated} images, {len(headers)} are here"
    if left_out:
        names = ", ".join(f.name for f in left_out[:_NAMED])
        more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
        yield f"left out, as no DICOM picture: {names}{more}"


def unlike(stack: Stack, headers: Sequence[Header]) -> Iterator[str]:
    """What speaks for slices of two scans, or for every second one of a scan, a line each.

    An AcquisitionNumber alone says nothing: a table that goes to and fro gives one to each of its ways.
    """
    step = math.nan if stack.affine is None else float(np.linalg.norm(stack.affine[:3, 2]))
    thickness = max((p.thickness[0] for p in stack.planes if p.thickness), default=0.0)
    if len(stack.planes) > 1 and thickness > 0 and step > _APART * thickness:
        stated = _spacing_between(headers[0])
        if stated is None or abs(abs(stated) - step) > 0.1 * step:
            yield (
                f"slices are {thickness:.4g} mm thick, and {step:.4g} mm apart: every second one may be missing, or"
                " they were taken with gaps"
            )
    by_file = {h.file: h for h in headers}
    screens = [h.file.name for h in headers if _is_screen(h)]
    if 0 < len(screens) < len(headers):
        more = f" and {len(screens) - 1} more" if screens[1:] else ""
        yield (
            f"ImageType of {screens[0]}{more} says SCREEN SAVE, of the"
            " other slices not: a picture of a screen has no measured values"
        )
    for name in _OF_SCANS:
        of_file = {file: h.text(name) for file, h in by_file.items()}
        values = [of_file[p.path] for p in stack.planes]
        kinds = list(dict.fromkeys(v for v in values if v))
        if len(kinds) < 2 or "" in values:  # blanked by some anonymisers in a part of the files
            continue
        changes = [n for n, (a, b) in enumerate(pairwise(values), 2) if a != b]
        what = ", ".join(repr(v) for v in kinds[:_NAMED]) + (" and others" if len(kinds) > _NAMED else "")
        how = f"from slice {changes[0]} on" if len(changes) == 1 else f"{len(changes)} changes along the stack"
        yield f"slices differ in {name} ({what}; {how}): they may be of several scans"


def several(notes: Iterable[str]) -> list[str]:
    """The first few notes of many files, and how many more there are."""
    lines = list(notes)
    return lines if len(lines) <= _NAMED else [*lines[:_NAMED], f"and the same of {len(lines) - _NAMED} more files"]


def _by_numbers(headers: Sequence[Header]) -> Iterator[str]:
    numbers = {_whole(h, "InstanceNumber") for h in headers if h.count("NumberOfFrames", 1) == 1}
    known = sorted(n for n in numbers if n is not None)
    if len(known) < 2 or None in numbers:
        return
    first = min(known[0], 1)  # some count from 0
    if (lost := known[-1] - first + 1 - len(known)) > 0:
        yield (
            f"InstanceNumber runs from {known[0]} to {known[-1]}, and {lost} of the numbers from {first} on are not"
            " here: slices may be missing at the ends"
        )


def _by_acquisition(headers: Sequence[Header]) -> Iterator[str]:
    groups: dict[str, list[Header]] = {}
    for h in headers:
        groups.setdefault(h.text("AcquisitionNumber"), []).append(h)
    for number, group in groups.items():
        stated = max(_whole(h, "ImagesInAcquisition") or 0 for h in group)
        found = sum(h.count("NumberOfFrames", 1) for h in group)
        if found < stated:
            of = f" {number}" if number else ""
            yield (
                f"ImagesInAcquisition promises {stated} images of acquisition{of}, {found} are here: slices may be"
                " missing at the ends"
            )


def _require_parts(source: Path, headers: Sequence[Header]) -> None:
    parts: dict[str, list[Header]] = {}
    for h in headers:
        if uid := h.text("ConcatenationUID"):
            parts.setdefault(uid, []).append(h)
    for group in parts.values():
        stated = group[0].count("InConcatenationTotalNumber", len(group))
        if len(group) < stated:
            raise InputError(
                f"{source}: one image in {stated} files (InConcatenationTotalNumber), {len(group)} of them are here."
                " Copy the series again."
            )


def _is_screen(header: Header) -> bool:
    words = (str(v).upper().replace("_", "").replace(" ", "") for v in many(header.shown("ImageType")))
    return "SCREENSAVE" in words


def _spacing_between(header: Header) -> float | None:
    shared = header.item("SharedFunctionalGroupsSequence")
    measures = None if shared is None else shared.item("PixelMeasuresSequence")
    for fields in (measures, header):
        if fields is not None and (found := fields.numbers("SpacingBetweenSlices", 1)) is not None:
            return found[0]
    return None


def _whole(header: Header, name: str) -> int | None:
    value = header.shown(name)
    return value if isinstance(value, int) else None
