"""Leads that follow each other in time stand beside each other, as on the page."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def span_of(values: npt.NDArray[np.floating[Any]]) -> tuple[int, int]:
    """First and last sample that there is; of nothing all of them."""
    there = np.flatnonzero(np.isfinite(values))
    return (int(there[0]), int(there[-1])) if there.size else (0, max(len(values) - 1, 0))


def in_rows(data: npt.NDArray[np.floating[Any]], overlap: int = 0) -> list[list[int]]:
    """Leads in rows, in their order.

    Parameters
    ----------
    data
        ``(leads, samples)``, NaN where there is nothing.
    overlap
        Samples by which one may begin before the one beside it ends.
    """
    rows: list[list[int]] = []
    ends: list[int] = []
    for n, values in enumerate(data):
        first, last = span_of(values)
        k = next((k for k, end in enumerate(ends) if first >= end - overlap), len(rows))
        if k == len(rows):
            rows.append([])
            ends.append(last)
        rows[k].append(n)
        ends[k] = last
    return rows
