"""Several files as the channels of one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.errors import GeometryError, InputError
from workbench.core.types import Image


def stacked(images: Sequence[Image], names: Sequence[str]) -> Image:
    """One image of the channels of several that lie on one grid, in their order; samples load when asked for.

    Parameters
    ----------
    names
        Of the channels; none: as the files call them, or by their number.

    Raises
    ------
    GeometryError
        They lie on different grids; the message names two.
    """
    first = images[0]
    for other in images[1:]:
        if not other.geometry.matches(first.geometry):
            raise GeometryError(
                f"{other.source}: {_grid(other)}, and {_name(first)} beside it {_grid(first)}; the channels of one"
                " image share one grid. Resample them, or give each as a case of its own in a list."
            )
    kinds = {i.kind for i in images}
    if len(kinds) > 1:
        raise InputError(f"{first.source}: the files of one image are {' and '.join(sorted(kinds))}.")
    channels = tuple(c for i in images for c in i.channels)
    if len(set(channels)) < len(channels):
        channels = tuple(str(n) for n in range(len(channels)))
    dtype: np.dtype[Any] = np.result_type(*(i.dtype for i in images))

    def load() -> npt.NDArray[Any]:
        shape = (len(channels), *first.geometry.shape)
        whole = np.empty(shape, dtype)
        at = 0
        for image in images:
            samples = image.samples()
            whole[at : at + len(samples)] = samples
            at += len(samples)
        return whole

    files = tuple(dict.fromkeys(f for i in images for f in i.all_files))
    units, modalities = {i.value_unit for i in images}, {i.modality for i in images}
    image = Image(
        geometry=first.geometry,
        dtype=dtype,
        channels=channels,
        loader=load,
        kind=first.kind,
        source=first.source,
        value_unit=first.value_unit if len(units) == 1 else None,
        modality=first.modality if len(modalities) == 1 else None,
        format=first.format,
        header={**first.header, "files": [_name(i) for i in images]},
        native=first.native,
        files=files,
        stamp=tuple(s for i in images for s in i.stamp or ()),
        notes=(*dict.fromkeys(n for i in images for n in i.notes),),
    )
    return named(image, names)


def named(image: Image, names: Sequence[str]) -> Image:
    """The image with the channel names that its data set gives, where there are as many; else as it is, and said."""
    if not names or tuple(names) == image.channels:
        return image
    if len(names) != len(image.channels):
        note = f"the data set names {len(names)} channels ({', '.join(names[:6])}), the image has {len(image.channels)}"
        return replace(image, notes=(*image.notes, note))
    return replace(image, channels=_distinct(names))


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(names) if len(set(names)) == len(names) else tuple(f"{n} {i}" for i, n in enumerate(names))


def _grid(image: Image) -> str:
    spacing = image.geometry.spacing
    steps = "" if spacing is None else f" of {' x '.join(f'{s:.4g}' for s in spacing)} {image.geometry.unit}"
    return f"is {' x '.join(map(str, image.geometry.shape))}{steps}"


def _name(image: Image) -> str:
    return image.source.name if isinstance(image.source, Path) else image.name
