"""The stains of a slide as napari layers: how much of each lies where, made of what is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workbench.core.errors import InputError
from workbench.core.layers import LayerTuple
from workbench.core.types import Image
from workbench.slide.data.array_like import ArrayLike
from workbench.slide.data.lazy_levels import LazyLevel, TileCache, lazy_levels
from workbench.slide.data.stains import Stains, densities, seen_as
from workbench.slide.layers import common_attributes, slide_record

STAIN = "stain"
"""Role of such layers in their records."""
LIMITS = (0.0, 1.5)
"""Optical density that is shown white, and that which is shown darkest."""
_COLOURS = 32
Seen = Literal["estimate", "h-e", "h-dab", "h-aec"]


class StainLevel(ArrayLike):
    """The density of one stain on one level of a slide, as a viewer wants it: ``(rows, columns)`` float32.

    Parameters
    ----------
    level
        Where the pixels come from; several stains share it, and what it has read.
    stains
        All of the slide.
    which
        0 for haematoxylin, 1 for the other.
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, level: LazyLevel, stains: Stains, which: int) -> None:
        self._level = level
        self.cache: TileCache = level.cache
        self.shape = level.shape[:2]
        # The amount is a sum over red, green and blue: a table for each of them.
        levels = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
        share = np.linalg.inv(stains.axes)[:, which]
        self._tables = (densities(levels, stains.glass) * share).astype(np.float32)

    def __deepcopy__(self, memo: dict[int, Any]) -> StainLevel:
        """The same: nobody can write into it."""
        return self

    def __getitem__(self, key: Any) -> npt.NDArray[np.float32]:
        """Densities of a slice, as `LazyLevel` understands it; 0 on glass, less where it is brighter.

        Raises
        ------
        UsageError
            Far more than a screen at once.
        """
        parts = key if isinstance(key, tuple) else (key,)
        if any(p is Ellipsis for p in parts):
            parts = (*parts, slice(None))  # of the colours
        pixels = self._level[parts]
        found: npt.NDArray[np.float32] = self._tables[pixels[..., 0], 0]
        found += self._tables[pixels[..., 1], 1]
        found += self._tables[pixels[..., 2], 2]
        return found


def stain_layers(
    image: Image, stains: Seen | Stains = "estimate", *, levels: Sequence[LazyLevel] | None = None
) -> list[LayerTuple]:
    """Haematoxylin and the other stain of a slide, each as a layer of levels in optical density (to the base 10).

    Nothing is computed before it is looked at; to estimate the colours of stains a sample of the tissue is read.

    Parameters
    ----------
    stains
        ``"estimate"``, known ones (``"h-e"``, ``"h-dab"``, ``"h-aec"``), or colours of one's own.
    levels
        Those of the slide where it is shown already, so that no tile is read twice.

    Raises
    ------
    InputError
        It is no slide, or its stains cannot be estimated.
    """
    if image.pyramid is None:
        raise InputError(f"{image.source or image.name}: is no slide: it has no levels")
    found = stains if isinstance(stains, Stains) else _stains(image, stains)
    below = list(levels) if levels is not None else lazy_levels(image)
    asked = {"role": STAIN, "stains": stains if isinstance(stains, str) else "own", "glass": list(found.glass)}
    made: list[LayerTuple] = []
    for which, name in enumerate(found.names):
        own = [StainLevel(level, found, which) for level in below]
        vector = found.vectors[which].round(4).tolist()
        record = slide_record(image) | asked | {"stain": name, "vector": vector}
        attributes: dict[str, Any] = {
            "name": f"{image.name} {name}", "rgb": False, "multiscale": len(own) > 1, "contrast_limits": LIMITS,
            "colormap": _colormap(name, found, which), "blending": "translucent_no_depth",
            **common_attributes(image.geometry, record),
        }  # fmt: skip
        made.append((own if len(own) > 1 else own[0], attributes, "image"))
    return made


def _stains(image: Image, name: str) -> Stains:
    from workbench.slide.predict.stain_slide import sample_of, stain_profile

    if name == "estimate":
        return stain_profile(image)[0].stains
    seen_as(name, (255.0, 255.0, 255.0))  # an unknown name is said at once
    assert image.pyramid is not None
    return seen_as(name, sample_of(image.pyramid, image.source or image.name).glass)


def _colormap(name: str, stains: Stains, which: int) -> dict[str, Any]:
    """White to the colour that so much of the stain has in the light of the microscope."""
    amount = np.linspace(*LIMITS, _COLOURS)
    colours = 10 ** -(amount[:, None] * stains.vectors[which])
    darkest = "".join(f"{round(255 * v):02x}" for v in colours[-1])
    # By its name napari finds a colormap again: those of other slides are others.
    return {"colors": np.column_stack([colours, np.ones(_COLOURS)]), "name": f"{name} #{darkest}"}
