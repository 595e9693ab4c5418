"""The sign beside Save, and in the title of the dock, that there is hand work which no save covers."""

from __future__ import annotations

from typing import Any, ClassVar

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QLabel, QPushButton, QWidget

from workbench_napari.shared.plain_text import plain_tip
from workbench_napari.shared.quiet_label import QuietLabel
from workbench_napari.shared.unsaved import Unsaved, named

_SIGN = "●"
_IN_TITLE = " *"


class UnsavedSign(QuietLabel):
    """A dot beside Save; pointing at it names the layers. Without unsaved work its place stays empty.

    Parameters
    ----------
    unsaved
        Says which layers of the window are unsaved.
    save_button
        Says so to screen readers, too.
    """

    # napari's style gives labels a padding, which would cut the dot in two.
    STYLE: ClassVar[str] = "padding: 0px; margin: 0px;"

    def __init__(self, unsaved: Unsaved, save_button: QPushButton, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._unsaved, self._save_button = unsaved, save_button
        self._tool: Any = None
        self._dock: QDockWidget | None = None
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setFixedWidth(2 * self.fontMetrics().horizontalAdvance(_SIGN))

    def follow(self, tool: Any) -> None:
        """Show what concerns this tool from now on."""
        self._tool = tool
        self._unsaved.changed.connect(self.refresh)
        self._unsaved.enter(tool)

    def docked(self, dock: QDockWidget) -> None:
        """The tool was put into a dock; napari makes its title bar anew where it is moved."""
        if dock is self._dock:
            return
        self._dock = dock
        dock.topLevelChanged.connect(self._show_in_title)
        dock.dockLocationChanged.connect(self._show_in_title)
        self._show_in_title()

    def let_go(self) -> None:
        """The tool is taken out."""
        tool, self._tool, self._dock = self._tool, None, None
        if tool is not None:
            self._unsaved.changed.disconnect(self.refresh)
            self._unsaved.leave(tool)

    @property
    def is_on(self) -> bool:
        """Whether the sign is shown."""
        return bool(self.text())

    def refresh(self) -> None:
        """Look again what is unsaved."""
        if self._tool is None:
            return
        layers = self._unsaved.shown_in(self._tool)
        mine = [layer for layer in layers if self._tool.covers(layer)]
        others = [layer for layer in layers if layer not in mine]
        lines = [f"Not saved yet: {named(mine)}"] * bool(mine)
        if others:
            lines.append(f"No tool here saves {named(others)}: use File > Save Selected Layers")
        text = "\n".join(lines)
        self.setText(_SIGN if lines else "")
        self.setToolTip(plain_tip(text))
        self.setAccessibleName(text)
        self._save_button.setAccessibleDescription(text)
        self._show_in_title()

    def _show_in_title(self, _where: Any = None) -> None:
        dock = self._dock
        if dock is None:
            return
        # The name in the bar that napari draws, and the one of the tab and of a window of its own, which Qt draws.
        name = str(getattr(dock, "name", "")) or dock.windowTitle().removesuffix("[*]")
        bar = dock.titleBarWidget()
        for label in [] if bar is None else bar.findChildren(QLabel):
            if label.text() in (name, name + _IN_TITLE):
                label.setText(name + _IN_TITLE * self.is_on)
        if self.is_on:
            dock.setWindowTitle(f"{name}[*]")
        dock.setWindowModified(self.is_on)
        if not self.is_on and dock.windowTitle() != name:
            dock.setWindowTitle(name)
