"""A window for the monkey and the tools in it, with settings that take no time."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any


class Desk:
    """A window and the tools in it."""

    def __init__(self, files: Any, out: Path) -> None:
        import napari

        self.viewer = napari.Viewer()
        self.window = self.viewer.window._qt_window
        self.window.resize(1100, 750)
        self.tools: dict[str, Any] = {}
        self._files, self._out = files, out

    def dock(self, title: str, rng: Random) -> None:
        """Dock a tool, with settings that take seconds."""
        _, tool = self.viewer.window.add_plugin_dock_widget("napari-workbench", title, tabify=False)
        self.tools[title] = tool
        tool.folder.setText(str(self._out))
        if title == "Volume tool":
            tool.model.choose("segformer3d")
            tool.model.weights.choose_file(self._files.volume_weights)
            tool.model.device.setCurrentText("cpu")
            if rng.random() < 0.5:
                tool.model.choose("threshold")
        elif title == "Spectra tool":
            tool.device.setCurrentText("cpu")
            fast = {"steps": 3, "components": 5, "validate_every": 3, "patch": 5, "head_start": 30, "batch": 8}
            tool.learning.form.set_values(fast)
        elif title == "MEG tool":
            tool.panel.model.model.weights.choose_file(self._files.recording_weights)
            tool.panel.model.model.device.setCurrentText("cpu")
        elif title == "Slides tool":
            tool.input.model.choose("stainnet")
            tool.input.model.weights.choose_file(self._files.slide_weights)
            tool.input.model.device.setCurrentText("cpu")
        elif title == "ECG tool":
            tool.input.model.device.setCurrentText("cpu")
        else:
            tool.input.model.choose(rng.choice(("bright", "threshold")))

    def undock(self, title: str, *, by_button: bool) -> None:
        """Take a tool out of the window, by its cross or by a script."""
        tool = self.tools.pop(title)
        if by_button:
            self._dock_of(tool).destroyOnClose()
        else:
            self.viewer.window.remove_dock_widget(tool)

    def any_tool(self, rng: Random) -> Any:
        return rng.choice(list(self.tools.values())) if self.tools else None

    def any_dock(self, rng: Random) -> Any:
        tool = self.any_tool(rng)
        return None if tool is None else self._dock_of(tool)

    @staticmethod
    def _dock_of(tool: Any) -> Any:
        above = tool.parentWidget()
        while not hasattr(above, "destroyOnClose"):
            above = above.parentWidget()
        return above

    def places(self, rng: Random, number: int) -> list[tuple[float, float]]:
        """Some places on the canvas, in its pixels."""
        from tests.workbench_napari.mouse import canvas_of

        canvas = canvas_of(self.viewer)
        w, h = canvas.width(), canvas.height()
        return [(rng.uniform(0.05, 0.95) * w, rng.uniform(0.05, 0.95) * h) for _ in range(number)]
