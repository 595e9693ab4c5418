"""Open files in a napari window with the right tool docked: ``workbench gui`` and ``python -m workbench_napari``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.core import kinds
from workbench.core.errors import UsageError, WorkbenchError, nearest

PLUGIN = "napari-workbench"
GENERAL = "Any backend"
"""Title of the tool that serves the kinds without a tool of their own."""
_FORMER = {"spectra": "scene", "meg": "recording"}


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
        Files and DICOM folders. One that cannot be opened is reported in the window and does not stop the others.
    tool
        Kind of data whose tool to dock (``"volume"``, ``"scene"``, ``"recording"``); by default that of the first file.
    kind
        Read the files as this kind of data, where they could be several.

    Raises
    ------
    UsageError
        There is no tool of that name.
    """
    known = tools()
    name = tool or kind or fitting_tool(paths)
    name = _FORMER.get(name, name)
    if name not in known:
        raise UsageError(f"no tool '{name}'.{nearest(name, known)}")
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, known[name], tabify=False)
    for path in paths:
        open_path(viewer, path, widget, kind)
    return widget


def fitting_tool(paths: Sequence[str | Path]) -> str:
    """The kind of the first file that is of one; only names, first bytes and headers are read."""
    from workbench.data import formats

    for path in paths:
        try:
            return formats.kind_of(path).name
        except (WorkbenchError, OSError):
            # The message comes when the file is opened; a damaged scene is still one.
            file, _ = formats.split_address(path)
            named = [row.name for row in kinds.kinds().values() if row.suffix_of(file) is not None]
            if named:
                return named[0]
    return next(iter(kinds.kinds()))


def open_path(viewer: Any, path: str | Path, widget: Any, kind: str | None = None) -> None:
    """Open one file in a viewer; what goes wrong is said in the tool and as a notification."""
    from workbench.data import formats

    try:
        file, key = formats.split_address(path)
        if kind is not None or key is not None or (file.is_file() and not _is_in_our_manifest(file)):
            # Not through napari: whoever names a file here means us, `file.mat:key` is no file name, and napari knows
            # the suffixes of third parties' kinds by their own manifests only.
            from napari.layers import Layer

            from workbench_napari.reader import read

            for item in read(str(path), kind=kind):
                viewer.add_layer(Layer.create(*item))
        else:
            viewer.open(str(Path(path).expanduser()), plugin=PLUGIN)
    except (WorkbenchError, FileNotFoundError, ValueError) as error:
        from workbench_napari.shared.worker import report

        reason = str(error) if isinstance(error, WorkbenchError) else f"{path}: cannot be opened ({error})"
        widget.say(report(WorkbenchError(reason.splitlines()[0])))


def _is_in_our_manifest(file: Path) -> bool:
    """Whether napari would come to our reader with the file, and our reader would take it."""
    from workbench_napari.reader import get_reader

    named = [row for row in kinds.kinds().values() if row.suffix_of(file) is not None]
    return not named or (any(row in kinds.BUILT_IN for row in named) and get_reader(str(file)) is not None)


def launch(paths: Sequence[str | Path] = (), tool: str | None = None, kind: str | None = None) -> None:
    """Open a window with these files and stay until it is closed. The engines load once the window is up."""
    import os

    # Before the engines load: waiting threads of the network sleep instead of taking the processor from the window.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import napari
    from qtpy.QtCore import QTimer

    from workbench_napari.engines import preload

    viewer = napari.Viewer(title="Workbench")
    open_files(viewer, paths, tool, kind)
    QTimer.singleShot(300, preload)
    napari.run()
