"""What every search for nuclei begins with: the scale, the tiles, where to look, and which tiles that is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from workbench.core.errors import UsageError
from workbench.core.types import Image
from workbench.slide.data.resample import ratio, upsampling_note
from workbench.slide.data.tiles import Lattice
from workbench.slide.predict.area import Area, WithCores, find_area
from workbench.slide.predict.chosen import share_of
from workbench.slide.predict.mosaic import cell_lattice


class Looking(WithCores, Protocol):
    """The settings that say where nuclei are looked for, and in how many tiles at most."""

    @property
    def allow_upsample(self) -> bool: ...
    @property
    def most_tiles(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Plan:
    """Where nuclei are looked for.

    Parameters
    ----------
    tiles
        Over the whole slide, whose cores lie side by side.
    area
        Where to look.
    chosen
        Numbers of the tiles whose cores reach into it.
    notes
        What a person should know.
    """

    tiles: Lattice
    area: Area
    chosen: npt.NDArray[np.int64]
    notes: tuple[str, ...]


def planned(slide: Image, config: Looking, target: float, size: int, margin: int, name: Any) -> Plan:
    """Plan a search.

    Parameters
    ----------
    target
        Micrometres per pixel of the tiles.
    size, margin
        Side of a tile, and what of it lies around its core on each side, in its pixels.

    Raises
    ------
    InputError
        The slide does not say how large its pixels are, or it is no brightfield slide.
    UsageError
        It is too coarse, there are too many tiles, or a setting is wrong.
    """
    assert slide.pyramid is not None
    factor = ratio(slide.pyramid, target, allow_upsample=config.allow_upsample, name=name)
    tiles = cell_lattice(slide.pyramid.levels[0].shape, factor, size, margin)
    area = find_area(slide, config, name)
    chosen = np.flatnonzero(share_of(area.with_edge(), area.step, cores_of(tiles)) > 0)
    if len(chosen) > config.most_tiles:
        raise UsageError(
            f"{name}: {len(chosen):,} tiles, more than {config.most_tiles:,}: is the scale right? Raise --most-tiles "
            "if it is."
        )
    nothing = "" if len(chosen) else "there is no tissue: no nuclei were looked for"
    notes = (upsampling_note(slide.pyramid, target), *area.notes, nothing)
    return Plan(tiles, area, chosen, tuple(note for note in notes if note))


def cores_of(tiles: Lattice) -> Lattice:
    """The cores of the tiles as a lattice of their own."""
    margin = (tiles.size - tiles.stride) / 2 * tiles.factor
    corner = tiles.corner[0] + margin, tiles.corner[1] + margin
    return replace(tiles, corner=corner, size=tiles.stride)


def on_slide(slide: Image, tiles: Lattice, number: int) -> tuple[slice, slice]:
    """The rows and columns of a tile that lie on the slide."""
    assert slide.pyramid is not None
    row, column = divmod(number, tiles.count[1])
    found = []
    for which, corner, length in zip((row, column), tiles.corner[::-1], slide.pyramid.levels[0].shape, strict=True):
        first = corner / tiles.factor + which * tiles.stride
        last = length / tiles.factor - first
        found.append(slice(max(0, math.ceil(-first - 1e-6)), max(1, min(tiles.size, math.floor(last + 1e-6)))))
    return found[0], found[1]


def core_on_slide(slide: Image, tiles: Lattice, number: int) -> tuple[slice, slice]:
    """The same of its core, in pixels of the core."""
    margin = (tiles.size - tiles.stride) // 2
    rows, columns = (
        slice(max(0, s.start - margin), max(0, min(tiles.stride, s.stop - margin)))
        for s in on_slide(slide, tiles, number)
    )
    return rows, columns
