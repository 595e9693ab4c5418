"""Looking around in a giant slide: ``python tests/benchmarks/bench_slide_window.py [FILE]``.

A slide of 100,000 x 80,000 pixels (made if none is given) is opened by the Slides tool in a real window, zoomed by the
wheel down to its pixels, and moved about by the mouse at three scales. Printed for each: the longest time that the
window stood still (by the clock, and on a "quiet" machine: see ``bench_event_loop.py``), beside the same in a napari
without us whose levels are arrays in memory; and the largest memory. Without a display it runs under Xvfb.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gap_meter import GapMeter
from real_window import rerun_without_display, settle

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins")]
LIMIT_MS, LIMIT_MB = 250, 1500
DRAGS = 16


def main() -> int:
    """Measure both in processes of their own, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of the window at every scale")
    parser.add_argument("--one", choices=("ours", "plain"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if (status := rerun_without_display(parser)) is not None:
        return status
    if arguments.one:
        print(json.dumps(session(arguments.one, arguments.file, arguments.pictures)), flush=True)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.file
        if path is None:
            from make_giant_slide import make

            path = make(Path(folder) / "giant.svs", 100_000, 80_000)
        found: dict[str, Any] = {}
        for which in ("plain", "ours"):
            command = [sys.executable, __file__, str(path), "--one", which]
            command += ["--pictures", str(arguments.pictures)] if arguments.pictures else []
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[which] = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"{'step':<28} {'gap [ms]':>9} {'quiet':>7} {'napari':>7}")
    for step, row in found["ours"]["steps"].items():
        plain = found["plain"]["steps"].get(step)
        beside = "" if plain is None else f"{plain['quiet']:.0f}"
        print(f"{step:<28} {row['gap']:9.0f} {row['quiet']:7.0f} {beside:>7}{' *' if row['quiet'] > LIMIT_MS else ''}")
    peak = found["ours"]["peak_mb"]
    print(f"sharp after {found['ours']['sharp']:.2f} s (median of {3 * DRAGS} moves)")
    print(
        f"largest memory {peak:.0f} MB (goal {LIMIT_MB}); a window without a slide {found['ours']['before_mb']:.0f} MB"
    )
    return 0


def session(which: str, path: Path, pictures: Path | None) -> dict[str, Any]:
    """One window: the gaps of each step."""
    import napari
    import numpy as np
    import psutil

    from tests.workbench_napari.mouse import canvas_of, drag
    from workbench.core.provenance import peak_memory_mb

    viewer = napari.Viewer()
    viewer.window.resize(1400, 900)
    settle(lambda: False, 1.0)
    before = psutil.Process().memory_info().rss / 1e6
    meter = GapMeter()
    steps: dict[str, Any] = {}
    sharp: list[float] = []
    reading: Callable[[], bool] = lambda: False  # noqa: E731

    def measured(name: str, act: Callable[[], Any]) -> None:
        meter.take()
        act()
        settle(lambda: False, 0.3)
        settle(lambda: not reading(), 20)
        settle(lambda: False, 0.3)
        steps[name] = meter.take()

    if which == "ours":
        from workbench_napari.launch import open_files

        tool = open_files(viewer, [], tool="slide")
        settle(lambda: False, 1.0)
        measured("open", lambda: (open_files(viewer, [path]), settle(lambda: len(viewer.layers) > 0, 30)))
        del tool
        cache = viewer.layers[0].data[0].cache
        reading = lambda: cache.is_reading  # noqa: E731
    else:
        noise = np.random.default_rng(0).integers(0, 255, (10_000, 12_500, 3), np.uint8)
        levels = [noise, noise[::4, ::4].copy(), noise[::16, ::16].copy()]
        measured("open", lambda: viewer.add_image(levels, rgb=True, multiscale=True, scale=(2.0, 2.0)))
    viewer.reset_view()
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera  # napari before 0.9
    whole = camera.zoom
    layer = viewer.layers[0]
    finest = 1 / float(layer.scale[0])

    camera.center = _darkest(layer)
    middle = canvas_of(viewer).width() / 2, canvas_of(viewer).height() / 2

    def walk() -> None:
        for n in range(DRAGS):
            far = 180 if n // 8 % 2 else -180  # away from where all is there already, and back
            drag(viewer, middle, (middle[0] + (far if n % 2 else 0), middle[1] + (0 if n % 2 else far)))
            began = time.perf_counter()
            settle(lambda: not reading(), 20)
            sharp.append(time.perf_counter() - began)

    for name, zoom in (("whole slide", whole), ("tenth of its pixels", finest / 10), ("its pixels", finest)):
        measured(f"to the scale: {name}", lambda zoom=zoom: setattr(camera, "zoom", zoom))  # type: ignore[misc]
        measured(f"moved about: {name}", walk)
        if pictures is not None and which == "ours":
            viewer.screenshot(pictures / f"{name}.png", canvas_only=False, flash=False)
    measured("back", lambda: setattr(camera, "zoom", whole))
    meter.timer.stop()
    found = {"steps": steps, "sharp": float(np.median(sharp)), "before_mb": before, "peak_mb": peak_memory_mb()}
    viewer.close()
    return found


def _darkest(layer: Any) -> tuple[float, float]:
    """The middle of the darkest ninth of an image, in the world: there is something to be seen."""
    import numpy as np

    pixels = np.asarray(layer.data[-1])
    rows, columns = pixels.shape[0] // 3, pixels.shape[1] // 3
    blocks = pixels[: 3 * rows, : 3 * columns].reshape(3, rows, 3, columns, -1).mean((1, 3, 4))
    row, column = np.unravel_index(int(blocks.argmin()), blocks.shape)
    place = (row + 0.5) * layer.data[0].shape[0] / 3, (column + 0.5) * layer.data[0].shape[1] / 3
    return place[0] * float(layer.scale[0]), place[1] * float(layer.scale[1])


if __name__ == "__main__":
    sys.exit(main())
