"""The Spectra tool: look at a hyperspectral scene, paint a few pixels per class, learn, watch the map, save."""

from __future__ import annotations

import secrets
import shutil
import time
import weakref
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from qtpy.QtWidgets import QPushButton, QWidget

from workbench.core.classes import ClassTable
from workbench.core.errors import UsageError, WorkbenchError
from workbench.scene.display import doubt_map
from workbench.training.lesson import Board, learn, map_only
from workbench_napari.scene import paint_layer
from workbench_napari.scene.painting import ScenePainting
from workbench_napari.scene.panel import FORMATS
from workbench_napari.scene.saving import Saving, save
from workbench_napari.shared.worker import report
from workbench_napari.volume import views

BACKEND = "lola_specvit"
_SCENES = "Cubes (*.hdr *.dat *.img *.raw *.bsq *.bil *.bip *.mat *.tif *.tiff *.npy *.npz);;All files (*)"


class SceneTool(ScenePainting):
    """Dock widget for hyperspectral scenes.

    Parameters
    ----------
    napari_viewer
        The viewer it is docked to (napari passes it by this name).
    """

    SAMPLE = "spectral_scene"

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, "scene", parent)
        self.board: Board | None = None
        self.model: Path | None = None
        self._before: Any = None
        self._shown_version = 0
        self._doubtful: list[tuple[int, int]] = []
        # Networks of this session, until one is saved; napari destroys a closed window without asking its tools.
        self.models = Path(mkdtemp(prefix="workbench-models-"))
        self.destroyed.connect(partial(_remove, self.models))
        self._connect()
        self._on_layers()

    # --- wiring

    def _main_button(self) -> QPushButton:
        return self.learn_button

    def main_action(self) -> bool:
        return self.learn()

    def _connect(self) -> None:
        self.connect_tool()
        self.connect_painting()
        self.open_scene_button.clicked.connect(lambda: self.browse_file("Open a scene", _SCENES))
        self.weights.changed.connect(self._refresh_buttons)
        self.map_button.clicked.connect(self.map_scene)
        self.next_button.clicked.connect(self.go_to_doubt)
        for key, button in self.show_buttons.items():
            button.clicked.connect(partial(self.show_only, key))

    def _refresh_buttons(self, _event: Any = None) -> None:
        busy, layer = self.runner.is_busy, self._paint()
        self.add_button.setEnabled(self.scene is not None)
        self.remove_button.setEnabled(bool(len(self.classes)))
        self.undo_button.setEnabled(layer is not None)
        self.redo_button.setEnabled(layer is not None)
        self.learn_button.setEnabled(self.scene is not None)
        self.map_button.setEnabled(self.scene is not None and not busy and self.weights.value != "none")
        there = {key: self.maps.get(key) for key in self.show_buttons}
        for key, button in self.show_buttons.items():
            button.setEnabled(there[key] is not None)
            button.setChecked(there[key] is not None and bool(there[key].visible))
        self.next_button.setEnabled(there["confidence"] is not None)
        self.save_button.setEnabled(not busy and (there["labels"] is not None or layer is not None))

    # --- learn

    def learn(self) -> bool:
        """Learn from the painted pixels and map the scene; returns whether it started."""
        scene, layer = self.scene, self.paint_layer
        try:
            if scene is None or layer is None or len(self._counts_now()) < 2:
                raise UsageError("Paint a few pixels of at least two classes first; 20 of each are a good start.")
            values = self.form.values() | {"weights": self.weights.value, "device": self.device.currentText().strip()}
        except WorkbenchError as error:
            self.say(report(error))
            return False
        classes = ClassTable(tuple(c for c in self.classes if c.value in self._counts))
        painted = np.array(layer.data)
        board = Board(scene.shape, classes)
        model = self.models / f"model-{secrets.token_hex(4)}.safetensors"
        image = scene.image
        return self._begin(
            f"Learning {len(classes)} classes of {image.name}",
            board,
            lambda progress: learn(image, painted, classes, values, model, board, progress),
        )

    def map_scene(self) -> bool:
        """Map the scene with the chosen weights as they are; returns whether it started."""
        scene = self.scene
        if scene is None or self.weights.value == "none":
            self.say("Choose weights to map with, or paint and learn.")
            return False
        values = {"weights": self.weights.value, "device": self.device.currentText().strip()}
        board, image = Board(scene.shape, ClassTable()), scene.image
        return self._begin(f"Mapping {image.name}", board, lambda progress: map_only(image, values, board, progress))

    def _begin(self, title: str, board: Board, work: Any) -> bool:
        token = secrets.token_hex(8)
        shown = self.maps.get("labels")
        before = None if shown is None else np.array(shown.data)
        if not self.start(title, work, partial(self._on_learnt, token)):
            return False
        self.board, self._before, self._shown_version, self._token = board, before, 0, token
        self._job_scene = weakref.ref(self.scene)
        self.journal.write_soon()
        return True

    def _counts_now(self) -> dict[int, int]:
        layer = self._paint()
        self._counts = {} if layer is None else paint_layer.counts_of(layer)
        return self._counts

    def _show_board(self) -> None:
        """Show the part of the map that is there already."""
        board, scene = self.board, self._job_scene() if self.board is not None else None
        if board is None or scene is None or scene is not self.scene or board.version == self._shown_version:
            return
        self._shown_version = board.version
        self.maps.show_labels(scene.image, "labels", board.labels, board.classes, self._token)

    def _on_learnt(self, token: str, outcome: Any) -> None:
        scene = self._job_scene()
        if scene is None or scene is not self.scene:
            return
        self.maps.finish(outcome.result, token)
        self._doubtful = []
        if outcome.model is not None:
            self.model = outcome.model
            self.weights.combo.addItem(f"lesson of {time.strftime('%H:%M:%S')}", str(self.model))
        self.maps.get("labels").visible = True
        self._done_text = outcome.text

    def _on_progress(self, done: int, total: int) -> None:
        super()._on_progress(done, total)
        if self.board is not None and self.runner.is_busy:
            if self.board.phase and not self.runner.is_cancelling:
                self.say(self.board.phase)
            self._show_board()

    def _after_job(self, how: str) -> None:
        board, self.board = self.board, None
        if board is not None and how != "done":
            # A map half of one method and half of another would mislead: go back to the last whole one.
            whole = board.complete if board.complete is not None else self._before
            shown = self.maps.get("labels")
            if shown is not None and whole is not None:
                shown.data[...] = whole
                shown.refresh()
            elif shown is not None and board.version:
                self.viewer.layers.remove(shown)
        self._before = None
        self._show_table()

    # --- look at the result

    def show_only(self, key: str) -> None:
        """Show one of map, reference map, confidence and disagreement; the same button again hides it."""
        wanted = self.maps.get(key)
        turn_on = wanted is not None and not wanted.visible
        for other in self.show_buttons:
            layer = self.maps.get(other)
            if layer is not None:
                layer.visible = other == key and turn_on
        self._refresh_buttons()

    def go_to_doubt(self) -> tuple[int, int] | None:
        """Centre the view on the next spot where a few painted pixels would help most; returns its row and column."""
        scene, confidence, shown = self.scene, self.maps.get("confidence"), self.maps.get("labels")
        if scene is None or confidence is None or shown is None:
            return None
        reference, layer = self.maps.get("reference_labels"), self._paint()
        given = [None if m is None else np.asarray(m.data) for m in (confidence, shown, reference, layer)]
        doubt = doubt_map(*given)
        reach = max(4, min(scene.shape) // 12)
        for row, column in self._doubtful:
            doubt[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1] = 0
        row, column = (int(v) for v in np.unravel_index(int(doubt.argmax()), doubt.shape))
        if doubt[row, column] <= 0:
            self._doubtful = []
            self.say("Every doubtful spot was shown; the next press starts again.")
            return None
        # The worst neighbourhood is found; now its worst pixel.
        single = doubt_map(*given, size=1)
        near = np.zeros(scene.shape, bool)
        near[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3] = True
        row, column = (int(v) for v in np.unravel_index(int(np.where(near, single, -1).argmax()), single.shape))
        self._doubtful.append((row, column))
        camera = views.camera_of(self.viewer)
        y, x = scene.world_of(row, column)
        camera.center = (*camera.center[:-2], y, x)
        # Close enough to paint single pixels.
        height = min(scene.shape) * abs(scene.world_of(1, 0)[0] - scene.world_of(0, 0)[0])
        camera.zoom = max(camera.zoom, 1500 / max(height, 1e-9))
        names = {c.value: c.name for c in paint_layer.classes_in(shown)}
        percent = 100 * float(np.asarray(confidence.data)[row, column])
        says = f"the network says {names.get(int(shown.data[row, column]), 'nothing')} ({percent:.0f} % sure)"
        if reference is not None:
            says += f", the reference {names.get(int(reference.data[row, column]), 'nothing')}"
        self.say(f"{scene.place_text(row, column)}: {says}. Paint what it is.")
        return row, column

    # --- save

    def save(self) -> bool:
        """Write map, painted pixels, areas, spectra and model as they are now, in the background."""
        scene = self.scene
        if scene is None:
            self.say("There is nothing to save yet.")
            return False
        folder = self.chosen_folder()
        if folder is None:
            return False
        layers = {key: self.maps.get(key) for key in ("labels", "reference_labels", "confidence", "disagreement")}
        layers["painted"] = self._paint()
        layers = {k: v for k, v in layers.items() if v is not None}
        if not layers:
            self.say("There is nothing to save yet: add a class and paint.")
            return False
        job = Saving(
            scene.image,
            {k: (np.array(v.data), dict(v.metadata), v.name) for k, v in layers.items()},
            folder,
            FORMATS[self.format.currentText()],
            spectra=tuple(self.plot.classes) if self.save_spectra.isChecked() else None,
            pins=tuple(self.plot.pins),
            model=self.model if self.save_model.isChecked() else None,
        )
        drawn = [v for k, v in layers.items() if k in ("painted", "labels")]
        return self.start_saving(scene.image.name, lambda progress: save(job, progress), drawn, "what you painted is")


def _remove(folder: Path, _tool: Any = None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
