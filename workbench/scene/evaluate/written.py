"""The maps and pixels behind a table of scores, beside it: who doubts a number can count again."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassTable
from workbench.core.types import Image, Labels
from workbench.data.write import write

MAPS, SPLITS = "maps", "splits"
ROLES = ("train", "validation", "test")
"""What a pixel does in a split: values 1, 2, 3 of its mask."""


@dataclass(eq=False)
class Written:
    """Writes class maps and masks of pixels on the grid of a scene.

    Parameters
    ----------
    image
        The scene.
    out
        Folder of the table; ``None`` writes nothing.
    """

    image: Image
    out: Path | None
    files: list[Path] = field(default_factory=list)

    def map(self, name: str, data: npt.NDArray[Any], classes: ClassTable) -> str:
        """Write a class map (rows, columns); gives its path beside the table, "" where nothing is written."""
        return self._write(MAPS, name, data, classes)

    def mask(self, name: str, data: npt.NDArray[Any], roles: tuple[str, ...] = ROLES) -> str:
        """Write which pixels do what, by the number of the role from 1 on."""
        return self._write(SPLITS, name, data, ClassTable.from_names(roles))

    def _write(self, folder: str, name: str, data: npt.NDArray[Any], classes: ClassTable) -> str:
        if self.out is None:
            return ""
        plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
        labels = Labels(data, self.image.geometry, classes, plain)
        made = write(labels, self.out / folder, name=plain, source=self.image)
        self.files += made
        # Of an ENVI pair people give the header.
        named = next((f for f in made if f.suffix == ".hdr"), made[0])
        return f"{folder}/{named.name}"


def roles_of(shape: tuple[int, int], *groups: npt.NDArray[np.intp]) -> npt.NDArray[np.uint8]:
    """A mask (rows, columns): the pixels (flat indices) of the first group are 1, of the second 2, and so on."""
    found = np.zeros(shape, np.uint8)
    for number, pixels in enumerate(groups, 1):
        found.flat[pixels] = number
    return found
