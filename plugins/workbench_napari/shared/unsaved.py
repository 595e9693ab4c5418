"""Which layers of a window hold hand work that no save covers: said in the window's title, and asked about at close."""

from __future__ import annotations

import weakref
from typing import Any

from qtpy.QtCore import QEvent, QObject, Signal

from workbench.core.layers import KEY
from workbench_napari.shared.journal import Journal, journal_of
from workbench_napari.shared.napari_versions import renamed_of
from workbench_napari.shared.window import main_window, unwrap

_MARK = "[*]"
"""Where Qt shows that a window is modified."""
_NAMED = 4
"""Layers that are told by name at once."""


def unsaved_of(viewer: Any) -> Unsaved:
    """What is unsaved in a viewer; it lives as long as the viewer's journal."""
    journal = journal_of(viewer)
    found = journal.findChild(Unsaved)
    return found if found is not None else Unsaved(unwrap(viewer), journal)


class Unsaved(QObject):
    """Follows the journal of a viewer, and says in the window's title when something is unsaved.

    Signals
    -------
    changed
        Other layers are unsaved than before, or they have other names, or other tools are docked that could save them.
    """

    changed = Signal()

    def __init__(self, viewer: Any, journal: Journal) -> None:
        super().__init__(journal)
        self.journal = journal
        self._viewer = weakref.ref(viewer)
        self._tools: list[weakref.ref[Any]] = []
        self._told: tuple[Any, ...] = ()
        window = main_window(viewer)
        self._window = weakref.ref(window) if window is not None else lambda: None
        if window is not None:
            window.installEventFilter(self)
        journal.edited.connect(self._look)
        renamed_of(viewer.layers).connect(self._look)
        self._look()

    @property
    def viewer(self) -> Any:
        """The viewer, or ``None`` once it is gone."""
        return self._viewer()

    # --- what others ask

    def layers(self) -> list[Any]:
        """The layers of the window that hold unsaved hand work, in the order of napari's list."""
        viewer = self._viewer()
        return [] if viewer is None else [layer for layer in viewer.layers if self.journal.is_unsaved(layer)]

    def tool_for(self, layer: Any) -> Any | None:
        """The docked tool whose Save writes a layer, that of its own kind of data before others; else ``None``."""
        able = [tool for tool in self.tools() if tool.covers(layer)]
        kind = (layer.metadata.get(KEY) or {}).get("kind")
        own = [tool for tool in able if tool.kind is not None and tool.kind.name == kind]
        return next(iter([*own, *able]), None)

    def tools(self) -> list[Any]:
        """The tools that are docked, in the order they came."""
        return [tool for reference in self._tools if (tool := reference()) is not None and tool.is_docked]

    def shown_in(self, tool: Any) -> list[Any]:
        """The unsaved layers that a tool tells of: those that its Save writes, and those that none here writes."""
        return [layer for layer in self.layers() if tool.covers(layer) or self.tool_for(layer) is None]

    # --- tools come and go

    def enter(self, tool: Any) -> None:
        """A tool was docked."""
        self._tools.append(weakref.ref(tool))
        self.changed.emit()

    def leave(self, tool: Any) -> None:
        """A tool was taken out."""
        self._tools = [r for r in self._tools if r() is not None and r() is not tool]
        self.changed.emit()

    # --- the title of the window

    def _look(self, _event: Any = None) -> None:
        told = tuple((id(layer), layer.name) for layer in self.layers())
        if told != self._told:
            self._told = told
            self._show()
            self.changed.emit()

    def _show(self) -> None:
        window = self._window()
        if window is None:
            return
        title = window.windowTitle()
        if self._told and _MARK not in title:
            window.setWindowTitle(title + _MARK)
        window.setWindowModified(bool(self._told))
        if not self._told and title.endswith(_MARK):
            window.setWindowTitle(title.removesuffix(_MARK))

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """The viewer got another title: napari knows nothing of the sign in it."""
        if event is not None and event.type() == QEvent.Type.WindowTitleChange and watched is self._window():
            self._show()
        return False


def named(layers: list[Any]) -> str:
    """Some layers by name, as a line has room for them."""
    names = [f"'{layer.name}'" for layer in layers[:_NAMED]]
    more = len(layers) - _NAMED
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")
