"""Make the pictures of README and docs from the real window: ``python docs/make_pictures.py`` (Linux: needs Xvfb).

Opens the sample CT, runs the model, edits by hand, shows 2-D and 3-D, and kills a session to show the recovery. Nothing
is drawn by hand: what the pictures show is what the program does.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SIZE = (1400, 900)
LIMIT_BYTES = 400_000


def main() -> int:
    """Parse the arguments, and start again under Xvfb where there is no display."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "pictures", help="folder for the PNG files")
    parser.add_argument("--weights", default="demo", help="weights to run")
    parser.add_argument("--crash", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.crash:
        session_to_kill()
        return 0
    return on_a_display(parser, lambda home: make(arguments.out, arguments.weights, home))


def on_a_display(parser: argparse.ArgumentParser, work: Callable[[Path], None]) -> int:
    """Do the work in a home of its own; where there is no display, the script starts again under Xvfb."""
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        program = shutil.which("xvfb-run")
        if program is None:
            parser.error("no display and no Xvfb: apt-get install xvfb")
        command = [program, "-a", "-s", "-screen 0 1600x1000x24", sys.executable, *sys.argv]
        return subprocess.run(command, check=False).returncode
    with tempfile.TemporaryDirectory() as home:
        os.environ["WORKBENCH_HOME"] = home
        work(Path(home))
    return 0


def make(out: Path, weights: str, home: Path) -> None:
    """All pictures, in the order of a session."""
    import napari
    from workbench_napari.launch import open_files
    from workbench_napari.volume import views

    out.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer(title="Workbench")
    viewer.window.resize(*SIZE)
    tool = open_files(viewer, [])
    tool.folder.setText("~/workbench")
    shoot(viewer, out / "empty.png")

    tool.open_sample()
    if weights != "demo":
        tool.model.weights.choose_file(weights)
    viewer.dims.set_current_step(0, int(viewer.dims.nsteps[0] * 0.5))
    assert tool.segmenting.run(), tool.status.text()
    settle(lambda: not tool.runner.is_busy or tool.runner.job.steps[0] > 0, 120)
    shoot(viewer, out / "running.png")
    settle(lambda: not tool.runner.is_busy, 600)
    labels = tool.labels_layer
    assert labels is not None, tool.status.text()
    go_to(tool, 2)
    shoot(viewer, out / "volume-tool.png")

    edit(viewer, tool, labels)
    shoot(viewer, out / "edit.png")
    labels.mode = "pan_zoom"

    views.show(viewer, "Coronal")
    go_to(tool, 0)
    shoot(viewer, out / "coronal.png")
    views.show(viewer, "3-D")
    image = tool.image_layer
    image.contrast_limits = (150, 900)
    image.opacity = 0.6
    labels.opacity = 0.9
    shoot(viewer, out / "volume-3d.png")

    tool.folder.setText(str(home / "results"))
    assert tool.save()
    settle(lambda: not tool.runner.is_busy, 120)
    viewer.close()

    crash(home)
    viewer = napari.Viewer(title="Workbench")
    viewer.window.resize(*SIZE)
    tool = open_files(viewer, [])
    shoot(viewer, out / "recovery.png")
    tool.recovery.restore_chosen()
    viewer.close()


def go_to(tool: Any, row: int) -> None:
    """As a double click on that row of the table."""
    tool.keeping.table.go_to(tool.keeping.table.label_values()[row])
    settle(lambda: not tool.keeping.table.is_busy, 60)


def edit(viewer: Any, tool: Any, labels: Any) -> None:
    """A stroke of the brush with the first class, at the border of that organ."""
    import numpy as np

    value = tool.keeping.table.label_values()[0]
    labels.selected_label = value
    labels.mode = "paint"
    labels.brush_size = 6
    z = viewer.dims.current_step[0]
    where = np.argwhere(labels.data[z] == value)
    row, column = where[where[:, 1].argmax()]
    for step in range(8):
        labels.paint((z, row + step, column + 2), value)


def session_to_kill() -> None:
    """A session with an unsaved edit, waiting for its end."""
    import napari
    from workbench_napari.launch import open_files
    from workbench_napari.volume.samples import sample_path

    viewer = napari.Viewer()
    tool = open_files(viewer, [sample_path("labels")])
    labels = tool.labels_layer
    middle = tuple(n // 2 for n in labels.data.shape)
    labels.paint(middle, 1)
    settle(lambda: bool(tool.journal.store.entries()), 10)
    print("edited", flush=True)
    settle(lambda: False, 60)


def crash(home: Path) -> None:
    """Start a session, let it edit, and kill it without a warning."""
    command = [sys.executable, __file__, "--crash"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "WORKBENCH_HOME": str(home)}
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "edited"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def settle(done: Callable[[], bool], seconds: float) -> None:
    """Let Qt work until something holds, or the time is up."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def scroll_to(tool: Any, widget: Any) -> None:
    """Show another part of the tool, on the page that it is on."""
    tool.bring_into_sight(widget)
    settle(lambda: False, 0.3)


def shoot(viewer: Any, path: Path, is_kept: bool = True) -> None:
    """The whole window as a PNG; of those that are kept in the repository none is large."""
    from PIL import Image

    settle(lambda: False, 1.0)
    pixels = viewer.screenshot(canvas_only=False, flash=False)
    # All colours are kept: fewer would merge those of the classes.
    Image.fromarray(pixels).convert("RGB").save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.name}: {pixels.shape[1]} x {pixels.shape[0]}, {size / 1000:.0f} kB", flush=True)
    assert not is_kept or size < LIMIT_BYTES, f"{path} is too large"


if __name__ == "__main__":
    sys.exit(main())
