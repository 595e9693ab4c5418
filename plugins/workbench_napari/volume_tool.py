"""The Volume tool: choose a CT or MR layer and weights, run, correct by hand, read volumes, save."""

from __future__ import annotations

import warnings
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, Qt, QUrl
from qtpy.QtGui import QDesktopServices, QKeySequence
from qtpy.QtWidgets import QFileDialog, QShortcut, QWidget

from workbench.errors import UsageError, WorkbenchError
from workbench.layers import KEY, geometry_from_layer, image_from_layers
from workbench.placement import layer_world
from workbench_napari import views
from workbench_napari.journal import journal_of
from workbench_napari.layer_choice import chosen as _chosen
from workbench_napari.layer_choice import fill as _fill
from workbench_napari.layer_choice import index_of as _index_of
from workbench_napari.saving import case_name, result_of, state_of
from workbench_napari.volume_panel import FORMATS, VolumePanel
from workbench_napari.window import unwrap
from workbench_napari.worker import report, runner_of

BACKEND = "segformer3d"


class VolumeTool(VolumePanel):
    """Dock widget for volumes.

    Parameters
    ----------
    napari_viewer
        The viewer it is docked to (napari passes it by this name).
    """

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        viewer = unwrap(napari_viewer)
        super().__init__(viewer, BACKEND, journal_of(viewer), parent)
        self.runner = runner_of(viewer)
        self.last_folder: Path | None = None
        self._job_layer: Any = lambda: None
        self._done_text = ""
        self._failure_note = ""
        # The tool says the same in its own words beside the layer (see `describe_layer`), and it does not pop up.
        warnings.filterwarnings("ignore", "Non-orthogonal slicing is being requested", UserWarning)
        self._connect()
        self._on_layers()

    # --- wiring

    def _connect(self) -> None:
        v = self.viewer
        self._wires = [
            (v.layers.events.inserted, self._on_layers),
            (v.layers.events.removed, self._on_layers),
            (v.layers.events.renamed, self._on_layers),
            (v.layers.selection.events.active, self._on_active),
            (v.dims.events.order, self._on_view),
            (v.dims.events.ndisplay, self._on_view),
        ]
        for emitter, callback in self._wires:
            emitter.connect(callback)
        self.sample_button.clicked.connect(self.open_sample)
        self.weights.changed.connect(self._on_weights)
        preset = self.form.widgets.get("preset")
        if preset is not None:
            preset.changed.connect(self._on_weights)
        self.view_buttons.buttonClicked.connect(self._on_view_button)
        self.browse_button.clicked.connect(self._browse)
        self.pixel_is_mm.toggled.connect(self._on_image)
        self.labels.currentIndexChanged.connect(self._on_labels)
        self.run_button.clicked.connect(self._run_or_cancel)
        self.save_button.clicked.connect(self.save)
        self.open_button.clicked.connect(self._open_folder)
        self.runner.started.connect(self._on_started)
        self.runner.progressed.connect(self._on_progress)
        self.runner.finished.connect(self._on_finished)
        self.journal.message.connect(self._on_journal)
        for keys, action in (
            ("Ctrl+Return", self.run),
            ("Escape", self.runner.cancel),
            ("Ctrl+Shift+Return", self.save),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(action)
        self._connect_images()
        self._on_weights()

    def _connect_images(self) -> None:
        for combo in self.images:
            combo.currentIndexChanged.connect(self._on_image)

    def disconnect_viewer(self) -> None:
        """Let go of the viewer and its layers; the journal stays with the viewer."""
        for emitter, callback in self._wires:
            emitter.disconnect(callback)
        self._wires = []
        self.table.set_layer(None)

    def event(self, event: Any) -> bool:
        """Let go when napari takes the tool out of its dock: it only loses its parent then, nobody closes it."""
        handled = super().event(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None and hasattr(self, "_wires"):
            self.disconnect_viewer()
        return handled

    def closeEvent(self, event: Any) -> None:
        self.disconnect_viewer()
        super().closeEvent(event)

    # --- layers come and go

    def _on_layers(self, event: Any = None) -> None:
        images = [layer for layer in self.viewer.layers if is_volume(layer)]
        labels = [layer for layer in self.viewer.layers if _kind(layer) == "labels" and layer.ndim == 3]
        for i, combo in enumerate(self.images):
            _fill(combo, images, default=i)
        _fill(self.labels, labels, default=len(labels) - 1)
        self.empty.setVisible(not images and not labels)
        self.body.setVisible(bool(images or labels))
        if labels and self.labels_group.isHidden():
            # Now the volumes and Save matter, and must be in sight without scrolling.
            self.form.settings_fold.collapse(animate=False)
        self.labels_group.setVisible(bool(labels))
        if event is not None and event.type == "inserted":
            self._on_new_layer(event.value)
        self._on_image()
        self._on_labels()
        self._on_view()

    def _on_new_layer(self, layer: Any) -> None:
        record = layer.metadata.get(KEY) or {}
        if record.get("range") and hasattr(layer, "contrast_limits_range"):
            # napari takes the window as the range of its slider; the whole range must stay within reach.
            limits = tuple(layer.contrast_limits)
            layer.contrast_limits_range = tuple(record["range"])
            layer.contrast_limits = limits

    def _on_active(self, event: Any = None) -> None:
        active = self.viewer.layers.selection.active
        index = _index_of(self.labels, active)
        if active is not None and index >= 0:
            self.labels.setCurrentIndex(index)

    def _on_image(self, event: Any = None) -> None:
        layer = self.image_layer
        self.run_button.setEnabled(layer is not None or self.runner.is_busy)
        if layer is None:
            self.image_info.setText("Choose an image layer of 3 axes")
            self.pixel_is_mm.hide()
            return
        array, state = state_of(layer)
        try:
            geometry, _, notes = geometry_from_layer(array.shape, state, pixel_is_mm=self.pixel_is_mm.isChecked())
        except WorkbenchError as error:
            self.image_info.setText(str(error))
            return
        bare, _, _ = geometry_from_layer(array.shape, state)
        self.pixel_is_mm.setVisible(bare.affine is None)
        self.image_info.setText(describe_layer(layer, geometry, notes))

    def _on_labels(self, event: Any = None) -> None:
        layer = self.labels_layer
        self.table.set_layer(layer)
        self.save_button.setEnabled(layer is not None)

    def _on_weights(self, event: Any = None) -> None:
        preset = self.form.widgets.get("preset")
        channels, text = self.weights.describe(None if preset is None else preset.value)
        if self.set_channels(channels if len(channels) > 1 else ("Layer",)):
            self._connect_images()
        self.weights_info.setText(text)
        self._on_layers()

    @property
    def image_layer(self) -> Any:
        """The (first) chosen image layer, or ``None``."""
        return _chosen(self.images[0])

    @property
    def labels_layer(self) -> Any:
        """The labels layer that the table shows and Save writes, or ``None``."""
        return _chosen(self.labels)

    # --- views

    def _on_view_button(self, button: Any) -> None:
        views.show(self.viewer, button.text())

    def _on_view(self, event: Any = None) -> None:
        if any((layer.metadata.get(KEY) or {}).get("shape") for layer in self.viewer.layers):
            views.turn_head_up(self.viewer)
        now = views.current(self.viewer)
        self.view_buttons.setExclusive(False)
        for button in self.view_buttons.buttons():
            button.setChecked(button.text() == now)
        self.view_buttons.setExclusive(True)

    # --- run

    def open_sample(self) -> None:
        """Open the sample CT."""
        try:
            self.viewer.open_sample("napari-workbench", "torso_ct")
        except WorkbenchError as error:
            self.say(report(error))

    def _run_or_cancel(self) -> None:
        if self.runner.is_busy:
            self.runner.cancel()
            self.run_button.setText("Cancelling...")
            self.run_button.setEnabled(False)
        else:
            self.run()

    def run(self) -> bool:
        """Start the model on the chosen layers; returns whether it started."""
        layers = [_chosen(combo) for combo in self.images]
        if any(layer is None for layer in layers):
            self.say("Choose an image layer first.")
            return False
        try:
            values = self.form.values() | {"weights": self.weights.value, "device": self.device.currentText().strip()}
            states = [state_of(layer) for layer in layers]
            image, _ = image_from_layers(states, pixel_is_mm=self.pixel_is_mm.isChecked())
            if image.geometry.affine is None:
                raise UsageError(
                    f"layer '{layers[0].name}' has no spacing; tick 'Count 1 pixel as 1 mm' if that is true"
                )
        except WorkbenchError as error:
            self.say(report(error))
            return False

        def work(progress: Any) -> Any:
            from workbench import api

            return api.predict(BACKEND, image, progress=progress, **values)

        self._job_layer = weakref.ref(layers[0])
        started = self.runner.start(f"Segmenting {layers[0].name}", work, partial(self._show_result, states[0][1]))
        if not started:
            self.say(f"{self.runner.title} is still running; wait for it or cancel it.")
        return started

    def _show_result(self, attributes: dict[str, Any], result: Any) -> None:
        from napari.layers import Layer

        from workbench.overlay import follow_layer

        layer = self._job_layer()
        attributes = attributes if layer is None else state_of(layer)[1]
        shown = None
        for data, own, kind in follow_layer(result, attributes, pixel_is_mm=self.pixel_is_mm.isChecked()):
            added = self.viewer.add_layer(Layer.create(data, own, kind))
            shown = added if kind == "labels" else shown
        if shown is not None:
            self.viewer.layers.selection.active = shown
            self.labels.setCurrentIndex(_index_of(self.labels, shown))
            first = next((i for i in self.table_values() if i), 1)
            shown.selected_label = first
        notes = "".join(f" {n[:1].upper()}{n[1:]}." for n in result.provenance.notes)
        provenance = result.provenance
        self._done_text = (
            f"Done in {provenance.seconds:.1f} s on {provenance.device} ({provenance.device_reason}).{notes}"
        )

    def table_values(self) -> list[int]:
        """Label values in the table, in order."""
        return [self.table._value(r) for r in range(self.table.rowCount())]

    def _on_started(self, title: str) -> None:
        self._done_text = ""
        self.run_button.setText("Cancel")
        self.run_button.setEnabled(True)
        self.save_button.setEnabled(False)
        self.progress.setRange(0, 0)
        self.progress.setFormat("starting")
        self.progress.show()
        self.say(f"{title}...")

    def _on_progress(self, done: int, total: int) -> None:
        if total > 0:
            self.progress.setRange(0, total)
            self.progress.setValue(done)
            self.progress.setFormat("%v of %m steps (%p %)")

    def _on_finished(self, how: str, text: str) -> None:
        self.progress.hide()
        self.run_button.setText("Run")
        self._on_image()
        self._on_labels()
        note, self._failure_note = self._failure_note, ""
        self.say(self._done_text or (f"{text} {note}" if how == "failed" and note else text))

    def _on_journal(self, text: str) -> None:
        """What concerns unsaved work must not be overlooked: also a notification."""
        from napari.utils.notifications import show_warning

        self.say(text)
        show_warning(text)

    def say(self, text: str) -> None:
        """Show one line at the bottom of the tool."""
        self.status.setText(text)

    # --- save

    def save(self) -> bool:
        """Write the labels layer as it is now, in the background; returns whether it started."""
        layer = self.labels_layer
        if layer is None:
            self.say("There is no labels layer to save.")
            return False
        folder = Path(self.folder.text().strip()).expanduser()
        if not self.folder.text().strip():
            self.say("Choose a folder to save in.")
            return False
        format = FORMATS[self.format.currentText()]
        revision = self.journal.revision(layer)
        state = state_of(layer, copy=True)
        mine = (layer.metadata.get(KEY) or {}).get("result")
        maps = [
            state_of(other)
            for other in self.viewer.layers
            if mine and (other.metadata.get(KEY) or {}).get("result") == mine and _kind(other) == "image"
        ]

        def work(progress: Any) -> Any:
            from workbench import api

            result = result_of(state, maps)
            return api.write(result, folder, format=format, name=case_name(folder, result, layer.name))

        reference = weakref.ref(layer)
        self.journal.write_soon()
        kept = self.journal.is_unsaved(layer)
        self._failure_note = "Nothing was lost: your edits are kept for recovery." if kept else ""
        started = self.runner.start(f"Saving {layer.name}", work, partial(self._on_saved, reference, revision))
        if not started:
            self.say(f"{self.runner.title} is still running; save again when it has finished.")
        return started

    def _on_saved(self, reference: Any, revision: int, paths: list[Path]) -> None:
        layer = reference()
        if layer is not None:
            self.journal.saved(layer, revision)
        self.last_folder = paths[-1].parent
        self.open_button.setEnabled(True)
        self.open_button.setToolTip(str(self.last_folder))
        self._done_text = f"Saved {', '.join(p.name for p in paths)} in {self.last_folder}"

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder for results", self.folder.text())
        if chosen:
            self.folder.setText(chosen)

    def _open_folder(self) -> None:
        if self.last_folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.last_folder)))


def is_volume(layer: Any) -> bool:
    """Whether an image layer can be segmented: 3 axes (or channels and 3), one value per voxel, no map of ours."""
    record = layer.metadata.get(KEY) or {}
    return bool(_kind(layer) == "image" and layer.ndim in (3, 4) and not layer.rgb and record.get("role") != "heatmap")


def describe_layer(layer: Any, geometry: Any, notes: tuple[str, ...]) -> str:
    """Size, spacing and modality in one line, and what was assumed."""
    record = layer.metadata.get(KEY) or {}
    size = " × ".join(str(n) for n in geometry.shape)
    spacing = "" if geometry.spacing is None else ", " + " × ".join(f"{s:.3g}" for s in geometry.spacing) + "\u00a0mm"
    modality = f"{record['modality']}, " if record.get("modality") else ""
    world = layer_world(state_of(layer)[1], layer.ndim)[:3, :3]
    tilt = np.abs(world - np.diag(np.diag(world))).max()
    if tilt > 1e-3 * np.abs(world).max():
        notes = (*notes, "oblique: slices follow the volume's own grid, positions stay exact")
    assumed = "".join(f"<br>{n[:1].upper()}{n[1:]}." for n in notes)
    return f"{modality}{size} voxels{spacing}{assumed}"


def _kind(layer: Any) -> str:
    return type(layer).__name__.lower()
