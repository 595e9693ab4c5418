"""What pathologists read off the nuclei of an immunohistochemistry slide: index, H-score, Allred score.

K. McCarty et al., Arch. Pathol. Lab. Med. 109:716, 1985 (H-score: percent of 1+, twice that of 2+, three times that of
3+; 0 to 300); D. Allred et al., Mod. Pathol. 11:155, 1998 (proportion 0 to 5, intensity 0 to 3, and their sum).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.objects import Objects
from workbench.core.types import Part, Result, Scores
from workbench.slide.region_counts import REGION_OUTLINES, members

INDEX, POSITIVE_AREA = "index", "positive_area"
"""Parts of a result: the table, and the map of what is positive."""
BINS = ("Negative", "1+", "2+", "3+")
"""Classes of nuclei, as QuPath names them."""
_COLOURS = ((70, 110, 220), (250, 220, 80), (245, 150, 50), (200, 30, 40))
CLASSES = ClassTable(tuple(ClassInfo(i, *both) for i, both in enumerate(zip(BINS, _COLOURS, strict=True), 1)))
TWO = ClassTable((ClassInfo(1, "Negative", _COLOURS[0]), ClassInfo(2, "Positive", _COLOURS[3])))
"""Classes where nobody asks how positive a nucleus is."""
INDEX_COLUMNS = (
    "region", "nuclei", *BINS, "positive [%]", "H-score", "Allred proportion", "Allred intensity", "Allred",
)  # fmt: skip
WHOLE = "all nuclei"
_PROPORTIONS = (0.01, 0.10, 1 / 3, 2 / 3)


def index_row(name: str, counts: npt.NDArray[np.int64]) -> tuple[Any, ...]:
    """A row of the table for ``(4,)`` nuclei of each bin; what no nucleus says stays empty."""
    total, positive = int(counts.sum()), int(counts[1:].sum())
    if not total:
        return (name, 0, *counts.tolist(), "", "", "", "", "")
    share = positive / total
    h_score = 100 * float(counts @ np.arange(4)) / total
    proportion = (
        0 if not positive else 1 + sum(share > limit for limit in _PROPORTIONS[1:]) + (share >= _PROPORTIONS[0])
    )
    intensity = round(float(counts[1:] @ np.arange(1, 4)) / positive) if positive else 0
    return (
        name, total, *counts.tolist(), round(100 * share, 2), round(h_score, 1), proportion, intensity,
        proportion + intensity,
    )  # fmt: skip


def index_table(nuclei: Objects, outlines: Objects | None = None) -> Scores:
    """The index of all nuclei, and of those in each outline; nuclei of other classes than `BINS` are left out."""
    place = {name.casefold(): i for i, name in enumerate(BINS)}
    bins = np.full(max([0, *(c.value for c in nuclei.classes)]) + 1, -1)
    for c in nuclei.classes:
        bins[c.value] = place.get(c.name.strip().casefold(), -1)
    own = bins[nuclei.class_values]
    rows = [index_row(WHOLE, _counted(own))]
    if outlines is not None:
        inside, where = members(outlines, nuclei)
        rows += [
            index_row(str(name), _counted(own[inside[where == i]])) for i, name in enumerate(outlines.ids.tolist())
        ]
    return Scores(INDEX_COLUMNS, tuple(rows), INDEX)


def _counted(bins: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.bincount(bins[bins >= 0], minlength=4).astype(np.int64)


def in_two(result: Result) -> Result:
    """The result with nuclei that are Negative or Positive alone."""
    nuclei = result.parts["nuclei"]
    assert isinstance(nuclei, Objects)
    made = replace(nuclei, class_values=np.minimum(nuclei.class_values, 2), classes=TWO)
    return replace(result, parts={**result.parts, "nuclei": made})


def index_now(parts: Mapping[str, Part], nuclei: Objects) -> dict[str, Part]:
    """The table of a result after its nuclei were corrected."""
    table, outlines = parts.get(INDEX), parts.get(REGION_OUTLINES)
    if not isinstance(table, Scores) or table.columns != INDEX_COLUMNS:
        return {}
    made = index_table(nuclei, outlines if isinstance(outlines, Objects) else None)
    return {INDEX: replace(table, rows=made.rows)}
