"""Look at a scene: which one, in which colours, the spectrum under the cursor, and pinned ones."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from workbench.core.errors import WorkbenchError
from workbench.core.layers import KEY, up_to_date
from workbench_napari.scene.bands_panel import BandsPanel
from workbench_napari.scene.scene import Scene
from workbench_napari.scene.spectrum_plot import SpectrumPlot
from workbench_napari.shared.layer_choice import chosen, fill, index_of, opened
from workbench_napari.shared.panel_base import button, combo_box, layer_row, note
from workbench_napari.shared.pixel_reader import PixelReader
from workbench_napari.shared.plain_text import plain_label
from workbench_napari.shared.section import Section
from workbench_napari.shared.worker import report

_DRAG_PIXELS = 4


class Looking(Section):
    """The group of the scene that is looked at.

    Signals
    -------
    looked
        The choice was looked at: whether another scene is open now (or none any more).
    said
        A line for people.
    """

    looked = Signal(bool)
    said = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Scene", parent)
        self.scene: Scene | None = None
        self._known: dict[int, Scene] = {}
        self.cursor_reader, self.picture_reader = PixelReader(self), PixelReader(self)
        self._build()
        self.scenes.currentIndexChanged.connect(self._on_choice)
        self.colours.changed.connect(self.recolour)
        self.clear_pins_button.clicked.connect(self.clear_pins)
        self.cursor_reader.arrived.connect(self._on_spectrum)
        self.picture_reader.arrived.connect(self._on_picture)
        for reader in (self.cursor_reader, self.picture_reader):
            reader.failed.connect(self.said)

    def _build(self) -> None:
        column = self.column
        form, self.scenes = layer_row("Layer", "Scene to look at, to paint on and to map")
        column.addLayout(form)
        self.info = plain_label()
        self.info.setWordWrap(True)
        column.addWidget(self.info)
        self.colours = BandsPanel(combo_box("Which wavelengths are shown as red, green and blue"))
        column.addWidget(self.colours)
        self.plot = SpectrumPlot()
        column.addWidget(self.plot)
        row = QHBoxLayout()
        self.place = note("Move over the scene; click to pin a spectrum")
        # Map coordinates are long; they must not widen the dock.
        self.place.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.place.setMinimumHeight(2 * self.place.fontMetrics().lineSpacing())
        self.clear_pins_button = button("Clear pins", "Take the pinned spectra off the plot")
        self.clear_pins_button.setEnabled(False)
        row.addWidget(self.place, 1)
        row.addWidget(self.clear_pins_button)
        column.addLayout(row)

    def let_go(self) -> None:
        """Read nothing any more."""
        for reader in (self.cursor_reader, self.picture_reader):
            reader.close()

    # --- which scene

    def follow(self, layers: Any, event: Any = None) -> None:
        """Offer the scenes among the layers of the viewer, and look at the chosen one: that just opened, if any was."""
        scenes = [layer for layer in layers if is_scene(layer)]
        fill(self.scenes, scenes, len(scenes) - 1, opened(event))
        self._on_choice()

    @property
    def has_scenes(self) -> bool:
        return bool(self.scenes.count())

    def scene_of(self, layer: Any) -> Any | None:
        """The layer of the scene that labels were painted on or made from; ``None`` if it is not open."""
        own = layer.metadata.get(KEY) or {}
        if type(layer).__name__ != "Labels" or own.get("part") not in ("painted", "labels") or not own.get("source"):
            return None
        scenes = [scene for n in range(self.scenes.count()) if (scene := self.scenes.itemData(n)()) is not None]
        same = [s for s in scenes if all(s.metadata[KEY].get(k) == own.get(k) for k in ("source", "key"))]
        return same[-1] if same else None

    def choose(self, layer: Any) -> None:
        """Look at another scene of the list."""
        self.scenes.setCurrentIndex(index_of(self.scenes, layer))

    def _on_choice(self, _index: int = 0) -> None:
        layer, before = chosen(self.scenes), self.scene
        if layer is None:
            self.scene = None
        elif before is None or before.layer is not layer:
            self.scene = self._open(layer)
        self.looked.emit(self.scene is not before)

    def _open(self, layer: Any) -> Scene | None:
        import workbench as wb

        record = layer.metadata[KEY]
        known = self._known.get(id(layer))
        try:
            scene = known if known is not None and known.layer is layer else None
            if scene is None:
                address = record["source"] if not record.get("key") else f"{record['source']}:{record['key']}"
                scene = self._known[id(layer)] = Scene(wb.read(address), layer)
            limits = scene.value_range()
        except (WorkbenchError, OSError) as error:
            self.info.setText(report(error))
            return None
        self.info.setText(scene.describe())
        self.colours.set_scene(scene.wavelengths, scene.good, scene.n_bands, scene.preset, scene.bands)
        self.plot.set_scene(scene.wavelengths, scene.good, scene.n_bands, limits=limits, unit=scene.image.value_unit)
        self.plot.set_bands(() if self.colours.is_pca else scene.bands)
        self.clear_pins_button.setEnabled(False)
        return scene

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

    def on_move(self, _viewer: Any, event: Any) -> None:
        """Show the spectrum under the cursor."""
        scene = self.scene
        at = None if scene is None else scene.pixel_at(event.position)
        if scene is None or at is None:
            self.plot.show_cursor(None)
            return
        self.cursor_reader.ask((weakref.ref(scene), *at), partial(scene.spectrum, *at))

    def on_press(self, viewer: Any, event: Any) -> Any:
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


def is_scene(layer: Any) -> bool:
    """Whether a layer shows a cube whose spectra can be read."""
    record = up_to_date(layer.metadata.get(KEY) or {})
    return bool(record.get("kind") == "scene" and record.get("role") == "scene" and record.get("source"))
