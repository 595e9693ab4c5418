"""Nuclei of a window of a slide with haematoxylin and a chromogen, without learning.

Nuclei are what either stain shows, parted by the watershed of the distance to the edge (as QuPath's and ImageJ's do),
and, where a shape is no nucleus, between the stains. Thresholds hold for a whole slide, so that nothing depends on what
else a window holds, and those of what is positive change no outline.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.slide.data.stains import Stains
from workbench.slide.predict.cells import mirrored
from workbench.slide.predict.mosaic import Cells
from workbench.slide.predict.traced import connected, traced

Numbers = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
_CHROMOGEN = 0.15
"""Density of the chromogen, smoothed, above which something may be a nucleus though it is not blue. It is no threshold
of what is positive: that one says nothing of where a nucleus ends."""
_CONVEX = 0.90
"""Share of its convex hull that one nucleus has at least."""
_DEPTH = 0.1
"""How much deeper [um] a place must lie in a nucleus than what parts it from another."""
_ROUNDED = 0.4
"""Deviation [um] of the smoothing of that depth."""
_OPENED = 0.5
"""Radius [um] of what is taken away at edges, as threads are."""


@dataclass(frozen=True)
class IhcRules:
    """How nuclei are cut and named.

    Parameters
    ----------
    mpp
        Micrometres per pixel of windows.
    haematoxylin
        Density of haematoxylin above which something is a nucleus.
    bins
        Mean density of the chromogen in a nucleus from which it is 1+, 2+ and 3+.
    smoothing
        Deviation of the Gaussian before anything is compared [um].
    smallest, largest
        Of a nucleus [um2].
    """

    mpp: float
    haematoxylin: float
    bins: tuple[float, float, float]
    smoothing: float
    smallest: float
    largest: float


def smoothed(amounts: Floats, rules_smoothing: float, mpp: float) -> tuple[Floats, Floats]:
    """Both stains of a window ``(H, W, 3)``, each smoothed."""
    from scipy import ndimage

    first, second = (ndimage.gaussian_filter(amounts[..., k], rules_smoothing / mpp) for k in range(2))
    return first, second


def outlined(blue: Floats, brown: Floats, rules: IhcRules) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Numbers of the nuclei of smoothed stains ``(H, W)``, and what is too large to be one.

    What is stained is parted by its shape. A part that is brown here and blue there is one nucleus if it is convex, as
    one that is patchy; else it is two that touch, and cut between the stains.
    """
    from scipy import ndimage

    is_brown = brown > _CHROMOGEN
    least = max(1, round(rules.smallest / rules.mpp**2))
    most = max(1, round(rules.largest / rules.mpp**2))
    width = max(1, round(_OPENED / rules.mpp))
    stained = _filled((blue > rules.haematoxylin) | is_brown, most)
    stained = _filled(ndimage.binary_opening(stained, iterations=width), most)
    out = _parted(stained, rules.mpp)
    brown_here = _filled(ndimage.binary_opening(is_brown, iterations=width), most) & stained
    next_number = int(out.max()) + 1
    for number, where in enumerate(ndimage.find_objects(out), 1):
        if where is None:
            continue
        own = out[where] == number
        parts = own & brown_here[where], own & ~brown_here[where]
        if min(int(part.sum()) for part in parts) < least or _solidity(own) >= _CONVEX:
            continue
        for part in parts:
            found = _parted(ndimage.binary_opening(part, iterations=width), rules.mpp)
            out[where][own & part] = 0
            out[where][found > 0] = found[found > 0] + next_number
            next_number += int(found.max()) + 1
    out = connected(out, least)
    sizes = np.bincount(out.ravel())
    too_large = sizes > most
    too_large[0] = False
    left_out = (sizes < least) | too_large
    left_out[0] = True
    numbers = np.where(left_out, 0, np.cumsum(~left_out)).astype(np.int32)
    kept: Numbers = numbers[out]
    return kept, too_large[out]


def _filled(mask: npt.NDArray[np.bool_], most: int) -> npt.NDArray[np.bool_]:
    """A mask without its holes, but for those that no nucleus has: a ring around a gland is no nucleus."""
    from scipy import ndimage

    holes, count = ndimage.label(ndimage.binary_fill_holes(mask) & ~mask)
    if not count:
        return mask
    small = np.bincount(holes.ravel(), minlength=count + 1) <= most // 2
    small[0] = False
    found: npt.NDArray[np.bool_] = mask | small[holes]
    return found


def _solidity(own: npt.NDArray[np.bool_]) -> float:
    """The share that a shape has of the pixels within its convex hull (G. Pick's theorem): 1 where it is convex."""
    from scipy.spatial import ConvexHull, QhullError

    points = np.argwhere(own)
    try:
        hull = ConvexHull(points)
    except (QhullError, ValueError):  # all in one line
        return 1.0
    corners = points[hull.vertices]
    border = np.gcd(*np.abs(np.roll(corners, -1, axis=0) - corners).T).sum()
    return float(len(points) / (hull.volume + border / 2 + 1))


def _parted(mask: npt.NDArray[np.bool_], mpp: float) -> Numbers:
    """Pieces of a mask, and those of them that have two middles cut between."""
    from scipy import ndimage
    from skimage.morphology import h_maxima
    from skimage.segmentation import watershed

    if not mask.any():
        return np.zeros(mask.shape, np.int32)
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask) * mpp, _ROUNDED / mpp)
    markers, _ = ndimage.label(h_maxima(depth, _DEPTH), np.ones((3, 3)))
    found: Numbers = np.asarray(watershed(-depth, markers, mask=mask), np.int32)
    return found


@dataclass(frozen=True, eq=False)
class Looked:
    """What was found in a window.

    Parameters
    ----------
    cells
        The nuclei whose middle lies in its core.
    brown
        Smoothed density of the chromogen in the core.
    pixels
        ``(3,)``: how many of the core are positive, how many of these lie in nuclei, and in what is too large for one.
    """

    cells: Cells
    brown: Floats
    pixels: npt.NDArray[np.int64]


def look(
    pixels: npt.NDArray[np.uint8], stains: Stains, rules: IhcRules, margin: int, corner: tuple[int, int],
    on_slide: tuple[slice, slice],
) -> Looked:  # fmt: skip
    """The nuclei of a window.

    Parameters
    ----------
    pixels
        ``(S, S, 3)`` uint8.
    margin
        What of the window lies around its core, in pixels.
    corner
        (x, y) of the window, in pixels of windows from the corner of the slide.
    on_slide
        Its rows and columns that lie on the slide: beyond them is nothing.
    """
    from scipy import ndimage

    amounts = stains.amounts(mirrored(pixels, on_slide))
    blue, brown = smoothed(amounts, rules.smoothing, rules.mpp)
    core = slice(margin, len(pixels) - margin)
    there = np.zeros(blue.shape, bool)
    there[on_slide] = True
    labels, too_large = outlined(np.where(there, blue, 0), np.where(there, brown, 0), rules)
    table = traced(labels)
    means = np.stack([ndimage.mean(amounts[..., k], labels, table.ids) for k in range(2)], 1)
    kinds = 1 + np.searchsorted(rules.bins, means[:, 1], side="right")
    x, y = table.centroids.T
    inside = (x >= margin) & (x < core.stop) & (y >= margin) & (y < core.stop)
    whole = len(pixels)
    found = Cells(
        table.coordinates + np.array(corner, np.float32), table.offsets, table.centroids + np.array(corner),
        kinds.astype(np.int32), np.full(len(table), np.nan, np.float32), table.areas,
        table.eccentricities.astype(np.float32), means.astype(np.float32).reshape(-1, 2),
        (table.boxes[:, :2] == 0).any(1) | (table.boxes[:, 2:] == whole).any(1), np.zeros((len(table), 0), np.float16),
    )  # fmt: skip
    positive = (brown > rules.bins[0])[core, core] & there[core, core]
    counted = [positive, positive & (labels > 0)[core, core], positive & too_large[core, core]]
    return Looked(found.select(inside), brown[core, core], np.array([c.sum() for c in counted], np.int64))


_RIM = 2.0
"""What lies so near [um] to something positive is neither it nor its surroundings."""
_CONTRAST = 0.10
"""Density between nuclei and what lies between them, from which they are told apart."""


def haematoxylin_threshold(windows: list[Floats], rules: IhcRules, share: float = 0.85) -> float | None:
    """The density that parts nuclei from what lies between (Otsu of all that is not brown, a little less).

    Parameters
    ----------
    windows
        Amounts of windows ``(H, W, 3)``.

    Returns
    -------
    density or None
        ``None`` where nothing is left to compare, or all of it is alike: thresholds of noise find nuclei everywhere.
    """
    from scipy import ndimage
    from skimage.filters import threshold_otsu

    values = []
    for amounts in windows:
        blue, brown = smoothed(amounts, rules.smoothing, rules.mpp)
        near = ndimage.binary_dilation(brown > _CHROMOGEN, iterations=max(1, round(_RIM / rules.mpp)))
        values.append(blue[~near])
    every: Floats = np.concatenate(values) if values else np.zeros(0, np.float32)
    if every.size < 1000 or float(np.ptp(every)) < 0.02:
        return None
    found = float(threshold_otsu(every))
    if every[every > found].mean() - every[every <= found].mean() < _CONTRAST:
        return None
    return share * found
