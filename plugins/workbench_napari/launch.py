"""Open files in a napari window with the right tool docked: ``workbench gui`` and ``python -m workbench_napari``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.core.errors import UsageError, WorkbenchError, nearest

PLUGIN = "napari-workbench"
TOOLS = {"volume": "Volume tool", "spectra": "Spectra tool", "meg": "MEG tool"}
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
        Name of the tool (``"volume"``, ``"spectra"``, ``"meg"``); by default the one that fits the first file.

    Raises
    ------
    UsageError
        There is no tool of that name.
    """
    name = tool or fitting_tool(paths)
    if name not in TOOLS:
        raise UsageError(f"no tool '{name}'.{nearest(name, TOOLS)}")
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, TOOLS[name], tabify=False)
    for path in paths:
        open_path(viewer, path, widget)
    return widget


def fitting_tool(paths: Sequence[str | Path]) -> str:
    """Name of the tool for the first file that can be opened; only headers are read."""
    from workbench.data import formats

    for path in paths:
        if is_recording_name(path):
            return "meg"
        try:
            kind = formats.read(path).kind if is_scene_name(path) else "volume"
            return {"scene": "spectra", "recording": "meg"}.get(kind, "volume")
        except (WorkbenchError, OSError):
            # The message comes when the file is opened; a damaged scene is still one.
            if is_scene_name(path):
                return "spectra"
    return "volume"


def is_scene_name(path: str | Path) -> bool:
    """Whether a path (or ``file.mat:key``) ends like a hyperspectral scene."""
    from workbench.data.formats import split_address
    from workbench_napari.reader import SCENE_SUFFIXES

    return split_address(path)[0].suffix.lower() in SCENE_SUFFIXES


def is_recording_name(path: str | Path) -> bool:
    """Whether a path ends like a recording; parcel time courses (.npy, .mat) are told by what is in them."""
    from workbench.recording.data.read import is_folder_recording
    from workbench_napari.reader import RECORDING_SUFFIXES

    if Path(path).is_dir():
        return is_folder_recording(Path(path))
    return str(path).lower().endswith(RECORDING_SUFFIXES)


def open_path(viewer: Any, path: str | Path, widget: Any) -> None:
    """Open one file in a viewer; what goes wrong is said in the tool and as a notification."""
    try:
        if is_scene_name(path):
            # Not through napari: `file.mat:key` is no file name, and whoever names a file here means us.
            from napari.layers import Layer

            from workbench_napari.reader import read

            for item in read(str(path)):
                viewer.add_layer(Layer.create(*item))
        else:
            viewer.open(str(Path(path).expanduser()), plugin=PLUGIN)
    except (WorkbenchError, FileNotFoundError, ValueError) as error:
        from workbench_napari.shared.worker import report

        reason = str(error) if isinstance(error, WorkbenchError) else f"{path}: cannot be opened ({error})"
        widget.say(report(WorkbenchError(reason.splitlines()[0])))


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
