"""Whether a series is all here, by what it says of itself: a lost end slice leaves a regular, shorter volume."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from workbench.core.errors import InputError
from workbench.volume.data.dicom_header import Header

_NAMED = 3


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


def _whole(header: Header, name: str) -> int | None:
    value = header.shown(name)
    return value if isinstance(value, int) else None
