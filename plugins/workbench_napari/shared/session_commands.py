"""The commands of the File menu: *Save session as...* and *Open session...*."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.viewer import Viewer


def save_session_as(viewer: Viewer) -> None:
    """Ask for a file and keep there what the window shows."""
    from workbench_napari.shared.session import ask_and_save

    ask_and_save(viewer)


def open_session(viewer: Viewer) -> None:
    """Ask for a session and show it."""
    from workbench_napari.shared.session import ask_and_open

    ask_and_open(viewer, dock_tool)


def dock_tool(viewer: Any, kind: str) -> Any:
    """Dock the tool for a kind of data; the general one if its own is not installed any more."""
    from workbench.core import kinds
    from workbench_napari.shared.opening import PLUGIN

    general = "Any backend"
    row = kinds.kinds().get(kind)
    title = general if row is None else row.tool or general
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, title, tabify=False)
    return widget
