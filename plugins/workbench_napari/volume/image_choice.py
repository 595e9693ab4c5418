"""The part of the Volume tool that chooses: a layer per input channel, what is said about it, and what a pixel is."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QComboBox

from workbench.core.errors import UsageError, WorkbenchError
from workbench.core.types import Geometry, Image
from workbench.volume import geometry_from_layer, image_from_layers, layer_world, set_by_hand
from workbench_napari.shared.layer_choice import chosen, fill, opened
from workbench_napari.shared.saving import unread_state
from workbench_napari.volume.layer_roles import is_volume, record_of
from workbench_napari.volume.level_choice import LevelChoice
from workbench_napari.volume.panel import ImageGroup
from workbench_napari.volume.turning import taken_for


class ImageChoice(QObject):
    """The image layers to run on; other parts ask this one for them.

    Signals
    -------
    changed
        Other layers are chosen, or a pixel counts as something else.
    """

    changed = Signal()

    def __init__(self, viewer: Any, group: ImageGroup, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._group = viewer, group
        self._levels = LevelChoice(group.level_row, group.level)
        self._levels.combo.currentIndexChanged.connect(self._on_choice)
        group.pixel_is_mm.toggled.connect(self._on_choice)
        self._connect()

    def _connect(self) -> None:
        for combo in self._group.combos:
            combo.currentIndexChanged.connect(self._on_choice)

    def _on_choice(self, _value: Any = None) -> None:
        self.describe()
        self.changed.emit()

    def ask_for(self, channels: tuple[str, ...]) -> None:
        """Offer one choice per input channel that the backend asks for; a single one goes without a name."""
        if self._group.set_channels(channels if len(channels) > 1 else ("Layer",)):
            self._connect()

    def look_around(self, event: Any = None) -> bool:
        """Which volumes are there? Says so about the chosen one; returns whether there is any.

        One that was just opened from a file is chosen, and of one with several channels the first, unless there is a
        choice for each channel. What others add (a filtered copy) waits to be chosen.
        """
        new = opened(event)
        record = {} if new is None else record_of(new)
        if len(self._group.combos) > 1 or not record.get("source") or record.get("channel"):
            new = None
        images = [layer for layer in self._viewer.layers if is_volume(layer)]
        for i, combo in enumerate(self._group.combos):
            fill(combo, images, i, new)
        self.describe()
        return bool(images)

    def follows_list(self) -> QComboBox | None:
        """The choice that goes with napari's list: which of several channels a layer is, only a person can say."""
        return self._group.combos[0] if len(self._group.combos) == 1 else None

    @property
    def layer(self) -> Any:
        """The (first) chosen image layer, or ``None``."""
        return chosen(self._group.combos[0])

    @property
    def layers(self) -> list[Any]:
        """The chosen layers, one per channel; none as long as a channel lacks its layer."""
        found = [chosen(combo) for combo in self._group.combos]
        return [] if any(layer is None for layer in found) else found

    @property
    def pixel_is_mm(self) -> bool:
        """Whether one pixel counts as one millimetre where a layer says nothing."""
        return bool(self._group.pixel_is_mm.isChecked())

    @property
    def level(self) -> int:
        """Which level of a multiscale layer is computed; 0, the finest, of any other."""
        return self._levels.chosen

    @property
    def level_note(self) -> str:
        """What a result says of the level it was made of; "" where that is the finest."""
        return self._levels.note

    def image(self) -> Image:
        """The chosen layers as one image.

        Raises
        ------
        UsageError
            They say nothing about the size of a voxel, and nobody has said that a pixel is a millimetre.
        GeometryError
            They do not lie on one grid, the level cannot be placed, or their transform cannot be kept in a file.
        """
        layers = self.layers
        states = [unread_state(layer, self.level) for layer in layers]
        image, _ = image_from_layers(states, pixel_is_mm=self.pixel_is_mm)
        if image.geometry.affine is None:
            raise UsageError(f"layer '{layers[0].name}' has no spacing; tick 'Count 1 pixel as 1 mm' if that is true")
        return image

    def describe(self, _value: Any = None) -> None:
        """Say what the chosen layer is, and ask what a pixel is if it does not tell."""
        group, layer = self._group, self.layer
        self._levels.follow(layer)
        if layer is None:
            group.info.setText("Choose an image layer of 3 axes")
            group.pixel_is_mm.hide()
            return
        try:
            data, state = unread_state(layer, self.level)
            geometry, _, notes = geometry_from_layer(data.shape, state, pixel_is_mm=self.pixel_is_mm)
        except WorkbenchError as error:
            group.info.setText(str(error))
            return
        bare, _, _ = geometry_from_layer(data.shape, state)
        group.pixel_is_mm.setVisible(bare.affine is None)
        if found := taken_for(layer, pixel_is_mm=self.pixel_is_mm):
            # The box below says so, and offers another one.
            notes = tuple(n for n in notes if n != found.why and n != set_by_hand(record_of(layer)))
        group.info.setText(describe_layer(layer, geometry, notes, state))


def describe_layer(
    layer: Any, geometry: Geometry, notes: tuple[str, ...], attributes: dict[str, Any] | None = None
) -> str:
    """Size, spacing and modality in one line, and what was assumed; `attributes` are those of the level that counts."""
    record = record_of(layer)
    size = " × ".join(str(n) for n in geometry.shape)
    spacing = "" if geometry.spacing is None else ", " + " × ".join(f"{s:.3g}" for s in geometry.spacing) + "\u00a0mm"
    modality = f"{record['modality']}, " if record.get("modality") else ""
    world = layer_world(attributes or unread_state(layer)[1], layer.ndim)[:3, :3]
    tilt = np.abs(world - np.diag(np.diag(world))).max()
    if tilt > 1e-3 * np.abs(world).max():
        notes = (*notes, "oblique: slices follow the volume's own grid, positions stay exact")
    assumed = "".join(f"\n{n[:1].upper()}{n[1:]}." for n in notes)
    return f"{modality}{size} voxels{spacing}{assumed}"
