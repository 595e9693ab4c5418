"""What the mouse does over nuclei: a click or a drag becomes a choice, an outline, a cut, a stroke of the brush."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from workbench.core.errors import WorkbenchError, one_line
from workbench.slide import NucleiEdits
from workbench_napari.slide.nuclei_panel import BRUSH, DRAW, ERASE, LASSO, SELECT, SPLIT, NucleiGroup

_CLICK = 4
"""Pixels of the screen that a hand may move within a click."""


class Corrected(Protocol):
    """What the mouse asks of those that hold the nuclei, what is chosen of them, and what may be done."""

    group: NucleiGroup
    chosen: list[int]
    said: Any

    @property
    def layer(self) -> Any: ...

    @property
    def edits(self) -> NucleiEdits | None: ...

    @property
    def mode(self) -> str: ...

    def may_work(self) -> bool: ...

    def mark(self, stroke: Any = None) -> None: ...

    def choose(self, numbers: list[int]) -> None: ...

    def next_class(self) -> int: ...

    def tell(self, edits: NucleiEdits) -> None: ...


class NucleiHand:
    """The mouse over a layer of nuclei.

    Parameters
    ----------
    editing
        What is chosen, and what may be done.
    """

    def __init__(self, editing: Corrected) -> None:
        self._editing = editing

    def on_drag(self, layer: Any, event: Any) -> Iterator[None]:
        """For ``layer.mouse_drag_callbacks``: from the press of the left button until it is let go."""
        editing = self._editing
        if getattr(event, "button", 1) != 1:
            return
        mode, with_shift = editing.mode, "Shift" in event.modifiers
        if "Alt" in event.modifiers or "Control" in event.modifiers or not editing.may_work():
            return
        start, stroke = np.array(event.pos, float), [_place(layer, event.position)]
        moved = False
        yield
        while event.type == "mouse_move":
            moved = moved or bool(np.abs(np.array(event.pos) - start).max() > _CLICK)
            if mode != SELECT:
                stroke.append(_place(layer, event.position))
                editing.mark(np.array(stroke))
            yield
        if mode != SELECT:
            self._do(mode, np.array(stroke), moved, with_shift)
        elif not moved:
            self._click(stroke[0], with_shift)

    def _click(self, place: tuple[float, float], with_shift: bool) -> None:
        editing, layer = self._editing, self._editing.layer
        if layer is None:
            return
        number = layer.data[0].outlines.at(*place)
        if number is None:
            editing.choose([] if not with_shift else editing.chosen)
        elif with_shift:
            others = [i for i in editing.chosen if i != number]
            editing.choose(others if number in editing.chosen else [*others, number])
        else:
            editing.choose([number])

    def _do(self, mode: str, stroke: Any, moved: bool, with_shift: bool) -> None:
        editing, edits, layer = self._editing, self._editing.edits, self._editing.layer
        if edits is None:
            return
        try:
            if mode == LASSO and len(stroke) > 2:
                found = _within(layer, edits, stroke)
                editing.choose([*dict.fromkeys([*editing.chosen, *found])] if with_shift else found)
            elif mode == DRAW and moved:
                editing.choose([edits.add(stroke, editing.next_class())])
            elif mode == SPLIT and moved:
                editing.choose(edits.split(self._crossed(layer, edits, stroke), stroke))
            elif mode in (BRUSH, ERASE):
                self._brush(layer, edits, stroke, erase=mode == ERASE)
            else:
                editing.mark()
            editing.tell(edits)
        except WorkbenchError as error:
            editing.mark()
            editing.said.emit(one_line(error))

    def _crossed(self, layer: Any, edits: NucleiEdits, line: Any) -> int:
        """The nucleus that a line is to split: that of which it crosses most."""
        import shapely

        way = shapely.LineString(line)
        near = [int(i) for i in layer.data[0].outlines.within(*way.bounds)]
        near += [i for i in self._editing.chosen if i not in near and edits.is_there[i]]
        return max(near, key=lambda i: way.intersection(edits.area(i)).length, default=-1)

    def _brush(self, layer: Any, edits: NucleiEdits, stroke: Any, *, erase: bool) -> None:
        editing = self._editing
        number = editing.chosen[0] if len(editing.chosen) == 1 else layer.data[0].outlines.at(*stroke[0])
        if number is None:
            editing.mark()
            editing.said.emit("Choose the nucleus to paint on first (click on it).")
            return
        left = edits.brush(number, stroke, editing.group.radius.value(), erase=erase)
        editing.choose([] if left is None else [left])


def _place(layer: Any, position: Any) -> tuple[float, float]:
    """A place in the world as (x, y) of level 0, from the outer corner of the first pixel."""
    row, column = layer.world_to_data(position)[-2:]
    return float(column) + 0.5, float(row) + 0.5


def _within(layer: Any, edits: NucleiEdits, lasso: Any) -> list[int]:
    """Nuclei whose middle lies in a lasso."""
    import shapely

    area = shapely.make_valid(shapely.Polygon(lasso))
    shapely.prepare(area)
    near = layer.data[0].outlines.within(*area.bounds)
    inside = shapely.contains_xy(area, *edits.middles()[near].T)
    return [int(i) for i in near[inside]]
