"""A scene is compared with what weights were taught on, and given to them as they must see it, before any work.

First by the header: bands, wavelengths, unit, bad bands. Then by a few thousand pixels: bands without a signal, the
scale, and whether the spectra look like those that were taught. `agree` is what every use of weights calls.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from workbench.core.agreement import Finding, settle
from workbench.core.types import Image
from workbench.scene.data.band_match import FILLED, BandMatch, match_bands
from workbench.scene.data.conversion import (
    Conversion,
    Filling,
    converted,
    decimal_scale,
    stored_scale,
    taught_scale,
)
from workbench.scene.data.scene import ignore_of, is_empty, valid_pixels
from workbench.scene.data.spectra import FittedSpectra
from workbench.scene.data.taught import DIRECTIONS, LEVELS, SceneFacts, Taught, directions, look, sample

Array = npt.NDArray[Any]

SAME_LEVEL = 0.5
"""Scenes of one scale differ by light and materials: up to 3 times (0.5 in powers of ten) is taken for that."""

SAID_LEVEL = 0.2
"""Brighter or darker than this (1.6 times) is said."""

NEAR_POWER = 0.2
"""A scale is off by a power of ten if what is left is less than this (1.6 times)."""

FAR_LEVEL = 1.0
"""Values ten times larger or smaller, and by no power of ten, are another quantity, whatever the spectra look like."""

STRANGE = 0.5
"""Share of pixels unlike all that was taught from which it is said, and from which the shape of spectra is another."""

ALIKE, SIMILAR, UNLIKE = 0.95, 0.7, 0.3
"""Correlations of median spectra. Bands that run the other way round are told by one of 0.95 after turning them, and
less than 0.7 as they are, where the spectra are also unlike those taught on; else less than 0.3."""

FAR_DIRECTION = 8.0
"""Shapes of spectra are so many times as far from those taught as these are from one another; a scene of another day,
brighter, noisier or coarser, is about as near as they are (1 to 3 times)."""

_FEWEST_KNOWN = 50  # shapes from which distances between them mean something
_APART = 0.002  # shapes taught count as no nearer to one another than this share of their spread: some have no noise
_RANGE = 0.5  # a component may leave the taught range by half of it: other mixtures of the same materials do
_RESIDUAL = 2.0  # what the components do not hold may be twice what 99 % of the taught pixels had
_COMPARED = 2000  # pixels whose level is compared
_MAIN = 6  # the components behind these are mostly noise

_EMPTY = 0.5  # a band without numbers in more pixels is no band
_SCALE = "Give the scene with its scale factor in the header, or on the scale of the weights."
_MARK = "Mark them in 'bbl' of the header to have them filled from the other bands, or give a scene that has them."


@dataclass(frozen=True, eq=False)
class Agreed:
    """A scene that weights may work on.

    Parameters
    ----------
    stated, image
        The scene as its file gives it, and as the weights must see it: bands in their order, on their scale.
    fitted
        The preparation, with the no-data value of this scene.
    findings, notes
        What differs or was converted; the lines that a result must carry.
    """

    stated: Image
    image: Image
    fitted: FittedSpectra
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def agree(taught: Taught, fitted: FittedSpectra, image: Image, *, weights: str, force: bool = False) -> Agreed:
    """Compare a scene with what weights were taught on, and convert what can be.

    Raises
    ------
    MismatchError
        The result could not be right, and `force` is not set.
    InputError
        The bands cannot be used at all (another number of them, without wavelengths), forced or not.
    """
    subject = image.source or image.name
    match, findings = by_header(taught, fitted, image)
    settle(findings, subject=subject, weights=weights, force=force)
    if match.pick.max() >= len(image.channels):
        fitted.require(image)
    conversion, ignore, found = by_samples(taught, fitted, image, match)
    findings = (*findings, *found)
    notes = settle(findings, subject=subject, weights=weights, force=force)
    seen_as = converted(image, conversion, taught, ignore)
    fitted.require(seen_as)
    return Agreed(image, seen_as, replace(fitted, ignore=ignore), findings, notes)


def by_header(taught: Taught, fitted: FittedSpectra, image: Image) -> tuple[BandMatch, tuple[Finding, ...]]:
    """Where the bands of the weights lie in the scene, and what differs by what the file says; reads no samples."""
    findings: list[Finding] = []
    if image.classes is not None:
        said = f"a class map ({', '.join(image.classes.names[:4])}...)"
        findings.append(Finding("refused", "image", said, "Give the spectral cube that it was made from."))
    header = image.header
    match = match_bands(taught, len(image.channels), header.get("wavelengths_nm"), header.get("fwhm_nm"))
    findings += match.findings
    if image.value_unit and taught.unit and image.value_unit.lower() != taught.unit.lower():
        findings.append(Finding("refused", "unit", f"{image.value_unit}, taught on {taught.unit}", _SCALE))
    sensor = str(header.get("sensor") or "")
    if sensor and taught.sensor and sensor.lower() != taught.sensor.lower():
        findings.append(Finding("noted", "sensor", f"{sensor}, taught on {taught.sensor}"))
    good = header.get("good_bands")
    if fitted.recipe.bad_bands and good is not None and len(good) == len(image.channels):
        bad = np.flatnonzero(~np.asarray(good, bool))
        needed = np.intersect1d(bad, match.pick)
        match = match.without(bad)
        findings += _left_out(needed, len(taught.used), f"marked as bad in the header: {_numbers(needed)}")
    if not taught.told:
        what = "in which unit, with which no-data value and by which spectra"
        findings.append(Finding("noted", "contract", f"the weights do not say {what} they were taught: not compared"))
    return match, tuple(findings)


def by_samples(
    taught: Taught, fitted: FittedSpectra, image: Image, match: BandMatch
) -> tuple[Conversion, float | None, tuple[Finding, ...]]:
    """What must be done to the scene, its no-data value after that, and what differs by its samples."""
    pixels = sample(image)[:, None, :]
    stated = ignore_of(image)
    findings: list[Finding] = []
    dead, words = _dead_bands(pixels[:, 0], match.pick, stated)
    if dead.size:
        findings.append(Finding("refused", "bands", f"{words}: {_numbers(dead)}", _MARK))
        match = match.without(dead)
    used = np.array(taught.used, np.intp)
    missing = match.pick < 0
    filling = Filling.of(fitted, missing) if missing.any() and not missing.all() else None
    ignore, found = _no_data(taught, image, pixels[match.pick[~missing], 0], stated)
    findings += found
    plain = Conversion(taught.bands, used, match.pick, None, filling, ignore)
    if missing.all() or not taught.scenes:
        return plain, ignore, tuple(findings)
    conversion, ignore, found = _scale(taught, fitted, image, pixels, plain, ignore)
    findings += found
    return conversion, ignore, (*findings, *_strange(taught, fitted, _whole(conversion, pixels, ignore)))


def _left_out(bands: Array, used: int, said: str) -> list[Finding]:
    """Bands of the scene that the weights need and must not read."""
    if not bands.size:
        return []
    if bands.size > max(1, FILLED * used):
        advice = "Choose weights that were taught without them, or adapt them with --pca scene."
        return [Finding("refused", "bands", f"{bands.size} of {used} that the weights use are {said}", advice)]
    text = f"{said}; the weights use them, they were filled from the other bands by the components of the weights"
    return [Finding("converted", "bands", text)]


def _dead_bands(pixels: Array, pick: Array, ignore: float | None) -> tuple[Array, str]:
    """Bands (indices in the scene) without numbers in most pixels, or with one and the same in all of them."""
    wanted = np.unique(pick[pick >= 0])
    values = pixels[wanted].astype(np.float64)
    empty = is_empty(pixels[wanted], ignore)
    # Pixels that are empty in all bands are holes of the scene, not bands without numbers.
    inside = ~empty.all(axis=0)
    if not inside.any():
        return np.array([], int), ""
    empty, values = empty[:, inside], values[:, inside]
    dead = wanted[empty.mean(axis=1) > _EMPTY]
    if dead.size and dead.size < wanted.size:
        return dead, "no numbers (NaN or the no-data value) in most pixels"
    if values.shape[1] < 50:
        return np.array([], int), ""
    whole = ~empty.any(axis=0)
    low, high = (f(values[:, whole], axis=1, initial=v) for f, v in ((np.min, np.inf), (np.max, -np.inf)))
    flat = low == high
    if 0 < flat.sum() <= max(1, 0.5 * wanted.size):
        return wanted[flat], "one and the same number in all pixels"
    return np.array([], int), ""


def _no_data(taught: Taught, image: Image, pixels: Array, stated: float | None) -> tuple[float | None, list[Finding]]:
    """The no-data value in the unit of the scene; one that the header keeps back is recognised and said."""
    if stated is not None:
        return stated, []
    if taught.ignore is not None and not valid_pixels(pixels[:, None], taught.ignore).all():
        share = 100 * (1 - valid_pixels(pixels[:, None], taught.ignore).mean())
        text = (
            f"{taught.ignore:g} in {share:.1f} % of the pixels, the no-data value of the scene that taught the weights"
        )
        return taught.ignore, [Finding("converted", "no-data", f"{text}: left empty")]
    if pixels.shape[0] < 4:
        return None, []
    same = (pixels == pixels[:1]).all(axis=0)
    values, counts = np.unique(pixels[0, same], return_counts=True)
    limits = np.iinfo(pixels.dtype) if pixels.dtype.kind in "iu" else np.finfo(pixels.dtype)
    fits = [(int(n), float(v)) for v, n in zip(values, counts, strict=True) if v < 0 or v >= limits.max]
    if not fits:
        return None, []
    count, value = max(fits)
    text = f"{value:g} in every band of {100 * count / pixels.shape[1]:.1f} % of the pixels, which the header does not"
    return value, [Finding("converted", "no-data", f"{text} declare: left empty")]


def _scale(
    taught: Taught, fitted: FittedSpectra, image: Image, pixels: Array, plain: Conversion, ignore: float | None
) -> tuple[Conversion, float | None, list[Finding]]:
    """Put the samples on the scale that was taught: as they are, by a factor of a header, or by a power of ten."""
    recipe = fitted.recipe
    if recipe.patch or (recipe.shape and not recipe.brightness):
        return plain, ignore, []  # these do not see the scale
    as_it_is = _whole(plain, pixels, ignore)
    shift = _shift(taught, fitted, as_it_is)
    if shift is None or abs(shift) <= SAME_LEVEL:
        said = []
        if shift is not None and abs(shift) > SAID_LEVEL:
            how = f"{10**shift:.2g} times as bright" if shift > 0 else f"{10**-shift:.2g} times darker"
            said = [Finding("noted", "level", f"the spectra are {how} than those taught on (median)")]
        return plain, ignore, said
    times = _times(shift)
    for scale in (stored_scale(image, plain.pick), taught_scale(taught, image)):
        if scale is None:
            continue
        other = replace(plain, scale=scale)
        if abs(_shift(taught, fitted, _whole(other, pixels, None)) or 0.0) <= SAME_LEVEL:
            return other, None, [Finding("converted", "scale", f"values were {times} those taught on; {scale.said}")]
    power = round(shift)
    known = _share_strange(taught, fitted, as_it_is, level=False)
    if power and abs(shift - power) <= NEAR_POWER and known is not None and known < STRANGE:
        scale = decimal_scale(power, len(plain.pick), taught, image)
        text = f"values were {times} those taught on, with spectra of the same shape; {scale.said}"
        return replace(plain, scale=scale), None, [Finding("converted", "scale", text)]
    if (known is not None and known < STRANGE) or abs(shift) > FAR_LEVEL:
        said_of = "no power of ten" if abs(shift - power) > NEAR_POWER else "and the spectra have another shape"
        text = f"values are {times} those taught on ({said_of}): another unit or scale"
        return plain, ignore, [Finding("refused", "scale", text, _SCALE)]
    text = f"the spectra are {times} those taught on (median), and of another shape"
    return plain, ignore, [Finding("noted", "level", text)]


def _strange(taught: Taught, fitted: FittedSpectra, values: Array) -> list[Finding]:
    """Say where most spectra are unlike all that was taught; refuse where they only fit the other way round."""
    forth, back = _alike(taught, values)
    share = _share_strange(taught, fitted, values)
    far = _distance(taught, fitted, values)
    strange = (share is not None and share >= STRANGE) or far >= FAR_DIRECTION
    if back > ALIKE and forth < (SIMILAR if strange else UNLIKE):
        said = "the spectra look like those taught on only if the bands are read in reverse order"
        return [Finding("refused", "bands", said, "Correct the order of the bands, or their wavelengths.")]
    if not strange:
        return []
    said = f"{100 * (share or 0):.0f} % of the pixels have spectra unlike any that were taught on"
    if share is None or share < STRANGE:
        said = f"their shapes are {far:.0f} times as far from those taught on as these are from one another"
    return [Finding("noted", "spectra", f"{said} (other materials, light, season or calibration)")]


def _whole(conversion: Conversion, pixels: Array, ignore: float | None) -> Array:
    """Whole spectra ``(n, used)`` float64 after a conversion."""
    found = conversion.samples(pixels)
    return np.asarray(found[:, valid_pixels(found, ignore)].T, np.float64)


def _shift(taught: Taught, fitted: FittedSpectra, values: Array) -> float | None:
    """How much larger the level is than that of the most similar pixels taught, in powers of ten: the median.

    Where the weights keep no pixels (version 0.1), the quantiles of the level are compared.
    """
    if not len(values):
        return None
    values = values[:: max(1, len(values) // _COMPARED)]
    level = np.log10(look(values, fitted)[0])
    where = directions(values, fitted)
    return min((_shift_of(scene, level, where) for scene in taught.scenes), key=abs)


def _shift_of(scene: SceneFacts, level: Array, where: Array) -> float:
    if not scene.reference:
        return float(np.median(np.percentile(level, LEVELS) - np.log10(np.maximum(scene.level, 1e-12))))
    known = np.array(scene.reference).reshape(-1, DIRECTIONS + 1)
    nearest = cKDTree(known[:, :-1]).query(where)[1]
    return float(np.median(level - known[nearest, -1]))


def _share_strange(taught: Taught, fitted: FittedSpectra, values: Array, *, level: bool = True) -> float | None:
    """Share of the pixels unlike all that was taught; ``None`` where the weights do not know it.

    Parameters
    ----------
    level
        Whether the components count where they depend on the level (spectra that were not divided by their length).
    """
    known = [s for s in taught.scenes if s.residual is not None and s.low]
    if not known or not len(values):
        return None
    _, parts, residual = look(values, fitted)
    strange = np.ones(len(values), bool)
    for scene in known:
        strange &= _unlike(scene, parts, residual, ranges=level or fitted.recipe.shape)
    return float(strange.mean())


def _distance(taught: Taught, fitted: FittedSpectra, values: Array) -> float:
    """Median distance to the nearest shape taught, over that of the taught ones from one another; 0 if not known."""
    found = []
    for scene in taught.scenes:
        # Each shape once: a scene may have a frame of one number.
        known = np.unique(np.array(scene.reference).reshape(-1, DIRECTIONS + 1)[:, :-1], axis=0)
        if len(known) < _FEWEST_KNOWN or not len(values):
            return 0.0
        tree = cKDTree(known)
        apart = max(float(np.median(tree.query(known, k=2)[0][:, 1])), _APART * float(np.sqrt(known.var(axis=0).sum())))
        some = values[:: max(1, len(values) // _COMPARED)]
        found.append(float(np.median(tree.query(directions(some, fitted))[0])) / apart)
    return min(found, default=0.0)


def _alike(taught: Taught, values: Array) -> tuple[float, float]:
    """Correlation of the median spectrum with the most similar one taught, and of the same turned round.

    Turned round are all bands of the scene, so only those count whose counterpart is used, too. (1, 0) where nothing
    can be said: no spectra, few bands, or no shape at all.
    """
    known = [np.array(s.median) for s in taught.scenes if len(s.median) == len(taught.used)]
    place = {band: i for i, band in enumerate(taught.used)}
    pairs = [(i, place[taught.bands - 1 - band]) for band, i in place.items() if taught.bands - 1 - band in place]
    if not known or not len(values) or len(pairs) < 6:
        return 1.0, 0.0
    here, there = np.array(pairs).T
    median = np.median(values, axis=0)
    if not median[here].std() > 0 or not all(k[here].std() > 0 for k in known):
        return 1.0, 0.0
    found = [
        (float(np.corrcoef(k[here], median[here])[0, 1]), float(np.corrcoef(k[here], median[there])[0, 1]))
        for k in known
    ]
    return max(f for f, _ in found), max(b for _, b in found)


def _unlike(scene: SceneFacts, parts: Array, residual: Array, *, ranges: bool) -> npt.NDArray[np.bool_]:
    low, high = np.array(scene.low[:_MAIN]), np.array(scene.high[:_MAIN])
    margin = _RANGE * (high - low)
    main = parts[:, :_MAIN]
    outside = ((main < low - margin) | (main > high + margin)).any(axis=1) & ranges
    found: npt.NDArray[np.bool_] = outside | (residual > _RESIDUAL * (scene.residual or 0.0) + 1e-9)
    return found


def _times(shift: float) -> str:
    return f"{10**shift:.3g} times" if shift > 0 else f"1/{10**-shift:.3g} of"


def _numbers(bands: Array) -> str:
    """Band numbers as people count them, runs put together: ``6-7, 12``."""
    if not len(bands):
        return ""
    runs = np.split(bands, np.flatnonzero(np.diff(bands) > 1) + 1)
    words = [f"{r[0] + 1}" if len(r) == 1 else f"{r[0] + 1}-{r[-1] + 1}" for r in runs]
    return ", ".join(words[:8]) + ("..." if len(words) > 8 else "")
