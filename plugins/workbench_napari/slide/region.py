"""Where a run took its tiles, as it was when the run started: people go on drawing, and the file must say it. No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import workbench as wb
from workbench.core.errors import InputError, WorkbenchError
from workbench.core.layers import KEY
from workbench.core.types import Labels, Progress, Result
from workbench.slide import ANNOTATIONS_FILE, Annotations, annotations_in, is_mask, mask_of, write_region
from workbench_napari.general.restored import read_image
from workbench_napari.shared.saving import LayerState

REGION = "region"
"""Name of the file that holds it."""


@dataclass(frozen=True, eq=False)
class Region:
    """A mask, or a layer of outlines, as it was.

    Parameters
    ----------
    name
        Of the layer.
    state
        Its data and attributes.
    """

    name: str
    state: LayerState

    @property
    def is_mask(self) -> bool:
        return is_mask(self.state[1]["metadata"][KEY])

    def write(self, folder: Path) -> Path:
        """Write the file that `roi` takes, called after what it is.

        Raises
        ------
        UsageError
            There is no outline with an area.
        """
        return write_region([self.state], folder, REGION)

    def saved_as(self, masks: Mapping[str, Labels], drawn: Annotations, *, counts_from_file: bool) -> str:
        """The file of the hand work that is saved which holds just this; "" where none does any more.

        Parameters
        ----------
        counts_from_file
            Whether the annotations are written in pixels of the whole file, as the run read them.
        """
        if self.is_mask:
            own = mask_of(self.state)
            same = (key for key, mask in masks.items() if _same_mask(own, mask))
            return next((f"{key}.ome.tif" for key in same), "")
        own_items = annotations_in([self.state]).items
        same_items = len(own_items) == len(drawn.items) and all(
            a.shape.same(b.shape) and a.class_name == b.class_name for a, b in zip(own_items, drawn.items, strict=True)
        )
        return ANNOTATIONS_FILE if same_items and counts_from_file else ""


def _same_mask(one: Labels, other: Labels) -> bool:
    return (
        one.data.shape == other.data.shape
        and one.geometry.matches(other.geometry)
        and [(c.value, c.name) for c in one.classes] == [(c.value, c.name) for c in other.classes]
        and np.array_equal(one.data, other.data)
    )


def run_in(
    backend: str,
    record: dict[str, Any],
    values: dict[str, Any],
    region: Region,
    folder: Path,
    progress: Progress | None,
) -> Result:
    """A run whose tiles lie in a mask or in outlines, and which says so.

    Raises
    ------
    WorkbenchError
        They mark nothing; the line names the layer.
    """
    try:
        path = region.write(folder)
    except WorkbenchError as error:
        raise type(error)(f"'{region.name}': {error}") from error
    more = {"frame": "file"} if "frame" in values else {}
    try:
        result = wb.predict(backend, read_image(record), progress=progress, **{**values, "roi": str(path), **more})
    except InputError as error:
        raise InputError(str(error).replace(str(path), f"'{region.name}'")) from error
    made = result.provenance
    note = f"tiles were taken in {'the mask' if region.is_mask else 'the outlines of'} '{region.name}'"
    settings = {**made.settings, "roi": path.name}  # the file of that name which is saved beside the result
    return replace(result, provenance=replace(made, settings=settings, notes=(*made.notes, note)))
