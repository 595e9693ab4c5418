"""Training and test pixels of a scene that share no patch: whole blocks first, then fields cut in two, else left out.

Blocks suit scenes whose classes lie in many places. A benchmark has classes of one field (the oats of Indian Pines): no
layout of blocks has them on both sides. Such a field is cut in two with a guard between the halves; a class for which
that is not possible either is left out, and the caller says its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_cdt

Index = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

FEWEST = 3  # training pixels of a class below which nothing can be held out; test pixels below which nothing is told
_LAYOUTS = 60  # block layouts tried; each costs one distance transform
_CUTS = 9  # places at which a field is cut, per direction
_TRIES = 3  # times that all fields are cut, each time at other places
_ENOUGH = 0.2  # share of a class that is a good test


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is asked of a split.

    Parameters
    ----------
    labels
        (rows, columns) label map, 0 is unlabelled.
    count
        Training pixels per class: class value -> number, validation included.
    guard
        Smallest distance of test and training pixels (the larger of rows and columns).
    """

    labels: npt.NDArray[np.integer]
    count: Mapping[int, int]
    guard: int

    @property
    def values(self) -> list[int]:
        return list(self.count)

    def sizes(self) -> dict[int, int]:
        return {v: int((self.labels == v).sum()) for v in self.values}

    def far(self, taken: Index) -> Mask:
        """Pixels at least the guard away from all that are taken."""
        if not taken.size:
            return np.ones(self.labels.shape, bool)
        near = np.ones(self.labels.shape, np.int32)
        near.flat[taken] = 0
        found: Mask = distance_transform_cdt(near, "chessboard") >= self.guard
        return found


@dataclass(frozen=True, eq=False)
class Apart:
    """A split.

    Parameters
    ----------
    picked
        Class value -> flat indices of its training pixels.
    test
        Flat indices of test pixels.
    halved, lost
        Classes whose fields were cut in two, and those that no way keeps apart.
    """

    picked: dict[int, Index]
    test: Index
    halved: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()


def apart(wanted: Wanted, side: int, rng: np.random.Generator) -> Apart:
    """Training pixels in blocks of `side` pixels, test pixels a guard away from all of them.

    Of several random layouts, the one that leaves the scarcest class best represented on both sides is taken. Where in
    none of them every class is on both sides, fields are cut in two: those of the classes that the best layout does not
    serve, or those of all, whichever serves more.
    """
    sizes = wanted.sizes()
    best: tuple[float, dict[int, Index], Mask] | None = None
    served: tuple[tuple[int, float], dict[int, Index]] | None = None
    for _ in range(_LAYOUTS):
        where = _blocks(wanted.labels.shape, side, rng)
        picked = _pick(wanted, where, rng)
        taken = np.concatenate(list(picked.values()))
        if not taken.size:
            continue
        far = wanted.far(taken)
        free = far & ~where & (wanted.labels > 0)
        worth = [_worth(wanted, v, sizes[v], picked[v].size, free) for v in wanted.values]
        if best is None or min(worth) > best[0]:
            best = min(worth), picked, free
        if min(worth) >= 1:
            break
        score = _score(wanted, picked, far)
        if served is None or score > served[0]:
            served = score, picked
    if best is not None and best[0] > 0:
        return Apart(best[1], np.flatnonzero(best[2]))
    none = {v: np.array([], np.intp) for v in wanted.values}
    starts = [none if served is None else served[1], *[none] * _TRIES]
    return max((_with_halves(wanted, start, rng) for start in starts), key=lambda a: (-len(a.lost), a.test.size))


def _pick(wanted: Wanted, where: Mask, rng: np.random.Generator) -> dict[int, Index]:
    found = {}
    for value, count in wanted.count.items():
        pixels = np.flatnonzero((wanted.labels == value) & where)
        found[value] = rng.permutation(pixels)[:count]
    return found


def _worth(wanted: Wanted, value: int, size: int, taken: int, free: Mask) -> float:
    """How well a class is served, 0 to 1: by its training pixels, and by what is left of it to test on."""
    tested = int((free & (wanted.labels == value)).sum())
    return min(taken / wanted.count[value], 1.0, tested / size / _ENOUGH)


def _served(wanted: Wanted, picked: Mapping[int, Index], far: Mask) -> list[int]:
    """Classes with enough pixels on both sides."""
    fewest = {v: min(FEWEST, wanted.count[v]) for v in wanted.values}
    return [
        v for v in wanted.values if picked[v].size >= fewest[v] and int((far & (wanted.labels == v)).sum()) >= fewest[v]
    ]


def _score(wanted: Wanted, picked: Mapping[int, Index], far: Mask) -> tuple[int, float]:
    """How many classes are served, then how much is left to test on."""
    return len(_served(wanted, picked, far)), float((far & (wanted.labels > 0)).mean())


@dataclass
class _State:
    picked: dict[int, Index]
    halved: list[int] = field(default_factory=list)

    def taken(self) -> Index:
        return np.concatenate(list(self.picked.values()))


def _with_halves(wanted: Wanted, picked: dict[int, Index], rng: np.random.Generator) -> Apart:
    """Cut the fields of classes that blocks do not serve, small ones first; what then is not served is left out."""
    state = _State(dict(picked))
    sizes = wanted.sizes()
    served = _served(wanted, state.picked, wanted.far(state.taken()))
    for value in wanted.values:  # else their pixels would keep others from being tested
        if value not in served:
            state.picked[value] = np.array([], np.intp)
    for value in sorted(set(wanted.values) - set(served), key=lambda v: sizes[v]):
        kept = set(_served(wanted, state.picked, wanted.far(state.taken())))
        best: tuple[float, Index] | None = None
        for half in _halves(wanted, value, rng):
            tried = state.picked | {value: half}
            far = wanted.far(np.concatenate(list(tried.values())))
            now = set(_served(wanted, tried, far))
            if not kept <= now or value not in now:
                continue
            worth = _worth(wanted, value, sizes[value], half.size, far)
            if best is None or worth > best[0]:
                best = worth, half
        if best is not None:
            state.picked[value] = best[1]
            state.halved.append(value)
    far = wanted.far(state.taken())
    served = _served(wanted, state.picked, far)
    lost = tuple(v for v in wanted.values if v not in served)
    known = np.isin(wanted.labels, served)
    return Apart({v: state.picked[v] for v in served}, np.flatnonzero(far & known), tuple(state.halved), lost)


def _halves(wanted: Wanted, value: int, rng: np.random.Generator) -> Iterator[Index]:
    """Training pixels of a class on one side of cuts along rows and columns, drawn from those furthest from the cut."""
    pixels = np.flatnonzero(wanted.labels == value)
    count = wanted.count[value]
    rows, columns = np.divmod(pixels, wanted.labels.shape[1])
    for along in (rows, columns):
        for sign in (1, -1):
            place = sign * along
            low, high = int(place.min()), int(place.max()) - wanted.guard
            for edge in np.unique(rng.integers(low, high, size=_CUTS, endpoint=True)) if low <= high else ():
                half = pixels[place <= edge]
                if half.size >= min(FEWEST, count):
                    order = np.argsort(place[place <= edge], kind="stable")
                    yield rng.permutation(half[order][: 2 * count])[:count]


def _blocks(shape: tuple[int, ...], side: int, rng: np.random.Generator) -> Mask:
    """True where training pixels may be drawn: about half of the blocks of a grid with a random origin."""
    rows, columns = shape
    dr, dc = rng.integers(side, size=2)
    r, c = (np.arange(rows) + dr) // side, (np.arange(columns) + dc) // side
    given = rng.random((r[-1] + 1, c[-1] + 1)) < 0.5
    return np.asarray(given[np.ix_(r, c)])
