"""Look at what was learnt: one map at a time, and where a few more painted pixels would help most."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QPushButton, QWidget

from workbench.scene import doubtful_spot
from workbench_napari.scene import paint_layer
from workbench_napari.scene.doubt_marks import DoubtMarks
from workbench_napari.scene.map_layers import MapLayers
from workbench_napari.scene.painting import Painting
from workbench_napari.shared.agreement_box import ResultNotes, notes_in
from workbench_napari.shared.panel_base import button, button_row
from workbench_napari.shared.plain_text import plain_tip
from workbench_napari.shared.section import Section
from workbench_napari.shared.views import camera_of


class Results(Section):
    """The group of the maps.

    Parameters
    ----------
    viewer
        Its camera goes to doubtful spots.
    painting
        Holds the scene, and what was painted already.
    maps
        The layers of the latest result.

    Attributes
    ----------
    column
        Layout of the section, for what else belongs to the maps.

    Signals
    -------
    shown
        Another map is shown, or none.
    said
        A line for people.
    """

    shown = Signal()
    said = Signal(str)

    def __init__(self, viewer: Any, painting: Painting, maps: MapLayers, parent: QWidget | None = None) -> None:
        super().__init__("Map", parent)
        self._viewer, self._painting, self._maps = viewer, painting, maps
        self._seen: list[tuple[int, int]] = []
        self._told: dict[tuple[int, int], str] = {}
        self._painted: dict[tuple[int, int], int] = {}
        self.marks = DoubtMarks(viewer)
        self.notes = ResultNotes()
        self.column.addWidget(self.notes)
        self.show_buttons: dict[str, QPushButton] = {}
        for key, text, tip in (
            ("labels", "Map", "The classes the network found"),
            ("reference_labels", "SVM", "The map of the reference method, made in a moment from the same pixels"),
            ("confidence", "Confidence", "How sure the network is; dark is doubtful"),
            ("disagreement", "Disagreement", "Where network and reference differ"),
        ):
            self.show_buttons[key] = button(text, tip, checkable=True)
            self.show_buttons[key].clicked.connect(partial(self.show_only, key))
        self.column.addLayout(button_row(*self.show_buttons.values()))
        self.next_button = button(
            "Where to paint next",
            "Go to the spot where the network is least sure and differs from the reference; press again for the next",
        )
        self.next_button.clicked.connect(self.go_to_doubt)
        self.column.addWidget(self.next_button)
        self.spots = QListWidget()
        self.spots.setAccessibleName("Spots to paint next")
        self.spots.setToolTip("Marked on the canvas; click to go there. What is painted goes from the list.")
        self.spots.setFixedHeight(74)
        self.spots.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.spots.hide()
        self.column.addWidget(self.spots)
        self.spots.itemClicked.connect(self._on_spot)
        self.spots.itemActivated.connect(self._on_spot)
        painting.changed.connect(self._on_painted)

    def refresh_buttons(self, busy: bool = False) -> None:
        """What can be done now?"""
        for key, shown in self.show_buttons.items():
            layer = self._maps.get(key)
            shown.setEnabled(layer is not None)
            shown.setChecked(layer is not None and bool(layer.visible))
        self.next_button.setEnabled(self._maps.get("confidence") is not None)
        shown = next((m for key in self.show_buttons if (m := self._maps.get(key)) is not None), None)
        # While a map grows it is not that of the notes any more.
        self.notes.show_notes(() if busy else notes_in(shown))

    def show_only(self, key: str, _checked: bool = False) -> None:
        """Show one of map, reference map, confidence and disagreement; the same button again hides it."""
        wanted = self._maps.get(key)
        turn_on = wanted is not None and not wanted.visible
        for other in self.show_buttons:
            layer = self._maps.get(other)
            if layer is not None:
                layer.visible = other == key and turn_on
        self.shown.emit()

    def forget(self) -> None:
        """The maps are others now: no doubtful spot of theirs was seen."""
        self._seen, self._told, self._painted = [], {}, {}
        self.marks.clear()
        self._fill()

    def let_go(self) -> None:
        """Leave nothing behind on the canvas."""
        self.marks.clear()

    def go_to_doubt(self) -> tuple[int, int] | None:
        """Centre the view on the next spot where a few painted pixels would help most; returns its row and column.

        The spot is marked on the canvas and stands in the list until it was painted or the map is another one.
        """
        scene, confidence, shown = self._painting.scene, self._maps.get("confidence"), self._maps.get("labels")
        if scene is None or confidence is None or shown is None:
            return None
        reference, layer = self._maps.get("reference_labels"), self._painting.layer
        given = [None if m is None else np.asarray(m.data) for m in (confidence, shown, reference, layer)]
        spot = doubtful_spot(*given, seen=self._seen)
        if spot is None:
            self.forget()
            self.said.emit("Every doubtful spot was shown; the next press starts again.")
            return None
        self._seen.append(spot)
        self._centre(scene, *spot)
        names = {c.value: c.name for c in paint_layer.classes_in(shown)}
        percent = 100 * float(np.asarray(confidence.data)[spot])
        says = f"the network says {names.get(int(shown.data[spot]), 'nothing')} ({percent:.0f} % sure)"
        if reference is not None:
            says += f", the reference {names.get(int(reference.data[spot]), 'nothing')}"
        self._told[spot] = told = f"{scene.place_text(*spot)}: {says}"
        self._painted[spot] = self._painted_around(spot)
        self.marks.show(scene, list(self._told))
        self._fill()
        self.said.emit(f"{told}. Paint what it is.")
        return spot

    def _fill(self) -> None:
        """The spots that are marked, the latest chosen."""
        self.spots.clear()
        for spot, text in self._told.items():
            item = QListWidgetItem(text)
            item.setData(Qt.ItemDataRole.UserRole, spot)
            item.setToolTip(plain_tip(text))
            self.spots.addItem(item)
        self.spots.setVisible(bool(self._told))
        self.spots.setCurrentRow(len(self._told) - 1)

    def _on_spot(self, item: QListWidgetItem) -> None:
        scene, spot = self._painting.scene, tuple(item.data(Qt.ItemDataRole.UserRole))
        if scene is not None:
            self._centre(scene, *spot)
            self.said.emit(f"{item.text()}. Paint what it is.")

    def _on_painted(self) -> None:
        """Marks of spots that were painted since go."""
        scene, layer = self._painting.scene, self._painting.layer
        if not self._told or scene is None or layer is None:
            return
        left = {s: text for s, text in self._told.items() if self._painted_around(s) <= self._painted.get(s, 0)}
        if len(left) < len(self._told):
            self._told = left
            self.marks.show(scene, list(left))
            self._fill()

    def _painted_around(self, spot: tuple[int, int]) -> int:
        """How many pixels of a spot and around it are painted: it may lie beside some from the beginning."""
        layer = self._painting.layer
        return 0 if layer is None else int(np.count_nonzero(np.asarray(layer.data)[_around(*spot)]))

    def _centre(self, scene: Any, row: int, column: int) -> None:
        camera = camera_of(self._viewer)
        y, x = scene.world_of(row, column)
        camera.center = (*camera.center[:-2], y, x)
        # Close enough to paint single pixels.
        height = min(scene.shape) * abs(scene.world_of(1, 0)[0] - scene.world_of(0, 0)[0])
        camera.zoom = max(camera.zoom, 1500 / max(height, 1e-9))


def _around(row: int, column: int) -> tuple[slice, slice]:
    """A pixel and its neighbours."""
    return slice(max(0, row - 1), row + 2), slice(max(0, column - 1), column + 2)
