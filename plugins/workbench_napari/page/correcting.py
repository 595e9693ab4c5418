"""Correct the lines of leads over a page: draw a stretch again, take it away, give a line another name."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Qt, QTimer, Signal
from qtpy.QtWidgets import QApplication

from workbench.core.errors import WorkbenchError, one_line
from workbench.core.layers import KEY
from workbench.core.line_layers import lines_from_layer
from workbench.core.lines import Lines
from workbench.page import (
    LEAD,
    ORIGIN,
    STRIP,
    WAS_READ,
    Sheet,
    channels_of,
    colors_of,
    onto_ink,
    standard_name,
    width_of,
    without_covered,
)
from workbench_napari.page.hints import Hints
from workbench_napari.page.panel import CorrectGroup
from workbench_napari.page.weakly import Weakly
from workbench_napari.shared.layer_record import HINT

_REST_MS = 50
"""From the end of a stroke until it is put in its place: sooner than it becomes a step to undo."""
_SHORTEST = 0.5
"""Millimetres of paper below which a stroke is a slip of the hand."""


_NEAR, _ALONG, _OFF = 3.0, 8.0, 12.0
"""Millimetres along x within which a lead is near a stroke, along y within which a stroke lies along a lead, and beyond
which it does not."""
_TOO_FAR = 20.0
"""Millimetres above or below all that a lead shows where a stroke is none of it: 2 mV at 10 mm/mV."""


class Correcting(QObject):
    """Follows the layer of the lines that are shown.

    Parameters
    ----------
    viewer
        The viewer.
    group
        The widgets.
    picture
        Gives the pixels ``(height, width, 3)`` of the page that the lines lie on, or ``None``.

    Signals
    -------
    said
        A line for people.
    """

    said = Signal(str)

    def __init__(
        self, viewer: Any, group: CorrectGroup, picture: Callable[[], Any], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._group, self._picture = viewer, group, Weakly(picture)
        self._layer: Callable[[], Any] = lambda: None
        self._wires: list[tuple[Any, Callable[..., Any]]] = []
        self._mine = False
        self._hints = Hints(viewer)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REST_MS)
        self._timer.timeout.connect(self._on_rest)
        for box in (group.draw, group.points, group.choose, group.gap):
            box.clicked.connect(self._on_mode)
        group.lead.activated.connect(self._on_lead)
        line = group.lead.lineEdit()
        assert line is not None
        line.editingFinished.connect(self._on_lead)

    # --- the layer

    @property
    def layer(self) -> Any:
        """The layer of lines that is corrected, or ``None``."""
        layer = self._layer()
        return layer if layer is not None and layer in self._viewer.layers else None

    def follow(self, layer: Any) -> None:
        """These lines are shown now, or none."""
        if layer is not self._layer():
            self.let_go()
            self._layer = (lambda: None) if layer is None else weakref.ref(layer)
            if layer is not None:
                self._wires = [
                    (layer.events.data, self._on_data), (layer.events.mode, self._show_mode),
                    (layer.selected_data.events.items_changed, self._show_lead),
                ]  # fmt: skip
                for emitter, callback in self._wires:
                    emitter.connect(callback)
                lines = self.readable()
                self._take_lead(channels_of(lines)[0] if lines is not None and len(lines) else "I")
        group = self._group
        for box in (group.draw, group.points, group.choose, group.gap, group.lead, group.undo, group.redo, group.snap):
            box.setEnabled(layer is not None)
        self._show_mode()

    def let_go(self) -> None:
        """Follow nothing any more."""
        self._timer.stop()
        self._hints.clear()
        for emitter, callback in self._wires:
            emitter.disconnect(callback)
        self._wires = []
        self._layer = lambda: None

    def lines(self) -> Lines:
        """The lines as they are drawn now."""
        layer = self.layer
        attributes = {"features": layer.features, "metadata": layer.metadata, "shape_type": list(layer.shape_type)}
        return lines_from_layer([np.array(d) for d in layer.data], attributes)

    def readable(self) -> Lines | None:
        """The same; ``None`` where there are none, or a shape among them is no line."""
        try:
            return None if self.layer is None else self.lines()
        except WorkbenchError as error:
            self.said.emit(one_line(error))
            return None

    def show(self, lines: Lines) -> None:
        """Draw these lines in the layer, as one step."""
        layer = self.layer
        self._mine = True
        try:
            layer.selected_data = set()
            defaults = {c: layer.feature_defaults[c].iloc[0] for c in layer.feature_defaults.columns}
            layer.data = [(lines.frame.to_index(lines.line(n)), "path") for n in range(len(lines))]
            layer.features = {key: list(values) for key, values in lines.features.items()}
            layer.feature_defaults = defaults
            if len(lines):
                layer.edge_color = colors_of(lines)
                layer.edge_width = width_of(lines)
        finally:
            self._mine = False

    # --- what is drawn

    def _on_mode(self, _checked: bool = False) -> None:
        """A button was pressed: its tool of the layer, or moving about again."""
        layer, group = self.layer, self._group
        if layer is None:
            return
        pressed = self.sender()
        boxes = (group.draw, group.gap, group.points, group.choose)
        on = bool(pressed.isChecked())
        for box in boxes:
            box.setChecked(on and box is pressed)
        self._viewer.layers.selection.active = layer
        layer.visible = True
        tool = {group.points: "direct", group.choose: "select"}.get(pressed, "pan_zoom")
        self._mine = True
        try:
            layer.mode = tool if on else "pan_zoom"
        finally:
            self._mine = False
        self._hold()
        if on and pressed in (group.draw, group.gap):
            name = group.lead.currentText()
            what = "replaces that stretch of" if pressed is group.draw else "is taken away from"
            self.said.emit(
                f"Drag along the ink: what you draw {what} lead {name}. The wheel zooms, Space and drag moves."
            )

    @property
    def is_drawing(self) -> bool:
        """Whether the next drag on the canvas is a stroke."""
        return self.layer is not None and (self._group.draw.isChecked() or self._group.gap.isChecked())

    def _hold(self) -> None:
        """While strokes are drawn, a drag does not move the page."""
        layer = self.layer
        if layer is not None and str(layer.mode) == "pan_zoom":
            layer.mouse_pan = not self.is_drawing
            layer.cursor = "cross" if self.is_drawing else "standard"

    def _show_mode(self, _event: Any = None) -> None:
        """The buttons say which tool the layer has."""
        layer, group = self.layer, self._group
        mode = "" if layer is None else str(layer.mode)
        if self._mine:
            return
        if mode != "pan_zoom":
            group.draw.setChecked(False)
            group.gap.setChecked(False)
        group.points.setChecked(mode == "direct")
        group.choose.setChecked(mode == "select")
        self._hold()

    def on_press(self, _viewer: Any, event: Any) -> Iterator[None]:
        """A button of the mouse went down on the canvas: it may be the beginning of a stroke."""
        layer = self.layer
        is_mine = layer is not None and self._viewer.layers.selection.active is layer and str(layer.mode) == "pan_zoom"
        if not self.is_drawing or not is_mine or event.button != 1:
            return
        places = [layer.world_to_data(event.position)[-2:]]
        yield
        while event.type == "mouse_move":
            places.append(layer.world_to_data(event.position)[-2:])
            self._show_stroke(places)
            yield
        self._hints.clear()
        if len(places) > 1 and self.layer is layer:
            try:
                lines = self.lines()
                self._take_stroke(lines, np.array(places)[:, ::-1] + 0.5)
            except WorkbenchError as error:
                self.said.emit(one_line(error))

    def _show_stroke(self, places: list[Any]) -> None:
        """What is being drawn, while the button is down."""
        from napari.layers import Shapes

        path = np.array(places)
        shown = self._hints.get("stroke")
        if shown is None:
            width = float(self.layer.current_edge_width) * 1.2
            self._hints.put("stroke", Shapes(
                [path], shape_type="path", edge_color="#ffd54a", edge_width=width, name="stroke",
                face_color="transparent", metadata={KEY: {"role": HINT}},
            ))  # fmt: skip
        else:
            shown.data = [path]

    def _on_data(self, event: Any) -> None:
        action = getattr(event, "action", None)
        if not self._mine and str(getattr(action, "value", action)) == "added":
            self._timer.start()

    def _on_rest(self) -> None:
        layer = self.layer
        if layer is None:
            return
        if getattr(layer, "_is_creating", False) or QApplication.mouseButtons() != Qt.MouseButton.NoButton:
            self._timer.start()
            return
        try:
            lines, last = self.lines(), len(layer.data) - 1
            self._take_stroke(lines.subset(range(last)), lines.line(last))
        except WorkbenchError as error:
            self.said.emit(one_line(error))

    def _take_stroke(self, lines: Lines, points: Any) -> None:
        """A stroke becomes a line of its lead; what it lies over is cut out of the others of that lead."""
        if not len(lines):
            self.said.emit("No line is left that says where time begins: take back what was deleted (Ctrl+Z).")
            return
        sheet = Sheet.of(lines)
        x = sheet.to_mm(points)[:, 0]
        if x[0] > x[-1]:
            points, x = points[::-1], x[::-1]
        if float(np.ptp(x)) < _SHORTEST:
            self.show(lines)
            self.said.emit("That stroke has no length along the paper: drag along the lead.")
            return
        is_gap, name = self._group.gap.isChecked(), self._group.lead.currentText()
        if other := _beside_another(lines, sheet, points, name):
            self.show(lines)
            self.said.emit(f"That stroke lies along {other}, and lead {name} is chosen. Choose {other}, then draw.")
            return
        if (away := _away_from(lines, sheet, points, name)) > _TOO_FAR:
            self.show(lines)
            self.said.emit(f"That stroke lies {away:.0f} mm from lead {name} and along no lead: draw along its trace.")
            return
        picture = self._picture()
        if self._group.snap.isChecked() and not is_gap and picture is not None:
            points = onto_ink(picture, sheet, points)
        features = self._features_of_next(lines)
        rows = {key: (*values, features[key]) for key, values in lines.features.items()}
        made = without_covered(lines.drawn([*(lines.line(n) for n in range(len(lines))), points], rows))
        self.show(made.subset(range(len(made) - 1)) if is_gap else made)
        seconds = float(np.ptp(x)) * sheet.scale[0] / sheet.speed
        what = "is a gap now" if is_gap else "was drawn again"
        self.said.emit(f"{seconds:.2f} s of lead {name} {what}. Undo: Ctrl+Z.")

    # --- names

    def _on_lead(self, _index: int = 0) -> None:
        """A lead was chosen: for the lines that are chosen, and for what is drawn next."""
        layer, text = self.layer, self._group.lead.currentText().strip()
        if layer is None:
            return
        name = _channel(text)
        if name is None:
            self.said.emit(f"No lead is called '{text}'.")
            self._show_lead()
            return
        rows = [n for n in sorted(layer.selected_data) if n < len(layer.data)]
        lines = self.readable() if rows else None
        before = () if lines is None else channels_of(lines)
        if lines is None:
            rows = []
        if rows and any(before[n] != name for n in rows):
            self._rename(before[rows[0]], name)
        self._take_lead(name)

    def _rename(self, old: str, new: str) -> None:
        """All lines of one name get another; those that have it get the old one."""
        lines = self.lines()
        names = channels_of(lines)
        change = {old: new, new: old}
        wanted = [change.get(name, name) for name in names]
        leads = tuple(name.removesuffix(" strip") for name in wanted)
        strips = tuple(name.endswith(" strip") for name in wanted)
        read = tuple(bool(r) or n in change for r, n in zip(lines.feature(WAS_READ, False), names, strict=True))
        features = {**lines.features, LEAD: leads, STRIP: strips, WAS_READ: read}
        chosen = set(self.layer.selected_data)
        self.show(replace(lines, features=features))
        self.layer.selected_data = chosen
        told = f", and {new} is {old}" if new in names else ""
        self.said.emit(f"{old} is {new} now{told}. Undo: Ctrl+Z.")

    def _show_lead(self, _event: Any = None) -> None:
        """The box shows the lead of what is chosen, where that is one."""
        layer = self.layer
        rows = [] if layer is None or self._mine else [n for n in layer.selected_data if n < len(layer.data)]
        lines = self.readable() if rows else None
        found = set() if lines is None else {channels_of(lines)[n] for n in rows}
        if len(found) == 1:
            self._take_lead(found.pop())

    def _take_lead(self, name: str) -> None:
        """This lead is drawn next."""
        combo, layer = self._group.lead, self.layer
        combo.blockSignals(True)
        if combo.findText(name) < 0:
            combo.addItem(name)
        combo.setCurrentText(name)
        combo.blockSignals(False)
        lines = self.readable()
        if lines is None or not len(lines):
            return
        layer.feature_defaults = self._features_of_next(lines)
        names = channels_of(lines)
        if name in names:
            with layer.block_update_properties():
                layer.current_edge_color = layer.edge_color[names.index(name)]

    def _features_of_next(self, lines: Lines) -> dict[str, Any]:
        """What the next line is: of the lead that is chosen, and on its time."""
        name = self._group.lead.currentText()
        names, origins = channels_of(lines), lines.feature(ORIGIN, 0.0)
        same = [n for n, other in enumerate(names) if other == name]
        strips = [n for n, other in enumerate(names) if other.endswith(" strip") == name.endswith(" strip")]
        origin = float(origins[(same or strips or [0])[0]] or 0.0)
        own = {LEAD: name.removesuffix(" strip"), STRIP: name.endswith(" strip"), ORIGIN: origin, WAS_READ: True}
        return {key: own.get(key, values[-1]) for key, values in lines.features.items()}


def _beside_another(lines: Lines, sheet: Sheet, points: Any, name: str) -> str:
    """The lead that a stroke lies along, where that is not the one it is for, which has nothing near; else ""."""
    mm = sheet.to_mm(points)
    low, high = mm[:, 0].min() - _NEAR, mm[:, 0].max() + _NEAR
    near: dict[str, float] = {}
    for n, other in enumerate(channels_of(lines)):
        own = sheet.to_mm(lines.line(n))
        part = own[(own[:, 0] >= low) & (own[:, 0] <= high)]
        if not len(part) and other == name and own[:, 0].min() < high and own[:, 0].max() > low:
            return ""  # a gap of its own
        if len(part):
            near[other] = min(near.get(other, np.inf), float(abs(np.median(part[:, 1]) - np.median(mm[:, 1]))))
    closest = min(near, key=lambda lead: near[lead], default=name)
    is_other = closest != name and name in channels_of(lines) and near[closest] < _ALONG
    return closest if is_other and near.get(name, np.inf) > _OFF else ""


def _away_from(lines: Lines, sheet: Sheet, points: Any, name: str) -> float:
    """Millimetres from a stroke to the nearest height that its lead has anywhere; 0 where it has no line yet."""
    mm = sheet.to_mm(points)[:, 1]
    own = [sheet.to_mm(lines.line(n))[:, 1] for n, other in enumerate(channels_of(lines)) if other == name]
    if not own:
        return 0.0
    low, high = min(y.min() for y in own), max(y.max() for y in own)
    return float(max(low - mm.max(), mm.min() - high, 0.0))


def _channel(text: str) -> str | None:
    """The name of a signal for what a person typed, or ``None``."""
    is_strip = text.lower().endswith(" strip")
    name = standard_name(text[: -len(" strip")] if is_strip else text)
    return None if name is None else f"{name} strip" if is_strip else name
