"""Paint the classes of a scene by hand: their table, the layer that is painted in, and the spectra of what is there."""

from __future__ import annotations

import secrets
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QWidget

from workbench.core.classes import ClassTable
from workbench.core.errors import UsageError
from workbench.core.types import Labels
from workbench.scene import area_table, class_spectra
from workbench_napari.scene import paint_layer
from workbench_napari.scene.class_steps import ClassSteps
from workbench_napari.scene.classes_table import ClassesTable, changed, next_class
from workbench_napari.scene.map_layers import MapLayers
from workbench_napari.scene.scene import Scene
from workbench_napari.shared.journal import Journal
from workbench_napari.shared.latest_work import LatestWork
from workbench_napari.shared.layer_choice import chosen, fill, index_of
from workbench_napari.shared.layer_features import set_features
from workbench_napari.shared.panel_base import button, button_row, layer_row, note
from workbench_napari.shared.pixel_reader import PixelReader
from workbench_napari.shared.section import Section
from workbench_napari.shared.seen_color import seen_color
from workbench_napari.shared.theme import hex_of
from workbench_napari.shared.worker import report

_PAINT_DELAY_MS = 250
_COUNTED_AT_ONCE = 1 << 20
"""Pixels that are counted on the window's thread: some milliseconds."""
_KEYS = {"Control-Z": "undo", "Control-Shift-Z": "redo"}
"""On the canvas, instead of napari's, which knows pixels only."""


class Painting(Section):
    """The group of the classes that people paint.

    Parameters
    ----------
    viewer
        Holds the layers.
    journal
        Is told what people change besides the pixels.
    maps
        Their areas stand in the table, and their classes are named and coloured as the painted ones.

    Signals
    -------
    changed
        The classes, what is painted, or the areas are others now.
    averaged
        Mean and deviation of the spectra of the painted classes: a list of `ClassSpectrum`.
    said
        A line for people.
    """

    changed = Signal()
    averaged = Signal(object)
    said = Signal(str)

    def __init__(self, viewer: Any, journal: Journal, maps: MapLayers, parent: QWidget | None = None) -> None:
        super().__init__("Classes: paint a few pixels of each", parent)
        self.scene: Scene | None = None
        self.counts: dict[int, int] = {}
        self._viewer, self._journal, self._maps = viewer, journal, maps
        self._followed: Callable[[], Any] = lambda: None
        self._mine = self._wants_spectra = False
        self.steps = ClassSteps()
        self.class_reader = PixelReader(self)
        self._counting = LatestWork(self)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAINT_DELAY_MS)
        self._build()
        self._connect()

    def _build(self) -> None:
        column = self.column
        form, self.painted = layer_row("Paint in", "Labels layer that holds what you paint")
        column.addLayout(form)
        self.table = ClassesTable(self._seen)
        column.addWidget(self.table)
        self.add_button = button("Add class", "One more class; you paint with it at once")
        self.remove_button = button(
            "Remove", "Take the marked class and its painted pixels away; Undo brings them back"
        )
        self.undo_button = button("Undo", "Take the last stroke, or change of the classes, back (Ctrl+Z)")
        self.redo_button = button("Redo", "Do it again (Ctrl+Shift+Z)")
        column.addLayout(button_row(self.add_button, self.remove_button, self.undo_button, self.redo_button))
        column.addWidget(note("Click a row to paint with it; ? shows the keys."))

    def _connect(self) -> None:
        self._timer.timeout.connect(self.count)
        self.painted.currentIndexChanged.connect(self._on_choice)
        self.table.renamed.connect(self.rename_class)
        self.table.recolored.connect(self.recolor_class)
        self.table.chosen.connect(self.choose_class)
        self.add_button.clicked.connect(lambda: self.add_class())
        self.remove_button.clicked.connect(self._remove_chosen)
        self.undo_button.clicked.connect(lambda: self.history("undo"))
        self.redo_button.clicked.connect(lambda: self.history("redo"))
        self.class_reader.arrived.connect(self._on_spectra)
        self.class_reader.failed.connect(self.said)
        self._counting.arrived.connect(self._on_counted)
        self._counting.failed.connect(lambda error: self.said.emit(report(error)))

    def let_go(self) -> None:
        """Let go of the layer, and read nothing any more."""
        self._attend(None)
        self._timer.stop()
        self._counting.close()
        self.class_reader.close()

    # --- the layer that is painted in

    def follow(self, scene: Scene | None) -> None:
        """Offer the layers that fit a scene, and take up the chosen one."""
        self.scene = scene
        layers = () if scene is None else self._viewer.layers
        fitting = [layer for layer in layers if scene is not None and paint_layer.fits(layer, scene.shape)]
        fill(self.painted, fitting, default=len(fitting) - 1)
        self._on_choice()

    def on_active(self, _event: Any = None) -> None:
        """Paint in the layer that somebody activated in the viewer, if it fits."""
        self.choose_layer(self._viewer.layers.selection.active)

    def offers(self, layer: Any) -> bool:
        """Whether one can paint in a layer now."""
        return index_of(self.painted, layer) >= 0

    def choose_layer(self, layer: Any) -> None:
        """Paint in a layer, if it fits."""
        index = index_of(self.painted, layer)
        if index >= 0:
            self.painted.setCurrentIndex(index)

    @property
    def layer(self) -> Any:
        """The layer that is painted in, or ``None``."""
        return chosen(self.painted)

    @property
    def classes(self) -> ClassTable:
        """Classes of the layer that is painted in."""
        layer = self.layer
        return ClassTable() if layer is None else paint_layer.classes_in(layer, self.counts)

    def _on_choice(self, _index: int = 0) -> None:
        layer = self.layer
        if layer is not None and self.scene is not None:
            paint_layer.adopt(layer, self.scene.image)
        self._attend(layer)
        self.count()

    def _attend(self, layer: Any) -> None:
        before = self._followed()
        if before is layer:
            return
        if before is not None:
            for emitter in _edit_events(before):
                emitter.disconnect(self._on_edit)
            before.events.selected_label.disconnect(self._on_label)
            for emitter in (before.events.opacity, before.events.blending):
                emitter.disconnect(self._on_looks)
            for keys in _KEYS:
                before.bind_key(keys, None)
        self._followed = (lambda: None) if layer is None else weakref.ref(layer)
        if layer is not None:
            for emitter in _edit_events(layer):
                emitter.connect(self._on_edit)
            layer.events.selected_label.connect(self._on_label)
            for emitter in (layer.events.opacity, layer.events.blending):
                emitter.connect(self._on_looks)
            for keys, what in _KEYS.items():
                layer.bind_key(keys, _key(weakref.ref(self), what), overwrite=True)
        self.steps.follow(layer)

    def _on_edit(self, _event: Any = None) -> None:
        if not self._mine:
            self._timer.start()

    def _on_looks(self, _event: Any = None) -> None:
        """Another opacity or blending: the swatches in the table follow."""
        self.show_table()

    def _seen(self, color: Any) -> str:
        layer = self._followed()
        return hex_of(color) if layer is None else seen_color(self._viewer, layer, color)

    def _on_label(self, _event: Any = None) -> None:
        layer = self._followed()
        if layer is not None:
            self.table.select(int(layer.selected_label))

    # --- what is painted

    def count(self) -> None:
        """Count what is painted, and ask for the spectra of its classes."""
        self._look(with_spectra=True)

    def show_table(self) -> None:
        """Show classes, painted pixels, and the areas of the map as it is now."""
        self._look(with_spectra=False)

    def _look(self, *, with_spectra: bool) -> None:
        """Count layer and map: at once where that is a matter of milliseconds, else in a thread."""
        layer, scene, shown = self._followed(), self.scene, self._maps.get("labels")
        self._wants_spectra = with_spectra or (self._counting.is_busy and self._wants_spectra)
        token = (*(None if x is None else weakref.ref(x) for x in (layer, scene, shown)), self._wants_spectra)
        work = partial(_counted, layer, shown, self._wants_spectra)
        pixels = sum(int(x.data.size) for x in (layer, shown) if x is not None)
        if pixels > _COUNTED_AT_ONCE:
            self._counting.ask(token, work)
        else:
            self._counting.forget()
            self._on_counted(token, work(lambda: False))

    def _on_counted(self, token: Any, found: Any) -> None:
        painted, mapped, pixels = found
        layer, scene, shown = (None if reference is None else reference() for reference in token[:3])
        if layer is not self._followed() or scene is not self.scene:
            return  # another one has been chosen, and is counted
        self.counts = painted
        classes = self.classes
        if layer is not None:
            self._mine = True
            paint_layer.set_classes(layer, classes)
            set_features(layer, area_table(painted, classes, scene.geometry) if scene is not None else {})
            self._mine = False
        areas = None if scene is None or shown is None else self._maps.areas(scene.geometry, mapped)
        self.table.show_classes(classes, painted, areas, None if layer is None else int(layer.selected_label))
        self.changed.emit()
        if not token[3]:
            return
        if layer is None or scene is None:
            self.averaged.emit([])
            return
        self.class_reader.ask(
            (weakref.ref(scene), classes), lambda: {v: scene.spectra(*where) for v, where in pixels.items()}
        )

    def _on_spectra(self, token: Any, spectra: Any) -> None:
        reference, classes = token
        if reference() is not None and reference() is self.scene:
            self.averaged.emit(class_spectra(spectra, classes))

    def given(self) -> Labels | None:
        """What is painted at this moment, for a lesson; ``None`` where there is no layer to paint in."""
        layer, scene = self.layer, self.scene
        if layer is None or scene is None:
            return None
        # The last stroke may not have been counted yet.
        self.counts = paint_layer.counts_of(layer)
        return Labels(np.array(layer.data), scene.geometry, self.classes)

    def refresh_buttons(self) -> None:
        """What can be done now?"""
        layer = self._followed()
        self.add_button.setEnabled(self.scene is not None)
        self.remove_button.setEnabled(bool(len(self.classes)))
        self.undo_button.setEnabled(layer is not None)
        self.redo_button.setEnabled(layer is not None)

    # --- classes

    def add_class(self, name: str | None = None) -> int:
        """Add a class, choose it for the brush, and make the layer to paint in if there is none; returns its value."""
        scene = self.scene
        if scene is None:
            raise UsageError("open a cube first: classes belong to a scene")
        layer, before = self.layer, self.steps.before()
        classes = next_class(self.classes, name)
        value = classes.classes[-1].value
        if layer is None:
            from napari.layers import Layer

            item = paint_layer.paint_layer(scene.image, classes, secrets.token_hex(8))
            layer = self._viewer.add_layer(Layer.create(*item))
            self.painted.setCurrentIndex(index_of(self.painted, layer))
            layer.brush_size = 3
        paint_layer.set_classes(layer, classes)
        self.steps.changed(before)
        self.choose_class(value)
        self.show_table()
        return value

    def choose_class(self, value: int) -> None:
        """Paint with a class from now on."""
        layer = self.layer
        if layer is None:
            return
        layer.selected_label = value
        self._viewer.layers.selection.active = layer
        if str(layer.mode) in ("pan_zoom", "erase", "pick"):
            layer.mode = "paint"

    def rename_class(self, value: int, name: str) -> None:
        """Give a class another name; an empty one is refused."""
        if name and self.layer is not None:
            self._change(changed(self.classes, value, name=name))
        else:
            self.show_table()

    def recolor_class(self, value: int, color: tuple[int, int, int]) -> None:
        """Give a class another colour, in the map too."""
        self._change(changed(self.classes, value, color=color))

    def _change(self, classes: ClassTable) -> None:
        layer, before = self.layer, self.steps.before()
        paint_layer.set_classes(layer, classes)
        self.steps.changed(before)
        self._journal.touch(layer)
        self._maps.set_classes(classes)
        self.count()

    def _remove_chosen(self) -> None:
        c = self.table.selected
        if c is not None:
            self.remove_class(c.value)

    def remove_class(self, value: int) -> None:
        """Take a class and its pixels away; undo brings them back."""
        before = self.steps.before()
        paint_layer.remove_class(self.layer, value)
        self.steps.changed(before)
        self._journal.touch(self.layer)
        self.count()

    def history(self, what: str) -> None:
        """Take back ("undo") or do again ("redo") the last change, of the classes or of the pixels."""
        layer = self.layer
        if layer is not None:
            getattr(self.steps, what)()
            self._journal.touch(layer)
            self.count()
            self._maps.set_classes(self.classes)


def _key(painting: Callable[[], Painting | None], what: str) -> Callable[[Any], None]:
    """What a key on the canvas does; napari wants a function with a name."""

    def step(_layer: Any) -> None:
        found = painting()
        if found is not None:
            found.history(what)

    step.__name__ = f"classes_{what}"
    return step


def _counted(layer: Any, shown: Any, with_pixels: bool, stop: Callable[[], bool]) -> tuple[Any, Any, Any]:
    """Pixels per class of the layer that is painted in and of the map, and which pixels to average the spectra of."""
    painted = {} if layer is None else paint_layer.counts_of(layer, stop)
    mapped = {} if shown is None else paint_layer.counts_of(shown, stop)
    pixels = {} if layer is None or not with_pixels else paint_layer.painted_pixels(np.asarray(layer.data))
    return painted, mapped, pixels


def _edit_events(layer: Any) -> tuple[Any, ...]:
    # Undo and redo only show as set_data.
    return layer.events.paint, layer.events.set_data, layer.events.data
