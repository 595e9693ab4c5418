"""Colours of a slide brought to those of another: what is known of the stains of each, as a file, and the change.

Stains are parted, and the amount of each is scaled, as M. Macenko et al. do (ISBI 2009, 10.1109/ISBI.2009.5193250).
What neither stain explains (pigment, ink, blood) stays as strong as it is.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.atomic import sha256_of, write_json
from workbench.core.errors import InputError, UsageError, one_line
from workbench.slide.data.stain_fit import METHODS, Method, stained_only, vectors_of
from workbench.slide.data.stains import EOSIN, Pixels, Stains, degrees, densities, least_eosin, second_name

FORMAT = "workbench stain profile"
_VERSION = 1
_LARGEST = 1 << 20
_OTHER = 35.0
"""Degrees between the second stains of two slides above which they are not the same stain. (Pooled public sets: H&E and
H&E of eight laboratories 3 to 31, H-DAB and H-DAB 9 to 10, H&E and H-DAB 16 to 48.)"""
_NO_EOSIN = 0.015
"""Share of eosin up to which a slide is immunohistochemistry (all of 22 public fields; none of 252 of H&E)."""
_FAINT = 0.03
"""Density that the 99th percentile of a stain has at least, or there is none of it."""
_GREY = 0.99


@dataclass(frozen=True, eq=False)
class StainProfile:
    """What is known of the stains of a slide.

    Parameters
    ----------
    method
        How their colours were found.
    stains
        Their colours, haematoxylin first, and that of glass.
    strongest
        99th percentile of the amount of each in stained pixels.
    eosin
        Share of all stain that is like eosin; see `workbench.slide.data.stains.eosin_share`.
    pixels
        Stained pixels that it was found in.
    slide, sha256
        Name and hash of the slide; "" where it has none.
    icc
        Whether colours had been converted by the profile of the slide before.
    digest
        Hash of the file that it was read from; "" where it is of none.
    """

    method: Method
    stains: Stains
    strongest: tuple[float, float]
    eosin: float
    pixels: int
    slide: str = ""
    sha256: str = ""
    icc: bool = False
    digest: str = field(default="")

    def to_json(self) -> dict[str, Any]:
        """As it stands in a file."""
        names, vectors = self.stains.names, self.stains.vectors
        return {
            "format": FORMAT, "version": _VERSION, "method": self.method,
            "stains": [
                {"name": name, "vector": vector.round(6).tolist(), "percentile_99": round(strongest, 6)}
                for name, vector, strongest in zip(names, vectors, self.strongest, strict=True)
            ],
            "glass": [round(v, 3) for v in self.stains.glass], "eosin_share": round(self.eosin, 4),
            "pixels": self.pixels, "icc": self.icc, "slide": self.slide, "slide_sha256": self.sha256,
        }  # fmt: skip

    def described(self) -> dict[str, Any]:
        """What a provenance says of it."""
        return self.to_json() | {"file_sha256": self.digest}


def fitted(pixels: Pixels, glass: tuple[float, float, float], method: Method, name: object = "slide") -> StainProfile:
    """The stains of pixels ``(N, 3)`` of tissue.

    Raises
    ------
    InputError
        There is too little tissue, it is grey, or its stains cannot be told apart; the line begins with `name`.
    """
    flat = pixels.reshape(-1, 3)
    try:
        if len(flat) and (np.ptp(flat.astype(np.int16), axis=1) <= 1).mean() > _GREY:
            raise InputError("its red, green and blue are equal: a grey picture has no stains")
        stained = stained_only(densities(flat, glass).astype(np.float64))
        vectors = vectors_of(stained, method)
        eosin = least_eosin(flat, glass)
        stains = Stains(("haematoxylin", second_name(vectors[1], eosin)), vectors, glass)
        strongest = np.quantile(stained @ np.linalg.pinv(stains.vectors), 0.99, axis=0)
        if strongest.min() < _FAINT:
            which = stains.names[int(strongest.argmin())]
            raise InputError(f"its stains cannot be told apart: there is next to no {which}")
    except (InputError, UsageError) as error:
        raise InputError(f"{name}: {error}") from error
    return StainProfile(method, stains, (float(strongest[0]), float(strongest[1])), eosin, len(stained))


def require_same_stains(own: StainProfile, reference: StainProfile, name: object) -> None:
    """Refuse to bring a slide to the colours of one that was stained with something else.

    Raises
    ------
    InputError
        The second stains are of two kinds by their share of eosin, or lie more than 35 degrees apart.
    """
    angle = degrees(own.stains.vectors[1], reference.stains.vectors[1])
    shares = sorted((own.eosin, reference.eosin))
    is_other = shares[0] <= _NO_EOSIN and shares[1] > EOSIN
    if not is_other and angle <= _OTHER:
        return
    second, wanted = own.stains.names[1], reference.stains.names[1]
    limit = "one of them is like eosin, the other is not" if is_other else f"up to {_OTHER:.0f} were expected"
    raise InputError(
        f"{name}: its second stain ({second}) is {angle:.0f} degrees from that of the stain profile ({wanted}, of "
        f"{reference.slide or 'a slide'}): {limit}. Give a profile of a slide with the same stains"
    )


class ColourChange:
    """Brings pixels of a slide to the colours of a profile.

    Every pixel goes the same way for itself: there are no seams. Glass becomes the glass of the profile, amounts of
    stain are scaled by their 99th percentiles, and the rest keeps its density.
    """

    def __init__(self, own: StainProfile, reference: StainProfile) -> None:
        scale = np.diag([*np.divide(reference.strongest, own.strongest), 1.0])
        way = np.linalg.inv(own.stains.axes) @ scale @ reference.stains.axes
        levels = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
        density = densities(levels, own.stains.glass).astype(np.float64)
        # Light is the product of what is left by the density in red, in green and in blue: a table for each of them.
        left = 10.0 ** -(density[:, :, None] * way[None])  # (value, colour that is read, colour that is made)
        left[:, 0] *= np.asarray(reference.stains.glass)
        self._tables = np.clip(left, 1e-12, 1e12).astype(np.float32)

    def __call__(self, pixels: npt.NDArray[Any]) -> Pixels:
        """Pixels ``(..., 3)`` uint8 as they would be on the slide of the profile: the same shape, uint8."""
        light: npt.NDArray[np.float32] = self._tables[:, 0][pixels[..., 0]]
        light *= self._tables[:, 1][pixels[..., 1]]
        light *= self._tables[:, 2][pixels[..., 2]]
        light += 0.5
        np.clip(light, 0, 255, out=light)
        return light.astype(np.uint8)


def write_stain_profile(path: Path, profile: StainProfile) -> Path:
    """As JSON."""
    return write_json(path, profile.to_json())


def read_stain_profile(path: Path) -> StainProfile:
    """A profile from its file.

    Raises
    ------
    InputError
        There is no such file, or it is no profile; the line says what is wrong.
    """
    path = Path(path).expanduser()
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no file")
        if path.stat().st_size > _LARGEST:
            raise ValueError("it is far too large")
        found = json.loads(path.read_text(encoding="utf-8"))
        return _of_json(found, sha256_of(path))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such stain profile; 'workbench stains' makes one") from error
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError, UsageError) as error:
        raise InputError(f"{path}: is no stain profile as 'workbench stains' writes them: {_said(error)}") from error


_HAEMATOXYLIN = np.array([0.650, 0.704, 0.286])


def _said(error: Exception) -> str:
    return f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else one_line(error)


def _of_json(found: Any, digest: str) -> StainProfile:
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f"'format' is not '{FORMAT}'")
    if found["version"] != _VERSION:
        raise ValueError(f"it is of version {found['version']}, and {_VERSION} is understood here")
    if found["method"] not in METHODS:
        raise ValueError(f"method '{found['method']}', expected {' or '.join(METHODS)}")
    first, second = found["stains"]
    glass = _numbers(found["glass"], 3, "glass", 32, 255)
    vectors = np.array([_numbers(one["vector"], 3, "vector", 0, 1) for one in (first, second)])
    like = vectors @ _HAEMATOXYLIN / np.maximum(np.linalg.norm(vectors, axis=1), 1e-9)
    if like[0] < like[1]:
        raise ValueError("its second stain is more like haematoxylin than its first: are they exchanged?")
    strongest = _numbers([one["percentile_99"] for one in (first, second)], 2, "percentile_99", _FAINT, 10)
    (eosin,) = _numbers([found["eosin_share"]], 1, "eosin_share", 0, 1)
    return StainProfile(
        found["method"], Stains((str(first["name"]), str(second["name"])), vectors, (glass[0], glass[1], glass[2])),
        (strongest[0], strongest[1]), eosin, int(found["pixels"]), str(found["slide"]), str(found["slide_sha256"]),
        found["icc"] is True, digest,
    )  # fmt: skip


def _numbers(values: Any, count: int, name: str, low: float, high: float) -> list[float]:
    if not isinstance(values, list) or len(values) != count or any(type(v) not in (int, float) for v in values):
        raise ValueError(f"{name} {values}: {count} number(s) were expected")
    if not all(math.isfinite(v) and low <= v <= high for v in values):
        raise ValueError(f"{name} {values}: numbers from {low:g} to {high:g} were expected")
    return [float(v) for v in values]
