"""The levels of a slide for a viewer: read where they are looked at, kept within a limit of memory.

A viewer that asks for a whole fine level (napari lets people lock one) would take gigabytes and stand still for half a
minute: such a request is refused with one line. Slides with one level alone get coarser ones, made when looked at.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, UsageError
from workbench.core.pyramid import Pyramid
from workbench.core.types import Image
from workbench.slide.data.array_like import ArrayLike

MOST_PIXELS = 64_000_000
"""Of one request: eight times what the largest screens show."""
CACHE_BYTES = 256 << 20
TILE = 512
"""Side of what is read and kept at once, in pixels of a level."""
_COARSEST = 1024
_FACTOR = 2
_WIDE = 3.0
"""Two levels further apart than this get one between them."""
_READERS = 2
"""Threads that read in the background: a viewer needs one for itself."""
_TOLD_SECONDS = 0.3
_GLASS = 235
"""Grey of what is still to come, where there is nothing coarser to stand in for it."""

Pixels = npt.NDArray[np.uint8]


class TileCache:
    """Tiles that were read last, up to a number of bytes; shared by the levels of a slide.

    Attributes
    ----------
    later
        If set, nobody waits for tiles: those that are not there are read in the background, coarser ones stand in for
        them meanwhile, and this is called (in another thread) when they have come.
    refused
        If set, it is called with a line where more than `MOST_PIXELS` are asked for, and one grey pixel is given: a
        viewer must not fall over that.
    """

    def __init__(self, most: int = CACHE_BYTES) -> None:
        self.most, self.size = most, 0
        self.later: Callable[[], None] | None = None
        self.refused: Callable[[str], None] | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._wanted: dict[Any, Callable[[], Pixels]] = {}
        self._reading: set[Any] = set()
        self._told = 0.0
        self._lock = threading.Lock()
        self._kept: OrderedDict[Any, Pixels] = OrderedDict()

    def get(self, key: Any, make: Callable[[], Pixels]) -> Pixels:
        """The tile of that key; made where it is not there any more."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self.size += made.nbytes
            while self.size > self.most and len(self._kept) > 1:
                _, old = self._kept.popitem(last=False)
                self.size -= old.nbytes
        return made

    def find(self, key: Any) -> Pixels | None:
        """The tile of that key if it is there."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def want(self, tiles: dict[Any, Callable[[], Pixels]]) -> None:
        """Read these in the background, and forget what was wanted before and is not being read yet."""
        with self._lock:
            self._wanted = {k: make for k, make in tiles.items() if k not in self._reading and k not in self._kept}
            if self._wanted and self._pool is None:
                self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="workbench-view")
            pool, count = self._pool, len(self._wanted)
        for _ in range(count):
            assert pool is not None
            pool.submit(self._read_one)

    @property
    def is_reading(self) -> bool:
        """Whether tiles are still to come."""
        with self._lock:
            return bool(self._wanted or self._reading)

    def _read_one(self) -> None:
        with self._lock:
            if not self._wanted:
                return
            key = next(iter(self._wanted))
            make = self._wanted.pop(key)
            self._reading.add(key)
        try:
            self.get(key, make)
        finally:
            with self._lock:
                self._reading.discard(key)
                count = len(self._wanted) + len(self._reading)
        with self._lock:
            now = time.monotonic()
            # Now and then, and at the end: each time the viewer puts together and draws what has come.
            due = count == 0 or now - self._told > _TOLD_SECONDS
            self._told = now if due else self._told
        if due and (later := self.later) is not None:
            later()


class LazyLevel(ArrayLike):
    """One level as a viewer wants it: ``shape`` (rows, columns, 3), ``dtype``, and slices that are read when taken.

    Parameters
    ----------
    pyramid, level
        Where its pixels come from.
    shrink
        Pixels of that level along one of its own: 1, or more for a level that the file does not hold.
    cache
        Keeps its tiles.
    """

    ndim = 3
    dtype = np.dtype(np.uint8)

    def __init__(self, pyramid: Pyramid, level: int, shrink: int, cache: TileCache) -> None:
        self._pyramid, self._level, self._shrink, self.cache = pyramid, level, shrink, cache
        self.coarser: tuple[LazyLevel, ...] = ()
        rows, columns = pyramid.levels[level].shape
        self.shape = (-(-rows // shrink), -(-columns // shrink), len(pyramid.channels))

    def __deepcopy__(self, memo: dict[int, Any]) -> LazyLevel:
        """The same: nobody can write into it, and open files are not copied (napari duplicates layers this way)."""
        return self

    def __getitem__(self, key: Any) -> Pixels:
        """Pixels of a slice; ``level[a:b, c:d]``, whole numbers and steps are understood, too.

        Raises
        ------
        UsageError
            More than `MOST_PIXELS` at once.
        """
        parts = key if isinstance(key, tuple) else (key,)
        if Ellipsis in [p for p in parts if p is Ellipsis]:
            at = next(i for i, p in enumerate(parts) if p is Ellipsis)
            parts = (*parts[:at], *[slice(None)] * (self.ndim - len(parts) + 1), *parts[at + 1 :])
        parts = (*parts, *[slice(None)] * (self.ndim - len(parts)))
        spans = [_span(p, n) for p, n in zip(parts[:2], self.shape, strict=False)]
        (top, bottom, down), (left, right, across) = spans
        height, width = max(0, bottom - top), max(0, right - left)
        if height * width > MOST_PIXELS:
            text = (
                f"{height:,} x {width:,} pixels of a slide at once are more than can be shown. Leave the level of the "
                "layer to napari (Auto), or choose a coarser one."
            )
            if self.cache.refused is None:
                raise UsageError(text)
            self.cache.refused(text)
            return np.full((1, 1, self.shape[2]), _GLASS, np.uint8)
        picked: Any = self._region(top, left, height, width)[::down, ::across][:, :, parts[2]]
        for axis in (1, 0):
            if isinstance(parts[axis], int | np.integer):
                picked = picked.take(0, axis=axis)
        found: Pixels = picked
        return found

    def _region(self, top: int, left: int, height: int, width: int) -> Pixels:
        out = np.empty((height, width, self.shape[2]), np.uint8)  # its tiles cover it
        places = [
            (r, c)
            for r in range(top // TILE, -(-(top + height) // TILE))
            for c in range(left // TILE, -(-(left + width) // TILE))
        ]
        if not height or not width:
            return out
        if self.cache.later is not None:
            found = self._at_once(places)
        elif len(places) == 1:
            found = [self._tile(*places[0])]
        else:
            with ThreadPoolExecutor(min(4, len(places)), thread_name_prefix="workbench-view") as pool:
                found = list(pool.map(lambda place: self._tile(*place), places))
        for (r, c), tile in zip(places, found, strict=True):
            y, x = r * TILE, c * TILE
            a, b = max(top, y), min(top + height, y + tile.shape[0])
            d, e = max(left, x), min(left + width, x + tile.shape[1])
            if b > a and e > d:
                out[a - top : b - top, d - left : e - left] = tile[a - y : b - y, d - x : e - x]
        return out

    def _at_once(self, places: list[tuple[int, int]]) -> list[Pixels]:
        """Tiles that are there, and stand-ins for the others, which are read in the background: the middle first."""
        there = {place: tile for place in places if (tile := self.cache.find(self._key(*place))) is not None}
        middle = np.mean(places, axis=0)
        missing = sorted(set(places) - set(there), key=lambda place: float(np.abs(np.array(place) - middle).sum()))
        self.cache.want({self._key(*place): partial(self._read, *place) for place in missing})
        return [there[place] if place in there else self._stand_in(*place) for place in places]

    def _stand_in(self, r: int, c: int) -> Pixels:
        """A tile made of the finest coarser level that is there."""
        top, left = r * TILE, c * TILE
        height, width = min(TILE, self.shape[0] - top), min(TILE, self.shape[1] - left)
        for level in self.coarser:
            y, x = (other / own for own, other in zip(self.shape[:2], level.shape[:2], strict=True))
            box = (left * x, top * y, (left + width) * x, (top + height) * y)
            place = (math.floor(box[0]), math.floor(box[1]))
            found = level.there(place[1], place[0], math.ceil(box[3] - 1e-6), math.ceil(box[2] - 1e-6))
            if found is not None:
                return _enlarged(found, (height, width), tuple(b - place[i % 2] for i, b in enumerate(box)))
        return np.full((height, width, self.shape[2]), _GLASS, np.uint8)

    def there(self, top: int, left: int, bottom: int, right: int) -> Pixels | None:
        """Pixels of a region if all of them are in memory; at most the four tiles around a corner."""
        rows, columns = range(top // TILE, (bottom - 1) // TILE + 1), range(left // TILE, (right - 1) // TILE + 1)
        tiles = [[self.cache.find(self._key(r, c)) for c in columns] for r in rows]
        if any(tile is None for row in tiles for tile in row):
            return None
        whole = np.concatenate([np.concatenate(row, axis=1) for row in tiles], axis=0)  # type: ignore[arg-type]
        y, x = top - rows[0] * TILE, left - columns[0] * TILE
        found: Pixels = whole[y : y + bottom - top, x : x + right - left]
        return found

    def _key(self, r: int, c: int) -> tuple[int, int, int, int]:
        return (self._level, self._shrink, r, c)

    def _tile(self, r: int, c: int) -> Pixels:
        return self.cache.get(self._key(r, c), lambda: self._read(r, c))

    def _read(self, r: int, c: int) -> Pixels:
        """A tile; one that cannot be decoded is grey, so that it is seen and nothing else is lost."""
        rows, columns = self._pyramid.levels[self._level].shape
        top, left = r * TILE * self._shrink, c * TILE * self._shrink
        height, width = (min(TILE * self._shrink, n - at) for n, at in ((rows, top), (columns, left)))
        try:
            pixels = self._pyramid.read(self._level, top, left, height, width)
        except InputError:
            pixels = np.full((height, width, self.shape[2]), 128, np.uint8)
        return np.ascontiguousarray(_shrunk(pixels, self._shrink))


def _shrunk(pixels: Pixels, n: int) -> Pixels:
    if n == 1:
        return pixels
    from PIL import Image as Pillow

    rows, columns = -(-pixels.shape[0] // n), -(-pixels.shape[1] // n)
    box = (0, 0, pixels.shape[1], pixels.shape[0])
    return np.asarray(Pillow.fromarray(pixels).resize((columns, rows), Pillow.Resampling.BOX, box=box))


def _enlarged(pixels: Pixels, shape: tuple[int, int], box: tuple[float, ...]) -> Pixels:
    """A box (left, top, right, bottom) of a picture with other rows and columns, each that of the nearest pixel."""
    from PIL import Image as Pillow

    high, wide = pixels.shape[:2]
    inside = (box[0], box[1], min(box[2], wide), min(box[3], high))
    picture = Pillow.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize((shape[1], shape[0]), Pillow.Resampling.NEAREST, box=inside))


def _span(part: Any, length: int) -> tuple[int, int, int]:
    if isinstance(part, int | np.integer):
        at = int(part) + (length if part < 0 else 0)
        return at, at + 1, 1
    start, stop, step = part.indices(length)
    if step < 1:
        raise UsageError("levels of a slide are read forwards")
    return start, stop, step


def lazy_levels(image: Image) -> list[LazyLevel]:
    """The levels of a slide, the finest first.

    Coarser ones are added until one is about a screen, and one in the middle where the next of the file is much coarser
    (4 times, as Aperio does): a viewer takes the finer one of two, and would have to draw 16 times what it shows.
    """
    pyramid = image.pyramid
    if pyramid is None:
        raise UsageError(f"{image.source or image.name}: is no pyramid of levels")
    cache = TileCache()
    found = []
    for n, level in enumerate(pyramid.levels):
        found.append(LazyLevel(pyramid, n, 1, cache))
        if n + 1 < len(pyramid.levels) and pyramid.levels[n + 1].downsample > _WIDE * level.downsample:
            found.append(LazyLevel(pyramid, n, 2, cache))
    last, shrink = len(pyramid.levels) - 1, 1
    while max(found[-1].shape[:2]) > 2 * _COARSEST and shrink < 256:
        shrink *= _FACTOR
        found.append(LazyLevel(pyramid, last, shrink, cache))
    for number, made in enumerate(found):
        made.coarser = tuple(found[number + 1 :])
    return found
