"""A file of ours was opened, and the tool that works on it is not docked: one quiet line says where it is, once."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QTimer

from workbench.core import kinds
from workbench.core.layers import KEY
from workbench_napari.shared.plain_text import plain_tip
from workbench_napari.shared.shortcuts import desk_of

_DELAY_MS = 500
"""From reading to the line: whoever opens a file with its tool docks it at the same time."""

_told: set[str] = set()
"""Kinds of data that it was said of, in this session."""


def tell_soon(kind: str, name: str) -> None:
    """Say soon how to dock the tool of a kind of data, unless it is docked by then or it was said before."""
    if kind not in _told:
        QTimer.singleShot(_DELAY_MS, partial(_tell, kind, name))


def line_for(kind: str, name: str) -> str:
    """The line: which menu to go to, and what for."""
    row = kinds.find(kind)
    tool = row.tool or "Any backend"
    return f"{name} is {row.title}. To run, correct and save it, dock its tool: Plugins > Workbench > {tool}."


def is_docked(viewer: Any, kind: str) -> bool:
    """Whether the tool of a kind of data, or the one that serves all kinds, is docked in a window."""
    tools = [keys.tool for keys in desk_of(viewer).tools]
    own = [tool.kind.name if getattr(tool, "kind", None) else "" for tool in tools]
    return kind in own or "" in own


def _tell(kind: str, name: str) -> None:
    import napari

    viewer = napari.current_viewer()
    if viewer is None or kind in _told or is_docked(viewer, kind):
        return
    if not any((layer.metadata.get(KEY) or {}).get("kind", "volume") == kind for layer in viewer.layers):
        return  # it was read for something else, or could not be shown
    _told.add(kind)
    from napari.utils.notifications import show_info

    show_info(plain_tip(line_for(kind, name)))
