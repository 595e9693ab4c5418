"""Which labelled pixels of a scene train, validate and test: at random, or apart in space so that no patch is shared.

Two patches of side `w` share pixels exactly if their centres are less than `w` apart along both axes. A random split of
pixels therefore shows the network most test pixels inside its training patches; `disjoint` is the honest one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_cdt

from workbench.core.errors import UsageError

SplitName = Literal["random", "disjoint"]
Index = npt.NDArray[np.intp]
_LAYOUTS = 60  # block layouts tried; each costs one distance transform
_FEWEST = 3  # training pixels of a class below which nothing can be held out


@dataclass(frozen=True)
class PixelSplit:
    """Flat indices into a label map of `shape` (row-major), each sorted; no index is in two of them.

    Parameters
    ----------
    train, val, test
        Pixels to learn from, to stop by, and to score on.
    name
        ``"random"``, ``"disjoint"``, or ``"all"`` (nothing to test on).
    guard
        Smallest distance in pixels (larger of rows and columns) between a test pixel and one of train or val.
    """

    train: Index
    val: Index
    test: Index
    shape: tuple[int, int]
    name: str
    guard: int = 1

    @property
    def learning(self) -> Index:
        """Training and validation pixels together: what a reference method without early stopping may use."""
        return np.sort(np.concatenate([self.train, self.val]))


def split_pixels(
    labels: npt.NDArray[np.integer[Any]],
    name: SplitName,
    *,
    per_class: int = 50,
    fraction: float = 0.0,
    val_fraction: float = 0.2,
    patch: int = 15,
    block: int = 0,
    seed: int = 0,
) -> PixelSplit:
    """Draw training pixels of every class; the rest (less a guard band, if disjoint) is the test.

    Parameters
    ----------
    labels
        (rows, columns) label map, 0 is unlabelled.
    per_class
        Training pixels per class, validation included. At most half of a class is taken.
    fraction
        Instead: this share of each class (at least 3 pixels); 0 uses `per_class`.
    val_fraction
        Share of the training pixels of each class to validate on.
    patch
        Side of everything the network sees around a pixel, halo included.
    block
        Side of the blocks of a disjoint split; 0 takes twice the patch, at most half the scene.
    seed
        Decides pixels and blocks.

    Raises
    ------
    UsageError
        Fewer than two classes, too few pixels of a class, or no layout of blocks leaves every class on both sides.
    """
    values = classes_of(labels)
    rng = np.random.default_rng(seed)
    if name == "random":
        everywhere = np.ones(labels.shape, bool)
        picked = _pick(labels, everywhere, values, per_class, fraction, rng)
        test = np.setdiff1d(np.flatnonzero(labels), np.concatenate(list(picked.values())))
        guard = 1
    elif name == "disjoint":
        picked, test = _apart(labels, values, per_class, fraction, patch, block, rng)
        guard = patch
    else:
        raise UsageError(f"split '{name}': expected random or disjoint")
    train, val = hold_out(picked, val_fraction, rng)
    return PixelSplit(train, val, test, _shape(labels), name, guard)


def all_pixels(labels: npt.NDArray[np.integer[Any]], val_fraction: float, seed: int = 0) -> PixelSplit:
    """Learn from every labelled pixel (what somebody painted), less those held out to validate on."""
    values = classes_of(labels)
    flat = labels.ravel()
    train, val = hold_out({v: np.flatnonzero(flat == v) for v in values}, val_fraction, np.random.default_rng(seed))
    return PixelSplit(train, val, np.array([], np.intp), _shape(labels), "all", 0)


def hold_out(picked: dict[int, Index], fraction: float, rng: np.random.Generator) -> tuple[Index, Index]:
    """Set a share of each class aside; classes with fewer than three pixels give none."""
    train, val = [], []
    for pixels in picked.values():
        count = round(fraction * pixels.size) if pixels.size >= _FEWEST else 0
        if fraction > 0 and pixels.size >= _FEWEST:
            count = min(max(1, count), pixels.size - 2)
        order = rng.permutation(pixels)
        val.append(order[:count])
        train.append(order[count:])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(val))


def classes_of(labels: npt.NDArray[np.integer[Any]]) -> list[int]:
    """The class values that occur; a usage error if there are fewer than two."""
    values = [int(v) for v in np.unique(labels) if v > 0]
    if len(values) < 2:
        found = f"only class {values[0]}" if values else "no labelled pixel"
        raise UsageError(f"the labels hold {found}: at least two classes are needed to tell them apart")
    return values


def _shape(labels: npt.NDArray[Any]) -> tuple[int, int]:
    return (int(labels.shape[0]), int(labels.shape[1]))


def _pick(
    labels: npt.NDArray[np.integer[Any]], where: npt.NDArray[np.bool_], values: list[int], per_class: int,
    fraction: float, rng: np.random.Generator,
) -> dict[int, Index]:  # fmt: skip
    """Pixels per class from `where`: never more than half of the class, so that something is left to test on."""
    picked = {}
    for value in values:
        size = int((labels == value).sum())
        wanted = max(_FEWEST, round(fraction * size)) if fraction > 0 else per_class
        pixels = np.flatnonzero((labels == value) & where)
        count = min(wanted, size // 2)
        if count < 1:
            raise UsageError(f"class {value} has {size} labelled pixel(s): at least 2 are needed to train and to test")
        picked[value] = rng.permutation(pixels)[:count]
    return picked


def _apart(
    labels: npt.NDArray[np.integer[Any]], values: list[int], per_class: int, fraction: float, patch: int, block: int,
    rng: np.random.Generator,
) -> tuple[dict[int, Index], Index]:  # fmt: skip
    """Give whole blocks to training; what lies a patch away from every training pixel is the test.

    Of several random layouts, the one that leaves the scarcest class best represented on both sides is taken.
    """
    rows, columns = labels.shape
    side = block or max(4, min(2 * patch, min(rows, columns) // 2))
    best: tuple[float, dict[int, Index], Index] | None = None
    for _ in range(_LAYOUTS):
        where = _blocks(rows, columns, side, rng)
        picked = _pick(labels, where, values, per_class, fraction, rng)
        taken = np.concatenate(list(picked.values()))
        if not taken.size:
            continue
        far = np.ones(labels.shape, np.int32)
        far.flat[taken] = 0
        free = (distance_transform_cdt(far, "chessboard") >= patch) & ~where & (labels > 0)
        sizes = {v: int((labels == v).sum()) for v in values}
        wanted = {v: max(_FEWEST, round(fraction * n)) if fraction > 0 else per_class for v, n in sizes.items()}
        worth = min(
            min(picked[v].size / min(wanted[v], sizes[v] // 2) for v in values),
            min(1.0, 5 * min(int((free & (labels == v)).sum()) / sizes[v] for v in values)),
        )
        if best is None or worth > best[0]:
            best = worth, picked, np.flatnonzero(free)
        if worth >= 1:
            break
    if best is None or best[0] <= 0:
        raise UsageError(
            f"no blocks of {side} pixels keep training and test {patch} pixels apart with every class on both sides: "
            "use a smaller patch or block, or the random split"
        )
    return best[1], best[2]


def _blocks(rows: int, columns: int, side: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """True where training pixels may be drawn: about half of the blocks of a grid with a random origin."""
    dr, dc = rng.integers(side, size=2)
    r, c = (np.arange(rows) + dr) // side, (np.arange(columns) + dc) // side
    given = rng.random((r[-1] + 1, c[-1] + 1)) < 0.5
    return np.asarray(given[np.ix_(r, c)])
