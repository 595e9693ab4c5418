"""The Volume tool: choose a CT or MR layer and weights, run, correct by hand, read volumes, save."""

from __future__ import annotations

import warnings
import weakref
from functools import partial
from typing import Any

import numpy as np
from qtpy.QtWidgets import QPushButton, QWidget

from workbench.core.errors import UsageError, WorkbenchError
from workbench.core.layers import KEY
from workbench.volume import geometry_from_layer, image_from_layers, layer_world
from workbench_napari.shared.layer_choice import chosen as _chosen
from workbench_napari.shared.layer_choice import fill as _fill
from workbench_napari.shared.layer_choice import index_of as _index_of
from workbench_napari.shared.saving import case_name, state_of
from workbench_napari.shared.tool_base import DockTool
from workbench_napari.shared.worker import report
from workbench_napari.volume import views
from workbench_napari.volume.panel import FORMATS, VolumePanel
from workbench_napari.volume.saving import result_of


class VolumeTool(DockTool, VolumePanel):
    """Dock widget for volumes.

    Parameters
    ----------
    napari_viewer
        The viewer it is docked to (napari passes it by this name).
    """

    PROGRESS_TEXT = "%v of %m steps (%p %)"
    SAMPLE = "torso_ct"

    def __init__(self, napari_viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, "volume", parent)
        self._job_layer: Any = lambda: None
        # The tool says the same in its own words beside the layer (see `describe_layer`), and it does not pop up.
        warnings.filterwarnings("ignore", "Non-orthogonal slicing is being requested", UserWarning)
        self._connect()
        self._on_layers()

    # --- wiring

    def _viewer_events(self) -> list[tuple[Any, Any]]:
        v = self.viewer
        return [
            *super()._viewer_events(),
            (v.layers.selection.events.active, self._on_active),
            (v.dims.events.order, self._on_view),
            (v.dims.events.ndisplay, self._on_view),
        ]

    def _main_button(self) -> QPushButton:
        return self.run_button

    def main_action(self) -> bool:
        return self.run()

    def _connect(self) -> None:
        self.connect_tool()
        self.model.changed.connect(self._on_weights)
        self.view_buttons.buttonClicked.connect(self._on_view_button)
        self.pixel_is_mm.toggled.connect(self._on_image)
        self.labels.currentIndexChanged.connect(self._on_labels)
        self._connect_images()
        self._on_weights()

    def _connect_images(self) -> None:
        for combo in self.images:
            combo.currentIndexChanged.connect(self._on_image)

    def _let_go(self) -> None:
        self.table.set_layer(None)

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
            self.model.form.settings_fold.collapse(animate=False)
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
        self.save_button.setEnabled(layer is not None and not self.runner.is_busy)

    def _on_weights(self, event: Any = None) -> None:
        channels = self.model.describe()
        if self.set_channels(channels if len(channels) > 1 else ("Layer",)):
            self._connect_images()
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

    def run(self) -> bool:
        """Start the model on the chosen layers; returns whether it started."""
        layers = [_chosen(combo) for combo in self.images]
        if any(layer is None for layer in layers):
            self.say("Choose an image layer first.")
            return False
        try:
            backend, values = self.model.backend.name, self.model.values()
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
            import workbench as wb

            return wb.predict(backend, image, progress=progress, **values)

        self._job_layer = weakref.ref(layers[0])
        return self.start(f"Segmenting {layers[0].name}", work, partial(self._show_result, states[0][1]))

    def _show_result(self, attributes: dict[str, Any], result: Any) -> None:
        from napari.layers import Layer

        from workbench.volume import follow_layer

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

    def _refresh_buttons(self, _event: Any = None) -> None:
        self._on_image()
        self._on_labels()

    # --- save

    def save(self) -> bool:
        """Write the labels layer as it is now, in the background; returns whether it started."""
        layer = self.labels_layer
        if layer is None:
            self.say("There is no labels layer to save.")
            return False
        folder = self.chosen_folder()
        if folder is None:
            return False
        format = FORMATS[self.format.currentText()]
        state = state_of(layer, copy=True)
        mine = (layer.metadata.get(KEY) or {}).get("result")
        maps = [
            state_of(other)
            for other in self.viewer.layers
            if mine and (other.metadata.get(KEY) or {}).get("result") == mine and _kind(other) == "image"
        ]

        def work(progress: Any) -> Any:
            import workbench as wb

            result = result_of(state, maps)
            return wb.write(result, folder, format=format, name=case_name(folder, result, layer.name))

        return self.start_saving(layer.name, work, [layer], "your edits are")


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
