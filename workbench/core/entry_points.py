"""Rows that installed third parties add; one that is broken or takes a name of ours is left out, with a warning."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from functools import lru_cache
from importlib import metadata
from importlib.metadata import EntryPoint
from typing import Any, TypeVar

from workbench.core.errors import WorkbenchWarning

T = TypeVar("T")


def rows_of(group: str, row_type: type[T], built_in: Iterable[T]) -> dict[str, T]:
    """The built-in rows by name, then those of the entry-point group.

    Parameters
    ----------
    group
        ``"workbench.backends"`` or ``"workbench.kinds"``.
    row_type
        What the value of an entry point must be; it has an attribute ``name``.
    """
    rows: dict[str, Any] = {row.name: row for row in built_in}  # type: ignore[attr-defined]
    ours = set(rows)
    for point in entry_points(group=group):
        if point.value.startswith("workbench."):
            continue
        row, problem = _loaded(point, row_type)
        if row is not None and row.name in ours:
            problem = f"'{row.name}' is a name of the workbench and cannot be replaced"
        elif row is not None and row.name in rows:
            problem = f"'{row.name}' is there already"
        if problem:
            what = f"{_origin(point)}: entry point '{point.name}' of {group}"
            warnings.warn(f"{what} was left out: {problem}", WorkbenchWarning, stacklevel=2)
            continue
        rows[row.name] = row
    return rows


def entry_points(group: str) -> list[EntryPoint]:
    """The entry points of a group in everything that is installed."""
    return list(_everything(tuple(sys.path)).select(group=group))


@lru_cache(maxsize=1)
def _everything(path: tuple[str, ...]) -> Any:
    """All entry points on a path: Python reads a file of every distribution, so all groups are read at once."""
    return metadata.entry_points()


def _loaded(point: EntryPoint, row_type: type[T]) -> tuple[Any, str]:
    try:
        row = point.load()
    except Exception as error:  # somebody else's code: whatever it raises must not take the workbench down
        return None, f"{point.value} cannot be loaded ({type(error).__name__}: {error})"
    if not isinstance(row, row_type):
        return None, f"{point.value} is a {type(row).__name__}, a workbench {row_type.__name__} was expected"
    return row, ""


def _origin(point: EntryPoint) -> str:
    return "an installed distribution" if point.dist is None else f"distribution {point.dist.name}"
