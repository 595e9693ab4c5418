"""Hundreds of thousands of nuclei in the window: ``python tests/benchmarks/bench_nuclei_window.py [--count N]``.

A slide of 20,000 x 20,000 pixels (made) with N nuclei that are opened over it in the Slides tool, in a real window:
the longest time that the window stood still while it was zoomed and moved about at three scales, while nuclei were
rejected, drawn and taken back; how long a frame takes; from an edit to the frame that shows it; and from 5 + 5 named
nuclei to all classes. Without a display it runs under Xvfb.
"""

from __future__ import annotations

import argparse
import os
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
LIMIT_MS, LIMIT_FRAME_MS, LIMIT_LEARN_S = 250, 100, 10
SIDE = 20_000
DRAGS = 12


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of the window at every scale")
    arguments = parser.parse_args()
    if (status := rerun_without_display(parser)) is not None:
        return status
    with tempfile.TemporaryDirectory() as folder:
        from make_giant_slide import make

        os.environ["WORKBENCH_HOME"] = folder  # nobody is offered these edits
        session(make(Path(folder) / "slide.svs", SIDE, SIDE), arguments.count, arguments.pictures)
    return 0


def many(count: int) -> Any:
    """Nuclei of 24 corners and some 20 pixels, with measurements as a run gives them."""
    import numpy as np

    from workbench.core.classes import ClassTable
    from workbench.core.objects import Objects

    rng = np.random.default_rng(0)
    angle = np.linspace(0, 2 * np.pi, 25)[:-1]
    radius = rng.uniform(6, 13, (count, 1)) * (1 + 0.1 * np.sin(angle * 3 + rng.uniform(0, 6, (count, 1))))
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) * radius[..., None]
    rings = (rng.uniform(20, SIDE - 20, (count, 1, 2)) + ring).astype(np.float32)
    names = ("area [um2]", "perimeter [um]", "eccentricity", "haematoxylin [OD]", "eosin [OD]")
    return Objects.from_polygons(
        rings, class_values=np.ones(count), probabilities=rng.uniform(0.5, 1, count).astype(np.float32),
        classes=ClassTable.from_names(["nucleus"]), name="nuclei",
        measurements={n: rng.uniform(0.1, 1, count).astype(np.float32) for n in names},
    )  # fmt: skip


def session(path: Path, count: int, pictures: Path | None) -> None:
    """One window."""
    import napari
    import numpy as np
    import psutil
    from workbench_napari.launch import open_files
    from workbench_napari.shared import engines
    from workbench_napari.slide.on_slide import record_of, slide_image

    from tests.workbench_napari.mouse import canvas_of, drag
    from workbench.core.provenance import peak_memory_mb
    from workbench.core.types import Embeddings, Provenance, Result
    from workbench.slide import edits_in, frame_of, prepare

    viewer = napari.Viewer()
    viewer.window.resize(1400, 900)
    tool = open_files(viewer, [path], tool="slide")
    settle(lambda: len(viewer.layers) > 0, 30)
    settle(lambda: not engines.is_loading("slide"), 120)  # as in bench_event_loop.py
    settle(lambda: False, 2.0)
    meter = GapMeter()
    rows: list[tuple[str, float, float, float]] = []
    canvas = viewer.window._qt_viewer.canvas

    def frame() -> float:
        began = time.perf_counter()
        canvas._scene_canvas.update()
        canvas._scene_canvas.render()
        return (time.perf_counter() - began) * 1000

    def measured(name: str, act: Callable[[], Any]) -> None:
        meter.take()
        act()
        settle(lambda: False, 0.5)
        gap = meter.take()
        rows.append((name, gap["gap"], gap["quiet"], float(np.median([frame() for _ in range(5)]))))

    before = psutil.Process().memory_info().rss / 1e6
    objects = many(count)
    slide_layer = viewer.layers[0]
    image = slide_image(record_of(slide_layer))
    from dataclasses import replace

    objects = replace(objects, frame=frame_of(image.geometry))
    seen = np.random.default_rng(1).normal(0, 1, (count, 96)).astype(np.float32)
    parts = {"nuclei": objects, "embeddings": Embeddings(seen, tuple(map(str, objects.ids.tolist())))}
    result = Result(parts, image, Provenance("cellvta", "none", None, {}))

    def show() -> None:
        tool.start("Nuclei", lambda _progress: (prepare(result), result)[1], tool._shower(slide_layer))
        settle(lambda: not tool.runner.is_busy, 60)

    measured(f"{count:,} nuclei appear", show)
    layer = next(x for x in viewer.layers if edits_in(x.data) is not None)
    edits = edits_in(layer.data)
    assert edits is not None
    viewer.layers.selection.active = layer
    viewer.reset_view()
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
    whole, finest = camera.zoom, 1 / float(layer.scale[0])
    middle = canvas_of(viewer).width() / 2, canvas_of(viewer).height() / 2

    def walk() -> None:
        for n in range(DRAGS):
            far = 180 if n // 6 % 2 else -180
            drag(viewer, middle, (middle[0] + (far if n % 2 else 0), middle[1] + (0 if n % 2 else far)))

    for name, zoom in (("whole slide", whole), ("a fifth of its pixels", finest / 5), ("its pixels", finest),
                       ("8 times its pixels", finest * 8)):  # fmt: skip
        measured(f"to the scale: {name}", lambda zoom=zoom: setattr(camera, "zoom", zoom))  # type: ignore[misc]
        measured(f"moved about: {name}", walk)
        if pictures is not None:
            viewer.screenshot(pictures / f"nuclei, {name}.png", canvas_only=False, flash=False)
    camera.zoom = finest
    seen_after = []

    def edit() -> None:
        for i in range(10):
            began = time.perf_counter()
            edits.reject([i]) if i % 2 else edits.add(np.array([[0, 0], [20, 0], [20, 20], [0, 20]]) + 100 * i, 1)
            settle(lambda: False, 0.0)
            frame()
            seen_after.append((time.perf_counter() - began) * 1000)
            settle(lambda: False, 0.3)

    measured("ten edits", edit)
    measured("taken back", lambda: [edits.undo() for _ in range(10)])
    measured("copied for recovery", lambda: (edits.accept([3]), settle(lambda: False, 4.0)))
    for i in range(10):
        edits.reclass([i], edits.new_class("a" if i < 5 else "b"))
    learnt = []

    def learn() -> None:
        began = time.perf_counter()
        tool.nuclei.learn()
        settle(lambda: not tool.runner.is_busy, 60)
        learnt.append(time.perf_counter() - began)

    measured("classes learnt from 5 + 5", learn)
    meter.timer.stop()
    print(f"{'step':<36} {'gap [ms]':>9} {'quiet':>7} {'frame [ms]':>11}")
    for name, gap, quiet, one in rows:
        over = " *" if quiet > LIMIT_MS or one > LIMIT_FRAME_MS else ""
        print(f"{name:<36} {gap:9.0f} {quiet:7.0f} {one:11.0f}{over}")
    print(f"from an edit to its frame: {np.median(seen_after):.0f} ms (longest {max(seen_after):.0f})")
    print(f"from 5 + 5 named nuclei to {count:,} classes: {learnt[0]:.1f} s (limit {LIMIT_LEARN_S})")
    print(f"memory {before:.0f} MB before, {peak_memory_mb():.0f} MB at most")
    viewer.close()


if __name__ == "__main__":
    sys.exit(main())
