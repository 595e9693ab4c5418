"""What weights for scenes were taught on: bands, wavelengths, scale and the look of the spectra, as plain facts.

A training gathers them (`gather`) and the record of a weight file keeps them (entry ``taught``); whoever uses the
weights on a scene compares first, see `workbench.scene.data.agreed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import WeightsError
from workbench.core.types import Image
from workbench.scene.data.scene import ignore_of, open_blocks, valid_pixels
from workbench.scene.data.spectra import FittedSpectra

Array = npt.NDArray[Any]

LEVELS = (5.0, 25.0, 50.0, 75.0, 95.0)
"""Percentages at which the level (length of the spectrum over the used bands) of a scene's pixels is kept."""

DIRECTIONS = 6
"""Numbers that say which material a pixel may be: the first components of its spectrum, divided by its length."""

_REFERENCE = 250  # pixels that are kept of a scene to compare others with

_SAMPLED = 10_000  # pixels that are looked at: quantiles of more differ by less than scenes of one sensor do
_ROWS = 40
_EDGE = (0.5, 99.5)  # percentages that bound the components of a scene: a glint must not widen them
_DIGITS = 6


@dataclass(frozen=True)
class SceneFacts:
    """How the spectra of one scene look to a network.

    Parameters
    ----------
    name
        Of the scene.
    level
        Length of the spectra over the used bands at the percentages `LEVELS`, in the unit of the samples.
    median, spread
        Per used band: median, and half the distance between the 16 % and the 84 % quantile.
    low, high
        Range of each prepared component, without the outermost half percent on each side.
    residual
        Part of a spectrum (of its length) that the components do not hold, 99 % quantile.
    reference
        Some pixels, one after the other: the `DIRECTIONS` of the spectrum, which do not change with the light, and the
        logarithm (base 10) of its level. A crop with water only is dark, and that is right: levels are compared with
        those of similar pixels.
    pixel_size
        Larger side of a pixel in the unit of the map, or ``None``.
    """

    name: str
    level: tuple[float, ...]
    median: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    residual: float | None = None
    reference: tuple[float, ...] = ()
    pixel_size: float | None = None


@dataclass(frozen=True)
class Taught:
    """What weights were taught on.

    Parameters
    ----------
    bands, used
        Bands of the scene, and which of them (from 0) the weights look at.
    wavelengths_nm, fwhm_nm
        Of all bands, or ``None``.
    unit
        Of the samples (``"reflectance"``), where the file said it.
    gain, offset
        One per band, or a single one: what the file's header scaled its stored samples by, or ``None``.
    whole
        Whether the samples were whole numbers.
    ignore
        The no-data value in the unit of the samples, or ``None``.
    sensor
        As the header calls it, or empty.
    scenes
        One entry per scene that taught these weights through the same components.
    told
        False for weights of version 0.1, of which `implied` knows only a part.
    """

    bands: int
    used: tuple[int, ...]
    wavelengths_nm: tuple[float, ...] | None = None
    fwhm_nm: tuple[float, ...] | None = None
    unit: str | None = None
    gain: tuple[float, ...] | None = None
    offset: tuple[float, ...] | None = None
    whole: bool = False
    ignore: float | None = None
    sensor: str = ""
    scenes: tuple[SceneFacts, ...] = ()
    told: bool = True

    def to_json(self) -> dict[str, Any]:
        return {k: v for k, v in asdict(self).items() if k != "told"}

    def and_then(self, later: Taught) -> Taught:
        """What taught weights that went on from these with the same components on another scene."""
        return replace(self, scenes=(*self.scenes, *later.scenes), told=self.told)


def from_json(values: Mapping[str, Any]) -> Taught:
    """Inverse of `Taught.to_json`; entries of later versions are left out.

    Raises
    ------
    WeightsError
        An entry has another type than it must have.
    """
    scenes = values.get("scenes", [])
    if not isinstance(scenes, list) or not all(isinstance(s, Mapping) for s in scenes):
        raise WeightsError("its entry 'taught' does not list scenes; fetch the file again, or train it anew")
    plain = _checked(Taught, {k: v for k, v in values.items() if k not in ("scenes", "told")})
    taught = Taught(**plain, scenes=tuple(SceneFacts(**_checked(SceneFacts, s)) for s in scenes))
    lists = (taught.wavelengths_nm, taught.fwhm_nm)
    if any(v is not None and len(v) != taught.bands for v in lists) or max(taught.used, default=0) >= taught.bands:
        raise WeightsError("its entry 'taught' has lists that do not fit its number of bands; fetch the file again")
    if any(len(s.level) != len(LEVELS) or len(s.reference) % (DIRECTIONS + 1) for s in taught.scenes):
        raise WeightsError(f"its entry 'taught' has no level at {len(LEVELS)} percentages; fetch the file again")
    return taught


_NEEDED = {"bands", "used", "name", "level"}


def _checked(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a dataclass with lists of numbers as tuples, and nothing of a wrong type."""
    found: dict[str, Any] = {}
    for f in fields(kind):
        if f.name in ("scenes", "told"):
            continue
        value = values.get(f.name)
        if value is None and f.name not in _NEEDED:
            continue
        text = str(f.type)
        fine: bool
        if "tuple" in text:
            fine = isinstance(value, list | tuple) and all(_is_number(v, whole="int" in text) for v in value)
            value = tuple(value) if fine else value  # type: ignore[arg-type]
        elif "bool" in text:
            fine = isinstance(value, bool)
        elif "str" in text:
            fine = isinstance(value, str)
        else:
            fine = _is_number(value, whole="int" in text)
        if not fine:
            raise WeightsError(f"its entry 'taught' holds {str(value)[:40]!r} for '{f.name}'; fetch the file again")
        found[f.name] = value
    return found


def _is_number(value: Any, *, whole: bool) -> bool:
    kinds = int if whole else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and bool(np.isfinite(value))


def sample(image: Image) -> Array:
    """Spectra ``(bands, n)`` of up to about 10,000 pixels, spread evenly; in the type of the scene."""
    blocks = open_blocks(image)
    _, rows, columns = blocks.shape
    if rows * columns <= 2 * _SAMPLED:
        return blocks.read().reshape(blocks.shape[0], -1)
    wanted = np.unique(np.linspace(0, rows - 1, min(rows, _ROWS)).round().astype(int))
    step = max(1, round(columns * len(wanted) / _SAMPLED))
    lines = [blocks.read(slice(int(r), int(r) + 1), slice(None))[:, 0, ::step] for r in wanted]
    return np.concatenate(lines, axis=1)


def facts_of(name: str, pixels: Array, fitted: FittedSpectra, pixel_size: float | None = None) -> SceneFacts:
    """The facts of a scene by samples of it.

    Parameters
    ----------
    pixels
        ``(used, n)`` whole spectra.
    """
    values = pixels.T.astype(np.float64)
    low, middle, high = np.percentile(values, (16, 50, 84), axis=0)
    level, parts, residual = look(values, fitted)
    edges = np.percentile(parts, _EDGE, axis=0)
    some = np.unique(np.linspace(0, len(values) - 1, min(_REFERENCE, len(values))).round().astype(int))
    reference = np.column_stack([directions(values[some], fitted), np.log10(level[some])])
    return SceneFacts(
        name, _plain(np.percentile(level, LEVELS)), _plain(middle), _plain((high - low) / 2), _plain(edges[0]),
        _plain(edges[1]), _plain([np.percentile(residual, 99)])[0],
        tuple(float(f"{v:.4g}") for v in reference.ravel()), pixel_size,
    )  # fmt: skip


def look(values: Array, fitted: FittedSpectra) -> tuple[Array, Array, Array]:
    """Level ``(n,)``, components ``(n, components)`` and residual ``(n,)`` of spectra ``(n, used)`` float64."""
    level = np.maximum(np.linalg.norm(values, axis=1), 1e-6)
    shape = values / level[:, None] if fitted.recipe.shape else values
    centred = shape - fitted.mean
    parts = centred @ fitted.basis.T
    left = np.linalg.norm(centred - parts @ fitted.basis, axis=1)
    return level, parts / fitted.scale, left if fitted.recipe.shape else left / level


def directions(values: Array, fitted: FittedSpectra) -> Array:
    """``(n, DIRECTIONS)`` of spectra ``(n, used)``: components of the spectra divided by their length."""
    length = np.maximum(np.linalg.norm(values, axis=1), 1e-6)
    found = (values / length[:, None]) @ fitted.basis[:DIRECTIONS].T.astype(np.float64)
    return np.pad(found, ((0, 0), (0, DIRECTIONS - found.shape[1])))


def gather(image: Image, fitted: FittedSpectra, *, stated: Image | None = None) -> Taught:
    """What a training on a scene tells of it.

    Parameters
    ----------
    image
        The scene as the network saw it.
    stated
        The scene as its file gives it, where that is another one (bands put in order).
    """
    header = image.header
    file = image if stated is None else stated
    ignore = ignore_of(image)
    pixels = sample(image)[fitted.kept]
    whole = valid_pixels(pixels[:, None, :], ignore)[0]
    spacing = image.geometry.spacing
    size = None if spacing is None else round(max(spacing), 4)
    return Taught(
        bands=len(image.channels),
        used=tuple(int(b) for b in fitted.kept),
        wavelengths_nm=_some(header.get("wavelengths_nm")),
        fwhm_nm=_some(header.get("fwhm_nm")),
        unit=image.value_unit,
        gain=numbers_of(header.get("gain")),
        offset=numbers_of(header.get("offset")),
        whole=image.dtype.kind in "iu",
        ignore=None if ignore is None or not np.isfinite(ignore) else float(ignore),
        sensor=str(file.header.get("sensor") or ""),
        scenes=(facts_of(image.name, pixels[:, whole], fitted, size),) if whole.any() else (),
    )


def implied(fitted: FittedSpectra, wavelengths_nm: Sequence[float] | None, name: str) -> Taught:
    """What weights of version 0.1 say without saying it: bands, wavelengths, and the level of the scene."""
    middle, width = fitted.brightness
    # Quantiles of a normal distribution at LEVELS: the logarithm of the level is close to one.
    level = np.exp(middle + width * np.array([-1.645, -0.674, 0.0, 0.674, 1.645]))
    known = wavelengths_nm is not None and len(wavelengths_nm) == fitted.bands
    return Taught(
        bands=fitted.bands,
        used=tuple(int(b) for b in fitted.kept),
        wavelengths_nm=tuple(float(w) for w in wavelengths_nm) if known and wavelengths_nm is not None else None,
        ignore=fitted.ignore,
        scenes=(SceneFacts(name, _plain(level)),),
        told=False,
    )


def taught_of(record: Mapping[str, Any], fitted: FittedSpectra) -> Taught:
    """What the record of a weight file says, or what it implies where it is of version 0.1."""
    if record.get("taught"):
        found = from_json(record["taught"])
        if found.bands != fitted.bands or found.used != tuple(int(b) for b in fitted.kept):
            raise WeightsError("its entries 'taught' and 'spectra' speak of different bands; fetch the file again")
        return found
    training = record.get("training") or {}
    wavelengths = training.get("wavelengths_nm")
    return implied(fitted, wavelengths if isinstance(wavelengths, list) else None, str(training.get("scene", "")))


def numbers_of(value: Any) -> tuple[float, ...] | None:
    """A number or a list of them as a tuple."""
    if value is None:
        return None
    return tuple(float(v) for v in np.atleast_1d(value))


def _some(values: Any) -> tuple[float, ...] | None:
    """A list of finite numbers, or none at all."""
    found = numbers_of(values)
    return found if found is not None and np.isfinite(found).all() else None


def _plain(values: Any) -> tuple[float, ...]:
    """Plain numbers of six digits: a record should not grow by digits that compare nothing."""
    return tuple(float(f"{v:.{_DIGITS}g}") for v in np.asarray(values, np.float64))
