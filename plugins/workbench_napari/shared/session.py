"""A session of the window: saved to a file, and opened again with its layers, its tools and what was chosen in them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QComboBox, QFileDialog

from workbench.core.errors import InputError, WorkbenchError, one_line
from workbench.core.layers import KEY
from workbench_napari.shared.job import Job
from workbench_napari.shared.journal import journal_of
from workbench_napari.shared.layer_choice import chosen, index_of
from workbench_napari.shared.layer_record import HINT, STAIN
from workbench_napari.shared.plain_text import plain_tip
from workbench_napari.shared.session_file import (
    SUFFIX,
    FileRef,
    copies_of,
    index,
    numbers,
    read_copy,
    read_session,
    text,
    write_session,
)
from workbench_napari.shared.session_layers import layer_of_copy, layers_of_file, matching, row_of, set_looks
from workbench_napari.shared.unsaved import unsaved_of
from workbench_napari.shared.views import camera_of
from workbench_napari.shared.window import main_window, unwrap
from workbench_napari.shared.worker import notify, report, runner_of

Dock = Callable[[Any, str], Any]
"""Docks the tool for a kind of data ("" for all) to a viewer; returns the tool."""

_PATTERN = f"Sessions (*{SUFFIX})"


# --- saving


def save_session(viewer: Any, path: Path) -> bool:
    """Write what the window holds now, in the background; returns whether it started."""
    viewer = unwrap(viewer)
    journal = journal_of(viewer)
    rows, copies, left_out = [], {}, []
    for layer in viewer.layers:
        if (layer.metadata.get(KEY) or {}).get("role") in (HINT, STAIN):
            continue  # the tool makes them anew
        row, arrays, problem = row_of(layer, journal)
        if problem:
            left_out.append(problem)
            continue
        if arrays is not None:
            copies[len(rows)] = arrays
        rows.append((layer, row))
    layers = [layer for layer, _ in rows]
    active = viewer.layers.selection.active
    content = {
        "layers": [row for _, row in rows],
        "active": layers.index(active) if active in layers else None,
        "camera": _camera(viewer),
        "dims": _dims(viewer),
        "tools": [_tool(tool, layers) for tool in unsaved_of(viewer).tools()],
    }
    path = path if path.suffix.lower() == SUFFIX else path.with_name(path.name + SUFFIX)
    left = f" Left out: {'; '.join(left_out)}." if left_out else ""

    def done(written: Path) -> None:
        notify(f"Saved the session {written}.{left}")

    return runner_of(viewer).submit(
        Job(f"Saving {path.name}", lambda _progress: write_session(path, content, copies), done, writes=True)
    )


def _camera(viewer: Any) -> dict[str, Any]:
    camera = camera_of(viewer)
    return {
        "center": [float(v) for v in camera.center],
        "zoom": float(camera.zoom),
        "angles": [float(v) for v in camera.angles],
        "perspective": float(camera.perspective),
    }


def _dims(viewer: Any) -> dict[str, Any]:
    dims = viewer.dims
    return {
        "ndisplay": int(dims.ndisplay),
        "order": [int(n) for n in dims.order],
        "step": [int(n) for n in dims.current_step],
    }


def _tool(tool: Any, layers: list[Any]) -> dict[str, Any]:
    picked = [chosen(combo) for combo in _layer_combos(tool)]
    return {
        "kind": tool.kind.name if tool.kind is not None else "",
        "settings": tool.remembered.snapshot(),
        "layers": [next((n for n, layer in enumerate(layers) if layer is one), None) for one in picked],
    }


def _layer_combos(tool: Any) -> list[QComboBox]:
    """Where a layer is chosen in a tool, in an order that is that of the tool's making."""
    return [c for c in tool.findChildren(QComboBox) if isinstance(c.currentData(), weakref.ref)]


# --- opening


def open_session(viewer: Any, path: Path, dock: Dock) -> list[str]:
    """Show a session in an empty window; returns a line for each thing that could not be brought back.

    Raises
    ------
    InputError
        The file is no session, or of a later version; nothing is opened.
    """
    viewer = unwrap(viewer)
    found = read_session(path)
    journal = journal_of(viewer)
    loader = _Loader(path)
    layers = []
    for row in found["layers"]:
        layer = loader.layer(row)
        layers.append(None if layer is None else viewer.add_layer(layer))
    for row, layer in zip(found["layers"], layers, strict=True):
        if layer is None:
            continue
        set_looks(layer, row)
        if row.get("unsaved") is True:
            journal.touch(layer)
    problems = loader.problems
    for row in found["tools"]:
        problems += _dock(viewer, row, layers, dock)
    # A tool that finds no layer of its own makes one, and what it chose to show is not what was shown.
    for row, layer in zip(found["layers"], layers, strict=True):
        if layer is not None and layer in viewer.layers:
            set_looks(layer, row)
    active = index(found["active"], len(layers))
    if active is not None and layers[active] is not None:
        viewer.layers.selection.active = layers[active]
    _look(viewer, found["dims"], found["camera"])
    return problems


class _Loader:
    """Makes the layers of a session; files are read once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        self._store = copies_of(path)
        self._files: dict[tuple[Any, ...], list[Any]] = {}
        self._moved: dict[str, str] = {}
        self._gone: set[str] = set()

    def layer(self, row: Mapping[str, Any]) -> Any | None:
        """A layer; ``None`` if it cannot be brought back, which is then among the problems."""
        name = text(row, "name")
        try:
            if "file" in row:
                return self._of_file(row)
            if copy := text(row, "copy"):
                return layer_of_copy(row, read_copy(self._store, copy), self._moved, self.path)
            raise InputError("has neither a file nor a copy")
        except WorkbenchError as error:
            line = one_line(error)
        except (OSError, ValueError, TypeError) as error:
            line = f"{type(error).__name__}: {error}"
        if line not in self._gone:
            self._gone.add(line)
            self.problems.append(f"'{name}': {line}")
        return None

    def _of_file(self, row: Mapping[str, Any]) -> Any | None:
        from napari.layers import Layer

        reference = FileRef.from_json(row["file"])
        if reference is None:
            raise InputError("its file is not named as it should be")
        file = reference.find(self.path)
        self._moved[reference.absolute] = str(file)
        if "record" not in row:
            return self._of_others(file, row)
        own = row["record"] if isinstance(row["record"], dict) else {}
        key = (file, *(text(own, k) for k in ("kind", "series", "key")), text(row, "type"))
        if key not in self._files:
            self._files[key] = layers_of_file(file, row)
        item = matching(self._files[key], row)
        if item is None:
            raise InputError(f"{file}: holds no such layer any more")
        if len(self._files[key]) > 1:
            self._files[key] = [other for other in self._files[key] if other is not item]
        return Layer.create(*item)

    def _of_others(self, file: Path, row: Mapping[str, Any]) -> Any | None:
        """A layer that another reader than ours made."""
        import npe2
        from napari.layers import Layer

        plugin = text(row, "reader") or None
        found = npe2.read([str(file)], stack=False, plugin_name=plugin)
        full = [(data, *rest, *(({}, "image")[len(rest) :])) for data, *rest in found]
        item = matching(full, row)
        if item is None:
            raise InputError(f"{file}: holds no such layer any more")
        return Layer.create(*item)


def _dock(viewer: Any, row: Mapping[str, Any], layers: list[Any], dock: Dock) -> list[str]:
    """Dock a tool as it was; returns what of its settings is not there any more."""
    try:
        tool = dock(viewer, text(row, "kind"))
    except WorkbenchError as error:
        return [one_line(error)]
    settings = row.get("settings")
    problems: list[str] = tool.remembered.apply(settings) if isinstance(settings, dict) else []
    picked = row.get("layers")
    for combo, place in zip(_layer_combos(tool), picked if isinstance(picked, list) else [], strict=False):
        place = index(place, len(layers))
        if place is not None and layers[place] is not None and (there := index_of(combo, layers[place])) >= 0:
            combo.setCurrentIndex(there)
    return problems


def _look(viewer: Any, dims: Mapping[str, Any], camera: Mapping[str, Any]) -> None:
    """Slices and camera as they were, where they fit."""
    count = viewer.dims.ndim
    order, step = numbers(dims.get("order"), count), numbers(dims.get("step"), count)
    if order is not None and sorted(order) == list(range(count)):
        viewer.dims.order = tuple(int(n) for n in order)
    if dims.get("ndisplay") in (2, 3):
        viewer.dims.ndisplay = dims["ndisplay"]
    if step is not None:
        viewer.dims.current_step = tuple(int(n) for n in step)
    mine = camera_of(viewer)
    for key, length in (("center", None), ("angles", 3)):
        if (value := numbers(camera.get(key), length)) is not None:
            with suppress(ValueError):
                setattr(mine, key, tuple(value))
    for key in ("zoom", "perspective"):
        if (one := numbers([camera.get(key)], 1)) is not None and (one[0] > 0 or key == "perspective"):
            setattr(mine, key, one[0])


# --- commands of the File menu


def ask_and_save(viewer: Any) -> bool:
    """Ask for a file and save the session in it; returns whether it started."""
    path, _ = QFileDialog.getSaveFileName(main_window(viewer), "Save session as", "", _PATTERN)
    if not path:
        return False
    return save_session(viewer, Path(path))


def ask_and_open(viewer: Any, dock: Dock) -> Any | None:
    """Ask for a session and open it; returns the viewer that shows it."""
    path, _ = QFileDialog.getOpenFileName(main_window(viewer), "Open session", "", _PATTERN)
    return open_and_tell(viewer, Path(path), dock) if path else None


def open_and_tell(viewer: Any, path: Path, dock: Dock) -> Any | None:
    """Open a session in this window, or in one of its own if this one holds something; say what is not as it was."""
    import napari

    try:
        read_session(path)  # no window is opened for a file that is none
        if len(viewer.layers):
            viewer = napari.Viewer(title=viewer.title)
        problems = open_session(viewer, path, dock)
    except WorkbenchError as error:
        report(error)
        return None
    if problems:
        tell(viewer, path, problems)
    return viewer


def tell(viewer: Any, path: Path, problems: list[str]) -> None:
    """Say what could not be brought back: in the tools, and where it is seen without one."""
    from napari.utils.notifications import show_warning

    line = f"{path.name}: {'; '.join(problems)}"
    for tool in unsaved_of(viewer).tools():
        tool.say(line)
    show_warning(plain_tip(line))
