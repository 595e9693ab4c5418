"""Names for the values of label maps of volumes: as `workbench.data.label_names`, and the lists of TotalSegmentator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.core.types import Geometry, Labels
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
