"""The table of features of a labels layer, set only where it is another: napari indexes every row of a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def set_features(layer: Any, table: Mapping[str, Sequence[Any]]) -> bool:
    """Give a layer this table; returns whether it had another."""
    columns = {name: np.asarray(column, object if _is_text(column) else None) for name, column in table.items()}
    now = layer.features
    same = list(now) == list(columns) and all(_equal(np.asarray(now[name]), c) for name, c in columns.items())
    if not same:
        layer.features = columns
    return not same


def _is_text(column: Sequence[Any]) -> bool:
    return len(column) > 0 and isinstance(column[0], str)


def _equal(a: Any, b: Any) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f" and b.dtype.kind == "f")
