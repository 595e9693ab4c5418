"""The half of the Spectra tool that looks and paints: colours of a scene, spectra, and classes painted by hand."""

from __future__ import annotations

import secrets
import weakref
from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from workbench.core.classes import ClassTable
from workbench.core.errors import UsageError, WorkbenchError
from workbench.core.layers import KEY, up_to_date
from workbench.scene.display import area_table, class_spectra
from workbench_napari.scene import paint_layer
from workbench_napari.scene.classes_table import changed, next_class
from workbench_napari.scene.map_layers import MapLayers
from workbench_napari.scene.panel import ScenePanel
from workbench_napari.scene.scene import Scene
from workbench_napari.shared.layer_choice import chosen, fill, index_of
from workbench_napari.shared.pixel_reader import PixelReader
from workbench_napari.shared.tool_base import DockTool
from workbench_napari.shared.worker import report

_PAINT_DELAY_MS = 250
_DRAG_PIXELS = 4


class ScenePainting(DockTool, ScenePanel):
    """Follows the viewer: which scene is shown how, what lies under the cursor, what is painted."""

    def __init__(self, viewer: Any, backend: str, parent: QWidget | None = None) -> None:
        super().__init__(viewer, backend, parent)
        self.scene: Scene | None = None
        self.maps = MapLayers(self.viewer, self.journal)
        self._scenes: dict[int, Scene] = {}
        self._counts: dict[int, int] = {}
        self._paint: Any = lambda: None
        self._mine = False
        self.cursor_reader, self.class_reader, self.picture_reader = (PixelReader(self) for _ in range(3))
        self._paint_timer = QTimer(self)
        self._paint_timer.setSingleShot(True)
        self._paint_timer.setInterval(_PAINT_DELAY_MS)
        self._paint_timer.timeout.connect(self._on_painted)

    def _viewer_events(self) -> list[tuple[Any, Any]]:
        return [*super()._viewer_events(), (self.viewer.layers.selection.events.active, self._on_active)]

    def connect_painting(self) -> None:
        """Follow the mouse, and let the buttons of this half work."""
        self.follow_mouse(self._on_move, self._on_press)
        self.scenes.currentIndexChanged.connect(self._on_scene)
        self.painted.currentIndexChanged.connect(self._on_paint_layer)
        self.colours.changed.connect(self.recolour)
        self.clear_pins_button.clicked.connect(self.clear_pins)
        self.table.renamed.connect(self.rename_class)
        self.table.recolored.connect(self.recolor_class)
        self.table.chosen.connect(self.choose_class)
        self.add_button.clicked.connect(lambda: self.add_class())
        self.remove_button.clicked.connect(self._remove_chosen)
        self.undo_button.clicked.connect(lambda: self._history("undo"))
        self.redo_button.clicked.connect(lambda: self._history("redo"))
        self.cursor_reader.arrived.connect(self._on_spectrum)
        self.class_reader.arrived.connect(self._on_class_spectra)
        self.picture_reader.arrived.connect(self._on_picture)
        for reader in (self.cursor_reader, self.class_reader, self.picture_reader):
            reader.failed.connect(self.say)

    def _let_go(self) -> None:
        self._follow_paint(None)
        self._paint_timer.stop()
        for reader in (self.cursor_reader, self.class_reader, self.picture_reader):
            reader.close()

    # --- layers come and go

    def _on_layers(self, event: Any = None) -> None:
        scenes = [layer for layer in self.viewer.layers if is_scene(layer)]
        fill(self.scenes, scenes, default=len(scenes) - 1)
        self.empty.setVisible(not scenes)
        self.body.setVisible(bool(scenes))
        self.learn_row.setVisible(bool(scenes))
        self._on_scene()

    def _on_active(self, event: Any = None) -> None:
        index = index_of(self.painted, self.viewer.layers.selection.active)
        if index >= 0:
            self.painted.setCurrentIndex(index)

    def _on_scene(self, _index: int = 0) -> None:
        layer = chosen(self.scenes)
        if layer is None:
            self.scene = None
        elif self.scene is None or self.scene.layer is not layer:
            self._open_scene(layer)
        shape = None if self.scene is None else self.scene.shape
        fitting = [la for la in self.viewer.layers if shape is not None and paint_layer.fits(la, shape)]
        fill(self.painted, fitting, default=len(fitting) - 1)
        self._on_paint_layer()

    def _open_scene(self, layer: Any) -> None:
        from workbench.data import formats

        record = layer.metadata[KEY]
        known = self._scenes.get(id(layer))
        try:
            scene = known if known is not None and known.layer is layer else None
            if scene is None:
                address = record["source"] if not record.get("key") else f"{record['source']}:{record['key']}"
                scene = Scene(formats.read(address), layer)
                self._scenes[id(layer)] = scene
            limits = scene.value_range()
        except (WorkbenchError, OSError) as error:
            self.scene = None
            self.scene_info.setText(report(error))
            return
        self.scene = scene
        self.scene_info.setText(scene.describe())
        self.colours.set_scene(scene.wavelengths, scene.good, scene.n_bands, scene.preset, scene.bands)
        self.plot.set_scene(scene.wavelengths, scene.good, scene.n_bands, limits=limits, unit=scene.image.value_unit)
        self.plot.set_bands(() if self.colours.is_pca else scene.bands)
        self.clear_pins_button.setEnabled(False)
        self.maps.find(scene)
        self.board, self.model = None, None

    # --- colours

    def recolour(self) -> None:
        """Show the scene in the bands that the sliders say, or in principal components."""
        scene = self.scene
        if scene is None:
            return
        clip, bands, pca = self.colours.clip.value(), self.colours.bands, self.colours.is_pca
        self.plot.set_bands(() if pca else bands)
        scene.preset, scene.bands = self.colours.preset.currentText(), bands
        self.picture_reader.ask(
            weakref.ref(scene), lambda: scene.component_picture(clip) if pca else scene.picture(bands, clip)
        )

    def _on_picture(self, token: Any, picture: Any) -> None:
        scene = token()
        if scene is None or scene.layer is None:
            return
        layer = scene.layer
        layer.data = picture
        layer.metadata[KEY].update({"preset": scene.preset, "bands": list(scene.bands)})

    # --- spectra

    def _on_move(self, _viewer: Any, event: Any) -> None:
        scene = self.scene
        at = None if scene is None else scene.pixel_at(event.position)
        if scene is None or at is None:
            self.plot.show_cursor(None)
            return
        self.cursor_reader.ask((weakref.ref(scene), *at), partial(scene.spectrum, *at))

    def _on_press(self, viewer: Any, event: Any) -> Any:
        """Pin on a click; a drag moves the picture, and a stroke of the brush is for the brush."""
        start = np.array(event.pos)
        active = viewer.layers.selection.active
        painting = type(active).__name__ == "Labels" and str(active.mode) not in ("pan_zoom", "transform")
        yield
        while event.type == "mouse_move":
            yield
        if not painting and event.button == 1 and np.abs(np.array(event.pos) - start).max() < _DRAG_PIXELS:
            self.pin_at(event.position)

    def pin_at(self, position: Any) -> bool:
        """Pin the spectrum at a position of the viewer; returns whether there is one."""
        scene = self.scene
        at = None if scene is None else scene.pixel_at(position)
        if scene is None or at is None:
            return False
        self.plot.pin(*at, scene.spectrum(*at))
        self.clear_pins_button.setEnabled(True)
        self.place.setText(f"Pinned {scene.place_text(*at)}")
        return True

    def clear_pins(self) -> None:
        """Take the pinned spectra off the plot."""
        self.plot.clear_pins()
        self.clear_pins_button.setEnabled(False)

    def _on_spectrum(self, token: Any, spectrum: Any) -> None:
        reference, row, column = token
        scene = reference()
        if scene is not None and scene is self.scene:
            self.plot.show_cursor(spectrum)
            self.place.setText(scene.place_text(row, column))

    def _on_class_spectra(self, token: Any, spectra: Any) -> None:
        reference, classes = token
        if reference() is not None and reference() is self.scene:
            self.plot.set_classes(class_spectra(spectra, classes))

    # --- classes

    @property
    def paint_layer(self) -> Any:
        """The layer that is painted in, or ``None``."""
        return chosen(self.painted)

    @property
    def classes(self) -> ClassTable:
        """Classes of the layer that is painted in."""
        layer = self.paint_layer
        return ClassTable() if layer is None else paint_layer.classes_in(layer, self._counts)

    def _on_paint_layer(self, _index: int = 0) -> None:
        layer = self.paint_layer
        if layer is not None and self.scene is not None:
            paint_layer.adopt(layer, self.scene.image)
        self._follow_paint(layer)
        self._on_painted()

    def _follow_paint(self, layer: Any) -> None:
        before = self._paint()
        if before is layer:
            return
        pairs = ((e, self._on_edit) for la in (before,) if la is not None for e in _edit_events(la))
        for emitter, callback in pairs:
            emitter.disconnect(callback)
        if before is not None:
            before.events.selected_label.disconnect(self._on_label)
        self._paint = (lambda: None) if layer is None else weakref.ref(layer)
        if layer is not None:
            for emitter in _edit_events(layer):
                emitter.connect(self._on_edit)
            layer.events.selected_label.connect(self._on_label)

    def _on_edit(self, _event: Any = None) -> None:
        if not self._mine:
            self._paint_timer.start()

    def _on_label(self, _event: Any = None) -> None:
        layer = self._paint()
        if layer is not None:
            self.table.select(int(layer.selected_label))

    def _on_painted(self) -> None:
        """Count what is painted, and ask for the spectra of its classes."""
        layer, scene = self._paint(), self.scene
        self._counts = {} if layer is None else paint_layer.counts_of(layer)
        classes = self.classes
        if layer is not None:
            self._mine = True
            paint_layer.set_classes(layer, classes)
            layer.features = area_table(self._counts, classes, self.scene.geometry) if self.scene else {}
            self._mine = False
        self._show_table()
        if layer is None or scene is None:
            self.plot.set_classes([])
            return
        pixels = paint_layer.painted_pixels(np.asarray(layer.data))
        self.class_reader.ask(
            (weakref.ref(scene), classes), lambda: {v: scene.spectra(*where) for v, where in pixels.items()}
        )

    def _show_table(self) -> None:
        layer, areas = self._paint(), None
        shown = self.maps.get("labels")
        if shown is not None and self.scene is not None:
            table = area_table(paint_layer.counts_of(shown), paint_layer.classes_in(shown), self.scene.geometry)
            shown.features = table
            rows = zip(table["index"], table["pixels"], table["area [m2]"], strict=True)
            areas = {v: (n, a) for v, n, a in rows}
        self.table.show_classes(self.classes, self._counts, areas, None if layer is None else int(layer.selected_label))
        self._refresh_buttons()

    def add_class(self, name: str | None = None) -> int:
        """Add a class, choose it for the brush, and make the layer to paint in if there is none; returns its value."""
        scene = self.scene
        if scene is None:
            raise UsageError("open a cube first: classes belong to a scene")
        layer = self.paint_layer
        classes = next_class(self.classes, name)
        value = classes.classes[-1].value
        if layer is None:
            from napari.layers import Layer

            item = paint_layer.paint_layer(scene.image, classes, secrets.token_hex(8))
            layer = self.viewer.add_layer(Layer.create(*item))
            self.painted.setCurrentIndex(index_of(self.painted, layer))
            layer.brush_size = 3
        paint_layer.set_classes(layer, classes)
        self.choose_class(value)
        self._show_table()
        return value

    def choose_class(self, value: int) -> None:
        """Paint with a class from now on."""
        layer = self.paint_layer
        if layer is None:
            return
        layer.selected_label = value
        self.viewer.layers.selection.active = layer
        if str(layer.mode) in ("pan_zoom", "erase", "pick"):
            layer.mode = "paint"

    def rename_class(self, value: int, name: str) -> None:
        """Give a class another name; an empty one is refused."""
        if name and self.paint_layer is not None:
            self._change(changed(self.classes, value, name=name))
        else:
            self._show_table()

    def recolor_class(self, value: int, color: tuple[int, int, int]) -> None:
        """Give a class another colour, in the map too."""
        self._change(changed(self.classes, value, color=color))

    def _change(self, classes: ClassTable) -> None:
        layer = self.paint_layer
        paint_layer.set_classes(layer, classes)
        self.journal.touch(layer)
        for key in ("labels", "reference_labels"):
            shown = self.maps.get(key)
            if shown is not None:
                paint_layer.set_classes(shown, classes)
        self._on_painted()

    def _remove_chosen(self) -> None:
        c = self.table.selected
        if c is not None:
            self.remove_class(c.value)

    def remove_class(self, value: int) -> None:
        """Take a class and its pixels away; undo brings them back."""
        paint_layer.remove_class(self.paint_layer, value)
        self.journal.touch(self.paint_layer)
        self._on_painted()

    def _history(self, what: str) -> None:
        layer = self.paint_layer
        if layer is not None:
            getattr(layer, what)()
            self._on_painted()


def is_scene(layer: Any) -> bool:
    """Whether a layer shows a cube whose spectra can be read."""
    record = up_to_date(layer.metadata.get(KEY) or {})
    return bool(record.get("kind") == "scene" and record.get("role") == "scene" and record.get("source"))


def _edit_events(layer: Any) -> tuple[Any, ...]:
    # Undo and redo only show as set_data.
    return layer.events.paint, layer.events.set_data, layer.events.data
