"""The Spectra tool: look at a hyperspectral scene, paint a few pixels per class, learn, watch the map, save."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtWidgets import QPushButton, QWidget

from workbench.core import registry
from workbench_napari.scene.learning import Learning, Work
from workbench_napari.scene.looking import Looking
from workbench_napari.scene.map_layers import MapLayers
from workbench_napari.scene.other_methods import OtherMethods
from workbench_napari.scene.painting import Painting
from workbench_napari.scene.results import Results
from workbench_napari.scene.saving import FORMATS, SaveTicks, job_of, save
from workbench_napari.shared.agreement_box import Asked
from workbench_napari.shared.following import ActiveLayer
from workbench_napari.shared.pages import Part
from workbench_napari.shared.panel_base import button, empty_state
from workbench_napari.shared.shortcuts import Key
from workbench_napari.shared.tool_base import DockTool

BACKEND = "lola_specvit"
_SCENES = "Cubes (*.hdr *.dat *.img *.raw *.bsq *.bil *.bip *.mat *.tif *.tiff *.npy *.npz);;All files (*)"


class SceneTool(DockTool):
    """Dock widget for hyperspectral scenes: puts its parts together and lets them hear of each other.

    Parameters
    ----------
    napari_viewer
        The viewer it is docked to (napari passes it by this name).

    Attributes
    ----------
    looking, painting, learning, results
        The groups, from top to bottom; each owns its widgets and what it knows.
    maps
        The layers of the latest result.
    """

    SAMPLE = "spectral_scene"

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, "scene", parent)
        self._connect()
        self._on_layers()

    # --- parts

    def _empty_state(self) -> QWidget:
        self.open_scene_button = QPushButton("Open a cube...")
        self.sample_button = button(
            "Open the sample scene",
            "The same as File > Open Sample > Workbench > Hyperspectral scene; works offline",
        )
        return empty_state(
            "<b>No scene is open yet</b><br><br>Open a hyperspectral cube: ENVI (.hdr), MATLAB (.mat), a multi-band "
            "TIFF or GeoTIFF, or NumPy (.npy). Drop it into the window, or:",
            self.open_scene_button,
            self.sample_button,
        )

    def _pages(self) -> dict[str, tuple[Part, ...]]:
        self.maps = MapLayers(self.viewer, self.journal)
        self.looking = Looking()
        self.painting = Painting(self.viewer, self.journal, self.maps)
        self.learning = Learning(
            self._backend, self._device_box(), self.painting, self.maps, self._start_lesson, self.agreement
        )
        others = [row for row in registry.of_kind("scene") if row is not self._backend]
        self.others = OtherMethods(others, self.learning.map_with)
        self.results = Results(self.viewer, self.painting, self.maps)
        column = self.results.column
        folder_tip = "Results go into a folder of their own in here, named after the scene"
        self._save_form(column, FORMATS, folder_tip, "File format of the maps")
        self.save_ticks = SaveTicks()
        column.addLayout(self.save_ticks)
        column.addLayout(
            self._save_buttons("Write map, painted pixels, areas and how they were made (Ctrl+Shift+Return)")
        )
        return {
            "Look": (self.looking,),
            "Paint": (self.painting,),
            "Learn": (self.learning, self.others),
            "Map": (self.results,),
        }

    def _footer(self) -> QWidget:
        return self._footer_of(self.learning.row)

    def _connect(self) -> None:
        self.connect_tool()
        self.keys.notes = [
            ("move", "show the spectrum below the mouse"),
            ("click", "pin it (while painting: hold Space)"),
        ]
        self.keys.add(
            Key("Ctrl+Z", "undo", lambda: self.painting.history("undo")),
            Key("Ctrl+Shift+Z", "redo", lambda: self.painting.history("redo")),
        )
        self.follow_mouse(self.looking.on_move, self.looking.on_press)
        self.open_scene_button.clicked.connect(lambda: self.browse_file("Open a scene", _SCENES))
        self.looking.looked.connect(self._on_looked)
        self.painting.averaged.connect(self.looking.plot.set_classes)
        self.learning.learnt.connect(self._on_learnt)
        self.learning.kept.connect(self._on_kept)
        for signal in (self.painting.changed, self.learning.changed, self.results.shown):
            signal.connect(self._refresh_buttons)
        self.learning.changed.connect(self.follow_choice)
        if self.others.model is not None:
            self.others.model.changed.connect(self.follow_choice)
            self.others.model.edited.connect(self.agreement.withdraw)
        for part in (self.looking, self.painting, self.learning, self.others, self.results):
            part.said.connect(self.say)

    def _habits(self) -> dict[str, QWidget]:
        return {**super()._habits(), "spectra": self.save_ticks.spectra, "model": self.save_ticks.model}

    def _main_button(self) -> QPushButton:
        return self.learning.learn_button

    def main_action(self) -> bool:
        return self.learning.learn()

    # --- what the viewer and the parts tell

    def _viewer_events(self) -> list[tuple[Any, Callable[..., Any]]]:
        follow = ActiveLayer(self.viewer, lambda: self.looking.scenes)
        active = self.viewer.layers.selection.events.active
        return [*super()._viewer_events(), (active, self.painting.on_active), *follow.events()]

    def _on_layers(self, event: Any = None) -> None:
        self.looking.follow(self.viewer.layers, event)
        there = self.looking.has_scenes
        self.empty.setVisible(not there)
        self.body.setVisible(there)

    def _on_looked(self, another: bool) -> None:
        scene = self.looking.scene
        if another and scene is not None:
            self.maps.find(scene)
            self.learning.forget()
            self.results.forget()
        self.painting.follow(scene)
        self.follow_choice()

    def _asked(self) -> tuple[Asked, ...]:
        return (self.learning.asked, (*self.others.asked, id(self.looking.scene)))

    def _refresh_buttons(self, _event: Any = None) -> None:
        busy = self.is_busy
        self.painting.refresh_buttons()
        self.learning.refresh_buttons(busy)
        self.others.refresh_buttons(busy)
        self.results.refresh_buttons(busy and self.learning.board is not None)
        something = self.maps.get("labels") is not None or self.painting.layer is not None
        self.save_button.setEnabled(not busy and something)

    def _let_go(self) -> None:
        self.results.let_go()
        self.learning.let_go()
        self.painting.let_go()
        self.looking.let_go()

    # --- jobs

    def _start_lesson(self, title: str, work: Work, done: Callable[[Any], None]) -> bool:
        if not self.start(title, work, done):
            return False
        self.journal.write_soon()
        return True

    def _on_learnt(self, text: str) -> None:
        self.results.forget()
        self._done_text = text

    def _on_kept(self, text: str) -> None:
        self._done_text, self._outlives = text, True

    def _on_progress(self, done: int, total: int) -> None:
        super()._on_progress(done, total)
        if self._job is not None and self.runner.job is self._job:
            self.learning.show_progress(self._job.is_cancelling)

    def _after_job(self, how: str) -> None:
        self.learning.end()
        self.painting.show_table()

    def covers(self, layer: Any) -> bool:
        return self.looking.scene_of(layer) is not None or self.painting.offers(layer)

    def take_up(self, layer: Any) -> None:
        scene = self.looking.scene_of(layer)
        if scene is not None:
            self.looking.choose(scene)
        self.painting.choose_layer(layer)

    def save(self) -> bool:
        """Write map, painted pixels, areas, spectra and model as they are now, in the background."""
        scene = self.looking.scene
        if scene is None:
            self.say("There is nothing to save yet.")
            return False
        folder = self.chosen_folder()
        if folder is None:
            return False
        layers = self.maps.layers() | {"painted": self.painting.layer}
        layers = {k: v for k, v in layers.items() if v is not None}
        if not layers:
            self.say("There is nothing to save yet: add a class and paint.")
            return False
        plot = self.looking.plot
        format = FORMATS[self.format.currentText()]
        job = job_of(scene.image, layers, folder, format, self.save_ticks, plot, self.learning.model)
        drawn = [v for k, v in layers.items() if k in ("painted", "labels")]
        return self.start_saving(scene.image.name, lambda progress: save(job, progress), drawn, "what you painted is")
