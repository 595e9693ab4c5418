"""How well nuclei were found: panoptic quality, detection within a radius, and the aggregated Jaccard index.

A. Kirillov et al., "Panoptic Segmentation", CVPR 2019 (a pair counts where its IoU is above one half, which makes pairs
unique); N. Kumar et al., IEEE Trans. Med. Imaging 36:1550, 2017 (AJI). Conventions of PanNuke (means over images, J.
Gamper et al., arXiv 2003.10778) and of CoNIC (counts of all images together, S. Graham et al., arXiv 2303.06274).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.integer]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Panoptic:
    """Counts of one image or of many: pairs, nuclei found in excess, nuclei missed, and the sum of IoU of the pairs."""

    pairs: int = 0
    excess: int = 0
    missed: int = 0
    iou: float = 0.0

    def __add__(self, other: Panoptic) -> Panoptic:
        return Panoptic(
            self.pairs + other.pairs, self.excess + other.excess, self.missed + other.missed, self.iou + other.iou
        )

    @property
    def dq(self) -> float:
        """Detection quality: F1 of the pairs; NaN where there was nothing to find and nothing was found."""
        whole = self.pairs + 0.5 * (self.excess + self.missed)
        return self.pairs / whole if whole else float("nan")

    @property
    def sq(self) -> float:
        """Segmentation quality: mean IoU of the pairs; 0 without any."""
        return self.iou / self.pairs if self.pairs else 0.0

    @property
    def pq(self) -> float:
        """Panoptic quality: `dq` times `sq`."""
        return self.dq * self.sq


@dataclass(frozen=True)
class Detection:
    """Counts of centres within a radius: pairs, in excess, missed."""

    pairs: int = 0
    excess: int = 0
    missed: int = 0

    def __add__(self, other: Detection) -> Detection:
        return Detection(self.pairs + other.pairs, self.excess + other.excess, self.missed + other.missed)

    @property
    def precision(self) -> float:
        return _share(self.pairs, self.pairs + self.excess)

    @property
    def recall(self) -> float:
        return _share(self.pairs, self.pairs + self.missed)

    @property
    def f1(self) -> float:
        return _share(2 * self.pairs, 2 * self.pairs + self.excess + self.missed)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


@dataclass(frozen=True, eq=False)
class Overlap:
    """All pairs of a right and a found nucleus that share pixels, with their IoU; and how many there are of each."""

    right: Numbers
    found: Numbers
    both: Numbers
    right_sizes: dict[int, int] = field(default_factory=dict)
    found_sizes: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, right: Numbers, found: Numbers) -> Overlap:
        """Of two label images of one shape, 0 for no nucleus.

        Raises
        ------
        ValueError
            Their shapes differ.
        """
        if right.shape != found.shape:
            raise ValueError(f"label images of {right.shape} and {found.shape}")
        a, b = right.ravel().astype(np.int64), found.ravel().astype(np.int64)
        width = int(b.max(initial=0)) + 1
        keys, counts = np.unique(a * width + b, return_counts=True)
        first, second = keys // width, keys % width
        inside = (first > 0) & (second > 0)
        return cls(first[inside], second[inside], counts[inside], _sizes(a), _sizes(b))

    @property
    def iou(self) -> Floats:
        sizes = np.array([self.right_sizes[int(i)] for i in self.right], np.float64)
        others = np.array([self.found_sizes[int(i)] for i in self.found], np.float64)
        return self.both / np.maximum(sizes + others - self.both, 1)


def _sizes(labels: Numbers) -> dict[int, int]:
    numbers, counts = np.unique(labels, return_counts=True)
    return {int(n): int(c) for n, c in zip(numbers, counts, strict=True) if n > 0}


def panoptic(right: Numbers, found: Numbers) -> Panoptic:
    """Pairs of an image whose IoU is above one half."""
    overlap = Overlap.of(right, found)
    iou = overlap.iou
    paired = iou > 0.5
    pairs = int(paired.sum())
    return Panoptic(pairs, len(overlap.found_sizes) - pairs, len(overlap.right_sizes) - pairs, float(iou[paired].sum()))


def detection(right: Floats, found: Floats, radius: float) -> Detection:
    """Centres ``(N, 2)`` and ``(M, 2)`` paired one to one: as many as lie within `radius`, and those the nearest."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    if not len(right) or not len(found):
        return Detection(0, len(found), len(right))
    away = cdist(right, found)
    # One more pair is always worth more than shorter distances.
    cost = np.where(away <= radius, away - 2 * radius * min(away.shape) - 1, 0.0)
    rows, columns = linear_sum_assignment(cost)
    pairs = int((away[rows, columns] <= radius).sum())
    return Detection(pairs, len(found) - pairs, len(right) - pairs)


def aggregated_jaccard(right: Numbers, found: Numbers) -> float:
    """AJI of an image: every right nucleus with the found one of highest IoU, found ones that nobody took added below.

    NaN where there is neither.
    """
    overlap = Overlap.of(right, found)
    iou = overlap.iou
    taken: set[int] = set()
    common = union = 0
    order = np.lexsort((-iou, overlap.right))
    best = {int(overlap.right[i]): int(i) for i in order[::-1]}
    for number, size in overlap.right_sizes.items():
        if number not in best:
            union += size
            continue
        i = best[number]
        other = int(overlap.found[i])
        common += int(overlap.both[i])
        union += size + overlap.found_sizes[other] - int(overlap.both[i])
        taken.add(other)
    union += sum(size for number, size in overlap.found_sizes.items() if number not in taken)
    return _share(common, union)


def mean_pq(images: Iterable[Panoptic]) -> float:
    """bPQ as PanNuke has it: the mean over images that have a nucleus; what is found in others does not count.

    Nothing is said then of false nuclei on empty images: `pooled` counts them.
    """
    known = [one.pq for one in images if one.pairs + one.missed]
    return float(np.mean(known)) if known else float("nan")


def pooled(images: Sequence[Panoptic]) -> Panoptic:
    """Counts of all images together, as CoNIC has it (PQ+)."""
    return sum(images, Panoptic())
