"""The contract tables through the window: a file is opened, the button is pressed, and what the tool shows is read.

The tables of ``tests.workbench.{volume,scene,recording}`` print a column of it with ``--window``.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.layers import KEY

QUICK = {"mode": "fast", "overlap": 0.0, "roi": (32, 32, 32)}


@dataclass(frozen=True)
class Seen:
    """What a person sees once a run has ended.

    ``happened`` is a word of the tables, ``said`` the refusal or the notes as the tool shows them, ``added`` what came
    to the list of layers, ``offers`` whether "Use anyway" is there.
    """

    happened: str
    said: str
    added: tuple[str, ...] = ()
    offers: bool = False
    notes: tuple[str, ...] = ()


def press(button: Any) -> None:
    """A click of the mouse."""
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest

    QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=QPoint(8, button.height() // 2))


def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Let Qt work until a condition holds."""
    from qtpy.QtTest import QTest

    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s in vain"
        QTest.qWait(10)


def open_tool(viewer: Any, kind: str, path: Path, weights: str) -> Any:
    """Open a file with the tool of its kind, and choose the weights."""
    from workbench_napari.launch import open_files

    tool = open_files(viewer, [path], tool=kind)
    if kind == "recording" and len(viewer.layers):  # the layer to annotate in comes a moment later
        until(lambda: len(viewer.layers) > 1)
    choose(tool, kind, weights)
    return tool


def choose(tool: Any, kind: str, weights: str) -> None:
    """Choose weights, on the processor and with settings that take no time."""
    own = tool.learning.weights if kind == "scene" else model_of(tool, kind).weights
    device = tool.device if kind == "scene" else model_of(tool, kind).device
    device.setCurrentText("cpu")
    if kind == "volume":
        tool.model.form.set_values(QUICK)
    if weights != "demo":
        own.choose_file(weights)


def model_of(tool: Any, kind: str) -> Any:
    """The form that holds weights and settings."""
    return tool.model if kind == "volume" else tool.panel.model.model


def button_of(tool: Any, kind: str) -> Any:
    """The button that predicts."""
    return tool.learning.map_button if kind == "scene" else tool.run_button


def notes_of(tool: Any, kind: str) -> Any:
    """Where the tool shows what to know of a result."""
    if kind == "scene":
        return tool.results.notes
    return tool.panel.labels.notes if kind == "volume" else tool.panel.result.notes


def run(tool: Any, kind: str) -> Seen:
    """Press the button, wait, and look."""
    viewer, button = tool.viewer, button_of(tool, kind)
    if not button.isEnabled():
        return Seen("refused", tool.status.text() or "not offered: nothing of this kind is open")
    before = [layer.name for layer in viewer.layers]
    press(button)
    until(lambda: not tool.runner.is_busy)
    added = tuple(layer.name for layer in viewer.layers if layer.name not in before)
    if tool.runner.error is not None:
        return Seen("refused", tool.status.text(), added, not tool.agreement.isHidden())
    made = next(r["provenance"] for x in reversed(viewer.layers) if (r := x.metadata.get(KEY) or {}).get("provenance"))
    shown = notes_of(tool, kind)
    said = "" if shown.isHidden() else shown.text
    return Seen(_happened(kind, made), said, added, not tool.agreement.isHidden(), tuple(made["notes"]))


def _happened(kind: str, made: dict[str, Any]) -> str:
    """The word of the tables for a record of how a result was made."""
    levels = [f["level"] for f in made["details"].get("agreement", ()) if f["fact"] != "window"]
    if kind == "recording":
        told = [n for n in made["notes"] if not n.startswith("variance explained")]
        return "converted" if levels == ["converted"] else "noted" if told else "accepted"
    # What the reader had to say of the file of a scene counts as noted.
    accepted = "accepted" if kind == "volume" else "noted" if made["notes"] else "same"
    return next((level for level in ("refused", "converted", "noted") if level in levels), accepted)


def shows(said: str, note: str) -> bool:
    """Whether a note is among what is shown, which begins with a capital letter and ends with a full stop."""
    return note[1:].rstrip(".") in said


@contextmanager
def a_window() -> Iterator[Callable[[str, Path, str], Seen]]:
    """For the tables: a window with a home of its own; gives a function of kind, file and weights."""
    import napari

    with tempfile.TemporaryDirectory() as home:
        os.environ.update(WORKBENCH_HOME=home, WORKBENCH_PRELOAD="0")
        viewer = napari.Viewer()

        def look(kind: str, path: Path, weights: str) -> Seen:
            tool = open_tool(viewer, kind, path, weights)
            seen = run(tool, kind)
            viewer.window.remove_dock_widget(tool)
            viewer.layers.clear()
            return seen

        yield look
        viewer.close()
