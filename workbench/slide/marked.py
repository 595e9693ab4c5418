"""Which tiles a person marked: those in outlines, painted areas or at points that have a class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
Bits = npt.NDArray[np.bool_]
_IGNORED = "*"
"""Classes whose name ends so are no classes: QuPath writes ``Ignore*``, ``Region*``."""
_POINTS = 12
"""Along each side of a tile, so many places are looked at."""
PLACES = _POINTS**2


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

    Outlines of a class mark the tiles of which they cover at least a share of `least` together, what two of them cover
    once; those that share a tile are one region. A point marks the tile whose middle is nearest among those that hold
    it. A tile that is marked as two classes is left out, and a note says so.

    Parameters
    ----------
    corners
        ``(N, 2)``, (x, y) of the upper left corner of each tile in pixels of level 0.
    side
        Of a tile, in pixels of level 0.
    """
    import shapely

    named = [a for a in annotations if a.class_name and not a.class_name.endswith(_IGNORED)]
    classes = replace(annotations, items=tuple(named)).classes
    own = {c.name: c.value for c in classes}
    votes = _Votes(len(corners), len(classes))
    notes = [*annotations.notes, *alike(classes.names)]
    ignored = sum(a.class_name.endswith(_IGNORED) for a in annotations)
    unnamed, lines = len(annotations) - len(named) - ignored, 0
    touched: list[tuple[int, Integers]] = []
    for number, item in enumerate(named):
        shape = valid_shape(item.shape, f"annotation {number + 1}")
        value = own[item.class_name]
        if shape.kind == "lines":
            lines += 1
        elif shape.kind == "points":
            tiles = _tiles_at(corners, side, np.concatenate(list(shape.rings())))
            votes.point(tiles, value, number)
            touched.append((value, tiles))
        else:
            area = area_of(shape.parts)
            left, top, right, bottom = area.bounds
            low, high = np.array([left, top]), np.array([right, bottom])
            near = np.flatnonzero(((corners + side > low) & (corners < high)).all(1))
            shapely.prepare(area)
            votes.area(near, covered_places(corners[near], side, partial(shapely.contains_xy, area)), value, number)
            touched.append((value, near))
    found = votes.decided(least, classes, notes)
    nothing = sum(not (found.values[tiles] == value).any() for value, tiles in touched)
    for count, what in (
        (unnamed, "without a class"), (ignored, f"of a class to be ignored (its name ends with {_IGNORED})"),
        (lines, "that are lines"), (nothing, f"on no tile that is marked so (to {100 * least:.0f} %)"),
    ):  # fmt: skip
        if count:
            notes.append(f"{count} annotation(s) {what} mark nothing")
    empty = [c.name for c in classes if not (found.values == c.value).any()]
    if empty:
        notes.append(f"no tile is marked as {', '.join(empty)}: is it too small, or in the frame of another file?")
    return replace(found, notes=tuple(notes))


def alike(names: Sequence[str]) -> list[str]:
    """A line for names that differ by case or spaces only: they count as several, and are hardly meant so."""
    by_key: dict[str, list[str]] = {}
    for name in names:
        by_key.setdefault(" ".join(name.split()).casefold(), []).append(name)
    return [
        f"{', '.join(map(repr, own))} differ by case or spaces only, and count as {len(own)}"
        for own in by_key.values() if len(own) > 1
    ]  # fmt: skip


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
            inside = covered_places(corners[near], side, partial(_on_patch, patches, corner, step, one))
            votes.area(near, inside, value, first + one - 1)
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
    """What speaks for each class at each tile: the places in it that outlines of the class cover, together."""

    def __init__(self, tiles: int, classes: int) -> None:
        self.covered: dict[int, dict[int, Bits]] = {value: {} for value in range(1, classes + 1)}
        self.best = np.zeros((tiles, classes + 1))
        self.region = np.full((tiles, classes + 1), -1, np.int64)
        self.joined: dict[int, int] = {}

    def area(self, near: Integers, covered: Bits, value: int, region: int) -> None:
        """An outline; what several of one class cover counts once, and those that share a tile are one region."""
        own = self.covered[value]
        share = covered.mean(1) if len(near) else np.zeros(0)
        for i in np.flatnonzero(share > 0).tolist():
            tile = int(near[i])
            own[tile] = own[tile] | covered[i] if tile in own else covered[i]
            self._vote(tile, value, region, float(share[i]))

    def point(self, tiles: Integers, value: int, region: int) -> None:
        """Points: their tiles are of the class as a whole."""
        for tile in tiles.tolist():
            self.covered[value][tile] = np.ones(PLACES, bool)
            self._vote(tile, value, region, 1.0)

    def _vote(self, tile: int, value: int, region: int, share: float) -> None:
        before = int(self.region[tile, value])
        if before >= 0:
            self.joined[max(self.root(before), self.root(region))] = min(self.root(before), self.root(region))
        if share > self.best[tile, value]:
            self.best[tile, value] = share
            self.region[tile, value] = region

    def root(self, region: int) -> int:
        """The region that one is a part of."""
        while self.joined.get(region, region) != region:
            region = self.joined[region]
        return region

    def decided(self, least: float, classes: ClassTable, notes: list[str]) -> Marked:
        """The class of each tile."""
        said = np.zeros(self.region.shape, bool)
        for value, own in self.covered.items():
            for tile, covered in own.items():
                said[tile, value] = covered.mean() >= least
        both = said.sum(1) > 1
        if both.any():
            notes.append(f"{int(both.sum())} tile(s) are marked as two classes and teach nothing")
        said[both] = False
        values = np.where(said.any(1), said.argmax(1), 0).astype(np.int64)
        regions = [self.root(int(self.region[i, v])) if v else -1 for i, v in enumerate(values.tolist())]
        return Marked(values, np.array(regions, np.int64), classes, tuple(notes))


def covered_places(corners: Floats, side: float, inside: Callable[[Floats, Floats], Bits]) -> Bits:
    """Which of 12 x 12 places of each tile ``(N, 144)`` lie within something, asked of x and y."""
    inner = (np.arange(_POINTS) + 0.5) / _POINTS * side
    x, y = np.meshgrid(inner, inner)
    found = np.zeros((len(corners), PLACES), bool)
    for start in range(0, len(corners), 4096):
        some = corners[start : start + 4096]
        found[start : start + 4096] = inside(some[:, :1] + x.reshape(1, -1), some[:, 1:] + y.reshape(1, -1))
    return found


def _tiles_at(corners: Floats, side: float, points: Floats) -> Integers:
    """The tile of each point that lies in one: that whose middle is nearest."""
    found = []
    for point in points:
        away = np.abs(corners + side / 2 - point).max(1) if len(corners) else np.zeros(0)
        if away.size and away.min() <= side / 2:
            found.append(int(away.argmin()))
    return np.unique(np.array(found, np.int64))
