"""Which bands of a scene are those that weights know: by wavelength where both sides say it, else by their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.agreement import Finding
from workbench.scene.data.taught import Taught

Array = npt.NDArray[Any]

SAME = 0.1
"""Share of a band's width by which centres may differ without a word: calibrations of one sensor do so each year."""

FILLED = 0.1
"""Share of the used bands that may be missing and filled from the others: one in ten, at least one."""

_ADAPT = "Choose weights for this sensor, or adapt them with --pca scene."


@dataclass(frozen=True)
class BandMatch:
    """Where the used bands of weights lie in a scene.

    Parameters
    ----------
    pick
        For each used band its index in the scene; -1 where it has none.
    findings
        What differs.
    """

    pick: npt.NDArray[np.intp]
    findings: tuple[Finding, ...] = ()

    def without(self, bad: Sequence[int] | Array) -> BandMatch:
        """The same without some bands of the scene, which must not be read."""
        return replace(self, pick=np.where(np.isin(self.pick, np.asarray(bad, int)), -1, self.pick))


def match_bands(
    taught: Taught, bands: int, wavelengths_nm: Sequence[float] | None, fwhm_nm: Sequence[float] | None = None
) -> BandMatch:
    """Find the bands that weights use among those of a scene.

    A band is the right one if its centre lies within half a band width of the one that was taught: there both see more
    of the same light than of different light. With equal numbers of bands and no wavelengths the order is trusted.

    Parameters
    ----------
    bands
        Number of bands of the scene.
    wavelengths_nm, fwhm_nm
        What it says of them.
    """
    used = np.array(taught.used, np.intp)
    data = None if wavelengths_nm is None else np.asarray(wavelengths_nm, np.float64)
    if taught.wavelengths_nm is None or data is None or not np.isfinite(data).all():
        return _by_order(taught, bands, used, known=data is not None)
    wanted = np.array(taught.wavelengths_nm)[used]
    half = band_widths(np.array(taught.wavelengths_nm), taught.fwhm_nm)[used] / 2
    findings = []
    if data.max() < 100 < wanted.min():  # shorter than any light: these are micrometres
        data = data * 1e3
        findings.append(Finding("converted", "wavelengths", "taken as micrometres, in nm they would be X-rays"))
    pick, moved = _nearest(wanted, half, data, used)
    missing = int((pick < 0).sum())
    if missing:
        return _no_partner(taught, bands, used, data, wanted, pick, tuple(findings))
    if not np.array_equal(pick, used) or bands != taught.bands:
        findings.append(Finding("converted", "bands", _how(pick, used, bands, taught.bands)))
    off = np.abs(moved)
    if (off > SAME * 2 * half).any():
        text = f"centres lie up to {off.max():.3g} nm from those taught on (median {np.median(off):.2g} nm)"
        findings.append(Finding("noted", "wavelengths", text))
    wide = _wider(taught, used, pick, fwhm_nm)
    if wide is not None:
        findings.append(Finding("noted", "band widths", f"{wide:.2g} times those taught on"))
    return BandMatch(pick, tuple(findings))


def band_widths(centres: Array, widths: Sequence[float] | None) -> Array:
    """Width of each band [nm]: as stated, and at least the distance to its nearest neighbour."""
    gaps = np.abs(np.subtract.outer(centres, centres))
    gaps[gaps < 1e-3] = np.inf
    nearest = gaps.min(axis=1) if len(centres) > 1 else np.full(1, np.inf)
    nearest = np.where(np.isfinite(nearest), nearest, 10.0)
    found: Array = nearest if widths is None else np.maximum(nearest, np.asarray(widths, np.float64))
    return found


def _nearest(wanted: Array, half: Array, data: Array, used: Array) -> tuple[Array, Array]:
    """For each wanted centre the band of the scene, -1 where none is near enough or it belongs to a nearer one."""
    # The same place first: spectrometers overlap, and two bands may have one centre.
    if used.max() < len(data) and (np.abs(data[used] - wanted) <= SAME * 2 * half).all():
        return used.copy(), data[used] - wanted
    distance = np.abs(np.subtract.outer(wanted, data))
    pick = distance.argmin(axis=1)
    moved = data[pick] - wanted
    pick = np.where(np.abs(moved) <= half, pick, -1)
    for band in np.unique(pick[pick >= 0]):
        rivals = np.flatnonzero(pick == band)
        if rivals.size > 1:
            keep = rivals[np.abs(moved[rivals]).argmin()]
            pick[rivals[rivals != keep]] = -1
    return pick, moved


def _by_order(taught: Taught, bands: int, used: Array, *, known: bool) -> BandMatch:
    if bands != taught.bands:
        more = "more" if bands > taught.bands else "fewer"
        said = f"{bands} bands, {more} than the {taught.bands} that the model knows"
        return BandMatch(used, (Finding("refused", "bands", said, _ADAPT),))
    if taught.wavelengths_nm is None and not known:
        said = "neither the scene nor the weights say them: the order of the bands was trusted"
    elif known:
        said = "the weights do not say those that they were taught on: the order of the bands was trusted"
    else:
        low, high = min(taught.wavelengths_nm or (0,)), max(taught.wavelengths_nm or (0,))
        said = f"the scene gives none (taught on {low:.0f}-{high:.0f} nm): the order of the bands was trusted"
    return BandMatch(used, (Finding("noted", "wavelengths", said),))


def _no_partner(
    taught: Taught, bands: int, used: Array, data: Array, wanted: Array, pick: Array, findings: tuple[Finding, ...]
) -> BandMatch:
    """Some taught bands are not there. The order is kept for whoever knows better, where the numbers are equal."""
    lacking = wanted[pick < 0]
    said = (
        f"{bands} bands of {data.min():.0f}-{data.max():.0f} nm; {lacking.size} of the {used.size} bands that the "
        f"weights use ({wanted.min():.0f}-{wanted.max():.0f} nm) have none within half a band width, "
        f"first {lacking[0]:.1f} nm"
    )
    if bands != taught.bands:
        more = "more" if bands > taught.bands else "fewer"
        said += f"; {bands} bands are {more} than the {taught.bands} that the model knows"
    return BandMatch(used, (*findings, Finding("refused", "wavelengths", said, _ADAPT)))


def _how(pick: Array, used: Array, bands: int, known: int) -> str:
    if bands == known and np.array_equal(pick, known - 1 - used):
        return "in reverse order, turned round by their wavelengths"
    if bands == known:
        return "in another order, put in that of the weights by their wavelengths"
    return f"{used.size} of {bands} were taken by their wavelengths (taught on {used.size} of {known})"


def _wider(taught: Taught, used: Array, pick: Array, fwhm_nm: Sequence[float] | None) -> float | None:
    """How many times wider the bands are, where that is more than twice or less than half."""
    if taught.fwhm_nm is None or fwhm_nm is None:
        return None
    ratio = float(np.median(np.asarray(fwhm_nm)[pick] / np.maximum(np.array(taught.fwhm_nm)[used], 1e-9)))
    return ratio if not 0.5 <= ratio <= 2 else None
