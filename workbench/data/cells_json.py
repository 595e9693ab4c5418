"""Nuclei as CellViT and HoVer-Net write them: JSON with a contour, a class and a probability for each.

CellViT (F. Hoerst et al., Med. Image Anal. 94:103143, 2024): ``cells.json``, a list of cells and a ``type_map``.
HoVer-Net (S. Graham et al., Med. Image Anal. 58:101563, 2019): ``nuc``, an object of nuclei by their number.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError, InputError, NothingFound, WorkbenchWarning, one_line
from workbench.core.objects import Objects
from workbench.core.rings import open_rings
from workbench.data.json_stream import JsonError, JsonStream

_HEAD = 1 << 16
"""Characters in which a file says what it is."""


def is_cells_json(path: Path) -> bool:
    """Whether a file looks like one of theirs rather than GeoJSON."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            head = file.read(_HEAD).lstrip()
    except (OSError, UnicodeDecodeError):
        return False
    return head.startswith("{") and "FeatureCollection" not in head and ('"nuc"' in head or '"cells"' in head)


def read_cells_json(path: Path) -> Objects:
    """Read nuclei in pixels of the full resolution, as these programs write them for whole slides.

    Raises
    ------
    NothingFound, InputError
        No such file; or it is damaged, or holds no contours: one line names the cell.
    """
    if not path.is_file():
        raise NothingFound(f"{path}: no such file. Check the path.")
    found = _Found()
    try:
        with path.open(encoding="utf-8-sig") as file:
            for cell in _cells(JsonStream(file), found):
                found.add(cell)
        objects = found.objects(path.stem)
        objects.validate()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: the text is no UTF-8 ({error.reason})") from error
    except JsonError as error:
        raise InputError(f"{path}: {found.where}{error}. Copy the file again.") from error
    except GeometryError as error:
        raise InputError(f"{path}: {error}.") from error
    except (OverflowError, ValueError) as error:
        raise InputError(
            f"{path}: {found.where}a number of it is too large, or none ({one_line(error)[:80]})"
        ) from error
    if found.scale is not None:
        warnings.warn(
            f"{path.name}: says that its places are pixels at {found.scale:g}x: right only where the slide was scanned "
            "at that", WorkbenchWarning, stacklevel=2,
        )  # fmt: skip
    if found.thin:
        warnings.warn(
            f"{path.name}: {found.thin:,} contours of fewer than three points are no outlines, and were left out",
            WorkbenchWarning, stacklevel=2,
        )  # fmt: skip
    return objects


def _cells(stream: JsonStream, found: _Found) -> Iterator[Any]:
    """Every cell, whichever of the two wrote the file."""
    any_found = False
    for key in stream.members():
        if key == "cells" and stream.peek() == "[":
            any_found = True
            for number in stream.items():
                found.where = f"cell {number}: "
                yield stream.value()
        elif key == "nuc" and stream.peek() == "{":
            any_found = True
            for name in stream.members():
                found.where = f"nucleus {name}: "
                yield {"id": name, **_mapping(stream.value())}
        else:
            value = stream.value()
            if key == "type_map" and isinstance(value, Mapping):
                found.names = _names(value)
            elif key == "mag" and isinstance(value, int | float) and not isinstance(value, bool):
                found.scale = value
    found.where = ""
    if not any_found:
        raise JsonError("it has neither 'cells' (CellViT) nor 'nuc' (HoVer-Net)")


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise JsonError("no object with names and values")
    return value


def _names(table: Mapping[str, Any]) -> dict[int, str]:
    """Names of classes by value, whichever of the two stands first."""
    named: dict[int, str] = {}
    for key, value in table.items():
        if isinstance(value, str) and str(key).lstrip("-").isdigit():
            named[int(key)] = value
        elif isinstance(value, int):
            named[value] = str(key)
    return named


class _Found:
    """Cells so far."""

    def __init__(self) -> None:
        self.where = ""
        self.names: dict[int, str] = {}
        self.thin = 0
        self.scale: float | None = None
        self._rings: list[Any] = []
        self._types: list[int] = []
        self._odds: list[float] = []
        self._ids: list[int] = []

    def add(self, cell: Any) -> None:
        """Take over one."""
        cell = _mapping(cell)
        if "contour" not in cell:
            raise JsonError("it has no 'contour': places alone are no outlines (of CellViT, take cells.json)")
        try:
            ring = np.array(cell["contour"], np.float64)
        except (TypeError, ValueError):
            raise JsonError("its contour is no list of [x, y]") from None
        ring = ring.reshape(-1, 2) if ring.ndim == 3 and ring.shape[1:] == (1, 2) else ring  # as OpenCV has it
        if ring.ndim != 2 or (ring.size and ring.shape[1] != 2) or not np.isfinite(ring).all():
            raise JsonError("its contour is no list of finite [x, y]")
        kind, odds, number = cell.get("type"), cell.get("type_prob"), str(cell.get("id", len(self._ids) + 1))
        if kind is not None and (isinstance(kind, bool) or not isinstance(kind, int) or kind < 0):
            raise JsonError(f"its type is {str(kind)[:40]!r}, a whole number from 0 on was expected")
        if len(np.unique(ring, axis=0)) < 3:
            self.thin += 1
            return
        self._rings.append(ring)
        self._types.append(kind or 0)
        self._odds.append(float(odds) if isinstance(odds, int | float) and not isinstance(odds, bool) else np.nan)
        self._ids.append(int(number) if number.isdigit() else len(self._ids) + 1)

    def objects(self, name: str) -> Objects:
        """All of them; ids anew where they come twice."""
        values = np.array(self._types, np.int32)
        kinds = sorted(set(values.tolist()) - {0} | {v for v in self.names if v > 0})
        plain = ClassTable.from_values(kinds)
        classes = ClassTable.from_json([
            {**row, "name": self.names.get(row["value"], row["name"])} for row in plain.to_json()
        ])  # fmt: skip
        ids = np.array(self._ids, np.int64)
        if len(np.unique(ids)) != len(ids):
            ids = np.arange(1, len(ids) + 1)
        flat = np.concatenate(self._rings) if self._rings else np.zeros((0, 2))
        points, offsets = open_rings(flat, np.cumsum([0, *map(len, self._rings)]))
        # Contours go through the middles of pixels, which are counted from zero.
        return Objects.from_rings(
            (points + 0.5).astype(np.float32), offsets, class_values=values, ids=ids, classes=classes, name=name,
            probabilities=np.clip(self._odds, 0, 1).astype(np.float32) if np.isfinite(self._odds).any() else None,
        )  # fmt: skip
