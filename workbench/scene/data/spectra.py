"""From the bands of a scene to the few numbers per pixel that a network sees, the same in training and mapping.

Bands that carry no signal are left out, the spectrum's shape is told from its brightness, principal components are
fitted on the scene (or taken from the weights), and all are scaled for the scene as a whole. Everything works on single
pixels, so a scene can be prepared block by block.

>>> fitted = fit(image, SpectralRecipe())          # streams over the scene, whatever its size
>>> components = fitted.apply(open_blocks(image).read(rows, columns))      # (components, r, c) float32
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, UsageError, WeightsError
from workbench.core.types import Image, Labels
from workbench.scene.data.scene import Blocks, ignore_of, is_empty, open_blocks, valid_pixels

Array = npt.NDArray[Any]
WATER_NM = ((1340.0, 1450.0), (1790.0, 1970.0), (2450.0, 3000.0))
"""Wavelengths at which water vapour leaves next to no light in spectra from the air or from orbit."""

_MOST_PIXELS = 250_000  # more do not change principal components noticeably
_MOST_NAN = 0.5  # a band that is NaN in more pixels is a bad band, not a scene with holes


@dataclass(frozen=True)
class SpectralRecipe:
    """How spectra are prepared; travels in the weight file.

    Parameters
    ----------
    components
        Principal components kept.
    shape
        Divide every spectrum by its length (Euclidean norm) first. What is left does not depend on illumination: the
        same material in sun and on a shaded slope looks alike.
    brightness
        Add the logarithm of that length as one more component, so that nothing is lost.
    scale
        ``"common"``: one factor for all components, so that those with little variance, mostly noise, stay small.
        ``"component"``: each to deviation 1 (whitening, as published). ``"none"``.
    patch
        Standardise every component of every patch instead, as published: deletes the level of the spectrum, and a scene
        cannot be mapped densely.
    bad_bands
        Leave out what the header marks as bad.
    water
        Leave out the bands of `WATER_NM`; needs wavelengths.
    drop
        More bands to leave out, numbered from 1: ``"1-5,104-116"``.
    """

    components: int = 15
    shape: bool = True
    brightness: bool = True
    scale: Literal["common", "component", "none"] = "common"
    patch: bool = False
    bad_bands: bool = True
    water: bool = False
    drop: str = ""

    @property
    def channels(self) -> int:
        """How many numbers a pixel becomes."""
        return self.components + int(self.brightness)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SpectralRecipe:
        """Inverse of `to_json`; an unknown key means the file was made for another version."""
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise WeightsError(
                f"the weight file's recipe has unknown entries {sorted(unknown)}; update napari-workbench"
            )
        return cls(**values)


@dataclass(frozen=True, eq=False)
class FittedSpectra:
    """A recipe with the numbers that were found on a scene.

    Parameters
    ----------
    recipe
        What is done.
    bands
        Bands the cube must have.
    kept
        Indices of those that are used.
    mean, basis
        (kept,) and (components, kept) float32: centre and principal components, largest variance first.
    scale
        (components,) float32: what the components are divided by.
    brightness
        Mean and deviation of the logarithm of the spectra's length.
    explained
        Share of the variance that the components hold, 0 to 1.
    ignore
        Value that stands for "nothing measured here" in this scene's file, or ``None``.
    """

    recipe: SpectralRecipe
    bands: int
    kept: npt.NDArray[np.intp]
    mean: npt.NDArray[np.float32]
    basis: npt.NDArray[np.float32]
    scale: npt.NDArray[np.float32]
    brightness: tuple[float, float]
    explained: float = 1.0
    ignore: float | None = None

    def apply(self, block: Array) -> npt.NDArray[np.float32]:
        """Prepare (bands, r, c) samples: (channels, r, c) float32, 0 where a pixel holds no whole spectrum.

        Raises
        ------
        InputError
            The block has another number of bands than the scene of the fit.
        """
        if block.shape[0] != self.bands:
            raise InputError(f"the spectra have {block.shape[0]} bands, the model knows {self.bands}")
        used = block[self.kept]
        valid = valid_pixels(used, self.ignore)
        pixels = np.where(valid, used, 0).reshape(len(self.kept), -1).T.astype(np.float32)
        length = _length(pixels)
        if self.recipe.shape:
            pixels = (pixels / length[:, None]).astype(np.float32)
        found: Array = (pixels - self.mean) @ self.basis.T / self.scale
        if self.recipe.brightness:
            middle, width = self.brightness
            # Clipped: a dead pixel or a glint would otherwise outweigh everything.
            found = np.column_stack([found, np.clip((np.log(length) - middle) / width, -4, 4) / 2])
        found[~valid.ravel()] = 0
        return np.ascontiguousarray(found.T.reshape(-1, *block.shape[1:]), dtype=np.float32)

    def valid(self, block: Array) -> npt.NDArray[np.bool_]:
        """Which pixels (r, c) of a block (bands, r, c) hold a whole spectrum."""
        return valid_pixels(block[self.kept], self.ignore)

    def require(self, image: Image) -> None:
        """Refuse a scene whose bands are not those of the fit; says so from the header."""
        if len(image.channels) != self.bands:
            more = "more" if len(image.channels) > self.bands else "fewer"
            raise InputError(
                f"{image.source or image.name}: has {len(image.channels)} bands, {more} than the {self.bands} that the "
                "model knows; choose weights for this sensor, or adapt them with --pca scene"
            )

    def to_json(self) -> dict[str, Any]:
        """The plain part, for the record of a weight file; the arrays are `tensors`."""
        return {
            "recipe": self.recipe.to_json(),
            "bands": self.bands,
            "kept": [int(b) for b in self.kept],
            "brightness": list(self.brightness),
            "explained": self.explained,
            "ignore": self.ignore,
        }

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """What does not fit into a record: ``spectra.mean``, ``spectra.basis``, ``spectra.scale``."""
        return {"spectra.mean": self.mean, "spectra.basis": self.basis, "spectra.scale": self.scale}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], arrays: Mapping[str, Array]) -> FittedSpectra:
        """Inverse of `to_json` and `arrays`."""
        try:
            mean, basis, scale = (np.asarray(arrays[f"spectra.{n}"], np.float32) for n in ("mean", "basis", "scale"))
            middle, width = (float(v) for v in values["brightness"])
            return cls(
                SpectralRecipe.from_json(values["recipe"]), int(values["bands"]), np.array(values["kept"], np.intp),
                mean, basis, scale, (middle, width), float(values["explained"]), values.get("ignore"),
            )  # fmt: skip
        except KeyError as error:
            raise WeightsError(f"the weight file does not say how spectra are prepared ({error} is missing)") from None


def fit(image: Image, recipe: SpectralRecipe) -> FittedSpectra:
    """Find centre, principal components and scale of a scene; labels are not looked at.

    Streams over the scene and holds one block at a time; of very large scenes every n-th pixel is taken.

    Raises
    ------
    InputError
        Bands without numbers that nothing marks as bad, or no variance at all.
    UsageError
        `recipe` asks for more components than there are bands, or drops bands that are not there.
    """
    kept = kept_bands(image, recipe)
    name = str(image.source or image.name)
    if recipe.components > len(kept):
        raise UsageError(f"{recipe.components} components were asked for, {name} has {len(kept)} usable bands")
    blocks = open_blocks(image)
    ignore = ignore_of(image)
    step = max(1, int(np.ceil(np.sqrt(blocks.shape[1] * blocks.shape[2] / _MOST_PIXELS))))
    count, total, outer = 0, np.zeros(len(kept)), np.zeros((len(kept), len(kept)))
    logs = np.zeros(2)
    holes, seen = np.zeros(len(kept), np.int64), 0
    for rows, columns in blocks.windows():
        block = blocks.read(rows, columns)[kept][:, ::step, ::step]
        empty = is_empty(block, ignore)
        inside = ~empty.all(axis=0)  # a pixel that is empty in all bands is a hole of the scene, none of a band
        holes += (empty & inside).reshape(len(kept), -1).sum(1)
        seen += int(np.count_nonzero(inside))
        pixels = block[:, valid_pixels(block, ignore)].T.astype(np.float64)
        length = _length(pixels)
        logs += np.log(length).sum(), (np.log(length) ** 2).sum()
        if recipe.shape:
            pixels /= length[:, None]
        count += len(pixels)
        total += pixels.sum(0)
        outer += pixels.T @ pixels
    _require_numbers(holes, seen, kept, name)
    if count < 2:
        raise InputError(f"{name}: no pixel holds a whole spectrum (NaN, or the ignore value {ignore})")
    mean = total / count
    values, vectors = np.linalg.eigh(outer / count - np.outer(mean, mean))
    values, vectors = np.clip(values[::-1], 0, None), vectors[:, ::-1]
    if values[0] <= 1e-14 * max(1e-30, float(mean @ mean)):
        raise InputError(f"{name}: all spectra are the same; is this the right file?")
    basis = vectors[:, : recipe.components].T
    basis = basis * np.sign(basis[np.arange(len(basis)), np.abs(basis).argmax(1)])[:, None]
    deviation = np.sqrt(np.maximum(values[: recipe.components], values[0] * 1e-12))
    scale = {"common": np.full(len(basis), deviation[0]), "component": deviation, "none": np.ones(len(basis))}
    middle = logs[0] / count
    width = float(np.sqrt(max(logs[1] / count - middle**2, 1e-6)))
    return FittedSpectra(
        recipe, blocks.shape[0], kept, mean.astype(np.float32), basis.astype(np.float32),
        scale[recipe.scale].astype(np.float32), (float(middle), width),
        float(values[: recipe.components].sum() / values.sum()), ignore,
    )  # fmt: skip


def kept_bands(image: Image, recipe: SpectralRecipe) -> npt.NDArray[np.intp]:
    """Indices of the bands that a recipe uses.

    Raises
    ------
    UsageError
        `recipe.water` without wavelengths, `recipe.drop` names bands that are not there, or nothing is left.
    """
    bands = len(image.channels)
    kept = np.ones(bands, bool)
    good = image.header.get("good_bands")
    if recipe.bad_bands and good is not None:
        kept &= np.asarray(good, bool)
    if recipe.water:
        kept &= ~_in_water(image.header.get("wavelengths_nm"), image)
    for band in parse_bands(recipe.drop, bands):
        kept[band] = False
    if not kept.any():
        raise UsageError(f"{image.source or image.name}: every one of the {bands} bands is marked as bad or dropped")
    return np.flatnonzero(kept)


def parse_bands(text: str, bands: int) -> list[int]:
    """Indices (from 0) of bands written as people count them: ``"1-5, 104-116"``."""
    found: list[int] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        match = re.fullmatch(r"(\d+)(?:\s*-\s*(\d+))?", part)
        if not match:
            raise UsageError(f"drop_bands: '{part}' is no band or range of bands; write it like '1-5,104-116'")
        low, high = int(match[1]), int(match[2] or match[1])
        if not 1 <= low <= high <= bands:
            raise UsageError(f"drop_bands: '{part}' does not lie in the bands 1 to {bands} of the scene")
        found += range(low - 1, high)
    return found


def _in_water(wavelengths: Sequence[float] | None, image: Image) -> npt.NDArray[np.bool_]:
    if wavelengths is None:
        raise UsageError(
            f"{image.source or image.name}: gives no wavelengths, so the water bands are not known; "
            "name them with --drop-bands instead"
        )
    nm = np.asarray(wavelengths)
    found: npt.NDArray[np.bool_] = np.logical_or.reduce([(nm >= low) & (nm <= high) for low, high in WATER_NM])
    return found


def _length(pixels: Array) -> Array:
    """Euclidean length of each spectrum; that of an empty one counts as 1e-6."""
    return np.asarray(np.maximum(np.linalg.norm(pixels, axis=1), 1e-6))


def _require_numbers(holes: Array, seen: int, kept: Array, name: str) -> None:
    bad = [int(b) + 1 for b in kept[holes > _MOST_NAN * seen]] if seen else []
    if bad:
        shown = ", ".join(map(str, bad[:8])) + ("..." if len(bad) > 8 else "")
        raise InputError(
            f"{name}: {len(bad)} band(s) hold no numbers (NaN or the no-data value) in most pixels: {shown}; mark them "
            f"in 'bbl' of the header, or leave them out with --drop-bands {','.join(map(str, bad[:8]))}"
        )


def valid_map(
    image: Image, fitted: FittedSpectra, *, where: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.bool_]:
    """Which pixels (rows, columns) of a scene hold a whole spectrum; read block by block.

    Parameters
    ----------
    where
        (rows, columns): pixels that are asked for; blocks without any are not read, and all true.
    """
    blocks: Blocks = open_blocks(image)
    found = np.ones(blocks.shape[1:], bool)
    for rows, columns in blocks.windows():
        if where is None or where[rows, columns].any():
            found[rows, columns] = fitted.valid(blocks.read(rows, columns))
    return found


View: TypeAlias = tuple[Image, FittedSpectra]
"""A scene as some method sees it, and how its spectra are prepared for that method."""


def with_spectra(
    labels: Labels,
    views: Sequence[View],
    what: str = "labelled pixels",
    then: str = "nothing is learnt from them and nothing tested on them",
) -> tuple[Labels, list[str]]:
    """The labels of pixels that hold a whole spectrum in all views, and how many do not.

    Raises
    ------
    InputError
        None does.
    """
    known = labels.data > 0
    whole = known.copy()
    for image, fitted in views:
        whole &= valid_map(image, fitted, where=known)
    lost, total = int(np.count_nonzero(known & ~whole)), int(np.count_nonzero(known))
    if not lost:
        return labels, []
    if lost == total:
        raise InputError(f"none of the {total} {what} holds a spectrum: the scene has no data there")
    data = np.where(whole, labels.data, np.zeros((), labels.data.dtype))
    return replace(labels, data=data), [f"{lost} of {total} {what} hold no spectrum: {then}"]
