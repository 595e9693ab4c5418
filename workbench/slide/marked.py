"""Which tiles a person marked: those in outlines, painted areas or at points that have a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.types import Labels
from workbench.data.outlines import area_of
from workbench.slide.annotations.types import Annotations
from workbench.slide.annotations.write import valid_shape

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
_POINTS = 12
"""Along each side of a tile, so many places are looked at."""


@dataclass(frozen=True, eq=False)
class Marked:
    """What was marked on the tiles of a slide.

    Parameters
    ----------
    values
        ``(N,)`` class of each tile, its place in `classes` from 1 on; 0 where nobody said anything.
    regions
        ``(N,)`` number of the outline, painted patch or point that says so, from 0 on; -1 without.
    classes
        Numbered from 1 on.
    notes
        What was left out.
    """

    values: Integers
    regions: Integers
    classes: ClassTable
    notes: tuple[str, ...] = ()

    def in_classes(self, classes: ClassTable) -> Integers:
        """The values by another table that has all of these classes."""
        place = np.zeros(len(self.classes) + 1, np.int64)
        by_name = {c.name: c.value for c in classes}
        for own in self.classes:
            place[own.value] = by_name[own.name]
        found: Integers = place[self.values]
        return found


def marked_by(corners: Floats, side: float, annotations: Annotations, least: float = 0.5) -> Marked:
    """Tiles that annotations with a class mark.

    An outline marks the tiles of which it covers at least a share of `least`; a point the tile whose middle is nearest
    among those that hold it. A tile that is marked as two classes is left out, and a note says so.

    Parameters
    ----------
    corners
        ``(N, 2)``, (x, y) of the upper left corner of each tile in pixels of level 0.
    side
        Of a tile, in pixels of level 0.
    """
    import shapely

    named = [a for a in annotations if a.class_name]
    classes = annotations.classes
    own = {c.name: c.value for c in classes}
    votes = _Votes(len(corners), len(classes))
    notes = list(annotations.notes)
    unnamed, lines, nothing = len(annotations) - len(named), 0, 0
    for number, item in enumerate(named):
        shape = valid_shape(item.shape, f"annotation {number + 1}")
        if shape.kind == "lines":
            lines += 1
            continue
        if shape.kind == "points":
            points = np.concatenate(list(shape.rings()))
            tiles = _tiles_at(corners, side, points)
            nothing += int(not len(tiles))
            votes.point(tiles, own[item.class_name], number)
            continue
        area = area_of(shape.parts)
        left, top, right, bottom = area.bounds
        low, high = np.array([left, top]), np.array([right, bottom])
        near = np.flatnonzero(((corners + side > low) & (corners < high)).all(1))
        shapely.prepare(area)
        share = _shares(corners[near], side, partial(shapely.contains_xy, area))
        votes.area(near, share, own[item.class_name], number)
        nothing += int(not (share >= least).any())
    for count, what in (
        (unnamed, "without a class"), (lines, "that are lines"),
        (nothing, f"in which no tile lies (to {100 * least:.0f} %)"),
    ):  # fmt: skip
        if count:
            notes.append(f"{count} annotation(s) {what} mark nothing")
    return votes.decided(least, classes, notes)


def marked_on(corners: Floats, side: float, labels: Labels, grid: tuple[Floats, Floats], least: float = 0.5) -> Marked:
    """Tiles of which painted labels cover at least a share; each patch of a class is a region of its own.

    Parameters
    ----------
    grid
        (x, y) of the corner of the first pixel of the labels, and how large one is, in pixels of level 0.
    """
    from scipy import ndimage

    corner, step = (np.asarray(v, np.float64) for v in grid)
    data = np.asarray(labels.data)
    kinds = [c for c in labels.classes if (data == c.value).any()]
    classes = ClassTable(tuple(replace(c, value=i) for i, c in enumerate(kinds, 1)))
    votes, first = _Votes(len(corners), len(classes)), 0
    for value, kind in enumerate(kinds, 1):
        patches, count = ndimage.label(data == kind.value, structure=np.ones((3, 3)))
        for one, box in enumerate(ndimage.find_objects(patches), 1):
            low = corner + step * np.array([box[1].start, box[0].start])
            high = corner + step * np.array([box[1].stop, box[0].stop])
            near = np.flatnonzero(((corners + side > low) & (corners < high)).all(1))
            share = _shares(corners[near], side, partial(_on_patch, patches, corner, step, one))
            votes.area(near, share, value, first + one - 1)
        first += count
    return votes.decided(least, classes, list(labels.notes))


def _on_patch(
    patches: npt.NDArray[np.int32], corner: Floats, step: Floats, one: int, x: Floats, y: Floats
) -> npt.NDArray[np.bool_]:
    """Which places lie on a patch."""
    column, row = (np.floor((v - c) / s).astype(np.int64) for v, c, s in zip((x, y), corner, step, strict=True))
    good = (row >= 0) & (column >= 0) & (row < patches.shape[0]) & (column < patches.shape[1])
    found: npt.NDArray[np.bool_] = np.zeros(x.shape, bool)
    found[good] = patches[row[good], column[good]] == one
    return found


def joined(one: Marked, other: Marked) -> Marked:
    """What both say of the same tiles; where they say two things of one, neither counts, and a note says so."""
    names = list(dict.fromkeys((*one.classes.names, *other.classes.names)))
    colors = {c.name: c.color for c in (*other.classes, *one.classes)}
    classes = ClassTable(tuple(replace(c, color=colors[c.name]) for c in ClassTable.from_names(names)))
    a, b = one.in_classes(classes), other.in_classes(classes)
    both = (a > 0) & (b > 0) & (a != b)
    values = np.where(both, 0, np.where(a > 0, a, b))
    shifted = np.where(other.regions >= 0, other.regions + int(one.regions.max(initial=-1)) + 1, -1)
    regions = np.where(values > 0, np.where(a > 0, one.regions, shifted), -1)
    more = [f"{int(both.sum())} tile(s) are marked as two classes and teach nothing"] if both.any() else []
    return Marked(values, regions, classes, (*one.notes, *other.notes, *more))


class _Votes:
    """What speaks for each class at each tile."""

    def __init__(self, tiles: int, classes: int) -> None:
        self.share = np.zeros((tiles, classes + 1))
        self.best = np.zeros((tiles, classes + 1))
        self.region = np.full((tiles, classes + 1), -1, np.int64)

    def area(self, near: Integers, share: Floats, value: int, region: int) -> None:
        """An outline; several of one class add up, and the one that covers most is the region."""
        self.share[near, value] += share
        better = share > self.best[near, value]
        self.best[near[better], value] = share[better]
        self.region[near[better], value] = region

    def point(self, tiles: Integers, value: int, region: int) -> None:
        """Points: their tiles are of the class as a whole."""
        self.share[tiles, value] = 1.0
        self.best[tiles, value] = 1.0
        self.region[tiles, value] = region

    def decided(self, least: float, classes: ClassTable, notes: list[str]) -> Marked:
        """The class of each tile."""
        said = self.share >= least
        both = said.sum(1) > 1
        if both.any():
            notes.append(f"{int(both.sum())} tile(s) are marked as two classes and teach nothing")
        said[both] = False
        values = np.where(said.any(1), said.argmax(1), 0).astype(np.int64)
        regions = np.where(values > 0, self.region[np.arange(len(values)), values], -1)
        return Marked(values, regions.astype(np.int64), classes, tuple(notes))


def _shares(corners: Floats, side: float, inside: Callable[[Floats, Floats], npt.NDArray[np.bool_]]) -> Floats:
    """The share of each tile that lies within something."""
    inner = (np.arange(_POINTS) + 0.5) / _POINTS * side
    x, y = np.meshgrid(inner, inner)
    found = np.zeros(len(corners))
    for start in range(0, len(corners), 4096):
        some = corners[start : start + 4096]
        found[start : start + 4096] = inside(some[:, :1] + x.reshape(1, -1), some[:, 1:] + y.reshape(1, -1)).mean(1)
    return found


def _tiles_at(corners: Floats, side: float, points: Floats) -> Integers:
    """The tile of each point that lies in one: that whose middle is nearest."""
    found = []
    for point in points:
        away = np.abs(corners + side / 2 - point).max(1) if len(corners) else np.zeros(0)
        if away.size and away.min() <= side / 2:
            found.append(int(away.argmin()))
    return np.unique(np.array(found, np.int64))
