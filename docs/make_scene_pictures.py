"""Make the pictures of docs/scene.md from the real window: ``python docs/make_scene_pictures.py`` (Linux: Xvfb).

Opens the sample scene, paints the pixels that come with it, learns, and looks at the result. Nothing is drawn by hand.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from make_pictures import HERE, SIZE, on_a_display, scroll_to, settle, shoot


def main() -> int:
    """Parse the arguments, and start again under Xvfb where there is no display."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "pictures", help="folder for the PNG files")
    arguments = parser.parse_args()
    return on_a_display(parser, lambda home: make(arguments.out, home))


def make(out: Path, home: Path) -> None:
    """All pictures, in the order of a session."""
    import napari
    from workbench_napari.launch import open_files

    from workbench.core.samples import sample_files
    from workbench.data import formats

    out.mkdir(parents=True, exist_ok=True)
    files = sample_files()
    (scene,) = [p for n, p in files.items() if p.suffix == ".hdr" and not n.endswith(("_labels", "_painted"))]
    given = formats.read_labels(scene.with_name(f"{scene.stem}_painted.hdr"))
    viewer = napari.Viewer(title="Workbench")
    viewer.window.resize(*SIZE)
    tool = open_files(viewer, [], tool="scene")
    shoot(viewer, out / "spectra-empty.png")

    tool.open_sample()
    tool.folder.setText("~/workbench")
    tool.device.setCurrentText("cpu")
    paint(tool, given)
    rows, columns = tool.looking.scene.shape
    tool.looking.pin_at(tool.looking.scene.world_of(rows // 3, columns // 2))
    tool.looking.pin_at(tool.looking.scene.world_of(rows * 2 // 3, columns // 4))
    settle(lambda: len(tool.looking.plot.classes) == len(given.classes), 30)
    tool.painting.layer.mode = "pan_zoom"
    shoot(viewer, out / "spectra-painted.png")

    assert tool.learning.learn(), tool.status.text()
    settle(lambda: "step" in tool.status.text() or not tool.runner.is_busy, 300)
    shoot(viewer, out / "spectra-learning.png")
    settle(lambda: not tool.runner.is_busy, 900)
    assert tool.maps.get("confidence") is not None, tool.status.text()
    scroll_to(tool, tool.results)
    shoot(viewer, out / "spectra-map.png")

    tool.results.show_buttons["confidence"].click()
    shoot(viewer, out / "spectra-confidence.png")
    tool.results.show_buttons["labels"].click()
    tool.results.go_to_doubt()
    shoot(viewer, out / "spectra-doubt.png")
    tool.folder.setText(str(home / "results"))
    assert tool.save()
    settle(lambda: not tool.runner.is_busy, 120)
    viewer.close()


def paint(tool: Any, given: Any) -> None:
    """The strokes of somebody who knows the scene: the painted pixels of the sample."""
    for c in given.classes:
        value = tool.painting.add_class(c.name)
        tool.painting.recolor_class(value, c.color)
        tool.painting.layer.brush_size = 1
        for row, column in np.argwhere(given.data == c.value):
            tool.painting.layer.paint((int(row), int(column)), value)


if __name__ == "__main__":
    sys.exit(main())
