"""The part of the Volume tool that keeps: the labels layer to measure and edit, its volumes, and what is saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal

from workbench_napari.shared.agreement_box import notes_in
from workbench_napari.shared.case import Saved, save_result
from workbench_napari.shared.layer_choice import chosen, fill, index_of
from workbench_napari.shared.saving import LayerState, state_of
from workbench_napari.shared.worker import Work
from workbench_napari.volume.belonging import Belonging, Shown, identity_for
from workbench_napari.volume.layer_roles import is_label_map, is_volume, maps_beside
from workbench_napari.volume.panel import LabelsGroup
from workbench_napari.volume.saving import result_of

StartSaving = Callable[[str, Work, Sequence[Any], str], bool]
"""Starts to write: name of what is saved, what to do in a thread, layers that are then saved, what is kept if not."""


class Keeping(QObject):
    """The labels layer that the table shows and Save writes.

    Signals
    -------
    said
        A line for the user.
    appeared
        There are labels now, and there were none before.
    """

    said = Signal(str)
    appeared = Signal()

    def __init__(
        self, viewer: Any, group: LabelsGroup, start_saving: StartSaving, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._group, self._start_saving = viewer, group, start_saving
        self.table = group.table
        self._belonging = Belonging()
        group.layers.currentIndexChanged.connect(self._on_choice)

    @property
    def layer(self) -> Any:
        """The labels layer that is chosen, or ``None``."""
        return chosen(self._group.layers)

    def look_around(self, image: Any = None) -> bool:
        """Which labels are there? Returns whether there are any; `image` is the one that is chosen."""
        labels = [layer for layer in self._viewer.layers if is_label_map(layer)]
        self._belonging.look(labels, [layer for layer in self._viewer.layers if is_volume(layer)], image)
        fill(self._group.layers, labels, default=len(labels) - 1)
        if labels and self._group.box.isHidden():
            self.appeared.emit()
        self._group.box.setVisible(bool(labels))
        self._on_choice()
        return bool(labels)

    def on_active(self, _event: Any = None) -> None:
        """A person chose a layer in the list of napari: if it holds labels, it is meant here too."""
        self.choose(self._viewer.layers.selection.active)

    def choose(self, layer: Any) -> None:
        """Show these labels, if they are in the list."""
        index = index_of(self._group.layers, layer)
        if index >= 0:
            self._group.layers.setCurrentIndex(index)

    def show_new(self, layer: Any) -> None:
        """Choose labels that were just made, with the first of their classes in the brush."""
        self._group.layers.setCurrentIndex(index_of(self._group.layers, layer))
        layer.selected_label = next((value for value in self.table.label_values() if value), 1)

    def close(self) -> None:
        """Let go of the layer."""
        self.table.set_layer(None)

    def _on_choice(self, _index: int = 0) -> None:
        self.table.set_layer(self.layer)
        self._group.notes.show_notes(notes_in(self.layer))

    def save(self, chosen_folder: Callable[[], Path | None], format: str) -> bool:
        """Write the labels as they are now, in the background; returns whether it started.

        Parameters
        ----------
        chosen_folder
            Asked for the folder only once there is something to save; without one it has said why.
        format
            As in `workbench.api.write`.
        """
        layer = self.layer
        if layer is None:
            self.said.emit("There is no labels layer to save.")
            return False
        folder = chosen_folder()
        if folder is None:
            return False
        maps = [state_of(other) for other in maps_beside(layer, self._viewer.layers)]
        below = self._belonging.below(layer)
        work = partial(write, state_of(layer, copy=True), maps, folder, format, below)
        return self._start_saving(layer.name, work, [layer], "your edits are")


def write(
    labels: LayerState,
    maps: Sequence[LayerState],
    folder: Path,
    format: str,
    below: Shown | None = None,
    progress: Any = None,
) -> Saved:
    """Write labels, their volumes and maps into the folder of their image inside `folder`.

    Parameters
    ----------
    below
        The image that they were drawn over, where no file and no run is behind them.

    Raises
    ------
    GeometryError
        The layer has neither a position nor a spacing: nothing is written.
    UsageError
        The folder cannot be written to.
    """
    result = result_of(labels, maps)
    return save_result(result, folder, identity_for(labels[1], result, below, progress), format=format)
