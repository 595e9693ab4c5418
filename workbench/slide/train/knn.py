"""How well embeddings tell regions apart: the vote of the nearest neighbours, and references that need no training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from workbench.core.errors import UsageError
from workbench.core.objects import Objects
from workbench.slide.marked import PLACES, covered_places
from workbench.slide.train.tiles_of import SlideTiles

Floats = npt.NDArray[np.floating]
Integers = npt.NDArray[np.int64]
K = 20
_BINS = 8


@dataclass(frozen=True)
class KnnScore:
    """What a vote of neighbours got right.

    Parameters
    ----------
    accuracy, balanced
        Share of the tiles, and mean over classes of the share of the tiles of that class.
    per_class
        That share by class value.
    k, references, queries
        Neighbours that voted, labelled tiles they are taken from, and tiles that were asked about.
    """

    accuracy: float
    balanced: float
    per_class: dict[int, float]
    k: int
    references: int
    queries: int


def knn_predict(references: Floats, labels: Integers, queries: Floats, k: int = K) -> Integers:
    """The most frequent label ``(M,)`` among the `k` nearest references of each query by cosine; the lowest of a tie.

    Parameters
    ----------
    references, labels
        Embeddings ``(N, D)`` and their labels ``(N,)``, 0 or larger.
    queries
        Embeddings ``(M, D)``.

    Raises
    ------
    UsageError
        There are no references, or the widths differ.
    """
    if not len(references) or references.shape[1] != queries.shape[1]:
        raise UsageError(f"neighbours of {queries.shape} among {references.shape}: expected (N, D) of one width, N > 0")
    similar = _unit(queries) @ _unit(references).T
    nearest = np.argsort(-similar, axis=1, kind="stable")[:, : min(k, len(references))]
    votes = labels[nearest]
    counts = np.stack([(votes == value).sum(1) for value in range(int(labels.max()) + 1)], 1)
    found: Integers = counts.argmax(1)
    return found


def knn_score(references: Floats, labels: Integers, queries: Floats, truth: Integers, k: int = K) -> KnnScore:
    """Score the vote for queries whose labels `truth` ``(M,)`` are known; see `knn_predict`."""
    right = knn_predict(references, labels, queries, k) == truth
    per_class = {int(v): float(right[truth == v].mean()) for v in np.unique(truth)}
    return KnnScore(
        float(right.mean()), float(np.mean(list(per_class.values()))), per_class, min(k, len(references)),
        len(references), len(queries),
    )  # fmt: skip


def colour_histogram(tiles: Sequence[npt.NDArray[np.uint8]] | npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Joint histograms of red, green and blue, eight bins each, as square roots of shares: ``(N, 512)``.

    The cosine of two is their Bhattacharyya coefficient. Where colour tells everything, nothing is better.
    """
    found = np.zeros((len(tiles), _BINS**3), np.float32)
    for i, tile in enumerate(tiles):
        bins = (np.asarray(tile).reshape(-1, 3) >> 5).astype(np.int64)
        joint = (bins[:, 0] * _BINS + bins[:, 1]) * _BINS + bins[:, 2]
        found[i] = np.sqrt(np.bincount(joint, minlength=_BINS**3) / len(joint))
    return found


def own_view_found(first: Floats, second: Floats) -> float:
    """Share of the tiles whose second view is nearer (cosine) to its own first view than to that of any other tile.

    Embeddings ``(N, D)`` each, row by row of the same tiles. It needs no labels; 1 / N is chance.
    """
    similar = _unit(second) @ _unit(first).T
    return float((similar.argmax(1) == np.arange(len(first))).mean())


def spread(embeddings: Floats) -> float:
    """How much embeddings ``(N, D)`` differ: 1 if they point everywhere, 0 if all are alike (collapse).

    Mean over the entries of unit vectors of their standard deviation, times the root of their number.
    """
    return float(_unit(embeddings).std(axis=0).mean() * np.sqrt(embeddings.shape[1]))


def labels_of_tiles(slide: SlideTiles, regions: Objects, least: float = 0.6) -> Integers:
    """Class values ``(N,)`` of the chosen tiles of a slide: of the region that covers `least` of it, else 0."""
    side, places = slide.lattice.side, slide.places()
    values = sorted(set(regions.class_values.tolist()) - {0})
    covered = np.zeros((len(places), len(values), PLACES), bool)
    bounds = regions.bounds()
    for i in range(len(regions)):
        value = int(regions.class_values[i])
        low, high = bounds[i, :2], bounds[i, 2:]
        near = np.flatnonzero(((places + side > low) & (places < high)).all(axis=1))
        if value and near.size:
            rings = [ring for polygon in regions.polygon(i) for ring in polygon]
            covered[near, values.index(value)] |= covered_places(places[near], side, partial(_in_rings, rings))
    if not values:
        return np.zeros(len(places), np.int64)
    share = covered.mean(axis=2)
    best = share.argmax(axis=1)
    found: Integers = np.where(share.max(axis=1) >= least, np.array(values)[best], 0).astype(np.int64)
    return found


def _in_rings(rings: Sequence[Floats], x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
    """Which places lie within an odd number of rings ``(V, 2)``: holes turn it off again.

    A ray to the right crosses a ring that holds its start an odd number of times.
    """
    inside = np.zeros(x.shape, bool)
    for ring in rings:
        for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if y0 != y1:
                inside ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside


def _unit(values: Floats) -> npt.NDArray[np.float64]:
    values = np.asarray(values, np.float64)
    found: npt.NDArray[np.float64] = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    return found
