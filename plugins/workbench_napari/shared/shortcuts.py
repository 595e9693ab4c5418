"""Keys of the docked tools: they work with the focus in the tool and on the canvas, and `?` shows all of them.

On the canvas napari's own keys come first: those of the active layer, then those of the viewer, among them what a
person has set in the preferences. A key of ours that napari uses is left to napari there.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut, QWidget

from workbench_napari.shared.window import main_window, unwrap

_desks: dict[int, Desk] = {}


@dataclass(frozen=True)
class Key:
    """A key as Qt writes it (``Ctrl+Return``), what it does in words, and what it calls."""

    keys: str
    text: str
    action: Callable[[], Any]


class ToolKeys(QObject):
    """The keys of one tool.

    Parameters
    ----------
    tool
        Where they work; it is asked for its `title` when they are shown.
    viewer
        On whose canvas they work too.
    """

    def __init__(self, tool: QWidget, viewer: Any) -> None:
        super().__init__(tool)
        self.tool = tool
        self.keys: list[Key] = []
        self.notes: list[tuple[str, str]] = []
        """Further lines of the sheet: what the mouse does, keys of napari."""
        self._places: list[weakref.ref[QWidget]] = [weakref.ref(tool)]
        self._desk = desk_of(viewer)
        self._desk.join(self)

    def add(self, *keys: Key) -> None:
        """More keys, in the order in which they are shown."""
        self._desk.bind(*(key.keys for key in keys))
        for key in keys:
            self.keys.append(key)
            for place in self._places:
                self._at(place(), key)

    def also_in(self, place: QWidget) -> None:
        """Let the keys work in another widget of the tool that is docked by itself."""
        self._places.append(weakref.ref(place))
        for key in self.keys:
            self._at(place, key)

    def let_go(self) -> None:
        """Leave the canvas."""
        self._desk.leave(self)

    @staticmethod
    def _at(place: QWidget | None, key: Key) -> None:
        if place is not None:
            shortcut = QShortcut(QKeySequence(key.keys), place)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(key.action)


def desk_of(viewer: Any) -> Desk:
    """The keys of all tools that are docked to a viewer."""
    viewer = unwrap(viewer)
    found = _desks.get(id(viewer))
    if found is None or found.viewer is not viewer:
        found = _desks[id(viewer)] = Desk(viewer)
    return found


class Desk(QObject):
    """Gives a key on the canvas to the tool that is in sight; of several, to the one that was docked last."""

    def __init__(self, viewer: Any) -> None:
        super().__init__(main_window(viewer))
        self._viewer = weakref.ref(viewer)
        # Weak: the window would hold its tools, and they the viewer.
        self._tools: list[weakref.ref[ToolKeys]] = []
        self._bound: dict[str, Any] = {}
        self.destroyed.connect(partial(_forget, id(viewer)))

    @property
    def viewer(self) -> Any:
        return self._viewer()

    @property
    def bound(self) -> tuple[str, ...]:
        """The keys of ours that work on the canvas, as Qt writes them."""
        return tuple(self._bound)

    @property
    def tools(self) -> list[ToolKeys]:
        """The tools that are docked, in the order in which they came."""
        return [tool for ref in self._tools if (tool := ref()) is not None]

    def join(self, tool: ToolKeys) -> None:
        """A tool was docked."""
        self._tools.append(weakref.ref(tool))

    def bind(self, *wanted: str) -> None:
        """Let keys work on the canvas, unless napari or another plugin has them."""
        viewer = self.viewer
        new = [keys for keys in dict.fromkeys(wanted) if keys not in self._bound]
        if not new or viewer is None:
            return
        others = taken(viewer)
        for keys in new:
            if keys not in others:
                self._bind(viewer, keys)

    def _bind(self, viewer: Any, keys: str) -> None:
        me = weakref.ref(self)

        def press(_viewer: Any) -> None:
            desk = me()
            if desk is not None:
                desk.press(keys)

        press.__name__ = f"workbench_{keys}"
        viewer.bind_key(napari_keys(keys), press)
        self._bound[keys] = press

    def press(self, keys: str) -> bool:
        """What the canvas calls; returns whether a tool had that key."""
        having = [(tool, key.action) for tool in self.tools for key in tool.keys if key.keys == keys]
        # A tool behind another tab is not meant; alone it is.
        seen = [action for tool, action in having if tool.tool.isVisible()] or [a for _, a in having[:1]]
        if not seen:
            return False
        seen[-1]()
        return True

    def leave(self, tool: ToolKeys) -> None:
        """A tool was closed: keys that no other tool has go from the canvas."""
        self._tools = [ref for ref in self._tools if ref() not in (None, tool)]
        viewer = self.viewer
        wanted = {key.keys for other in self.tools for key in other.keys}
        for keys in [k for k in self._bound if k not in wanted]:
            mine = self._bound.pop(keys)
            if viewer is not None and viewer.keymap.get(_binding(keys)) is mine:
                viewer.bind_key(napari_keys(keys), None)


def _forget(key: int, _desk: Any = None) -> None:
    _desks.pop(key, None)


def napari_keys(keys: str) -> str:
    """``Ctrl+Shift+Return`` as napari writes it: ``Control-Shift-Enter``."""
    names = {"Ctrl": "Control", "Return": "Enter"}
    return "-".join(names.get(part, part) for part in keys.split("+"))


def taken(viewer: Any) -> set[str]:
    """Keys that napari, the person's preferences or another plugin use in every window, as Qt writes them."""
    from napari.settings import get_settings

    layers = ("labels", "points", "shapes", "polygon", "finish_drawing", "select_all")
    of_viewer = {
        str(key)
        for name, found in get_settings().shortcuts.shortcuts.items()
        if not any(word in name for word in layers)
        for key in found
    }
    window = main_window(viewer)
    menus = set()
    if window is not None:
        from qtpy.QtGui import QAction

        for action in window.findChildren(QAction):
            menus |= {s.toString() for s in action.shortcuts()}
    others = {str(binding) for binding in viewer.keymap if not _is_mine(viewer.keymap[binding])}
    return {same(k) for k in of_viewer | menus | others} - {""}


def same(keys: str) -> str:
    """One spelling of a key."""
    return str(QKeySequence(keys.replace("Enter", "Return")).toString())


def _is_mine(bound: Any) -> bool:
    return str(getattr(bound, "__name__", "")).startswith("workbench_")


def _binding(keys: str) -> Any:
    from napari.utils.key_bindings import coerce_keybinding

    return coerce_keybinding(napari_keys(keys))


def keys_of_napari(names: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Keys of actions of napari as they are set in this moment, with words for them; what has no key is left out."""
    from napari.settings import get_settings

    now = get_settings().shortcuts.shortcuts
    rows = ((" or ".join(str(k) for k in now.get(f"napari:{name}", [])), text) for name, text in names)
    return [(keys, text) for keys, text in rows if keys]


PAINTING = (
    ("activate_labels_paint_mode", "paint"),
    ("activate_labels_erase_mode", "erase"),
    ("activate_labels_fill_mode", "fill"),
    ("activate_labels_picker_mode", "pick a label"),
    ("new_label", "new label"),
    ("decrease_brush_size", "smaller brush"),
    ("increase_brush_size", "larger brush"),
)
"""Actions of napari for labels."""
LOOKING = (
    ("toggle_ndisplay", "2-D or 3-D"),
    ("roll_axes", "next axis"),
    ("reset_view", "whole picture"),
    ("hold_for_pan_zoom", "hold: move the view while painting"),
)
"""Actions of napari for the view."""
