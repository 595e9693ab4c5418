"""Open files in a napari window with the right tool docked: ``workbench gui`` and ``python -m workbench_napari``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.errors import UsageError, WorkbenchError, nearest

PLUGIN = "napari-workbench"
TOOLS = {"volume": "Volume tool"}
"""Short names of the tools and their names in the manifest."""


def open_files(viewer: Any, paths: Sequence[str | Path], tool: str | None = None) -> Any:
    """Dock the tool that fits the files and open them; returns the tool's widget.

    Parameters
    ----------
    viewer
        A napari viewer with a window.
    paths
        Files and DICOM folders. One that cannot be opened is reported in the window and does not stop the others.
    tool
        Name of the tool (``"volume"``); by default the one that fits.

    Raises
    ------
    UsageError
        There is no tool of that name.
    """
    name = tool or "volume"
    if name not in TOOLS:
        raise UsageError(f"no tool '{name}'.{nearest(name, TOOLS)}")
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, TOOLS[name], tabify=False)
    for path in paths:
        try:
            viewer.open(str(Path(path).expanduser()), plugin=PLUGIN)
        except (WorkbenchError, FileNotFoundError, ValueError) as error:
            from workbench_napari.worker import report

            reason = str(error) if isinstance(error, WorkbenchError) else f"{path}: cannot be opened ({error})"
            widget.say(report(WorkbenchError(reason.splitlines()[0])))
    return widget


def launch(paths: Sequence[str | Path] = (), tool: str | None = None) -> None:
    """Open a window with these files and stay until it is closed. The engines load once the window is up."""
    import os

    # Before the engines load: waiting threads of the network sleep instead of taking the processor from the window.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import napari
    from qtpy.QtCore import QTimer

    from workbench_napari.engines import preload

    viewer = napari.Viewer(title="Workbench")
    open_files(viewer, paths, tool)
    QTimer.singleShot(300, preload)
    napari.run()
