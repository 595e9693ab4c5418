"""Open files in a napari window with the right tool docked: ``workbench gui`` and ``python -m workbench_napari``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.core import kinds
from workbench.core.errors import UsageError, WorkbenchError, nearest
from workbench_napari.shared.opening import PLUGIN, open_path
from workbench_napari.shared.session import open_and_tell
from workbench_napari.shared.session_commands import dock_tool
from workbench_napari.shared.session_file import is_session
from workbench_napari.shared.studies import study_of
from workbench_napari.shared.unsaved import unsaved_of

GENERAL = "Any backend"
"""Title of the tool that serves the kinds without a tool of their own."""
_FORMER = {"spectra": "scene", "meg": "recording"}
_PULSE_MS = 250


def tools() -> dict[str, str]:
    """Titles of the tools in the manifest, by the name of their kind of data."""
    return {row.name: row.tool or GENERAL for row in kinds.kinds().values()}


def open_files(viewer: Any, paths: Sequence[str | Path], tool: str | None = None, kind: str | None = None) -> Any:
    """Dock the tool that fits the files and open them; returns the tool's widget.

    Parameters
    ----------
    viewer
        A napari viewer with a window.
    paths
        Files, DICOM folders and sessions (``.session``), whose tools are docked as they were. One that cannot be opened
        is reported in the window and does not stop the others.
    tool
        Kind of data whose tool to dock (``"volume"``, ``"scene"``, ``"recording"``, or one that a package adds); by
        default that of the first file.
    kind
        Read the files as this kind of data, where they could be several.

    Raises
    ------
    UsageError
        There is no tool of that name.
    """
    sessions = [path for path in paths if is_session(path)]
    if sessions:
        return _open_sessions(viewer, sessions, [path for path in paths if path not in sessions], tool, kind)
    known = tools()
    name = tool or kind or fitting_tool(paths)
    name = _FORMER.get(name, name)
    if name not in known:
        raise UsageError(f"no tool '{name}'.{nearest(name, known)}")
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, known[name], tabify=False)
    for path in paths:
        open_path(viewer, path, widget, kind)
    return widget


def _open_sessions(
    viewer: Any, sessions: Sequence[str | Path], others: Sequence[str | Path], tool: str | None, kind: str | None
) -> Any:
    """Sessions first, the first one in this window and each other one in its own; then what else was named."""
    for path in sessions:
        open_and_tell(viewer, Path(path).expanduser(), dock_tool)
    docked = unsaved_of(viewer).tools()
    if others or tool or not docked:
        return open_files(viewer, others, tool, kind)
    return docked[-1]


def fitting_tool(paths: Sequence[str | Path]) -> str:
    """The kind of the first file that is of one; only names, first bytes and headers are read."""
    import workbench as wb

    for path in paths:
        try:
            study = study_of(Path(path), None)
            return wb.kind_of(study.cases[0].image if study is not None else path).name
        except (WorkbenchError, OSError):
            # The message comes when the file is opened; a damaged scene is still one.
            file, _ = wb.split_address(path)
            named = [row.name for row in kinds.kinds().values() if row.suffix_of(file) is not None]
            if named:
                return named[0]
    return next(iter(kinds.kinds()))


def launch(paths: Sequence[str | Path] = (), tool: str | None = None, kind: str | None = None) -> None:
    """Open a window with these files and stay until it is closed. The engines load once the window is up."""
    import threading

    import napari

    viewer = napari.Viewer(title="Workbench")
    open_files(viewer, paths, tool, kind)
    if threading.current_thread() is threading.main_thread():
        close_on_sigterm()
    napari.run()


def close_on_sigterm() -> None:
    """Somebody shuts the machine down: close as a person would, so that jobs stop and the last edits are kept."""
    import signal

    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication

    # The handler may interrupt Qt while it delivers an event to the very window that is to be closed: not now, then.
    signal.signal(signal.SIGTERM, lambda *_: QTimer.singleShot(0, _close_all))
    # Python looks for signals when it runs, and nothing of it need run while a window is idle.
    pulse = QTimer(QApplication.instance())
    pulse.timeout.connect(lambda: None)
    pulse.start(_PULSE_MS)


def _close_all() -> None:
    from qtpy.QtWidgets import QApplication

    QApplication.closeAllWindows()
    QApplication.quit()
