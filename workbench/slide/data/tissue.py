"""Where tissue lies on a slide in brightfield, found at low power by colour and texture.

Colour is saturation with a threshold by Otsu (IEEE Trans. SMC 9:62, 1979) that is held within what stained tissue has;
texture finds what is grey. Pen marks are of colours that no usual stain has, strong and smooth at once. What is not a
brightfield slide (fluorescence is bright on black) is refused: by saturation nearly all of it would be tissue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError

MASK_MPP = 8.0
"""Micrometres per pixel at which tissue is looked for."""
_SATURATION = (0.05, 0.15)
"""Bounds of the threshold: below is glass with a cast, above is tissue of any usual stain."""
_TEXTURE = 4.0
_DARK = 70
_SMOOTH = 6.0

Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Tissue:
    """A mask, and how it came about.

    Parameters
    ----------
    mask
        ``(rows, columns)``, true where tissue lies.
    pen
        The same shape, true where a pen mark was left out.
    threshold
        Saturation from which a pixel is tissue.
    notes
        What a person should know, a line each.
    """

    mask: Mask
    pen: Mask
    threshold: float
    notes: tuple[str, ...] = ()


def find_tissue(
    pixels: Pixels, mpp: float | None, *, min_area: float = 0.01, keep_pen: bool = False, name: object = "slide"
) -> Tissue:
    """The tissue of a slide.

    Parameters
    ----------
    pixels
        The slide at low power, ``(rows, columns, 3)`` of 8 bits; about `MASK_MPP`.
    mpp
        Micrometres per pixel of `pixels`, or ``None``: then areas are counted in pixels of `MASK_MPP`.
    min_area
        Smaller pieces are dust, and smaller holes are filled [mm2].
    keep_pen
        Leave pen marks in.

    Raises
    ------
    InputError
        It is no brightfield slide.
    """
    from scipy import ndimage

    require_brightfield(pixels, name)
    step = MASK_MPP if mpp is None else mpp
    values = ndimage.gaussian_filter(pixels.astype(np.float32), (1, 1, 0))
    high, low = values.max(axis=2), values.min(axis=2)
    saturation = (high - low) / np.maximum(high, 1)
    grey = values.mean(axis=2)
    spread = _spread(pixels.astype(np.float32).mean(axis=2), 5)
    threshold = float(np.clip(_otsu(saturation), *_SATURATION))
    ground = float(np.quantile(grey, 0.95))
    found = (saturation > threshold) | ((spread > _TEXTURE) & (grey < ground - 15))
    found &= high < 253
    pen = np.zeros_like(found) if keep_pen else _pen(values, saturation, step)
    found &= ~pen
    width = max(1, round(24 / step))
    # Tissue goes on beyond the edge of a picture of a region: nothing is worn off there.
    wider = np.pad(found, width + 1, mode="edge")
    wider = ndimage.binary_closing(wider, iterations=width)
    wider = ndimage.binary_opening(wider & ~np.pad(pen, width + 1), iterations=1)
    found = wider[width + 1 : -width - 1, width + 1 : -width - 1]
    least = max(1, round(min_area * 1e6 / step**2))
    found = _without_small(found, least)
    found = ~_without_small(~found, least) & ~pen
    return Tissue(found, pen, threshold, _notes(found, pen, step))


def require_brightfield(pixels: Pixels, name: object = "slide") -> None:
    """Refuse what is bright on black.

    Raises
    ------
    InputError
        More than half of the picture is nearly black.
    """
    dark = float((pixels.max(axis=2) < _DARK).mean())
    if dark > 0.5:
        raise InputError(
            f"{name}: {100 * dark:.0f} % of it is nearly black, as in fluorescence; tissue is looked for on slides in "
            "brightfield. Give a mask of your own with --roi."
        )


def _notes(found: Mask, pen: Mask, step: float) -> tuple[str, ...]:
    notes = []
    share = 100 * float(found.mean())
    if not found.any():
        notes.append("no tissue was found")
    elif share > 95:
        notes.append(f"{share:.0f} % of the picture is taken for tissue: look at the mask, or draw your own")
    if pen.any():
        notes.append(f"{pen.sum() * step**2 / 1e6:.2g} mm2 were left out as pen marks")
    return tuple(notes)


def _otsu(values: npt.NDArray[np.float32]) -> float:
    """The threshold between two classes of values in 0..1 with the largest variance between them."""
    counts, edges = np.histogram(values, bins=256, range=(0, 1))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    between = np.nan_to_num(between)
    return float(centres[int(np.argmax(between))]) if between.max() > 0 else 1.0


def _spread(values: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float32]:
    """Standard deviation within a window around each pixel."""
    from scipy import ndimage

    mean = ndimage.uniform_filter(values, size)
    square = ndimage.uniform_filter(values * values, size)
    spread: npt.NDArray[np.float32] = np.sqrt(np.maximum(square - mean * mean, 0))
    return spread


def _pen(values: npt.NDArray[np.float32], saturation: npt.NDArray[np.float32], step: float) -> Mask:
    """Marks of a pen: green or cyan to blue with more green than red, or black; strong, and smooth over 100 um."""
    from scipy import ndimage

    red, green, blue = (values[..., i] for i in range(3))
    coloured = (saturation > 0.3) & (green > red + 12) & (np.maximum(green, blue) > red + 40)
    black = (values.max(axis=2) < 60) & (saturation < 0.3)
    smooth = _spread(values.mean(axis=2), 5) < _SMOOTH
    core = (coloured | black) & smooth
    core = _without_small(core, max(4, round(20_000 / step**2)))
    if not core.any():
        return core
    # A stroke fades towards its edge, where it is neither strong nor smooth.
    grown = ndimage.binary_dilation(core, iterations=max(1, round(40 / step)))
    mark: Mask = core | (grown & (coloured | black | (saturation > 0.15) & (green > red)))
    return mark


def _without_small(mask: Mask, least: int) -> Mask:
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    if not count:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    kept: Mask = (sizes >= least)[labels]
    return kept
