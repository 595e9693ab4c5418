"""Series that hold several volumes (echoes, times, acquisitions): taken apart by the attribute in which they differ.

The slices of one volume lie in different places. Where a place occurs several times, some attribute tells the volumes
apart; which one is found by trying, so that a person can be told its name and choose by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TypeAlias

from workbench.core.errors import InputError
from workbench.volume.data.dicom_fields import Fields, many
from workbench.volume.data.dicom_header import Header

# In the order in which they are tried: what makes a volume another one comes before when it was made.
_OF_FILES = (
    "EchoTime", "EchoNumbers", "TemporalPositionIdentifier", "AcquisitionNumber", "DiffusionBValue",
    "DiffusionGradientOrientation", "InversionTime", "FlipAngle", "NominalPercentageOfCardiacPhase", "TriggerTime",
    "FrameReferenceTime", "ImageType", "KVP", "ConvolutionKernel", "StackID", "AcquisitionTime", "ContentTime",
)  # fmt: skip
_OF_FRAMES = (
    ("MREchoSequence", "EffectiveEchoTime"),
    ("FrameContentSequence", "TemporalPositionIndex"),
    ("FrameContentSequence", "FrameAcquisitionNumber"),
    ("FrameContentSequence", "StackID"),
    ("TemporalPositionSequence", "TemporalPositionTimeOffset"),
    ("MRDiffusionSequence", "DiffusionBValue"),
    ("MRModifierSequence", "InversionTimes"),
    ("MRTimingAndRelatedParametersSequence", "FlipAngle"),
    ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase"),
    ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    ("MRImageFrameTypeSequence", "FrameType"),
    ("MRImageFrameTypeSequence", "ComplexImageComponent"),
    ("CTImageFrameTypeSequence", "FrameType"),
    ("CTXRayDetailsSequence", "KVP"),
    ("CTReconstructionSequence", "ConvolutionKernel"),
    ("FrameContentSequence", "FrameAcquisitionDateTime"),
    ("FrameContentSequence", "FrameReferenceDateTime"),
)  # fmt: skip
_MOST_NAMES = 3

Spot: TypeAlias = tuple[Path, int | None]
"""One picture: a file and, of a multi-frame file, the number of the frame."""


@dataclass(frozen=True)
class Part:
    """One volume of a series.

    Attributes
    ----------
    name
        How it is chosen: ``EchoTime:2.4``.
    tags
        Names of the attributes that tell the volumes apart.
    spots
        Its pictures.
    """

    name: str
    tags: tuple[str, ...]
    spots: frozenset[Spot]


@dataclass(frozen=True)
class _Picture:
    spot: Spot
    place: tuple[float, ...]
    header: Header
    groups: tuple[Fields, ...]
    values: dict[str, str]


def parts(headers: Iterable[Header]) -> list[Part]:
    """The volumes of a series by the attribute in which they differ; none where it is one volume, or nothing tells.

    Headers that cannot be read are left for whoever opens the series to refuse.
    """
    try:
        pictures = list(_pictures(headers))
        most = max(Counter(p.place for p in pictures).values(), default=0)
        if most < 2:
            return []
        pictures = [replace(p, values=dict(_values(p))) for p in pictures]
    except InputError:
        return []
    names = [n for n in dict.fromkeys(n for p in pictures for n in p.values) if _differs(pictures, n)]
    tried = [c for r in range(1, _MOST_NAMES + 1) for c in combinations(names, r)]
    # As many volumes as a place has pictures, where that can be; else volumes that only overlap in part.
    for limit in (most, len(pictures) // 2):
        for chosen in tried:
            groups = _groups(pictures, chosen)
            if len(groups) <= limit and all(_is_single(g) for g in groups.values()):
                return [_part(chosen, values, group) for values, group in _in_order(groups)]
    return []


def _pictures(headers: Iterable[Header]) -> Iterator[_Picture]:
    for header in headers:
        shared = header.item("SharedFunctionalGroupsSequence")
        per_frame = header.items("PerFrameFunctionalGroupsSequence")
        for number in range(len(per_frame) or 1):
            groups = tuple(g for g in ((per_frame[number] if per_frame else None), shared) if g is not None)
            place = [
                *_numbers(header, groups, "PlanePositionSequence", "ImagePositionPatient", 3),
                *_numbers(header, groups, "PlaneOrientationSequence", "ImageOrientationPatient", 6),
            ]
            spot = header.file, number if per_frame else None
            yield _Picture(spot, tuple(round(v, 3) for v in place), header, groups, {})


def _numbers(header: Header, groups: Sequence[Fields], sequence: str, name: str, count: int) -> tuple[float, ...]:
    for group in groups:
        item = group.item(sequence)
        if item is not None and (found := item.numbers(name, count)) is not None:
            return found
    return header.numbers(name, count) or ()


def _values(picture: _Picture) -> Iterator[tuple[str, str]]:
    """Attributes of a picture that may tell its volume from others."""
    if picture.spot[1] is not None:
        for sequence, name in _OF_FRAMES:
            items = (item for group in picture.groups if (item := group.item(sequence)) is not None)
            if (found := next((v for item in items if (v := _spelled(item, name))), "")) and found:
                yield name, found
    for name in _OF_FILES:
        if found := _spelled(picture.header, name):
            yield name, found


def _spelled(fields: Fields, name: str) -> str:
    value = fields.shown(name)
    if value is None:
        return ""
    words = [f"{v:g}" if isinstance(v, float) else str(v).strip() for v in many(value)]
    return "/".join(words).replace(",", ";").replace("=", "-")


def _differs(pictures: Sequence[_Picture], name: str) -> bool:
    return len({p.values.get(name) for p in pictures}) > 1


def _groups(pictures: Sequence[_Picture], names: tuple[str, ...]) -> dict[tuple[str, ...], list[_Picture]]:
    found: dict[tuple[str, ...], list[_Picture]] = {}
    for p in pictures:
        found.setdefault(tuple(p.values.get(n, "none") for n in names), []).append(p)
    return found


def _is_single(group: Sequence[_Picture]) -> bool:
    return len({p.place for p in group}) == len(group)


def _in_order(groups: dict[tuple[str, ...], list[_Picture]]) -> list[tuple[tuple[str, ...], list[_Picture]]]:
    def key(values: tuple[str, ...]) -> list[tuple[float, str]]:
        return [(_number(v), v) for v in values]

    return sorted(groups.items(), key=lambda item: key(item[0]))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("inf")


def _part(names: tuple[str, ...], values: tuple[str, ...], group: Sequence[_Picture]) -> Part:
    name = "+".join(f"{n}:{v}" for n, v in zip(names, values, strict=True))
    return Part(name, names, frozenset(p.spot for p in group))
