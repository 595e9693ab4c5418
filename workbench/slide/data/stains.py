"""Colours of stains: how much of each a pixel holds, and what colours the stains of a slide have.

A. Ruifrok and D. Johnston, Anal. Quant. Cytol. Histol. 23:291, 2001 (deconvolution); M. Macenko et al., ISBI 2009,
10.1109/ISBI.2009.5193250 (estimation). Densities are optical densities to the base 10, as QuPath gives them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError, UsageError

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]
_H, _E = (0.650, 0.704, 0.286), (0.070, 0.990, 0.110)
KNOWN: dict[str, tuple[str, tuple[float, float, float]]] = {
    "h-dab": ("DAB", (0.268, 0.570, 0.776)),
    "h-aec": ("AEC", (0.274, 0.680, 0.680)),
}
"""The second stain beside haematoxylin, and the density of red, green and blue in it: those of ImageJ and QuPath."""
SEEN: dict[str, tuple[str, tuple[float, float, float]]] = {"h-e": ("eosin", _E), **KNOWN}
"""The same with eosin, where stains are looked at and not measured."""
STAINED = 0.15
"""Density (length of the three) below which a pixel says nothing of the colours of stains."""
APART = 10.0
"""Degrees between two stains below which they are one."""
_BRIGHT, _TINT = 200, 30
"""The brightest of a picture is as bright as this at least, and its colours differ by no more; else it is said."""
EOSIN = 0.10
"""Share of all stain that is like eosin, from which a slide is none of haematoxylin and a chromogen. Public fields of
immunohistochemistry have at most 0.01, those of haematoxylin and eosin 0.18 to 0.58."""


@dataclass(frozen=True, eq=False)
class Stains:
    """Two stains, and the light that comes through glass.

    Parameters
    ----------
    names
        Of both.
    vectors
        ``(2, 3)`` density of red, green and blue; made to unit length.
    glass
        (red, green, blue) of a place without any stain.
    """

    names: tuple[str, str]
    vectors: Floats
    glass: tuple[float, float, float] = (255.0, 255.0, 255.0)

    def __post_init__(self) -> None:
        vectors = np.asarray(self.vectors, np.float64)
        length = np.linalg.norm(vectors, axis=-1, keepdims=True)
        if vectors.shape != (2, 3) or not np.isfinite(vectors).all() or (vectors < 0).any() or (length == 0).any():
            raise UsageError(f"stains {vectors.tolist()}: two times three numbers of 0 or more were expected")
        object.__setattr__(self, "vectors", vectors / length)
        if self.apart < APART:
            raise UsageError(
                f"the colours of {self.names[0]} and {self.names[1]} are {self.apart:.0f} degrees apart: they cannot "
                f"be told from each other ({APART:.0f} or more were expected)"
            )

    @property
    def apart(self) -> float:
        """Degrees between both."""
        return degrees(*self.vectors)

    @property
    def axes(self) -> Floats:
        """Both, and what is at a right angle to them, as rows ``(3, 3)`` of length 1."""
        third = np.cross(*self.vectors)
        return np.vstack([self.vectors, third / np.linalg.norm(third)])

    def amounts(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """Density of both stains, and of what neither explains: ``(..., 3)`` float32 of pixels ``(..., 3)`` uint8."""
        return densities(pixels, self.glass) @ np.linalg.inv(self.axes).astype(np.float32)


def degrees(first: Floats, second: Floats) -> float:
    """Angle between two colours."""
    cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def densities(pixels: Pixels, glass: tuple[float, float, float]) -> npt.NDArray[np.float32]:
    """Optical density of each colour ``(..., 3)``; 0 where it is as bright as glass, less where it is brighter."""
    light = np.maximum(np.arange(256), 1)[:, None] / np.asarray(glass, np.float64)
    table = -np.log10(light).astype(np.float32)
    return np.stack([table[pixels[..., k], k] for k in range(3)], axis=-1)


def seen_as(name: str, glass: tuple[float, float, float]) -> Stains:
    """Those of a name of `SEEN`.

    Raises
    ------
    UsageError
        There is no such name.
    """
    if name not in SEEN:
        raise UsageError(f"stains '{name}': {', '.join(SEEN)}, or estimate, was expected")
    second, vector = SEEN[name]
    return Stains(("haematoxylin", second), np.array([_H, vector]), glass)


def stains_by_name(text: str, glass: tuple[float, float, float]) -> Stains:
    """Those of a name of `KNOWN`, or of six numbers: red, green, blue of haematoxylin, then of the other.

    Raises
    ------
    UsageError
        It is neither.
    """
    key = text.strip().lower()
    if key in KNOWN:
        name, vector = KNOWN[key]
        return Stains(("haematoxylin", name), np.array([_H, vector]), glass)
    try:
        numbers = np.array([float(part) for part in key.replace(";", ",").split(",")])
    except ValueError:
        numbers = np.zeros(0)
    if numbers.size != 6:
        raise UsageError(
            f"--stains {text}: {', '.join(KNOWN)}, estimate, or six numbers (red, green and blue of haematoxylin, "
            "then those of the other stain) were expected, as 0.65,0.70,0.29,0.27,0.57,0.78"
        )
    made = Stains(("haematoxylin", "chromogen"), numbers.reshape(2, 3), glass)
    first, second = made.vectors @ np.array(_H)
    if second > first:
        raise UsageError(
            f"--stains {text}: the second three numbers are more like haematoxylin than the first: are they exchanged?"
        )
    return made


def estimated(pixels: Pixels, glass: tuple[float, float, float]) -> Stains:
    """The two stains of pixels ``(N, 3)``: the outermost colours in the plane that holds most of them (Macenko).

    That which is more like haematoxylin comes first.

    Raises
    ------
    InputError
        Too few pixels are stained, or they have one colour.
    """
    density = densities(pixels.reshape(-1, 3), glass).astype(np.float64)
    stained = density[(np.linalg.norm(density, axis=1) > STAINED) & (density > 0).all(1)]
    if len(stained) < 1000:
        raise InputError(f"only {len(stained)} pixels are stained: colours of stains cannot be estimated from them")
    found = haematoxylin_first(outermost(stained))
    own = degrees(found[1], np.array(_H))
    try:
        made = Stains(("haematoxylin", "chromogen"), found, glass)
    except UsageError as error:
        raise InputError(f"{error}. Is there one stain only? Name the stains then (h-dab)") from error
    if own < APART:
        raise InputError("all of it is stained as haematoxylin is: name the stains to measure the other (h-dab)")
    return made


def outermost(stained: Floats) -> Floats:
    """The two outermost colours ``(2, 3)`` of densities ``(N, 3)``, in the plane that holds most of them."""
    _, _, axes = np.linalg.svd(stained, full_matrices=False)
    plane = axes[:2] * np.sign(axes[:2].sum(1, keepdims=True) + 1e-12)
    first, second = (stained @ plane.T).T
    ends = np.quantile(np.arctan2(second, first), (0.01, 0.99))
    found: Floats = np.abs(np.stack([np.cos(ends), np.sin(ends)], 1) @ plane)
    return found


def haematoxylin_first(vectors: Floats) -> Floats:
    """Two colours ``(2, 3)``, that which is more like haematoxylin first."""
    like = vectors @ np.array(_H) / np.linalg.norm(vectors, axis=1)
    return vectors[::-1] if like[1] > like[0] else vectors


def eosin_share(pixels: Pixels, second: str, glass: tuple[float, float, float]) -> float:
    """How much of the stain is like eosin, 0 to 1, where haematoxylin, eosin and a stain of `KNOWN` share it."""
    flat = pixels.reshape(-1, 3)
    if not len(flat):
        return 0.0
    # The colour of the light is no stain: where no glass is seen, the brightest of the tissue stands for it.
    brightest = np.maximum(np.quantile(flat, 0.98, axis=0), 200.0)
    red, green, blue = np.minimum(brightest, np.asarray(glass)).tolist()
    density = densities(flat, (red, green, blue)).astype(np.float64)
    density = density[np.linalg.norm(density, axis=1) > STAINED]
    if len(density) < 1000:
        return 0.0
    three = np.array([_H, _E, KNOWN[second][1]])
    three /= np.linalg.norm(three, axis=1, keepdims=True)
    amounts = np.maximum(density @ np.linalg.inv(three), 0).mean(0)
    return float(amounts[1] / max(amounts.sum(), 1e-9))


def least_eosin(pixels: Pixels, glass: tuple[float, float, float]) -> float:
    """`eosin_share` beside that stain of `KNOWN` which leaves it least."""
    return min(eosin_share(pixels, second, glass) for second in KNOWN)


def second_name(vector: Floats, eosin: float) -> str:
    """What the stain beside haematoxylin is called: eosin where so much of all is like it, else the nearest."""
    nearest = min(SEEN.values(), key=lambda one: degrees(vector, np.array(one[1])))[0]
    return "eosin" if eosin > EOSIN else nearest


def looks_like_eosin(pixels: Pixels, glass: tuple[float, float, float]) -> str:
    """What to say of pixels whose stain is like eosin whatever chromogen stands beside it; "" where it is not."""
    share = least_eosin(pixels, glass)
    if share <= EOSIN:
        return ""
    return (
        f"{100 * share:.0f} % of the stain is like eosin: on a slide of haematoxylin and eosin nothing that is counted "
        "here is positive"
    )


def tinted(pixels: Pixels) -> str:
    """What to say of the brightest of pixels ``(N, 3)`` where no glass is seen, and white was taken for it; "" for
    nothing.
    """
    if not len(pixels):
        return ""
    brightest = np.quantile(pixels.reshape(-1, 3), 0.98, axis=0).round().astype(int).tolist()
    if min(brightest) >= _BRIGHT and max(brightest) - min(brightest) <= _TINT:
        return ""
    return (
        f"no glass is seen, and white is taken for it; but the brightest places are {tuple(brightest)}: if that is the "
        f"light of the microscope, give --glass {','.join(map(str, brightest))}"
    )


def require_chromogen(pixels: Pixels, second: str, glass: tuple[float, float, float], name: object) -> None:
    """Refuse a slide of haematoxylin and eosin where a chromogen is to be measured.

    Raises
    ------
    InputError
        A tenth of its stain or more is like eosin.
    """
    share = eosin_share(pixels, second, glass)
    if share > EOSIN:
        raise InputError(
            f"{name}: {100 * share:.0f} % of its stain is like eosin: a slide of haematoxylin and eosin? "
            f"{KNOWN[second][0]} cannot be measured on it. If it is immunohistochemistry, give the colours of its "
            "stains (--stains estimate, or six numbers)"
        )
