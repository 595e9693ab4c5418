"""Ties clusters to the Slides tool: a layer over the slide and a plane of dots; what is chosen in one shows in both."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject

from workbench.core.errors import UsageError
from workbench.core.layers import LayerTuple, colormap
from workbench.core.types import Result
from workbench.slide import TileIndex
from workbench_napari.shared.views import camera_of, canvas_of
from workbench_napari.slide.clusters_panel import ClustersGroup
from workbench_napari.slide.clusters_work import Grouped, group
from workbench_napari.slide.on_slide import record_of, same_slide

_FEWEST_PIXELS = 40
"""On the screen, a tile that somebody goes to is at least as large."""
_ROOM = 0.85
"""Of the canvas, for tiles that somebody goes to."""
_CLICK = 4


class ClustersPage(QObject):
    """The clusters of the result that is shown, and the tiles that are chosen of them.

    Parameters
    ----------
    tool
        The Slides tool: it runs jobs, shows results, and says what there is to say.
    """

    def __init__(self, tool: Any, panel: ClustersGroup) -> None:
        super().__init__(tool)
        self._tool, self.group = tool, panel
        self.found: Grouped | None = None
        self._index: TileIndex | None = None
        self._made: Result | None = None
        self._layer: Any = None
        self._frames: Any = None
        panel.find.clicked.connect(self.find)
        panel.clear.clicked.connect(self.clear)
        panel.scatter.picked.connect(self._on_picked)
        panel.scatter.describe = self._describe
        panel.hidden.connect(self._on_hidden)
        panel.wanted.connect(self._on_wanted)

    # --- what is there

    def refresh(self) -> None:
        """Another result is shown, a slide came or went, a job began or ended."""
        tool = self._tool
        made = tool.shown.made if tool.shown.token else None
        if made is not self._made:
            self.clear()
            self._made = made
        self._index = tool.search.index
        ready = self._index is not None and tool.layer is not None
        self.group.count.setEnabled(ready)
        self.group.by.setEnabled(ready)
        self.group.find.setEnabled(ready and not tool.is_busy)
        found = self.found
        self.group.clear.setEnabled(found is not None)
        self._listen(ready and found is not None)
        self.group.hint.setText(
            f"{found.clusters.describe()}. {found.plane.describe()}." if found is not None
            else "" if ready else "Run StainNet on a slide first: its tiles are what is grouped."
        )  # fmt: skip
        self.group.hint.setVisible(bool(self.group.hint.text()))

    def let_go(self) -> None:
        """Follow nothing any more."""
        self.clear()

    def clear(self, _checked: bool = False) -> None:
        """Take clusters away."""
        self.found = None
        self._listen(False)
        for layer in (self._layer, self._frames):
            if layer is not None and layer in self._tool.viewer.layers:
                self._tool.viewer.layers.remove(layer)
        self._layer = self._frames = None
        self.group.show_nothing()
        self.group.clear.setEnabled(False)

    # --- grouping

    def find(self, _checked: bool = False) -> bool:
        """Group the tiles in the background; returns whether it started."""
        tool, index, made = self._tool, self._index, self._made
        if index is None or made is None or tool.layer is None:
            return False
        layer = tool.layer
        count = self.group.count.value()
        asked = 0 if count < 2 else count, self.group.by.currentText().lower()
        work = partial(group, index, *asked, dict(record_of(layer)))
        return bool(tool.start("Finding clusters of tiles", work, partial(self._show, layer, made)))

    def _show(self, slide: Any, made: Result, found: Grouped) -> None:
        tool = self._tool
        if self._made is not made or slide not in tool.viewer.layers:
            tool.say_done("Another result is shown by now: find clusters again.")
            return
        self.found = found
        self._layer = self._placed(self._layer, found.layer)
        if self._frames is not None:
            self._frames = self._placed(self._frames, found.frames([]))
        self.group.show_found(found.clusters, found.plane)
        self._listen(True)
        tool.say_done(
            f"{found.clusters.describe()}. Click a dot to see its tile, or a tile to see its dot; drag a box over dots."
        )

    def _placed(self, layer: Any, given: LayerTuple) -> Any:
        """A layer that shows this: the one that is there, where it lies in the same place.

        napari takes a layer away in more than half a second.
        """
        data, attributes, _ = given
        viewer = self._tool.viewer
        if layer is not None and layer in viewer.layers:
            places = zip((layer.scale, layer.translate), (attributes["scale"], attributes["translate"]), strict=True)
            if layer.data.shape == data.shape and all(np.allclose(one, other) for one, other in places):
                layer.data, layer.metadata = data, attributes["metadata"]
                _color(layer, attributes["colormap"])
                return layer
            viewer.layers.remove(layer)
        return self._add(given)

    def _add(self, given: LayerTuple) -> Any:
        """A layer of ours, which nobody paints in; the layer that was active stays so."""
        from napari.layers import Layer

        viewer = self._tool.viewer
        active = viewer.layers.selection.active
        layer = viewer.add_layer(Layer.create(*given))
        layer.editable = False
        if active is not None and active in viewer.layers:
            viewer.layers.selection.active = active
        return layer

    # --- from dots to tiles

    def _on_picked(self, numbers: npt.NDArray[np.int64]) -> None:
        self.show_chosen(numbers)
        self._go(numbers)

    def _on_wanted(self, cluster: int) -> None:
        if self.found is not None:
            self.group.scatter.choose(np.flatnonzero(self.found.clusters.labels == cluster))
            self._on_picked(self.group.scatter.chosen)

    def _on_hidden(self, hidden: list[int]) -> None:
        if self.found is None:
            return
        self.group.scatter.hide_labels(hidden)
        self.show_chosen(self.group.scatter.chosen)
        if self._layer is not None and self._layer in self._tool.viewer.layers:
            _color(self._layer, colormap(self.found.clusters.classes) | dict.fromkeys(hidden, (0.0, 0.0, 0.0, 0.0)))

    def show_chosen(self, numbers: npt.NDArray[np.int64]) -> None:
        """Draw frames around these tiles on the slide, and say which they are."""
        found, viewer = self.found, self._tool.viewer
        if found is None:
            return
        given = found.frames(numbers)
        if self._frames is not None and self._frames in viewer.layers:
            self._frames.data = given[0]
        elif len(numbers):
            self._frames = self._add(given)
        if len(numbers) == 1:
            self._tool.say(f"{self._describe(int(numbers[0]))}.")
        elif len(numbers):
            kinds = len(np.unique(found.clusters.labels[numbers]))
            self._tool.say(f"{len(numbers):,} tiles of {kinds} cluster(s) are marked on the slide.")

    def _describe(self, number: int) -> str:
        if self.found is None or self._index is None:
            return ""
        x, y = np.asarray(self._index.corners[number]).tolist()
        label, away = self.found.clusters.labels[number], self.found.clusters.distance[number]
        return f"Tile at x {x:.0f}, y {y:.0f}: cluster {label}, {away:.3f} from its centre"

    def _go(self, numbers: npt.NDArray[np.int64]) -> None:
        """Bring tiles into sight: one is made large enough to be seen, many are not made larger."""
        slide, index = self._slide(), self._index
        if slide is None or index is None or not len(numbers):
            return
        side, corners = index.slides[0].side, np.asarray(index.corners, np.float64)[numbers][:, ::-1] - 0.5
        low, high = (np.array(slide.data_to_world(p)) for p in (corners.min(0), corners.max(0) + side))
        camera, canvas = camera_of(self._tool.viewer), canvas_of(self._tool.viewer)
        middle, extent = (low + high) / 2, np.maximum(np.abs(high - low), 1e-9)
        fits = float(_ROOM * (np.array([canvas.height(), canvas.width()]) / extent[-2:]).min())
        if len(numbers) == 1:
            tile = float(extent[-1])
            camera.zoom = 2 * _FEWEST_PIXELS / tile if tile * camera.zoom < _FEWEST_PIXELS else camera.zoom
        else:
            camera.zoom = min(camera.zoom, fits)
        camera.center = tuple(camera.center[: -len(middle)]) + tuple(middle)

    # --- from tiles to dots

    def _listen(self, on: bool) -> None:
        callbacks = self._tool.viewer.mouse_drag_callbacks
        if on and self._on_click not in callbacks:
            callbacks.append(self._on_click)
        elif not on and self._on_click in callbacks:
            callbacks.remove(self._on_click)

    def _on_click(self, viewer: Any, event: Any) -> Any:
        if event.button != 1 or not self._is_free(viewer):
            return
        start = np.asarray(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        if np.abs(np.asarray(event.pos) - start).max() <= _CLICK:  # it was no move of the picture
            self.choose_at(event.position, more="Control" in event.modifiers)

    def _is_free(self, viewer: Any) -> bool:
        """Whether a click means nothing else: no tiles are picked for a search, and nobody draws."""
        active = viewer.layers.selection.active
        mode = str(getattr(active, "mode", "pan_zoom"))
        return not self._tool.search.is_picking and mode == "pan_zoom" and viewer.dims.ndisplay == 2

    def _slide(self) -> Any:
        """The layer of the slide whose tiles were grouped."""
        layer = self._tool.layer
        found = self.found
        if layer is None or found is None or self._layer is None:
            return None
        return layer if same_slide(layer, self._layer) else None

    def choose_at(self, world: Any, *, more: bool = False) -> None:
        """Choose the dot of the tile at a place of the world; where there is no tile, nothing changes."""
        slide, index = self._slide(), self._index
        if slide is None or index is None:
            return
        y, x = (float(v) + 0.5 for v in slide.world_to_data(world)[-2:])
        try:
            number = index.tiles_at(0, [(x, y)])
        except UsageError:
            return
        self.group.scatter.choose(number, more=more)
        self.show_chosen(self.group.scatter.chosen)


def _color(layer: Any, table: dict[int | None, tuple[float, ...]]) -> None:
    from napari.utils.colormaps import DirectLabelColormap

    layer.colormap = DirectLabelColormap(color_dict=table)
