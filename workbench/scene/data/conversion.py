"""A scene as weights must see it: its bands in their order, on their scale, and bad bands filled from the others.

Nothing is copied: what `converted` gives is an image that converts block by block while it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.core.types import Image
from workbench.scene.data.scene import Blocks, SceneNative, open_blocks, scaled, scaled_type, valid_pixels
from workbench.scene.data.spectra import FittedSpectra
from workbench.scene.data.taught import Taught

Array = npt.NDArray[Any]

_SMALLEST = 3e-3
"""Directions in which the bands at hand vary less than this share of the largest say nothing of a missing band."""


@dataclass(frozen=True, eq=False)
class Scale:
    """How samples are put on the scale that was taught.

    Parameters
    ----------
    way
        ``"multiply"``: ``x * gain + offset``, the very steps of a reader; ``"divide"``: ``(x - offset) / gain``, its
        inverse.
    gain, offset
        One per used band.
    whole
        Round to whole numbers, which the samples of the taught scale are: what is left then is no rounding error.
    dtype
        Type of what comes out.
    said
        What is done, for people.
    """

    way: Literal["multiply", "divide"]
    gain: Array
    offset: Array | None
    whole: bool
    dtype: np.dtype[Any]
    said: str

    def apply(self, samples: Array) -> Array:
        """``(used, r, c)`` samples on the other scale."""
        if self.way == "multiply":
            return scaled(samples, self.gain, self.offset, self.dtype)
        shift = 0.0 if self.offset is None else self.offset[:, None, None]
        with np.errstate(over="ignore", invalid="ignore"):
            found = (samples.astype(np.float64) - shift) / self.gain[:, None, None]
        return (np.rint(found) if self.whole else found).astype(self.dtype)


@dataclass(frozen=True, eq=False)
class Filling:
    """Bands that must not be read, from the other bands of the same pixel.

    A spectrum is taken to lie where the components of the weights can reach: the combination that fits the bands at
    hand best says what the missing ones would be.
    """

    missing: npt.NDArray[np.bool_]
    matrix: Array
    constant: Array

    @classmethod
    def of(cls, fitted: FittedSpectra, missing: npt.NDArray[np.bool_]) -> Filling:
        there = ~missing
        basis = fitted.basis.T.astype(np.float64)
        mean = fitted.mean.astype(np.float64)
        if fitted.recipe.shape:  # a spectrum is its unknown length times (mean + components)
            model = np.column_stack([mean, basis])
            return cls(missing, model[missing] @ np.linalg.pinv(model[there], rcond=_SMALLEST), np.zeros(missing.sum()))
        matrix = basis[missing] @ np.linalg.pinv(basis[there], rcond=_SMALLEST)
        return cls(missing, matrix, mean[missing] - matrix @ mean[there])

    def apply(self, samples: Array) -> Array:
        """``(used, r, c)`` float samples with the missing bands put in."""
        out = samples.astype(np.float64 if samples.dtype.itemsize > 4 else np.float32)
        known = samples[~self.missing].reshape(int((~self.missing).sum()), -1).astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            found = self.matrix @ known + self.constant[:, None]
        out[self.missing] = found.reshape(-1, *samples.shape[1:])
        return out


@dataclass(frozen=True, eq=False)
class Conversion:
    """All that is done to a block of a scene.

    Parameters
    ----------
    bands, used
        Bands that the weights know, and which of them they use; the others come out as 0.
    pick
        For each used band its index in the scene, -1 where it is filled.
    scale, filling
        What is done to the samples, and how bands that must not be read are filled.
    empty
        The no-data value of the scene: on another scale it is another number in every band, and where bands are filled
        one that is 0 everywhere no longer is, so the pixels that have it are found before, and become NaN.
    """

    bands: int
    used: npt.NDArray[np.intp]
    pick: npt.NDArray[np.intp]
    scale: Scale | None = None
    filling: Filling | None = None
    empty: float | None = None

    @property
    def changes_nothing(self) -> bool:
        return self.scale is None and self.filling is None and np.array_equal(self.pick, self.used)

    def samples(self, block: Array) -> Array:
        """``(used, ...)`` of ``(bands of the scene, ...)``."""
        picked = block[np.maximum(self.pick, 0)]
        flat = picked.reshape(picked.shape[0], picked.shape[1], -1)
        if self.scale is None and self.filling is None:
            return picked
        found = flat if self.scale is None else self.scale.apply(flat)
        found = found if self.filling is None else self.filling.apply(found)
        if self.empty is not None:
            found[:, ~valid_pixels(flat[self.pick >= 0], self.empty)] = np.nan
        return found.reshape(picked.shape)

    def block(self, block: Array) -> Array:
        """``(bands, r, c)`` as the weights know them."""
        found = self.samples(block)
        out = np.zeros((self.bands, *block.shape[1:]), found.dtype)
        out[self.used] = found
        return out

    def dtype(self, stored: np.dtype[Any]) -> np.dtype[Any]:
        """Type of what comes out of samples of a type."""
        found = stored if self.scale is None else self.scale.dtype
        if self.filling is None:
            return found
        return np.dtype(np.float64 if found.itemsize > 4 else np.float32)


def converted(image: Image, conversion: Conversion, taught: Taught, ignore: float | None) -> Image:
    """The scene as the weights must see it; the same image where nothing changes."""
    if conversion.changes_nothing:
        return image
    names = [f"band {i + 1}" for i in range(conversion.bands)]
    for band, source in zip(conversion.used, conversion.pick, strict=True):
        names[band] = image.channels[source] if source >= 0 else f"{names[band]} (filled)"
    opener = partial(_open, image, conversion)
    native = image.native
    native = replace(native, open=opener, ignore=ignore) if isinstance(native, SceneNative) else None
    listed = (taught.wavelengths_nm, taught.fwhm_nm)
    wavelengths, widths = (None if v is None else list(v) for v in listed)
    return replace(
        image,
        dtype=conversion.dtype(image.dtype),
        channels=tuple(names),
        loader=lambda: opener().read(),
        header={**image.header, "wavelengths_nm": wavelengths, "fwhm_nm": widths, "good_bands": None},
        native=native or SceneNative(opener, None, ignore, image.all_files),
    )


def stored_scale(image: Image, pick: Array) -> Scale | None:
    """Back to the samples as the file stores them, where its header scales them."""
    gain, offset = image.header.get("gain"), image.header.get("offset")
    if gain is None and offset is None:
        return None
    places = np.maximum(pick, 0)
    whole = np.dtype(str(image.header.get("stored_dtype", "float32"))).kind in "iu"
    text = "the stored numbers were taken, as those that the weights were taught on, without the scale factor"
    return Scale(
        "divide", per_band(1.0 if gain is None else gain, places), None if offset is None else per_band(offset, places),
        whole, image.dtype, text,
    )  # fmt: skip


def taught_scale(taught: Taught, image: Image) -> Scale | None:
    """The scale factors of the file that was taught, for a scene whose header does not give them."""
    if (taught.gain is None and taught.offset is None) or image.dtype.kind == "f":
        return None
    used = np.array(taught.used, np.intp)
    gain = per_band(1.0 if taught.gain is None else taught.gain, used)
    same = f"multiplied by {gain[0]:.6g}" if np.unique(gain).size == 1 else "multiplied by factors of each band"
    text = f"{same}, as the scene that the weights were taught on by its header"
    return Scale(
        "multiply", gain, None if taught.offset is None else per_band(taught.offset, used), False,
        scaled_type(image.dtype), text,
    )  # fmt: skip


def decimal_scale(power: int, count: int, taught: Taught, image: Image) -> Scale:
    """Divide by a power of ten."""
    dtype = np.dtype(np.float64) if image.dtype.itemsize > 4 else np.dtype(np.float32)
    what = f"divided by {10**power:,}" if power > 0 else f"multiplied by {10**-power:,}"
    return Scale("divide", np.full(count, 10.0**power), None, taught.whole, dtype, what.replace(",", " "))


def per_band(values: float | Sequence[float], places: Array) -> Array:
    """One value per place, of a list of one per band or of a single one."""
    found = np.atleast_1d(np.asarray(values, np.float64))
    return np.full(len(places), found[0]) if found.size == 1 else found[places]


def _open(image: Image, conversion: Conversion) -> Blocks:
    source = open_blocks(image)
    shape = (conversion.bands, *source.shape[1:])
    return Blocks(shape, conversion.dtype(source.dtype), partial(_read, source, conversion), by_rows=source.by_rows)


def _read(source: Blocks, conversion: Conversion, rows: slice, columns: slice, bands: slice) -> Array:
    return conversion.block(source.read(rows, columns))[bands]
