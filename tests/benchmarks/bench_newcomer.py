"""The newcomer's path: ``python tests/benchmarks/bench_newcomer.py [--checkout PATH] [--size 1000x700] [tool ...]``.

From an empty window with a tool docked to a saved, corrected result of the sample data, with real clicks, drags
and keys only: how many of them, and how many seconds with all waiting. The person reads what is written on buttons,
so that any state of the project can be measured: unpack it (``git archive COMMIT | tar x -C PATH``) and name it.
Each path ends with a look into the saved file: it must hold what was corrected.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from newcomer import Person
from real_window import rerun_without_display, settle

ROOT = Path(__file__).resolve().parents[2]
SIZES = ("1000x700", "1600x1000")


def main() -> int:
    """Parse the arguments; each path runs in a process and a home of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tools", nargs="*", help=f"which of {', '.join(map(repr, PATHS))}; all by default")
    parser.add_argument("--checkout", type=Path, action="append", help="folder of the state to measure; this one")
    parser.add_argument("--size", action="append", help=f"of the window; {' and '.join(SIZES)}")
    parser.add_argument("--json", type=Path, help="write all rows to this file")
    parser.add_argument("--shot", type=Path, help="folder for a picture of each window at its end")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if (status := rerun_without_display(parser)) is not None:
        return status
    if arguments.one:
        print(json.dumps(session(*arguments.one, arguments.shot)), flush=True)
        return 0
    rows, failed = [], 0
    print(f"{'state':<12} {'window':<10} {'tool':<12} {'clicks':>6} {'keys':>5} {'drags':>6} {'scrolls':>8} {'s':>7}")
    for checkout in map(Path.resolve, arguments.checkout or [ROOT]):
        for size in arguments.size or SIZES:
            for tool in arguments.tools or PATHS:
                row = measured(checkout, size, tool, arguments.shot)
                failed += row is None
                if row is None:
                    continue
                rows.append({"state": checkout.name, "window": size, "tool": tool, **row})
                print(
                    f"{checkout.name:<12} {size:<10} {tool:<12} {row['clicks']:6} {row['keys']:5} {row['drags']:6} "
                    f"{row['scrolls']:8} {row['seconds']:7.1f}  {row['path']}",
                    flush=True,
                )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return int(bool(failed))


def measured(checkout: Path, size: str, tool: str, shot: Path | None) -> dict[str, Any] | None:
    """One path in a process; ``None`` if it did not come to its end."""
    with tempfile.TemporaryDirectory() as home:
        places = os.pathsep.join([str(checkout), str(checkout / "plugins")])
        own = {"WORKBENCH_HOME": home, "HOME": home, "PYTHONPATH": places, "OMP_WAIT_POLICY": "PASSIVE"}
        command = [sys.executable, __file__, "--one", tool, size, *(["--shot", str(shot)] if shot else [])]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env={**os.environ, **own})
    if done.returncode:
        print(f"{checkout.name} {size} {tool}: ended with {done.returncode}", flush=True)
        return None
    row: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return row


def session(tool: str, size: str, shot: Path | None) -> dict[str, Any]:
    """One path in a window of its own."""
    import napari

    viewer = napari.Viewer(title="Workbench")
    width, height = map(int, size.split("x"))
    viewer.window.resize(width, height)
    viewer.window.add_plugin_dock_widget("napari-workbench", tool, tabify=False)
    settle(lambda: False, 2.0)
    person = Person(viewer)
    try:
        check = PATHS[tool](person)
        person.wait(lambda: bool(saved("provenance.json")) and person.is_ready("Save"), 120)
        row = person.report()
        check()
    finally:
        if shot:
            shot.mkdir(parents=True, exist_ok=True)
            state = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0]).name
            viewer.window._qt_window.grab().save(str(shot / f"newcomer-{state}-{size}-{tool.split()[0]}.png"))
    viewer.close()
    return row


def saved(pattern: str) -> list[Path]:
    """What was saved in the home of this session, the newest last."""
    found = (Path.home() / "workbench").rglob(pattern)
    return sorted(found, key=lambda path: path.stat().st_mtime)


def layers_of(viewer: Any, kind: str) -> list[Any]:
    return [layer for layer in viewer.layers if type(layer).__name__ == kind]


# --- the paths; each gives what looks into the saved file


def volumes(person: Person, sample: str = "Open the sample CT") -> Callable[[], None]:
    """Open the CT, segment it, paint a stroke, save."""
    viewer = person.viewer
    person.press(sample)
    person.wait(lambda: len(viewer.layers) > 0)
    person.press("Run")
    person.wait(lambda: bool(layers_of(viewer, "Labels")) and person.is_ready("Run"))
    labels = layers_of(viewer, "Labels")[-1]
    if viewer.layers.selection.active is not labels:
        person.choose_layer(labels)
    before = labels.data.copy()
    person.paint_tool()
    person.drag(*stroke(person, labels))
    after = labels.data.copy()
    assert not np.array_equal(before, after), f"the stroke changed nothing after {person.path}"
    person.press("Save", page="Result")

    def check() -> None:
        import nibabel as nib

        written = np.asarray(nib.load(saved("labels.nii.gz")[-1]).dataobj)
        assert np.array_equal(np.bincount(written.ravel()), np.bincount(after.ravel())), "the correction is not in it"

    return check


def any_backend(person: Person) -> Callable[[], None]:
    """The same with the tool for every kind of data."""
    return volumes(person)


def stroke(person: Person, labels: Any) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where a short stroke with the brush of the moment changes something that is in the picture."""
    viewer = person.viewer
    at = np.round(labels.world_to_data(viewer.dims.point)).astype(int)[-labels.ndim :]
    shown = list(viewer.dims.displayed)[-2:]
    shown = [axis - (viewer.dims.ndim - labels.ndim) for axis in shown]
    best = None
    for row in np.linspace(0.2, 0.8, 13):
        for column in np.linspace(0.2, 0.7, 13):
            index = at.copy()
            index[shown[0]], index[shown[1]] = (
                int(part * (labels.data.shape[axis] - 1)) for part, axis in zip((row, column), shown, strict=True)
            )
            x, y = person.place(labels, index)
            inside = 40 < x < person.canvas.width() - 70 and 40 < y < person.canvas.height() - 40
            if inside and labels.data[tuple(index)] != labels.selected_label:
                middle = abs(row - 0.5) + abs(column - 0.45)
                best = min(best or (9.0, (x, y)), (middle, (x, y)))
    assert best is not None, "nothing to correct in the picture"
    x, y = best[1]
    return (x, y), (x + 30, y)


def spectra(person: Person) -> Callable[[], None]:
    """Open the scene, paint two classes, learn, correct the map, save."""
    viewer = person.viewer
    person.press("Open the sample scene")
    person.wait(lambda: len(viewer.layers) > 0)
    width, height = person.canvas.width(), person.canvas.height()
    for row in (0.35, 0.65):
        person.press("Add class", page="Paint")
        settle(lambda: False, 0.5)
        person.paint_tool()
        width, height = person.canvas.width(), person.canvas.height()
        person.drag((width * 0.4, height * row), (width * 0.6, height * row))
    known = set(map(id, viewer.layers))
    person.press("Learn and map" if person.button("Learn and map") else "Learn", page="Learn")
    # Other maps may lie hidden beside the one that is seen.
    maps = lambda: [x for x in layers_of(viewer, "Labels") if id(x) not in known and x.visible]  # noqa: E731
    person.wait(lambda: bool(maps()) and person.is_ready("Save"))
    made = maps()[-1]
    if viewer.layers.selection.active is not made:
        person.choose_layer(made)
    before = np.array(made.data)
    person.paint_tool()
    person.drag(*stroke(person, made))
    after = np.array(made.data)
    assert not np.array_equal(before, after), f"the stroke changed nothing after {person.path}"
    person.press("Save", page="Map")

    def check() -> None:
        record = json.loads(saved("provenance.json")[-1].read_text(encoding="utf-8"))
        assert record["edited_by_hand"], "the map is not said to be edited"
        counts = np.bincount(after.ravel())
        flat = [np.fromfile(p, np.uint8) for p in saved("*.dat")]
        fits = [np.array_equal(np.bincount(f), counts) for f in flat if f.size == after.size]
        assert any(fits), "the correction is not in the saved map"

    return check


def meg(person: Person) -> Callable[[], None]:
    """Open the recording, tokenise it, draw an annotation, save."""
    viewer = person.viewer
    person.press("Open the sample recording")
    person.wait(lambda: len(viewer.layers) > 0 and person.is_ready("Run"))
    number = len(viewer.layers)
    person.press("Run")
    person.wait(lambda: len(viewer.layers) > number and person.is_ready("Run"))
    before = {id(x): len(x.data) for x in layers_of(viewer, "Shapes")}
    person.press("Draw", page="Annotate")
    settle(lambda: False, 0.5)
    width, height = person.canvas.width(), person.canvas.height()
    person.drag((width * 0.45, height * 0.3), (width * 0.55, height * 0.45))
    grown = [x for x in layers_of(viewer, "Shapes") if len(x.data) > before.get(id(x), 0)]
    assert len(grown) == 1, f"{len(grown)} layers got an annotation after {person.path}"
    person.press("Save", page="Files")
    seconds = np.sort(np.array([grown[0].data_to_world(v) for v in grown[0].data[-1]])[:, -1])[[0, -1]]

    def check() -> None:
        rows = [row for path in saved("*annotations*.csv") for row in csv.reader(path.open(encoding="utf-8"))]
        numbers = [[float(v) for v in row if v.replace(".", "").replace("-", "").isdigit()] for row in rows]
        start, end = seconds

        def holds(row: list[float], *values: float) -> bool:
            return any(abs(number - value) < 0.02 for number in row for value in values)

        there = any(holds(row, start) and holds(row, end - start, end) for row in numbers)
        assert there, f"no annotation from {start:.3f} s on in {rows[:5]}"

    return check


PATHS: dict[str, Callable[[Person], Callable[[], None]]] = {
    "Volume tool": volumes, "Spectra tool": spectra, "MEG tool": meg, "Any backend": any_backend,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
