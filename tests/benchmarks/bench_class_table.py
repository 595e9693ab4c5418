"""How long a table of many classes holds up the window: ``python tests/benchmarks/bench_class_table.py --before main``.

Opens label maps of 117, 999 and 20,000 labels in the Volume tool, in a real napari window, and times what happens on
the window's thread: the table appears, a stroke of the brush is counted, the brush takes another label, and a double
click goes to a label. With ``--before REV`` the same is done, in the same run, with the code of another revision of
this repository, by the very same script; what takes longer than ``--limit`` is stopped, and said to take longer.

Times are those of the longest single step of the event loop, in milliseconds: processor time of that thread, which
neighbours on the machine do not change, and in brackets by the clock. Without a display it runs under Xvfb.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from real_window import rerun_without_display, settle

ROOT = Path(__file__).resolve().parents[2]
STEPS = ("table appears", "stroke is counted", "brush takes a label", "double click", "double click in 3-D")
EDGE = {117: 26, 999: 13, 20_000: 8}
"""Voxels along an edge of the cubes that stand for labels: 2.2 to 11 million voxels in all."""


def main() -> int:
    """Parse the arguments, start again under Xvfb where there is no display, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=int, nargs="+", default=[117, 999, 20_000])
    parser.add_argument("--before", metavar="REV", help="revision to compare with")
    parser.add_argument("--limit", type=float, default=180.0, help="seconds that one label map may take")
    parser.add_argument("--json", action="store_true", help="print all numbers as JSON in the last line")
    parser.add_argument("--measure", type=int, metavar="LABELS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if (status := rerun_without_display(parser)) is not None:
        return status
    if arguments.measure:
        measure(arguments.measure)
        return 0
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        trees = {"now": ROOT}
        if arguments.before:
            trees = {arguments.before: checked_out(arguments.before, Path(folder))} | trees
        print(f"{'labels':>7}  {'code':10}" + "".join(f"{step:>24}" for step in STEPS), flush=True)
        for labels in arguments.labels:
            for name, tree in trees.items():
                times = measured(labels, tree, arguments.limit)
                found[f"{labels} {name}"] = times
                cells = (cell(times.get(step), arguments.limit) for step in STEPS)
                print(f"{labels:7,}  {name:10}" + "".join(f"{c:>24}" for c in cells), flush=True)
    if arguments.json:
        print(json.dumps(found))
    slow = [t for key, times in found.items() if key.endswith(" now") for t in (times.get(s) for s in STEPS)]
    return 0 if all(t is not None and t[0] <= 100 for t in slow) else 1


def checked_out(revision: str, folder: Path) -> Path:
    """The files of a revision in a folder of their own; the working tree stays as it is."""
    packed = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed, check=True)
    return folder


def measured(labels: int, tree: Path, limit: float) -> dict[str, tuple[float, float]]:
    """What a process of its own says, with the code of that tree; nothing of the steps that it did not come to."""
    with tempfile.TemporaryDirectory() as home:
        own = {"WORKBENCH_HOME": home, "WORKBENCH_PRELOAD": "0", "OMP_NUM_THREADS": "1"}
        environment = os.environ | own | {"PYTHONPATH": os.pathsep.join((str(tree), str(tree / "plugins")))}
        command = [sys.executable, str(Path(__file__).resolve()), "--measure", str(labels)]
        process = subprocess.Popen(command, cwd=tree, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            said, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
    found = {}
    for line in said.splitlines():
        if line.startswith("{"):
            found |= {k: tuple(v) for k, v in json.loads(line).items()}
    return found


def cell(times: tuple[float, float] | None, limit: float) -> str:
    return f"over {limit:.0f} s" if times is None else f"{times[0]:,.0f} ({times[1]:,.0f})"


def measure(labels: int) -> None:
    """One session with so many labels; prints a line of JSON as soon as a step is done."""
    import napari
    from workbench_napari.launch import open_files

    from workbench.core.classes import ClassTable
    from workbench.core.layers import KEY, colormap

    classes = ClassTable.from_values(list(range(1, labels + 1)))
    data = cubes(labels)
    viewer = napari.Viewer(title="Workbench")
    viewer.window.resize(1400, 900)
    tool = open_files(viewer, [], tool="volume")
    # The colours of 20,000 labels are napari's own matter: a few do for all.
    few = ClassTable(classes.classes[: min(labels, 500)])
    layer = viewer.add_labels(
        data, name="parts", scale=(2, 1, 1), units="mm", colormap=colormap(few), visible=False,
        metadata={KEY: {"classes": classes.to_json()}},
    )  # fmt: skip
    table = tool.keeping.table
    updates: list[int] = []
    table.updated.connect(lambda: updates.append(1))
    table.set_layer(None)
    settle(lambda: False, 0.3)

    def note(step: str, act: Callable[[], Any], done: Callable[[], bool]) -> None:
        print(json.dumps({step: longest(act, done)}), flush=True)
        settle(lambda: False, 0.3)

    def painted() -> None:
        # What napari itself does for a stroke is not timed.
        updates.clear()
        layer.events.paint(value=[])

    note("table appears", lambda: table.set_layer(layer), lambda: bool(updates) and table.model().rowCount() == labels)
    data[0, 0, 0] = labels
    note("stroke is counted", painted, lambda: bool(updates))
    assert int(layer.features["voxels"].iloc[labels]) == np.count_nonzero(data == labels)
    note("brush takes a label", lambda: setattr(layer, "selected_label", labels - 1), lambda: True)
    wanted = int(np.argmax([(plane == labels - 5).sum() for plane in data]))
    viewer.dims.set_current_step(0, 0 if wanted else 5)
    note("double click", lambda: table.go_to(labels - 5), lambda: viewer.dims.current_step[0] == wanted)
    viewer.dims.ndisplay = 3
    settle(lambda: False, 0.5)
    note("double click in 3-D", lambda: table.go_to(3), lambda: not getattr(table, "is_busy", False))
    viewer.close()


def cubes(labels: int) -> Any:
    """So many cubes in one label map."""
    side, edge = int(np.ceil(labels ** (1 / 3) - 1e-9)), EDGE.get(labels, 8)
    grid = np.zeros((side,) * 3, np.int32)
    grid.reshape(-1)[:labels] = np.arange(1, labels + 1)
    return np.repeat(np.repeat(np.repeat(grid, edge, 0), edge, 1), edge, 2)


def longest(act: Callable[[], Any], done: Callable[[], bool]) -> tuple[float, float]:
    """The longest that the window's thread was held up from an act until something holds, in milliseconds."""
    from qtpy.QtWidgets import QApplication

    steps = []
    work: Callable[[], Any] = act
    while True:
        processor, clock = time.thread_time(), time.perf_counter()
        work()
        steps.append((time.thread_time() - processor, time.perf_counter() - clock))
        if done() and len(steps) > 3:
            break
        time.sleep(0.001)
        work = QApplication.processEvents
    return 1000 * max(s[0] for s in steps), 1000 * max(s[1] for s in steps)


if __name__ == "__main__":
    sys.exit(main())
