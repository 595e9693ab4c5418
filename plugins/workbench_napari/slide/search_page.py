"""Ties the search for similar tiles to the Slides tool: picking on the canvas, a map, a gallery that leads there."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QObject, Qt
from qtpy.QtWidgets import QListWidgetItem

from workbench.core.errors import UsageError
from workbench.core.layers import KEY
from workbench.core.types import Result
from workbench.slide import SIMILARITY, TileIndex
from workbench_napari.shared.views import camera_of
from workbench_napari.slide.on_slide import is_picture, record_of, same_slide
from workbench_napari.slide.search_panel import STUDY, SearchGroup
from workbench_napari.slide.search_work import Answer, Similar, own_index, search

_PICKED = "picked tiles"
_FEWEST_PIXELS = 40
"""On the screen, a tile that somebody goes to is at least as large."""


class SearchPage(QObject):
    """What is picked on the slide of the result that is shown, and what was found.

    Parameters
    ----------
    tool
        The Slides tool: it runs jobs, shows results, and says what there is to say.
    """

    def __init__(self, tool: Any, group: SearchGroup) -> None:
        super().__init__(tool)
        self._tool, self.group = tool, group
        self.picked: list[int] = []
        self._index: TileIndex | None = None
        self._made: Result | None = None
        self._marks: Any = None
        self._pending: Similar | None = None
        group.pick.toggled.connect(self._on_pick)
        group.clear.clicked.connect(self.clear)
        group.find.clicked.connect(self.find)
        group.gallery.itemActivated.connect(self._on_item)
        group.gallery.itemDoubleClicked.connect(self._on_item)

    # --- what is there

    @property
    def index(self) -> TileIndex | None:
        """The tiles of the result that is shown."""
        return self._index

    @property
    def is_picking(self) -> bool:
        """Whether clicks on the slide pick tiles."""
        return bool(self.group.pick.isChecked())

    def refresh(self) -> None:
        """Another result is shown, a slide came or went, a job began or ended."""
        tool = self._tool
        made = tool.shown.made if tool.shown.token else None
        if made is not self._made:
            self.clear()
            self.group.gallery.clear()
            self.group.gallery.hide()
            self._made = made
            self._index = None if made is None else own_index(made)
            self.group.pick.setChecked(False)
        ready = self._index is not None and tool.layer is not None
        self.group.pick.setEnabled(ready)
        if not ready:
            self.group.pick.setChecked(False)
        self.group.clear.setEnabled(bool(self.picked))
        self.group.find.setEnabled(ready and bool(self.picked) and not tool.is_busy)
        self.group.hint.setText(
            "" if ready and self.picked else "Pick tiles on the slide, then search." if ready
            else "Run StainNet on a slide first: its tiles are what is searched."
        )  # fmt: skip
        self.group.hint.setVisible(bool(self.group.hint.text()))
        if self._pending is not None and tool.layer is not None and _is_of(tool.layer, self._pending.source):
            pending, self._pending = self._pending, None
            self._go(tool.layer, pending)

    def let_go(self) -> None:
        """Follow nothing any more."""
        self.group.pick.setChecked(False)
        self.clear()

    # --- picking

    def _on_pick(self, on: bool) -> None:
        callbacks = self._tool.viewer.mouse_drag_callbacks
        if on and self._on_click not in callbacks:
            callbacks.append(self._on_click)
            self._tool.say("Click tiles on the slide; press Search, or Pick tiles again to stop.")
        elif not on and self._on_click in callbacks:
            callbacks.remove(self._on_click)

    def _on_click(self, viewer: Any, event: Any) -> Any:
        if event.button != 1:
            return
        start = np.asarray(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        if np.abs(np.asarray(event.pos) - start).max() <= 4:  # it was no move of the picture
            self.pick_at(event.position)

    def pick_at(self, world: Any) -> None:
        """Pick the tile at a place of the world, or leave it out again."""
        layer, index = self._tool.layer, self._index
        if layer is None or index is None:
            return
        y, x = (float(v) + 0.5 for v in layer.world_to_data(world)[-2:])
        try:
            number = int(index.tiles_at(0, [(x, y)])[0])
        except UsageError as error:
            self._tool.say(str(error))
            return
        if number in self.picked:
            self.picked.remove(number)
        else:
            self.picked.append(number)
        self._show_picked(layer, index)
        self.refresh()

    def clear(self, _checked: bool = False) -> None:
        """Pick none."""
        self.picked = []
        if self._marks is not None and self._marks in self._tool.viewer.layers:
            self._tool.viewer.layers.remove(self._marks)
        self._marks = None
        self.group.clear.setEnabled(False)
        self.group.find.setEnabled(False)

    def _show_picked(self, layer: Any, index: TileIndex) -> None:
        viewer, side = self._tool.viewer, index.slides[0].side
        corners = np.asarray(index.corners)[self.picked][:, ::-1] - 0.5
        boxes = [corner + np.array([(0, 0), (0, side), (side, side), (side, 0)]) for corner in corners]
        active = viewer.layers.selection.active
        if self._marks is not None and self._marks in viewer.layers:
            viewer.layers.remove(self._marks)
        self._marks = None
        if boxes:
            self._marks = viewer.add_shapes(
                boxes, shape_type="polygon", face_color="transparent", edge_color="yellow", name=_PICKED,
                edge_width=max(2.0, side / 40), scale=layer.scale[-2:], translate=layer.translate[-2:],
                units=layer.units[-2:],
            )  # fmt: skip
            self._marks.editable = False
        if active is not None and active in viewer.layers:
            viewer.layers.selection.active = active

    # --- searching

    def find(self, _checked: bool = False) -> bool:
        """Search in the background; returns whether it started."""
        tool, index, made = self._tool, self._index, self._made
        if index is None or made is None or tool.layer is None or not self.picked:
            return False
        study: Path | None = None
        if self.group.where.currentText() == STUDY:
            study = tool.chosen_folder()
            if study is None:
                return False
        layer = tool.layer
        work = partial(search, index, tuple(self.picked), dict(record_of(layer)), made, study)
        return bool(tool.start("Searching similar tiles", work, partial(self._show, layer, made)))

    def _show(self, layer: Any, made: Result, answer: Answer) -> None:
        from napari.layers import Layer

        tool = self._tool
        if self._made is not made:
            tool.say_done("Another result is shown by now: search again.")
            return
        data, attributes, kind = answer.layer
        attributes["metadata"] = {KEY: {"kind": "slide", "role": SIMILARITY, "source": record_of(layer).get("source")}}
        attributes |= {"name": f"{layer.name} {SIMILARITY}", "visible": True, "opacity": 0.5}
        viewer = tool.viewer
        for old in [x for x in viewer.layers if record_of(x).get("role") == SIMILARITY and same_slide(x, layer)]:
            viewer.layers.remove(old)
        active = viewer.layers.selection.active
        viewer.add_layer(Layer.create(data, attributes, kind))
        if active is not None and active in viewer.layers:
            viewer.layers.selection.active = active
        self.group.show_found(answer.tiles)
        tiles, slides = answer.searched
        notes = f" ({'; '.join(answer.notes)})" if answer.notes else ""
        tool.say_done(
            f"{len(answer.tiles)} most similar of {tiles:,} tiles of {slides} slide(s){notes}. Double-click one to go "
            "there."
        )

    def _on_item(self, item: QListWidgetItem) -> None:
        self.go_to(item.data(Qt.ItemDataRole.UserRole))

    def go_to(self, tile: Similar) -> None:
        """Go to a tile; its slide is opened first, where it is not."""
        tool = self._tool
        layer = next((x for x in tool.viewer.layers if is_picture(x) and _is_of(x, tile.source)), None)
        if layer is not None:
            self._go(layer, tile)
        elif tile.source:
            self._pending = tile
            tool.opening.open_path(tile.source, tool.KIND)
        else:
            tool.say(f"{tile.slide}: nothing says which file it is.")

    def _go(self, layer: Any, tile: Similar) -> None:
        tool = self._tool
        if tool.layer is not layer:
            tool.viewer.layers.selection.active = layer
        x, y = (value + tile.side / 2 - 0.5 for value in tile.corner)
        camera, middle = camera_of(tool.viewer), layer.data_to_world((y, x))
        camera.center = tuple(camera.center[: -len(middle)]) + tuple(middle)
        side = tile.side * float(layer.scale[-1])
        if side * camera.zoom < _FEWEST_PIXELS:
            camera.zoom = 2 * _FEWEST_PIXELS / max(side, 1e-6)
        tool.say(f"{tile.slide}, x {tile.corner[0]:.0f}, y {tile.corner[1]:.0f}: similarity {tile.similarity:.3f}.")


def _is_of(layer: Any, source: str) -> bool:
    return bool(source) and str(record_of(layer).get("source")) == source
