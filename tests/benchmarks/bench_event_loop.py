"""How long the window stands still: ``python tests/benchmarks/bench_event_loop.py [--cold] [volume ...]``.

Each tool works through the sample data in a real window and a process of its own: dock, open, run (or learn),
generate, save, undo, another theme, delete a result. ``control`` is plain napari without a tool: what it adds, shows
and deletes itself takes as long for anybody. A timer of 5 ms runs all the while; its longest gap in each step is what
a person feels as a freeze. Others may load the machine, so two gaps are printed: the longest by the clock, and the
longest on a "quiet" machine. That is the processor time of the window's thread, and the time that it slept (for
Python, which another thread held) instead of waiting for a processor, but no longer than the other threads worked;
divided by how much slower a fixed piece of Python ran during the step than it ever did. With ``--where MS`` it is
said what the window's thread did in every gap over that. Without a display it runs under Xvfb.

The engines are loaded before a file is opened, and their loading is a step of its own; with ``--cold`` nobody waits.
Our modules are compiled first, as pip does where it installs them. What plain napari takes for the same (the longest
of its rows for layers where a layer comes) stands beside each step if ``control`` is among what is measured.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gap_meter import GapMeter, Sampler
from real_window import rerun_without_display

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("volume", "scene", "recording", "control")
LIMIT_MS = 250
SAME = {
    "dock": ("dock",),
    "open": ("image",),
    "theme": ("theme",),
    "delete": ("delete",),
    **dict.fromkeys(("run", "learn", "generate", "annotate"), ("labels", "shapes")),
}
"""Rows of plain napari that do the same as a step of a tool: its first dock, image, labels and shapes."""


def main() -> int:
    """Parse the arguments, and start again under Xvfb where there is no display."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tools", nargs="*", help=f"which of {', '.join(TOOLS)}; all by default")
    parser.add_argument("--cold", action="store_true", help="do not wait until the engines are loaded")
    parser.add_argument("--where", type=float, metavar="MS", help="say what the window did in every gap over this")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    parser.add_argument("--one", choices=TOOLS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if (status := rerun_without_display(parser)) is not None:
        return status
    if arguments.one:
        print(json.dumps(session(arguments.one, arguments.cold, arguments.where)), flush=True)
        return 0
    for folder in (ROOT / "workbench", ROOT / "plugins"):
        compileall.compile_dir(folder, quiet=2)
    rows: list[dict[str, Any]] = []
    heads = f"{'gap [ms]':>9} {'window':>8} {'held':>8} {'slower':>7} {'quiet':>8} {'napari':>7}"
    print(f"{'tool':<10} {'step':<12} {'seconds':>8} {heads}")
    # Plain napari first: its rows stand beside those of the tools.
    for tool in sorted(arguments.tools or TOOLS, key=lambda name: name != "control"):
        command = [sys.executable, __file__, "--one", tool, *(["--cold"] if arguments.cold else [])]
        command += ["--where", str(arguments.where)] if arguments.where is not None else []
        with tempfile.TemporaryDirectory() as home:
            own = {"WORKBENCH_HOME": home, "WORKBENCH_PRELOAD": "1", "HOME": home, "OMP_WAIT_POLICY": "PASSIVE"}
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env={**os.environ, **own})
        if done.returncode:
            print(f"{tool}: ended with {done.returncode}")
            return 1
        for row in json.loads(done.stdout.strip().splitlines()[-1]):
            plain = [r["quiet"] for r in rows if r["tool"] == "control" and r["step"] in SAME.get(row["step"], ())]
            row["napari"] = max(plain, default=None) if tool != "control" else None
            rows.append({"tool": tool, **row})
            over = " *" if row["quiet"] > LIMIT_MS and tool != "control" else ""
            beside = "" if row["napari"] is None else f"{row['napari']:.0f}"
            print(
                f"{tool:<10} {row['step']:<12} {row['seconds']:8.2f} {row['gap']:9.0f} {row['window']:8.0f} "
                f"{row['held']:8.0f} {row['slower']:7.1f} {row['quiet']:8.0f} {beside:>7}{over}",
                flush=True,
            )
    longest = max((r["quiet"] for r in rows if r["tool"] != "control"), default=0)
    print(f"longest gap on a quiet machine: {longest:.0f} ms (goal {LIMIT_MS})")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0


def session(kind: str, cold: bool, where: float | None = None) -> list[dict[str, Any]]:
    """One tool in a window of its own; a row per step."""
    import napari

    viewer = napari.Viewer(title="Workbench")
    viewer.window.resize(1400, 900)
    wait(lambda: False, 1.0)
    sampler = None
    if where is not None:
        sampler = Sampler()
        sampler.start()
    meter, rows = GapMeter(sampler), []
    wait(lambda: False, 0.3)
    meter.take()
    for step, done in STEPS[kind](viewer, cold):
        began = time.perf_counter()
        step_name, act = step
        later(act)
        wait(lambda: False, 0.05)
        wait(done, 900)
        wait(lambda: False, 0.8)
        if where is not None and step_name:
            print(f"=== {kind}: {step_name}\n{meter.where(where)}", file=sys.stderr, flush=True)
        row = meter.take()
        if step_name:
            rows.append({"step": step_name, "seconds": time.perf_counter() - began - 0.8, **row})
    meter.timer.stop()
    viewer.close()
    return rows


Step = tuple[tuple[str, Callable[[], Any]], Callable[[], bool]]


def volume(viewer: Any, cold: bool) -> Iterator[Step]:
    """Open the sample CT, segment it with the demo weights, save."""
    tools: list[Any] = []
    yield ("dock", lambda: tools.append(dock(viewer, "Volume tool"))), lambda: bool(tools)
    tool = tools[0]
    yield from loading(cold)
    yield ("open", tool.sample_button.click), lambda: bool(len(viewer.layers))
    tool.model.device.setCurrentText("cpu")
    tool.model.form.set_values({"mode": "fast", "overlap": 0.0})
    yield ("run", tool.run_button.click), lambda: not tool.runner.is_busy and len(viewer.layers) > 1
    yield ("run again", tool.run_button.click), lambda: not tool.runner.is_busy and len(viewer.layers) > 2
    yield ("save", tool.save_button.click), lambda: not tool.runner.is_busy and tool.last_folder is not None
    drawn = tool.labels_layer
    drawn.brush_size = 8
    drawn.paint([n // 2 for n in drawn.data.shape], 1)
    yield ("undo", drawn.undo), lambda: True
    yield from afterwards(viewer, drawn)


def scene(viewer: Any, cold: bool) -> Iterator[Step]:
    """Open the sample scene, paint its four classes, learn, save."""
    import numpy as np

    from workbench.data import formats

    tools: list[Any] = []
    yield ("dock", lambda: tools.append(dock(viewer, "Spectra tool"))), lambda: bool(tools)
    tool = tools[0]
    yield from loading(cold)
    yield ("open", tool.sample_button.click), lambda: bool(len(viewer.layers))
    tool.device.setCurrentText("cpu")
    tool.learning.form.set_values({"steps": 12, "components": 5, "head_start": 80})
    labels = formats.read_labels(ROOT / "sample_data" / "files" / "scene_9101_labels.hdr")
    truth, rng = np.asarray(labels.data), np.random.default_rng(0)

    def paint() -> None:
        for name in labels.classes.names:
            value = tool.painting.add_class(name)
            tool.painting.layer.brush_size = 1
            for index in rng.choice(np.flatnonzero(truth == value), 20, replace=False):
                tool.painting.layer.paint(np.unravel_index(index, truth.shape), value)

    paint()
    wait(lambda: len(tool.looking.plot.classes) == len(labels.classes), 30)
    # The strokes above came without a hand in between: their gap is that of the script.
    yield ("", lambda: None), lambda: True
    learn = tool.learning.learn_button.click
    shown = lambda: not tool.runner.is_busy and tool.maps.get("confidence") is not None  # noqa: E731
    yield ("learn", learn), shown
    yield ("learn again", learn), shown
    yield ("save", tool.save_button.click), lambda: not tool.runner.is_busy and tool.last_folder is not None
    yield ("undo", lambda: tool.painting.history("undo")), lambda: True
    yield from afterwards(viewer, tool.maps.get("confidence"))


def recording(viewer: Any, cold: bool) -> Iterator[Step]:
    """Open the sample recording, tokenise it, generate signals, save."""
    from workbench.core.types import Mark

    tools: list[Any] = []
    yield ("dock", lambda: tools.append(dock(viewer, "MEG tool"))), lambda: bool(tools)
    tool = tools[0]
    yield from loading(cold)
    yield ("open", tool.sample_button.click), lambda: tool.opened is not None
    tool.panel.model.model.device.setCurrentText("cpu")
    yield ("run", tool.run_button.click), lambda: not tool.runner.is_busy and "tokens" in tool.opened.parts
    yield ("run again", tool.run_button.click), lambda: not tool.runner.is_busy and "tokens" in tool.opened.parts
    generate = tool.panel.generation.button.click
    yield ("generate", generate), lambda: not tool.runner.is_busy and "generated" in tool.opened.parts
    yield ("save", tool.save_button.click), lambda: not tool.runner.is_busy and tool.last_folder is not None
    page = tool.panel.annotations
    yield ("annotate", lambda: tool.annotating.editor.add(Mark(1.0, 0.5, "blink"))), lambda: True
    yield ("undo", page.undo_button.click), lambda: True
    yield from afterwards(viewer, tool.opened.parts["tokens"].layer)


def control(viewer: Any, cold: bool) -> Iterator[Step]:
    """What napari does by itself, once its own libraries and its table of units are loaded."""
    import numpy as np
    import pint
    import scipy.ndimage  # noqa: F401
    from napari.layers import Image
    from qtpy.QtWidgets import QWidget

    del cold
    pint.get_application_registry().pixel  # noqa: B018
    Image(np.zeros((9, 9)))
    volume = np.zeros((80, 128, 128), np.float32)
    yield ("dock", lambda: viewer.window.add_dock_widget(QWidget())), lambda: True
    adds: dict[str, Callable[[], Any]] = {
        "image": lambda: viewer.add_image(volume, contrast_limits=(0, 1)),
        "labels": lambda: viewer.add_labels(volume.astype(np.uint8)),
        "shapes": lambda: viewer.add_shapes(np.array([[[0, 0], [0, 9], [9, 9], [9, 0]]])),
    }
    for name, add in adds.items():
        yield (f"{name}", add), lambda: True
        yield (f"{name} again", add), lambda: True
    yield from afterwards(viewer, viewer.layers[2])


def afterwards(viewer: Any, result: Any) -> Iterator[Step]:
    """Another theme, and a result is deleted."""
    yield ("theme", lambda: setattr(viewer, "theme", "light")), lambda: True
    yield ("delete", lambda: viewer.layers.remove(result)), lambda: result not in viewer.layers


STEPS: dict[str, Callable[[Any, bool], Iterator[Step]]] = {
    "volume": volume,
    "scene": scene,
    "recording": recording,
    "control": control,
}


def dock(viewer: Any, title: str) -> Any:
    """Dock a tool as the menu of napari does."""
    return viewer.window.add_plugin_dock_widget("napari-workbench", title, tabify=False)[1]


def loading(cold: bool) -> Iterator[Step]:
    """The engines load in the background."""
    try:
        from workbench_napari.shared.engines import preload
    except ModuleNotFoundError:  # trees of before the tools shared it
        from workbench_napari.engines import preload

    if not cold:
        yield ("engines", preload), lambda: not preload().is_alive()


def later(act: Callable[[], Any]) -> None:
    """Do something from within the event loop, as a click does."""
    from qtpy.QtCore import QTimer

    QTimer.singleShot(10, act)


def wait(done: Callable[[], bool], seconds: float) -> None:
    """Let the event loop run until something holds, or the time is up."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop, timer = QEventLoop(), QTimer()
    end = time.monotonic() + seconds

    def look() -> None:
        if done() or time.monotonic() > end:
            loop.quit()

    timer.timeout.connect(look)
    timer.start(20)
    loop.exec()
    timer.stop()


if __name__ == "__main__":
    sys.exit(main())
