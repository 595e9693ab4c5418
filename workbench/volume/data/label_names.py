"""Names for the values of label maps of volumes: as `workbench.data.label_names`, and the lists of TotalSegmentator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.types import Case, Geometry, Labels
from workbench.data import label_names
from workbench.volume.data.totalsegmentator import LISTS


def read_named(path: str | Path, *, reference: Geometry | None = None, names: str = "", **options: Any) -> Labels:
    """A label map with the names of its classes; see `workbench.data.label_names.read_named`.

    Parameters
    ----------
    names
        Also ``totalsegmentator``, ``totalsegmentator_v1`` or ``totalsegmentator_mr``.
    """
    return label_names.read_named(path, reference=reference, names=names, lists=LISTS, **options)


def table_of(names: str) -> dict[int, str]:
    """Value -> name; see `workbench.data.label_names.table_of`."""
    return label_names.table_of(names, LISTS)


@dataclass(frozen=True)
class LabelReader:
    """Label maps of cases on the grid of their image, as the settings of a verb want them read.

    Parameters
    ----------
    names
        A table that names the values; see `table_of`.
    resample
        Resample maps of another lattice, instead of refusing them.
    told
        Given what was done to the map of a case, where anything was.
    """

    names: str = ""
    resample: bool = False
    told: Callable[[Case, tuple[str, ...]], None] | None = None

    def __call__(self, case: Case, reference: Geometry) -> Labels:
        """The label map of a case on the grid `reference`."""
        assert case.labels is not None
        labels = read_named(case.labels, reference=reference, names=self.names, resample=self.resample)
        if self.told is not None and labels.notes:
            self.told(case, labels.notes)
        return labels
