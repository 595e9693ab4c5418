"""Which labelled pixels of a scene train, validate and test: at random, or apart in space so that no patch is shared.

Two patches of side `w` share pixels exactly if their centres are less than `w` apart along both axes. A random split of
pixels therefore shows the network most test pixels inside its training patches; `disjoint` is the honest one. `fixed`
pixels are those of two maps that somebody drew, as benchmarks publish them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_cdt

from workbench.core.errors import UsageError
from workbench.scene.train.apart import FEWEST, Wanted, apart

SplitName = Literal["random", "disjoint"]
Index = npt.NDArray[np.intp]


@dataclass(frozen=True)
class PixelSplit:
    """Flat indices into a label map of `shape` (row-major), each sorted; no index is in two of them.

    Parameters
    ----------
    train, val, test
        Pixels to learn from, to stop by, and to score on.
    name
        ``"random"``, ``"disjoint"``, ``"fixed"``, or ``"all"`` (nothing to test on).
    guard
        Smallest distance in pixels (larger of rows and columns) between a test pixel and one of train or val.
    halved
        Classes whose fields were cut in two, one half to train and one to test.
    left_out
        Class values that are neither learnt nor tested, with the reason.
    """

    train: Index
    val: Index
    test: Index
    shape: tuple[int, int]
    name: str
    guard: int = 1
    halved: tuple[int, ...] = ()
    left_out: dict[int, str] = field(default_factory=dict)

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
        Fewer than two classes that have a pixel to learn from and one to test on.
    """
    sizes = {v: int((labels == v).sum()) for v in classes_of(labels)}
    lost = {v: f"{n} labelled pixel, and at least 2 are needed" for v, n in sizes.items() if n < 2}
    wanted = {v: max(FEWEST, round(fraction * n)) if fraction > 0 else per_class for v, n in sizes.items()}
    # Never more than half of a class, so that something is left to test on.
    count = {v: min(wanted[v], sizes[v] // 2) for v in sizes if v not in lost}
    if len(count) < 2:
        raise UsageError(
            f"the labels hold {len(count)} class(es) with at least 2 labelled pixels, to train and to test: two such "
            "classes are needed"
        )
    rng = np.random.default_rng(seed)
    halved: tuple[int, ...] = ()
    if name == "random":
        picked = {v: rng.permutation(np.flatnonzero(labels == v))[:n] for v, n in count.items()}
        rest = np.flatnonzero(np.isin(labels, list(count)))
        test = np.setdiff1d(rest, np.concatenate(list(picked.values())))
        guard = 1
    elif name == "disjoint":
        side = block or max(4, min(2 * patch, min(labels.shape) // 2))
        known = np.where(np.isin(labels, list(count)), labels, 0)
        found = apart(Wanted(known, count, patch), side, rng)
        why = f"training and test pixels cannot be kept {patch} pixels apart"
        lost |= {v: f"its {sizes[v]} {why}" for v in found.lost}
        if len(found.picked) < 2:
            raise UsageError(
                f"no blocks of {side} pixels keep training and test {patch} pixels apart with every class on both "
                "sides, and cutting fields in two does not either: use a smaller patch or block, or the random split"
            )
        picked, test, halved, guard = found.picked, found.test, found.halved, patch
    else:
        raise UsageError(f"split '{name}': expected random or disjoint")
    train, val = hold_out(picked, val_fraction, rng)
    return PixelSplit(train, val, test, _shape(labels), name, guard, halved, lost)


def fixed_pixels(
    train: npt.NDArray[np.integer[Any]], test: npt.NDArray[np.integer[Any]], val_fraction: float, seed: int = 0
) -> PixelSplit:
    """The pixels of two label maps: those of one train (and validate), those of the other test.

    Test pixels that also train are no test; classes that are only in the test map were never taught.
    """
    values = classes_of(train)
    flat, tested = train.ravel(), np.flatnonzero(test)
    strange = [int(v) for v in np.unique(test) if v > 0 and int(v) not in values]
    tested = tested[~np.isin(test.ravel()[tested], strange) & (flat[tested] == 0)]
    rng = np.random.default_rng(seed)
    learnt, val = hold_out({v: np.flatnonzero(flat == v) for v in values}, val_fraction, rng)
    guard = 0
    if tested.size:
        guard = int(distance_transform_cdt((train == 0).astype(np.int32), "chessboard").flat[tested].min())
    lost = dict.fromkeys(strange, "no training pixel has this class")
    return PixelSplit(learnt, val, tested, _shape(train), "fixed", guard, (), lost)


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
        count = round(fraction * pixels.size) if pixels.size >= FEWEST else 0
        if fraction > 0 and pixels.size >= FEWEST:
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
