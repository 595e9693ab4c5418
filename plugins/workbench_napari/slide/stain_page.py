"""Ties the stains of a slide to the Slides tool: a layer for each, made of what is looked at, shown and taken away."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QVBoxLayout, QWidget

from workbench.core.layers import KEY, LayerTuple
from workbench.slide import LazyLevel, stain_layers
from workbench_napari.shared.form import add_row, form_layout
from workbench_napari.shared.panel_base import button, button_row, combo_box, group_box
from workbench_napari.slide.on_slide import record_of, slide_image, stains_on

CHOICES = {
    "Estimated from the slide": "estimate",
    "Haematoxylin and eosin": "h-e",
    "Haematoxylin and DAB": "h-dab",
    "Haematoxylin and AEC": "h-aec",
}
_SHOW, _HIDE = "Show stains", "Hide stains"
_PLACE = ("scale", "translate", "rotate", "shear", "affine", "units")
_SIZE = ("affine", "unit", "mpp", "mpp_given")
"""What a record says of the size of pixels."""


class StainGroup(QWidget):
    """Which stains, and a button that shows or hides them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        group, column = group_box("Stains")
        self.show_button = button(_SHOW, "A layer for each stain, from white to as much of it as is usual; again: none")
        column.addLayout(button_row(self.show_button))
        form = form_layout()
        self.which = combo_box("Colours of the stains: as the slide has them, or known ones")
        self.which.addItems(list(CHOICES))
        add_row(form, "Colours", self.which)
        column.addLayout(form)
        outer.addWidget(group)


class StainPage(QObject):
    """The stains of the slide that is meant.

    Parameters
    ----------
    tool
        The Slides tool: it runs jobs, and says what there is to say.
    """

    def __init__(self, tool: Any, group: StainGroup) -> None:
        super().__init__(tool)
        self._tool, self.group = tool, group
        group.show_button.clicked.connect(self.press)
        group.which.currentIndexChanged.connect(lambda _: self.refresh())

    @property
    def asked(self) -> str:
        """The stains that are chosen, as `workbench.slide.stain_layers` calls them."""
        return CHOICES[self.group.which.currentText()]

    def refresh(self) -> None:
        """A slide or its stains came or went, a job began or ended, other stains were chosen."""
        tool = self._tool
        self.group.show_button.setEnabled(tool.layer is not None and not tool.is_busy)
        self.group.show_button.setText(_HIDE if self._shown() else _SHOW)

    def _shown(self) -> list[Any]:
        """The layers that show what is chosen."""
        layer = self._tool.layer
        found = [] if layer is None else stains_on(self._tool.viewer, layer)
        return [x for x in found if record_of(x).get("stains") == self.asked]

    def press(self, _checked: bool = False) -> bool:
        """Show the stains that are chosen, or take them away where they are shown; returns whether a job started."""
        tool, layer = self._tool, self._tool.layer
        if layer is None:
            return False
        if self._shown():
            self._remove(layer)
            self.refresh()
            tool.say(f"{layer.name}: its stains are not shown any more.")
            return False
        levels = list(layer.data) if layer.multiscale else [layer.data]
        below = levels if all(isinstance(level, LazyLevel) for level in levels) else None
        work = partial(_work, dict(record_of(layer)), self.asked, below)
        return bool(tool.start(f"Stains of {layer.name}", work, partial(self._show, layer)))

    def _remove(self, layer: Any) -> None:
        for old in stains_on(self._tool.viewer, layer):
            self._tool.viewer.layers.remove(old)

    def _show(self, layer: Any, made: Sequence[LayerTuple]) -> None:
        from napari.layers import Layer

        tool = self._tool
        layers = tool.viewer.layers
        if layer not in layers:
            tool.say_done(f"{layer.name} was closed: its stains are not shown.")
            return
        active = layers.selection.active
        self._remove(layer)
        own = record_of(layer)
        for data, attributes, kind in made:
            name = attributes["metadata"][KEY]["stain"]
            attributes["metadata"][KEY] |= {key: own[key] for key in _SIZE if key in own}
            # Where the slide lies now: somebody may have moved it, or said how large its pixels are.
            more = {"name": f"{layer.name} {name}"} | {key: getattr(layer, key) for key in _PLACE}
            layers.insert(layers.index(layer) + 1, Layer.create(data, {**attributes, **more}, kind))
        if active is not None and active in layers:
            layers.selection.active = active
        names = " and ".join(attributes["metadata"][KEY]["stain"] for _, attributes, _ in made)
        tool.say_done(f"{layer.name}: {names}, in optical density. Hide the upper one to see the other.")


def _work(record: dict[str, Any], asked: str, levels: Sequence[LazyLevel] | None, _progress: Any) -> list[LayerTuple]:
    return stain_layers(slide_image(record), asked, levels=levels)  # type: ignore[arg-type]
