"""The stains of a whole slide, found once in a sample of its tissue, and the slide in the colours of another."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, UsageError
from workbench.core.pyramid import Pyramid
from workbench.core.types import Image
from workbench.slide.data.color import to_srgb
from workbench.slide.data.stain_fit import Method
from workbench.slide.data.stain_profile import (
    ColourChange,
    StainProfile,
    fitted,
    read_stain_profile,
    require_same_stains,
)
from workbench.slide.data.stains import Pixels, degrees, tinted
from workbench.slide.data.stream import TileStream
from workbench.slide.data.tissue import MASK_MPP, find_tissue
from workbench.slide.predict.area import glass_of
from workbench.slide.predict.chosen import low_power_by, share_of
from workbench.slide.predict.mosaic import cell_lattice

if TYPE_CHECKING:
    from workbench.core.provenance import Recorder

MPP = 0.5
"""Micrometres per pixel at which colours are looked at, so that scanners of 20x and 40x are compared at one scale."""
_SIDE, _SQUARES = 256, 48
"""Side of the squares that pixels are taken from, and how many there are, evenly over the tissue."""
_EVERY = 5
"""One of so many of their pixels is taken."""
_FEWEST, _MOST = 256, 1500
"""Pixels along the longer side at which tissue is looked for, where a slide has them: a rough mask will do here."""
_UNKNOWN = 16.0
"""Pixels of level 0 along one in which tissue is looked for, where their size is not known."""
_WHITE = (255.0, 255.0, 255.0)


class Restaining(Protocol):
    """The settings that say in which colours a network sees a slide."""

    @property
    def stain_profile(self) -> str: ...
    @property
    def icc(self) -> bool: ...
    @property
    def reading_threads(self) -> int | None: ...


@dataclass(frozen=True, eq=False)
class Sample:
    """Some of the tissue of a slide.

    Parameters
    ----------
    pixels
        ``(N, 3)`` uint8.
    glass
        (red, green, blue) beside the tissue; white where too little of it is seen.
    notes
        What a person should know.
    """

    pixels: Pixels
    glass: tuple[float, float, float]
    notes: tuple[str, ...] = ()


def sample_of(pyramid: Pyramid, name: object, threads: int | None = None) -> Sample:
    """Pixels from all over the tissue of a slide: the same ones every time, whatever region is asked for.

    Raises
    ------
    InputError
        It is no brightfield slide, or has no tissue.
    """
    own = None if pyramid.mpp is None else math.sqrt(pyramid.mpp[0] * pyramid.mpp[1])
    coarse = _UNKNOWN if own is None else MASK_MPP / own
    side = max(pyramid.levels[0].shape)
    low = low_power_by(pyramid, max(1.0, min(coarse, side / _FEWEST), side / _MOST))
    tissue = find_tissue(low.pixels, None if own is None else own * low.step[0], name=name)
    if not tissue.mask.any():
        raise InputError(f"{name}: too little tissue: none was found, and stains are looked for in it")
    tiles = cell_lattice(pyramid.levels[0].shape, 1.0 if own is None else max(1.0, MPP / own), _SIDE, 0)
    share = share_of(tissue.mask, low.step, tiles)
    full = np.flatnonzero(share >= min(0.5, float(share.max())))
    some = full[np.unique(np.linspace(0, len(full) - 1, _SQUARES).round().astype(int))]
    found = [square.reshape(-1, 3)[::_EVERY] for _, square in TileStream(pyramid, tiles, some.tolist(), threads)]
    pixels = np.concatenate(found) if found else np.zeros((0, 3), np.uint8)
    glass = glass_of(low.pixels, tissue.mask)
    note = tinted(pixels).partition(":")[0] if glass is None else ""
    return Sample(pixels, glass or _WHITE, (note,) if note else ())


def stain_profile(
    image: Image, method: Method = "macenko", *, icc: bool = False
) -> tuple[StainProfile, tuple[str, ...]]:
    """The stain profile of a slide, and what a person should know of it.

    Parameters
    ----------
    method
        How the colours of stains are found: ``"macenko"`` or ``"vahadane"``.
    icc
        Convert colours by the profile of the slide to sRGB first.

    Raises
    ------
    InputError
        It has too little tissue, is grey, or its stains cannot be told apart.
    """
    from workbench.core.provenance import input_hash

    if image.pyramid is None:
        raise InputError(f"{image.source or image.name}: is no slide: it has no levels")
    notes: tuple[str, ...] = ()
    if icc:
        image, said = to_srgb(image)
        notes = (said,)
    assert image.pyramid is not None
    sample = sample_of(image.pyramid, image.source or image.name)
    made = fitted(sample.pixels, sample.glass, method, image.source or image.name)
    name = image.name if image.source is None else Path(image.source).name
    return replace(made, slide=name, sha256=input_hash(image) or "", icc=icc), (*notes, *sample.notes)


@dataclass(frozen=True, eq=False)
class Restained:
    """A slide in the colours of a profile.

    Parameters
    ----------
    pyramid
        Its levels: what is read of them is changed.
    note
        What was done, in a line.
    details
        The same for a provenance.
    """

    pyramid: Pyramid
    note: str
    details: dict[str, Any]


def restained(
    pyramid: Pyramid, reference: StainProfile, name: object, threads: int | None = None, *, icc: bool = False
) -> Restained:
    """Find the stains of a slide once, and bring whatever is read of it to the colours of `reference`.

    Raises
    ------
    InputError
        Its stains cannot be found, or are others than those of the profile.
    UsageError
        The profile was made of converted colours (ICC), and these are not, or the other way round.
    """
    if icc != reference.icc:
        now, then = ("with", "without") if icc else ("without", "with")
        raise UsageError(
            f"the stain profile of {reference.slide} was made {then} --icc, and this runs {now} it: both must be alike"
        )
    sample = sample_of(pyramid, name, threads)
    own = fitted(sample.pixels, sample.glass, reference.method, name)
    require_same_stains(own, reference, name)
    change = ColourChange(own, reference)
    return Restained(
        replace(pyramid, reader=_changed(pyramid.reader, change)),
        "; ".join((_note(own, reference), *sample.notes)),
        {"profile": reference.described(), "found": own.to_json()},
    )


def in_profile(image: Image, config: Restaining, recorder: Recorder) -> tuple[Image, dict[str, Any]]:
    """The slide as a network is to see it, in the colours of a profile if the settings name one; the record says so.

    Returns
    -------
    image, made_of
        The slide, and what beside the settings decides how it is seen: pieces of a run that had other colours are
        none of this one.

    Raises
    ------
    InputError, UsageError
        See `read_stain_profile` and `restained`.
    """
    if not config.stain_profile:
        return image, {}
    assert image.pyramid is not None
    reference = read_stain_profile(Path(config.stain_profile))
    name = image.source or image.name
    made = restained(image.pyramid, reference, name, config.reading_threads, icc=config.icc)
    recorder.note(made.note)
    recorder.details["stain_profile"] = made.details
    return replace(image, pyramid=made.pyramid, loader=made.pyramid.whole), {"stain_profile": made.details}


def _changed(plain: Callable[..., npt.NDArray[Any]], change: ColourChange) -> Callable[..., npt.NDArray[Any]]:
    def read(level: int, row: int, column: int, height: int, width: int) -> npt.NDArray[Any]:
        return change(plain(level, row, column, height, width))

    return read


def _note(own: StainProfile, reference: StainProfile) -> str:
    parts = []
    for k, name in enumerate(own.stains.names):
        turned = degrees(own.stains.vectors[k], reference.stains.vectors[k])
        parts.append(f"{name} turned by {turned:.0f} degrees, {reference.strongest[k] / own.strongest[k]:.2f} times")
    return (
        f"colours were brought to the stain profile of {reference.slide or 'a slide'} ({reference.method}, "
        f"{reference.digest[:12]}): {'; '.join(parts)}"
    )
