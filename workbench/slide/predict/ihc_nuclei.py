"""Nuclei of a window of a slide with haematoxylin and a chromogen, without learning.

Both stains show nuclei: what is brown in its middle is one nucleus, and what is blue beside it another. Thresholds hold
for a whole slide, so that nothing depends on what else a window holds. Nuclei that touch are parted by the watershed of
the distance to the edge (as QuPath's and ImageJ's do).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.slide.data.stains import Stains
from workbench.slide.predict.mosaic import Cells
from workbench.slide.predict.traced import connected, traced

Numbers = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
_DEPTH = 0.3
"""How much deeper [um] a place must lie in a nucleus than what parts it from another."""
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


def outlined(blue: Floats, brown: Floats, rules: IhcRules) -> Numbers:
    """Numbers of the nuclei of smoothed stains ``(H, W)``."""
    from scipy import ndimage

    is_brown = ndimage.binary_fill_holes(brown > rules.bins[0])
    out = np.zeros(blue.shape, np.int32)
    least = max(1, round(rules.smallest / rules.mpp**2))
    width = max(1, round(_OPENED / rules.mpp))
    for mask in (is_brown, (blue > rules.haematoxylin) & ~is_brown):
        opened = ndimage.binary_fill_holes(ndimage.binary_opening(mask, iterations=width)) & (out == 0)
        found = _parted(opened, rules.mpp)
        out[found > 0] = found[found > 0] + out.max()
    out = connected(out, least)
    sizes = np.bincount(out.ravel())
    small_or_large = (sizes < least) | (sizes * rules.mpp**2 > rules.largest)
    small_or_large[0] = True
    numbers = np.where(small_or_large, 0, np.cumsum(~small_or_large)).astype(np.int32)
    kept: Numbers = numbers[out]
    return kept


def _parted(mask: npt.NDArray[np.bool_], mpp: float) -> Numbers:
    """Pieces of a mask, and those of them that have two middles cut between."""
    from scipy import ndimage
    from skimage.morphology import h_maxima
    from skimage.segmentation import watershed

    if not mask.any():
        return np.zeros(mask.shape, np.int32)
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask) * mpp, 1.0 / mpp)
    markers, _ = ndimage.label(h_maxima(depth, _DEPTH), np.ones((3, 3)))
    found: Numbers = np.asarray(watershed(-depth, markers, mask=mask), np.int32)
    return found


def cells_in(
    pixels: npt.NDArray[np.uint8], stains: Stains, rules: IhcRules, margin: int, corner: tuple[int, int]
) -> tuple[Cells, Floats]:
    """The nuclei of a window whose middle lies in its core, and the smoothed chromogen of the core.

    Parameters
    ----------
    pixels
        ``(S, S, 3)`` uint8.
    margin
        What of the window lies around its core, in pixels.
    corner
        (x, y) of the window, in pixels of windows from the corner of the slide.
    """
    from scipy import ndimage

    amounts = stains.amounts(pixels)
    blue, brown = smoothed(amounts, rules.smoothing, rules.mpp)
    core = slice(margin, len(pixels) - margin)
    labels = outlined(blue, brown, rules)
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
    return found.select(inside), brown[core, core]


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
        near = ndimage.binary_dilation(brown > rules.bins[0], iterations=max(1, round(_RIM / rules.mpp)))
        values.append(blue[~near])
    every: Floats = np.concatenate(values) if values else np.zeros(0, np.float32)
    if every.size < 1000 or float(np.ptp(every)) < 0.02:
        return None
    found = float(threshold_otsu(every))
    if every[every > found].mean() - every[every <= found].mean() < _CONTRAST:
        return None
    return share * found
