"""What a person does in one window with each tool, as a process that any napari and any Qt binding can run.

Opens the sample of every tool, paints (or draws) with the mouse, runs, saves, takes back, changes the theme, takes the
tool out of the window and puts it back, closes. What was shown when Save was pressed lies beside as ``*.npy`` and
``*.json``; the last line of the output tells of the window.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.workbench_napari.mouse import at_rest, canvas_of, canvas_place, drag, pause
from tests.workbench_napari.watching import Watch

TOOLS = ("Volume tool", "Spectra tool", "MEG tool", "Any backend")


def wait(condition: Callable[[], Any], what: str, seconds: float = 600.0) -> None:
    """Let Qt work until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"waited {seconds} s in vain: {what}")
        pause(0.02)


def click(widget: Any) -> None:
    """A click with the left button in the middle of a widget."""
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


def press(viewer: Any, keys: str) -> None:
    """A key with the focus on the canvas, through the window system's events."""
    from qtpy.QtGui import QKeySequence
    from qtpy.QtTest import QTest

    canvas = canvas_of(viewer)
    canvas.setFocus()
    QTest.keySequence(canvas, QKeySequence(keys))
    pause(0.05)


def dock_of(tool: Any) -> Any:
    """The dock that a tool is in."""
    above = tool.parentWidget()
    while not hasattr(above, "destroyOnClose"):
        above = above.parentWidget()
    return above


def ended(tool: Any) -> None:
    """Wait for the job of a tool, and say why if it did not go well."""
    wait(lambda: not tool.is_busy, f"the job of {type(tool).__name__}: {tool.status.text()}")


def open_for(viewer: Any, tool: Any, title: str, out: Path) -> None:
    """The sample of a tool; for all backends a small volume, which takes seconds."""
    if title != "Any backend":
        tool.open_sample()
        return
    from workbench.testing import make_volume

    viewer.open(str(make_volume(out / "small.nii.gz")), plugin="napari-workbench")


def volume(viewer: Any, tool: Any, out: Path) -> None:
    tool.model.device.setCurrentText("cpu")
    click(tool.run_button)
    wait(lambda: tool.is_busy, "Run")
    ended(tool)
    labels = tool.labels_layer
    assert labels is not None, tool.status.text()
    middle = [n // 2 for n in labels.data.shape]
    painted = paint(viewer, labels, middle)
    np.save(out / "volume.npy", np.asarray(labels.data))
    save(tool)
    taken_back(viewer, tool, labels, painted)


def scene(viewer: Any, tool: Any, out: Path) -> None:
    for name in ("one", "two"):
        tool.painting.add_class(name)
    labels = tool.painting.layer
    painted = paint(viewer, labels, [n // 3 for n in labels.data.shape])
    np.save(out / "scene.npy", np.asarray(labels.data))
    save(tool)
    taken_back(viewer, tool, labels, painted)


def recording(viewer: Any, tool: Any, out: Path) -> None:
    page = tool.panel.annotations
    tool.bring_into_sight(page.widget)
    page.label.setCurrentText("BAD_artefact")
    before = len(tool.annotating.editor.marks)
    page.draw_button.setChecked(True)
    at_rest(viewer)
    shown = tool.opened.main.layer
    rows, columns = shown.data.shape[:2]

    def at(share: float) -> tuple[float, float]:
        return canvas_place(viewer, shown, (share * rows, share * columns))

    # The view goes to the recording once the window has been laid out.
    wait(lambda: 0 < at(0.4)[0] < at(0.5)[0] < canvas_of(viewer).width(), "the recording in sight", 60)
    drag(viewer, at(0.4), at(0.5))
    page.draw_button.setChecked(False)
    wait(lambda: len(tool.annotating.editor.marks) == before + 1, "the drawn annotation")
    marks = [[m.onset, m.duration, m.label] for m in tool.annotating.editor.marks]
    (out / "recording.json").write_text(json.dumps(marks), encoding="utf-8")
    save(tool)
    press(viewer, "Ctrl+Z")
    wait(lambda: len(tool.annotating.editor.marks) == before, "undo of the annotation", 10)


def general(viewer: Any, tool: Any, out: Path) -> None:
    tool.input.model.choose("segformer3d")
    tool.input.model.device.setCurrentText("cpu")
    click(tool.run_button)
    wait(lambda: tool.is_busy, "Run")
    ended(tool)
    (labels,) = [layer for layer in tool.shown.layers() if type(layer).__name__ == "Labels"]
    labels.selected_label = 1
    painted = paint(viewer, labels, [n // 2 for n in labels.data.shape])
    np.save(out / "general.npy", np.asarray(labels.data))
    save(tool)
    taken_back(viewer, tool, labels, painted)


def paint(viewer: Any, labels: Any, at: list[int]) -> Any:
    """A stroke with the mouse; returns the layer's array as it was before."""
    before = np.array(labels.data)
    viewer.layers.selection.active = labels
    if labels.ndim == 3:
        viewer.dims.set_point(viewer.dims.order[0], float(labels.data_to_world(at)[viewer.dims.order[0]]))
    labels.mode, labels.brush_size = "paint", 5
    labels.selected_label = max(int(labels.selected_label), 1)
    at_rest(viewer)
    x, y = canvas_place(viewer, labels, at)
    # Off the middle, so that no whole stroke lies where that class is already.
    for _ in range(3):
        drag(viewer, (x - 30, y - 20), (x + 30, y + 20))
        if not np.array_equal(before, labels.data):
            break
        labels.selected_label += 1
    labels.mode = "pan_zoom"
    assert not np.array_equal(before, labels.data), "the mouse painted nothing"
    return before


def save(tool: Any) -> None:
    wait(tool.save_button.isEnabled, "Save enabled", 20)
    click(tool.save_button)
    wait(lambda: tool.is_busy or tool.last_folder is not None, "Save")
    ended(tool)
    assert tool.last_folder is not None, tool.status.text()


def taken_back(viewer: Any, tool: Any, labels: Any, before: Any) -> None:
    press(viewer, "Ctrl+Z")
    wait(lambda: np.array_equal(labels.data, before), "undo", 10)


PARTS = {"Volume tool": volume, "Spectra tool": scene, "MEG tool": recording, "Any backend": general}


def main(out: Path, wanted: Sequence[str]) -> int:
    watch = Watch().start()
    import napari
    import qtpy
    from qtpy.QtWidgets import QApplication

    watch.listen_to_napari()
    seen: dict[str, Any] = {"napari": napari.__version__, "qt": f"{qtpy.API_NAME} {qtpy.QT_VERSION}", "tools": {}}
    for title in wanted:
        began = time.monotonic()
        viewer = napari.Viewer()
        viewer.window.resize(1500, 950)
        _, tool = viewer.window.add_plugin_dock_widget("napari-workbench", title)
        QApplication.processEvents()
        open_for(viewer, tool, title, out)
        wait(lambda tool=tool: tool.empty.isHidden(), f"the sample of {title}", 20)
        tool.folder.setText(str(out / "saved" / title))
        at_rest(viewer)
        PARTS[title](viewer, tool, out)
        for theme in ("light", "dark"):
            viewer.theme = theme
            QApplication.processEvents()
        dock = dock_of(tool)
        dock.setFloating(True)
        at_rest(viewer, 0.2)
        dock.setFloating(False)
        at_rest(viewer, 0.2)
        viewer.window.remove_dock_widget(tool)
        del tool, dock
        at_rest(viewer, 0.2)
        _, again = viewer.window.add_plugin_dock_widget("napari-workbench", title)
        at_rest(viewer, 0.2)
        assert again.empty.isHidden()
        del again
        viewer.close()
        QApplication.processEvents()
        seen["tools"][title] = round(time.monotonic() - began, 1)
        print(f"{title}: {seen['tools'][title]} s", flush=True)
    seen["faults"] = len(watch.faults)
    print(json.dumps(seen), flush=True)
    return 1 if watch.faults else 0


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    raise SystemExit(main(folder, sys.argv[2:] or TOOLS))
