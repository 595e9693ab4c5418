"""The scale of a page: its grid as it was found, shown over it, and another scale that is set by two clicks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from workbench.core.errors import WorkbenchError
from workbench.core.layers import KEY
from workbench.core.lines import Lines
from workbench.page import Sheet
from workbench_napari.page.hints import Hints
from workbench_napari.page.panel import ScaleGroup
from workbench_napari.page.weakly import Weakly
from workbench_napari.shared.layer_record import HINT

_EVERY = 5.0
"""Millimetres between the lines of the grid that are shown."""
_STEP = 5.0
"""Millimetres between the points of such a line."""
_ALONG = 3.0
"""How much longer than high two clicks must be apart to count as being beside each other."""


class Scaling(QObject):
    """Follows the lines that are shown, whose record says where on paper they lie.

    Parameters
    ----------
    viewer
        The viewer.
    group
        The widgets.
    lines
        Gives the lines as they are now, or ``None``.
    page
        Gives the layer of the picture, or ``None``.

    Signals
    -------
    scaled
        A person set another scale: factors along x and y of the millimetres that the grid gave.
    given
        Where nothing was read yet: pixels a millimetre.
    said
        A line for people.
    """

    scaled = Signal(float, float)
    given = Signal(float)
    said = Signal(str)

    def __init__(
        self,
        viewer: Any,
        group: ScaleGroup,
        lines: Callable[[], Lines | None],
        page: Callable[[], Any],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._group = viewer, group
        self._lines, self._page = Weakly(lines), Weakly(page)
        self._hints = Hints(viewer)
        self._of: tuple[Any, ...] = ()
        self.places: list[tuple[float, float]] = []
        """What was clicked: x and y in pixels from the corner of the first."""
        group.grid.toggled.connect(self.show_grid)
        group.click.toggled.connect(self._on_click_mode)
        group.apply.clicked.connect(self._on_apply)
        group.reset.clicked.connect(lambda: self.scaled.emit(1.0, 1.0))

    def refresh(self) -> None:
        """Say the scale of what is shown now."""
        lines, group = self._lines(), self._group
        sheet = None if lines is None else _sheet(lines)
        group.grid.setEnabled(sheet is not None)
        group.click.setEnabled(self._page() is not None)
        group.reset.setEnabled(sheet is not None and sheet.scale != (1.0, 1.0))
        if sheet is None:
            group.found.setText("Run finds the grid. Where none is seen, set the scale by two clicks first.")
            if group.grid.isChecked():
                group.grid.setChecked(False)
            return
        x, y = sheet.paper.pixels_per_mm
        text = f"{x / sheet.scale[0]:.2f} x {y / sheet.scale[1]:.2f} pixels a millimetre"
        by_hand = "" if sheet.scale == (1.0, 1.0) else " (set by hand)"
        group.found.setText(f"{text}{by_hand}; {sheet.speed:g} mm/s, {sheet.gain:g} mm/mV")
        if group.grid.isChecked() and self._of != _key(lines):
            self.show_grid(True)

    def let_go(self) -> None:
        """Leave nothing behind on the canvas."""
        self._hints.clear()

    # --- the grid

    def show_grid(self, on: bool) -> None:
        """Every fifth millimetre of the paper as it was found, or none."""
        self._hints.remove("grid")
        lines, page = self._lines(), self._page()
        sheet = None if lines is None else _sheet(lines)
        self._of = () if lines is None else _key(lines)
        if not on or sheet is None or page is None:
            return
        from napari.layers import Shapes

        paths = list(_grid_lines(sheet))
        made = Shapes(
            paths, shape_type="path", edge_color="#00a5cf", edge_width=max(1.5, 0.35 * min(sheet.paper.pixels_per_mm)),
            face_color="transparent", opacity=0.7, name=f"{page.name} grid", metadata={KEY: {"role": HINT}},
            axis_labels=page.axis_labels[:2],
        )  # fmt: skip
        self._hints.put("grid", made)

    # --- two clicks

    def _on_click_mode(self, on: bool) -> None:
        self.places = []
        self._hints.remove("marks")
        self._group.row.setVisible(False)
        if on:
            page = self._page()
            if page is not None:
                # The tools of other layers would take the clicks.
                self._viewer.layers.selection.active = page
            self.said.emit("Click a line of the grid, and then another one, far from it.")

    def on_press(self, _viewer: Any, event: Any) -> Iterator[None]:
        """A button of the mouse went down on the canvas: it may be one of the two clicks."""
        if not self._group.click.isChecked() or self._page() is None:
            return
        where = np.array(event.position)
        yield
        moved = False
        while event.type == "mouse_move":
            moved = moved or bool(np.abs(np.array(event.position) - where).max() > 2)
            yield
        if not moved:
            row, column = self._page().world_to_data(where)[-2:]
            self.take_click(float(column) + 0.5, float(row) + 0.5)

    def take_click(self, x: float, y: float) -> None:
        """One of the two places, in pixels from the corner of the first."""
        self.places = [*self.places[-1:], (x, y)] if len(self.places) < 2 else [(x, y)]
        self._show_marks()
        if len(self.places) == 2:
            found, axis = self._apart()
            lines = self._lines()
            known = lines is not None and _sheet(lines) is not None
            unit = "mm by the grid" if known else "pixels"
            along = {0: "beside each other", 1: "above each other"}.get(axis, "apart")
            self._group.said.setText(f"{found:.1f} {unit} {along}. How many millimetres are they?")
            if known:
                self._group.distance.setValue(max(0.5, round(found)))
            self._group.row.setVisible(True)
            self._group.distance.setFocus()

    def _apart(self) -> tuple[float, int]:
        """How far the places are apart (mm by the grid, else pixels), and along which axis: 0, 1, or both (2)."""
        lines = self._lines()
        sheet = None if lines is None else _sheet(lines)
        points = np.array(self.places)
        if sheet is not None:
            points = sheet.to_mm(points) * sheet.scale
        dx, dy = np.abs(points[1] - points[0])
        if dx > _ALONG * dy:
            return float(dx), 0
        return (float(dy), 1) if dy > _ALONG * dx else (float(np.hypot(dx, dy)), 2)

    def _on_apply(self, _checked: bool = False) -> None:
        if len(self.places) != 2:
            return
        found, axis = self._apart()
        wanted = self._group.distance.value()
        lines = self._lines()
        sheet = None if lines is None else _sheet(lines)
        self._group.click.setChecked(False)
        if found <= 0:
            self.said.emit("The two clicks are at one place.")
        elif sheet is None:
            self.given.emit(found / wanted)
        else:
            x, y = sheet.scale
            factor = wanted / found
            self.scaled.emit(x * (factor if axis != 1 else 1.0), y * (factor if axis != 0 else 1.0))

    def _show_marks(self) -> None:
        from napari.layers import Points

        places = np.array(self.places)[:, ::-1] - 0.5
        made = Points(places, size=14, symbol="cross", face_color="#00a5cf", border_color="white", name="two clicks",
                      metadata={KEY: {"role": HINT}}, canvas_size_limits=(10, 24))  # fmt: skip
        self._hints.put("marks", made)


def _sheet(lines: Lines) -> Sheet | None:
    try:
        return Sheet.of(lines)
    except WorkbenchError:
        return None


def _key(lines: Lines) -> tuple[Any, ...]:
    return id(lines.about.get("paper")), tuple(lines.about.get("scale") or ())


def _grid_lines(sheet: Sheet) -> Iterator[Any]:
    """Every fifth line in both directions over the picture, as (row, column)."""
    height, width = sheet.shape
    y, x = (v.ravel() for v in np.mgrid[0:height:24j, 0:width:24j])
    seen = sheet.to_mm(np.column_stack([x, y])) * sheet.scale
    low, high = (np.round(v / _EVERY) * _EVERY for v in (seen.min(axis=0), seen.max(axis=0)))
    for axis in (0, 1):
        other = np.arange(low[1 - axis], high[1 - axis] + _STEP / 2, _STEP)
        for at in np.arange(low[axis], high[axis] + _EVERY / 2, _EVERY):
            mm = np.column_stack([np.full(len(other), at), other])
            points = sheet.from_mm((mm if axis == 0 else mm[:, ::-1]) / sheet.scale)
            inside = ((points >= -1) & (points <= [width + 1, height + 1])).all(axis=1)
            if inside.sum() > 1:
                yield points[inside][:, ::-1] - 0.5
