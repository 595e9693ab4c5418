"""Maps of neighbouring tiles put together, so that a nucleus at a border is seen whole, and decided once.

Tiles overlap by a margin on each side that the network needs to see around a pixel; what lies between the margins is
the core of a tile, and the cores lie side by side. A window is a core with a halo of its neighbours' cores: nuclei are
cut in windows, and each belongs to the core that holds its centroid. Two windows that both hold a nucleus show the same
maps, so that they agree about it, and none comes twice or not at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from workbench.slide.data.tiles import Lattice
from workbench.slide.predict.nuclei import LEAST, Rules, instances
from workbench.slide.predict.traced import connected, traced, types_of

Place = tuple[int, int]
TOKEN = 16
"""Pixels along a token of the encoder."""
_H = (0.65, 0.70, 0.29)
_E = (0.07, 0.99, 0.11)
"""Density of red, green and blue of haematoxylin and eosin: A. Ruifrok and D. Johnston, 2001."""


@dataclass(frozen=True, eq=False)
class Core:
    """What the network says of the core of a tile.

    Parameters
    ----------
    nuclei
        ``(S, S)`` bool.
    hv
        ``(2, S, S)`` float16.
    types
        ``(S, S)`` uint8, the class with the highest logit.
    image
        ``(S, S, 3)`` uint8, what it saw.
    tokens
        ``(D, S / 16, S / 16)`` float16, or ``None`` where nobody asks for embeddings.
    """

    nuclei: npt.NDArray[np.bool_]
    hv: npt.NDArray[np.float16]
    types: npt.NDArray[np.uint8]
    image: npt.NDArray[np.uint8]
    tokens: npt.NDArray[np.float16] | None = None


@dataclass(frozen=True, eq=False)
class Cells:
    """Nuclei, in pixels of the tiles from the corner of the slide, as (x, y).

    Parameters
    ----------
    coordinates, offsets
        ``(P, 2)`` float32 and ``(N + 1,)`` int64: outlines; see `workbench.slide.predict.traced.Traced`.
    centroids
        ``(N, 2)`` float64.
    types, probabilities
        ``(N,)`` class, and the share of its pixels that have it.
    areas, eccentricities
        ``(N,)`` pixels, and 0 (a circle) to 1.
    stains
        ``(N, 2)`` mean density of haematoxylin and of eosin.
    is_cut
        ``(N,)`` bool: whether it reaches beyond what was looked at around its core.
    embeddings
        ``(N, D)`` float16, mean of the tokens under the nucleus; ``(N, 0)`` where they were not asked for.
    """

    coordinates: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.int64]
    centroids: npt.NDArray[np.float64]
    types: npt.NDArray[np.int32]
    probabilities: npt.NDArray[np.float32]
    areas: npt.NDArray[np.int64]
    eccentricities: npt.NDArray[np.float32]
    stains: npt.NDArray[np.float32]
    is_cut: npt.NDArray[np.bool_]
    embeddings: npt.NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.types)

    def select(self, which: npt.NDArray[np.bool_]) -> Cells:
        """Some of them."""
        if which.all():
            return self
        index = np.flatnonzero(which)
        counts = np.diff(self.offsets)[index]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        points = np.arange(offsets[-1]) + np.repeat(self.offsets[index] - offsets[:-1], counts)
        rest = {name: getattr(self, name)[index] for name in _PER_CELL}
        return replace(self, coordinates=self.coordinates[points], offsets=offsets, **rest)


_PER_CELL = ("centroids", "types", "probabilities", "areas", "eccentricities", "stains", "is_cut", "embeddings")


def none(width: int = 0) -> Cells:
    """No nucleus, with embeddings of that length."""
    return Cells(
        np.zeros((0, 2), np.float32), np.zeros(1, np.int64), np.zeros((0, 2)), np.zeros(0, np.int32),
        np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros((0, 2), np.float32),
        np.zeros(0, bool), np.zeros((0, width), np.float16),
    )  # fmt: skip


def joined(parts: list[Cells]) -> Cells:
    """Cells one after the other. The list is emptied, so that of each column only one is there twice for a moment."""
    if not parts:
        return none()
    starts = np.cumsum([0, *(len(p.coordinates) for p in parts)])
    offsets = [p.offsets[1:] + start for p, start in zip(parts, starts[:-1], strict=True)]
    columns = {name: [getattr(p, name) for p in parts] for name in ("coordinates", *_PER_CELL)}
    parts.clear()
    found = {name: np.concatenate(columns.pop(name)) for name in ("coordinates", *_PER_CELL)}
    return Cells(offsets=np.concatenate([[0], *offsets]).astype(np.int64), **found)


def without_fragments(cells: Cells, least: float) -> Cells:
    """Without those whose centroid lies nearer than so many pixels to that of a larger one.

    No two nuclei of tissue have their middles there: where the maps are torn, what belongs to one nucleus comes in two
    pieces, and counting would take it twice.
    """
    from scipy.spatial import cKDTree

    pairs = cKDTree(cells.centroids).query_pairs(least, output_type="ndarray")
    near = np.hypot(*(cells.centroids[pairs[:, 0]] - cells.centroids[pairs[:, 1]]).T) < least
    first, second = pairs[near].T
    kept = np.ones(len(cells), bool)
    kept[np.where(cells.areas[second] > cells.areas[first], first, second)] = False
    return cells.select(kept)


def cell_lattice(shape: tuple[int, ...], factor: float, size: int, margin: int) -> Lattice:
    """Tiles whose cores cover a slide whole, from its corner on.

    Parameters
    ----------
    shape
        (rows, columns) of level 0.
    factor
        Pixels of level 0 along one pixel of a tile.
    size, margin
        Side of a tile, and what of it lies around the core on each side, in its pixels.
    """
    core = size - 2 * margin
    rows, columns = (max(1, math.ceil(n / factor / core - 1e-9)) for n in shape[:2])
    return Lattice((-margin * factor, -margin * factor), factor, size, core, (rows, columns))


class Mosaic:
    """Cores as they come, row by row; windows are cut out of them, and what no window needs any more is let go.

    Parameters
    ----------
    core, halo
        Side of a core, and how far windows reach beyond, in pixels; no farther than one core.
    classes
        Of nuclei, with "none" first.
    """

    def __init__(self, core: int, halo: int, classes: int) -> None:
        if halo > core:
            raise ValueError(f"a halo of {halo} around cores of {core}")
        self.core, self.halo, self.classes = core, halo, classes
        self.cores: dict[Place, Core] = {}

    def drop_before(self, row: int) -> None:
        """Let the rows above go."""
        for place in [p for p in self.cores if p[0] < row]:
            del self.cores[place]

    def cut(self, place: Place, rules: Rules, embeds: bool) -> Cells:
        """The nuclei whose centroid lies in one core."""
        side, halo = self.core, self.halo
        whole = side + 2 * halo
        nuclei, types = np.zeros((whole, whole), bool), np.zeros((whole, whole), np.uint8)
        hv = np.zeros((2, whole, whole), np.float32)
        image = np.full((whole, whole, 3), 255, np.uint8)
        for row in (-1, 0, 1):
            for column in (-1, 0, 1):
                one = self.cores.get((place[0] + row, place[1] + column))
                if one is None:
                    continue
                (y, v), (x, u) = _overlap(row, side, halo), _overlap(column, side, halo)
                nuclei[y, x], types[y, x], image[y, x] = one.nuclei[v, u], one.types[v, u], one.image[v, u]
                hv[:, y, x] = one.hv[:, v, u]
        if not nuclei.any():
            return none(self._width(place) if embeds else 0)
        labels = connected(instances(nuclei, hv, rules), LEAST)
        table = traced(labels)
        x, y = table.centroids.T
        inside = (x >= halo) & (x < halo + side) & (y >= halo) & (y < halo + side)
        kinds, share = types_of(labels, types, table.ids, self.classes)
        corner = np.array([place[1], place[0]]) * side - halo
        found = Cells(
            table.coordinates + corner.astype(np.float32), table.offsets, table.centroids + corner, kinds,
            share.astype(np.float32), table.areas, table.eccentricities.astype(np.float32),
            _stains(image, labels, table.ids), (table.boxes[:, :2] == 0).any(1) | (table.boxes[:, 2:] == whole).any(1),
            self._embedded(place, labels, table.ids) if embeds else np.zeros((len(table), 0), np.float16),
        )  # fmt: skip
        return found.select(inside)

    def _width(self, place: Place) -> int:
        tokens = self.cores[place].tokens
        return 0 if tokens is None else len(tokens)

    def _embedded(
        self, place: Place, labels: npt.NDArray[np.int32], ids: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float16]:
        """The mean of the tokens under each nucleus, by the pixels that it has in each."""
        side, halo = self.core // TOKEN, self.halo // TOKEN
        whole = side + 2 * halo
        tokens = np.zeros((self._width(place), whole, whole), np.float32)
        for row in (-1, 0, 1):
            for column in (-1, 0, 1):
                one = self.cores.get((place[0] + row, place[1] + column))
                if one is not None and one.tokens is not None:
                    (y, v), (x, u) = _overlap(row, side, halo), _overlap(column, side, halo)
                    tokens[:, y, x] = one.tokens[:, v, u]
        rows, columns = np.nonzero(labels)
        cell = rows // TOKEN * whole + columns // TOKEN
        key, count = np.unique(labels[rows, columns].astype(np.int64) * whole**2 + cell, return_counts=True)
        row_of = np.searchsorted(ids, key // whole**2)
        out = np.zeros((len(ids), len(tokens)), np.float32)
        np.add.at(out, row_of, tokens.reshape(len(tokens), -1)[:, key % whole**2].T * count[:, None])
        sizes = np.bincount(row_of, count, len(ids))
        return (out / np.maximum(sizes, 1)[:, None]).astype(np.float16)


def _overlap(step: int, side: int, halo: int) -> tuple[slice, slice]:
    """Where a neighbour lies in a window, and which part of it that is: along one axis, `step` -1, 0 or 1."""
    if step == 0:
        return slice(halo, halo + side), slice(0, side)
    if step < 0:
        return slice(0, halo), slice(side - halo, side)
    return slice(halo + side, 2 * halo + side), slice(0, halo)


def _stains(
    image: npt.NDArray[np.uint8], labels: npt.NDArray[np.int32], ids: npt.NDArray[np.int32]
) -> npt.NDArray[np.float32]:
    """Mean density of haematoxylin and eosin of each nucleus ``(N, 2)``; what neither explains is left out."""
    own = labels.ravel()
    inside = own > 0
    numbers = own[inside]
    density = -np.log10(np.maximum(image.reshape(-1, 3)[inside], 1) / np.float32(255))
    stains = np.array([_H, _E], np.float64)
    stains /= np.linalg.norm(stains, axis=1, keepdims=True)
    amounts = density @ np.linalg.pinv(stains)
    top = int(own.max(initial=0)) + 1
    count = np.maximum(np.bincount(numbers, minlength=top), 1)
    means = np.stack([np.bincount(numbers, amounts[:, k], top) / count for k in range(2)], 1)
    return means[ids].astype(np.float32)
