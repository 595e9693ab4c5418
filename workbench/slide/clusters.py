"""Groups of tiles that an encoder sees alike, over all slides of a study, and a plane that shows them all.

Tiles are grouped by k-means on vectors of unit length, so what counts is the cosine, as in `workbench.slide.search`.
How many groups there are is given, or chosen by the mean silhouette (P. J. Rousseeuw, J. Comput. Appl. Math. 1987).
Groups say what looks alike to an encoder: they are no diagnosis, and a scanner or a stain can be a group of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.core.classes import RGB, ClassInfo, ClassTable
from workbench.core.errors import InputError, UsageError
from workbench.core.types import Progress
from workbench.slide.search import Indexed, TileIndex
from workbench.slide.tile_grid import TileGrid

Reals = npt.NDArray[np.float64]
By = Literal["pca", "umap"]
COUNTS_COLUMNS = ("slide", "cluster", "tiles", "share", "area [mm2]")
FEWEST_CLUSTERS, MOST_CLUSTERS = 2, 20
"""Clusters that can be asked for; more colours than that cannot be told apart."""
WEAK = 0.1
"""Below this silhouette clusters run into each other."""
_TRIED = range(2, 13)
_SAMPLE = 2000
"""Tiles that silhouettes are taken of: each needs its distance from all others."""
_MANY = 50_000
"""With more tiles k-means learns from a part of them at a time."""
_LEARNT = 100_000
"""With more tiles the others are only told which centre is nearest."""
_ROWS = 8192
_ALIKE = 1e-3
"""Vectors of half precision that should be equal lie about 3e-4 apart."""
_NEIGHBOURS = 15

# To be told apart over pink and blue stains, and to be read on a dark panel as well as on a light one.
_COLORS: tuple[RGB, ...] = (
    (213, 94, 0), (47, 158, 222), (0, 158, 115), (200, 160, 0), (0, 100, 190), (214, 80, 165), (125, 175, 30),
    (128, 70, 200), (200, 20, 60), (125, 125, 125), (0, 170, 185), (150, 95, 45), (245, 125, 95), (85, 120, 35),
    (95, 110, 235), (165, 45, 110), (185, 150, 110), (90, 165, 140), (185, 125, 225), (120, 85, 90),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Clusters:
    """Which tiles of an index belong together.

    Parameters
    ----------
    labels
        ``(N,)`` uint8, the cluster of each tile; 1 is the largest.
    distance
        ``(N,)`` float32, from the centre of its cluster: vectors have unit length.
    centres
        ``(K, D)`` float64.
    silhouette
        Mean of a sample of tiles, from -1 to 1: how much nearer a tile is to its own cluster than to the next. NaN
        where so few tiles have none.
    tried
        Numbers of clusters that were tried, and the silhouette of each; empty where the number was given.
    """

    labels: npt.NDArray[np.uint8]
    distance: npt.NDArray[np.float32]
    centres: Reals
    silhouette: float
    tried: tuple[tuple[int, float], ...] = ()

    def __len__(self) -> int:
        return len(self.centres)

    @property
    def sizes(self) -> list[int]:
        """Tiles of each cluster."""
        found: list[int] = np.bincount(self.labels, minlength=len(self) + 1)[1:].tolist()
        return found

    @property
    def classes(self) -> ClassTable:
        """The clusters as classes of a label map."""
        return cluster_classes(len(self))

    def typical(self, cluster: int, count: int) -> list[int]:
        """The tiles of a cluster that lie nearest to its centre, the nearest first."""
        own = np.flatnonzero(self.labels == cluster)
        found: list[int] = own[np.argsort(self.distance[own], kind="stable")[:count]].tolist()
        return found

    def describe(self) -> str:
        """How many there are, who says so, and how far apart they are."""
        who = f", the best of {self.tried[0][0]} to {self.tried[-1][0]}" if self.tried else ""
        apart = "" if np.isnan(self.silhouette) else f"; silhouette {self.silhouette:.2f}"
        weak = " (they run into each other)" if self.silhouette < WEAK else ""
        return f"{len(self)} clusters{who}{apart}{weak}"


@dataclass(frozen=True, eq=False)
class Plane:
    """Tiles as points of a plane.

    Parameters
    ----------
    points
        ``(N, 2)`` float32.
    by
        How they came there.
    explained
        Share of all variance along each axis; of PCA only.
    """

    points: npt.NDArray[np.float32]
    by: By
    explained: tuple[float, float] | None = None

    @property
    def axes(self) -> tuple[str, str]:
        """What stands beside its axes."""
        if self.explained is None:
            return "UMAP 1", "UMAP 2"
        first, second = self.explained
        return f"component 1: {first:.0%}", f"component 2: {second:.0%}"

    def describe(self) -> str:
        """How the plane was made, and how much of the differences it shows."""
        if self.explained is None:
            return "UMAP: near is alike, and far says nothing"
        return f"PCA shows {sum(self.explained):.0%} of the variance"


def cluster_classes(count: int) -> ClassTable:
    """A class for each cluster."""
    return ClassTable(tuple(ClassInfo(i + 1, f"cluster {i + 1}", _COLORS[i % len(_COLORS)]) for i in range(count)))


def clustered(index: TileIndex, count: int = 0, seed: int = 0, *, progress: Progress | None = None) -> Clusters:
    """Group the tiles of a study.

    Parameters
    ----------
    count
        How many clusters; 0 takes that of 2 to 12 with the best silhouette.
    seed
        Of the tiles that are drawn and of the first centres: the same seed gives the same clusters.

    Raises
    ------
    UsageError
        That many clusters cannot be made of these tiles.
    InputError
        All tiles are alike, or their embeddings are no numbers.
    """
    if count and not FEWEST_CLUSTERS <= count <= MOST_CLUSTERS:
        raise UsageError(
            f"{count} clusters: {FEWEST_CLUSTERS} to {MOST_CLUSTERS} were expected, or 0 for a number that is found"
        )
    _require_different(index, count)
    say = progress or _silent
    sample = _drawn(len(index), _SAMPLE, seed)
    vectors = _rows(index, sample)
    distances = _distances(vectors)
    steps = 2 if count else len(_TRIED) + 2
    tried: list[tuple[int, float]] = []
    if not count:
        most = min(len(np.unique(vectors, axis=0)), len(vectors) - 1)
        for number in (k for k in _TRIED if k <= most):
            say(len(tried), steps)
            tried.append((number, _silhouette(distances, _k_means(vectors, number, seed)[0])))
        count = max(tried, key=lambda one: (one[1], -one[0]))[0] if tried else FEWEST_CLUSTERS
    say(steps - 2, steps)
    centres = _k_means(_rows(index, _drawn(len(index), _LEARNT, seed)), count, seed)[1]
    say(steps - 1, steps)
    nearest, distance = _nearest(index, centres)
    labels, order = _by_size(nearest, len(centres))
    say(steps, steps)
    return Clusters(labels, distance, centres[order], _silhouette(distances, labels[sample]), tuple(tried))


def plane_of(index: TileIndex, by: By = "pca", seed: int = 0) -> Plane:
    """Lay all tiles out in a plane: by their first two principal components, or by UMAP.

    Raises
    ------
    UsageError
        UMAP is not installed.
    """
    require_plane(by)
    if by == "umap":
        return _umap(index, seed)
    mean = sum((block.sum(0) for _, block in _blocks(index)), np.zeros(index.vectors.shape[1])) / max(len(index), 1)
    spread = np.zeros((len(mean), len(mean)))
    for _, block in _blocks(index):
        spread += (block - mean).T @ (block - mean)
    values, axes = np.linalg.eigh(spread)
    first = np.zeros((len(mean), 2))
    first[:, : min(2, len(mean))] = axes[:, ::-1][:, :2]
    first *= np.where(first[np.abs(first).argmax(0), (0, 1)] < 0, -1, 1)  # or a sign would be chance
    points = np.concatenate([(block - mean) @ first for _, block in _blocks(index)]).astype(np.float32)
    shares = [*(np.clip(values[::-1][:2], 0, None) / max(float(values.sum()), 1e-30)).tolist(), 0.0]
    return Plane(points, "pca", (shares[0], shares[1]))


def require_plane(by: str) -> None:
    """Refuse a way to lay tiles out that is none, or that is not installed; see `plane_of`."""
    if by not in ("pca", "umap"):
        raise UsageError(f"by '{by}': pca or umap was expected")
    if by == "umap" and not has_umap():
        raise UsageError("UMAP is not installed: pip install umap-learn, or lay the tiles out by pca")


def has_umap() -> bool:
    """Whether UMAP is installed; it is not imported."""
    from importlib.util import find_spec

    return find_spec("umap") is not None


def counts_of(index: TileIndex, clusters: Clusters) -> list[tuple[Any, ...]]:
    """A row of `COUNTS_COLUMNS` for each slide and cluster; the area is empty where the size of a pixel is not known.

    Where tiles of a lattice overlap, each counts as far as it is from the next.
    """
    rows: list[tuple[Any, ...]] = []
    for slide in index.slides:
        own = slice(slide.first, slide.first + slide.count)
        tile = tile_mm2(index, index.corners[own], slide)
        counts = np.bincount(clusters.labels[own], minlength=len(clusters) + 1)[1:].tolist()
        for cluster, number in enumerate(counts, 1):
            share = round(number / max(slide.count, 1), 4)
            rows.append((slide.name, cluster, number, share, "" if tile is None else round(number * tile, 6)))
    return rows


def tile_mm2(index: TileIndex, corners: npt.NDArray[Any], own: Indexed) -> float | None:
    """What a tile of a slide stands for [mm2], or ``None`` where the size of its pixels is not known."""
    mpp, pixels = (_positive(index.about.get(key)) for key in ("target_mpp", "patch_size"))
    if mpp is None or pixels is None or not len(corners):
        return None
    return TileGrid.of(corners, own.side, own.step).area * (mpp * pixels / own.side) ** 2 * 1e-6


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < 1e6 else None


def _silent(_done: int, _whole: int) -> None:
    pass


def _require_different(index: TileIndex, count: int) -> None:
    """Refuse what cannot be grouped: see `clustered`."""
    wanted = count or FEWEST_CLUSTERS
    if len(index) < max(wanted, FEWEST_CLUSTERS + 1 - bool(count)):
        raise UsageError(
            f"{len(index)} tile(s): {wanted} clusters need at least {wanted + (not count)}. Ask for fewer, or embed "
            "more slides."
        )
    for first, block in _blocks(index):
        wrong = np.flatnonzero(~np.isfinite(block).all(1))
        if wrong.size:
            at = first + int(wrong[0])
            slide = next(s for s in index.slides if s.first <= at < s.first + s.count)
            raise InputError(f"{slide.results}: some of its embeddings are no numbers. Make it again.")
    some = _rows(index, _drawn(len(index), _SAMPLE, 0))
    if np.sqrt(((some - some.mean(0)) ** 2).sum(1).mean()) < _ALIKE and _is_flat(index):
        raise InputError(
            f"all {len(index):,} tiles have the same embedding: nothing to cluster. Were they made with weights that "
            "were taught?"
        )
    different: set[bytes] = set()
    for row in index.vectors:
        different.add(row.tobytes())
        if len(different) >= wanted:
            return
    raise UsageError(f"only {len(different)} different embeddings: {wanted} clusters cannot be made. Ask for fewer.")


def _is_flat(index: TileIndex) -> bool:
    """Whether no tile at all differs from the first."""
    first = np.asarray(index.vectors[0], np.float64)
    return all((np.linalg.norm(block - first, axis=1) < 3 * _ALIKE).all() for _, block in _blocks(index))


def _blocks(index: TileIndex) -> Iterator[tuple[int, Reals]]:
    """All vectors, some at a time: the first number, and the rows; an index may be larger than memory."""
    for start in range(0, len(index), _ROWS):
        yield start, np.asarray(index.vectors[start : start + _ROWS], np.float64)


def _rows(index: TileIndex, numbers: npt.NDArray[np.int64]) -> Reals:
    return np.asarray(index.vectors[numbers], np.float64)


def _drawn(count: int, most: int, seed: int) -> npt.NDArray[np.int64]:
    """Numbers of so many tiles at most, in order."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def _k_means(vectors: Reals, count: int, seed: int) -> tuple[npt.NDArray[np.int64], Reals]:
    """Labels from 0 and centres ``(K, D)``. In double precision: in single, sums by other threads are other sums."""
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    kind = KMeans(count, n_init=4, random_state=seed)
    if len(vectors) > _MANY:
        kind = MiniBatchKMeans(count, n_init=4, random_state=seed, batch_size=4096)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different vectors than centres: some stay empty
        labels = kind.fit(vectors).labels_
    return labels.astype(np.int64), np.asarray(kind.cluster_centers_, np.float64)


def _nearest(index: TileIndex, centres: Reals) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """For each tile the nearest centre, and how far away it is."""
    labels, distance = np.empty(len(index), np.int64), np.empty(len(index), np.float32)
    for start, block in _blocks(index):
        away = (block**2).sum(1)[:, None] - 2 * block @ centres.T + (centres**2).sum(1)
        own = slice(start, start + len(block))
        labels[own] = away.argmin(1)
        distance[own] = np.sqrt(np.maximum(away.min(1), 0))
    return labels, distance


def _by_size(labels: npt.NDArray[np.int64], count: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Labels from 1, the largest cluster first, of equal ones that whose tile comes first; and which each was.

    A centre that no tile is nearest to is left out.
    """
    sizes = np.bincount(labels, minlength=count)
    firsts = np.full(count, len(labels))
    np.minimum.at(firsts, labels, np.arange(len(labels)))
    order = np.lexsort((firsts, -sizes))[: int((sizes > 0).sum())]
    number = np.zeros(count, np.uint8)
    number[order] = np.arange(1, len(order) + 1)
    return number[labels], order


def _distances(vectors: Reals) -> Reals:
    from sklearn.metrics import pairwise_distances

    found: Reals = pairwise_distances(vectors)
    np.fill_diagonal(found, 0)
    return found


def _silhouette(distances: Reals, labels: npt.NDArray[Any]) -> float:
    from sklearn.metrics import silhouette_score

    if not 2 <= len(np.unique(labels)) < len(labels):
        return float("nan")
    return float(silhouette_score(distances, labels, metric="precomputed"))


def _umap(index: TileIndex, seed: int) -> Plane:
    from umap import UMAP

    count = len(index)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it says of threads and seeds
        few = count <= _NEIGHBOURS
        reducer = UMAP(
            n_components=2, n_neighbors=max(2, min(_NEIGHBOURS, count - 1)), metric="cosine", random_state=seed,
            init="random" if few else "pca",
        )  # fmt: skip
        points = reducer.fit_transform(np.asarray(index.vectors, np.float32))
    return Plane(np.asarray(points, np.float32), "umap")
