"""The pixels of tiles in their order, read by threads ahead of whoever works on them.

A tile that cannot be decoded is read from another level of the slide; where none has it, it is left out and named: it
never ends a slide.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, one_line
from workbench.core.pyramid import Pyramid
from workbench.slide.data.resample import Square, level_for, read_square
from workbench.slide.data.tiles import Lattice

_AHEAD = 8
"""Tiles that are read ahead of the one that is worked on, for each thread."""


@dataclass(frozen=True)
class Damaged:
    """A tile that could not be read as it should be.

    Parameters
    ----------
    index
        Its number in the lattice.
    place
        (x, y) of its upper left corner in pixels of level 0.
    level
        The level that it was read from instead, or ``None`` where it was left out.
    why
        What the reader said of the first try.
    """

    index: int
    place: tuple[float, float]
    level: int | None
    why: str


@dataclass(eq=False)
class TileStream:
    """Gives ``(index, pixels)`` of tiles, pixels being ``(size, size, 3)`` of 8 bits; to be gone through once.

    Parameters
    ----------
    pyramid, tiles
        Where the pixels are, and where the tiles lie.
    chosen
        Numbers of the tiles to read, in this order; by default all.
    threads
        How many read; by default one for each processor, at most eight.
    prepare
        What the threads make of the pixels of a tile, given its number and them; by default the pixels themselves.

    Attributes
    ----------
    damaged
        The tiles so far that were read from another level, or left out.
    """

    pyramid: Pyramid
    tiles: Lattice
    chosen: Sequence[int] | None = None
    threads: int | None = None
    prepare: Callable[[int, npt.NDArray[np.uint8]], npt.NDArray[Any]] | None = None
    damaged: list[Damaged] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        places = self.tiles.places()
        numbers = range(len(self.tiles)) if self.chosen is None else self.chosen
        threads = self.threads or min(8, os.cpu_count() or 1)
        waiting: deque[tuple[int, Future[Any]]] = deque()
        with ThreadPoolExecutor(threads, thread_name_prefix="workbench-tiles") as pool:
            try:
                for index in numbers:
                    waiting.append((int(index), pool.submit(self._read, int(index), places[index])))
                    if len(waiting) > threads * _AHEAD:
                        yield from self._next(waiting)
                while waiting:
                    yield from self._next(waiting)
            finally:  # who stops in the middle waits for what is being read alone
                for _, future in waiting:
                    future.cancel()

    def _next(self, waiting: deque[tuple[int, Future[Any]]]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        index, future = waiting.popleft()
        pixels, damage = future.result()
        if damage is not None:
            self.damaged.append(damage)
        if pixels is not None:
            yield index, pixels

    def _read(self, index: int, place: npt.NDArray[np.float64]) -> tuple[npt.NDArray[Any] | None, Damaged | None]:
        square = Square(float(place[0]), float(place[1]), self.tiles.size)
        best = level_for(self.pyramid, self.tiles.factor)
        # Finer levels show all that is wanted; a coarser one is blurred, and better than nothing.
        order = [*range(best, -1, -1), *range(best + 1, len(self.pyramid.levels))]
        first = ""
        for level in order:
            try:
                pixels = read_square(self.pyramid, square, self.tiles.factor, level)
            except InputError as error:
                first = first or one_line(error)
                continue
            made = pixels if self.prepare is None else self.prepare(index, pixels)
            return made, Damaged(index, (square.x, square.y), level, first) if first else None
        return None, Damaged(index, (square.x, square.y), None, first)

    def notes(self) -> tuple[str, ...]:
        """What to say of damaged tiles; see `notes_of`."""
        return notes_of(self.damaged)


def notes_of(damaged: Sequence[Damaged], tiles: int | None = None) -> tuple[str, ...]:
    """What to say of damaged tiles, a line each kind: how many (of `tiles`), and the first with what was found."""
    found = []
    of = "" if tiles is None else f" of {tiles}"
    for text, some in (
        ("were read from another level", [d for d in damaged if d.level is not None]),
        ("could not be read and were left out", [d for d in damaged if d.level is None]),
    ):
        if some:
            x, y = some[0].place
            found.append(f"{len(some)} tile(s){of} {text}; the first at x {x:.0f}, y {y:.0f} ({some[0].why})")
    return tuple(found)
