"""Make the pictures of slides in docs/napari.md from the real window: ``python docs/make_slide_pictures.py``.

Opens the sample slide with its annotations and finds its tissue; on Linux it needs Xvfb. Nothing is drawn by hand.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from make_pictures import HERE, on_a_display, settle

VIEWS = (("slides-tool", (1600, 1000), "dark"), ("slides-1000x700-light", (1000, 700), "light"))


def main() -> int:
    """Parse the arguments, and start again under Xvfb where there is no display."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "pictures", help="folder for the PNG files")
    arguments = parser.parse_args()
    return on_a_display(parser, lambda home: make(arguments.out))


def make(out: Path) -> None:
    """All pictures, in the order of a session."""
    import napari
    from workbench_napari.launch import open_files

    from workbench.core.samples import sample_files

    out.mkdir(parents=True, exist_ok=True)
    files = sample_files()
    viewer = napari.Viewer(title="Workbench")
    viewer.window.resize(*VIEWS[0][1])
    tool = open_files(viewer, [files["slide_9302"]], kind="slide")
    tool.folder.setText("~/workbench")
    settle(lambda: False, 2.0)
    tool.read_annotations(files["slide_9302_regions"])
    settle(lambda: not tool.runner.is_busy, 60)
    tool.find_tissue()
    settle(lambda: not tool.runner.is_busy, 60)
    tool.bring_into_sight(tool.area_group)
    for name, size, theme in VIEWS:
        viewer.window.resize(*size)
        viewer.theme = theme
        settle(lambda: False, 2.0)
        viewer.reset_view()
        shoot_small(viewer, out / f"{name}.png")
    viewer.close()


def shoot_small(viewer: Any, path: Path) -> None:
    """The whole window as a PNG of 256 colours: the many colours of tissue would make it large."""
    from PIL import Image

    settle(lambda: False, 1.0)
    pixels = viewer.screenshot(canvas_only=False, flash=False)
    Image.fromarray(pixels).convert("RGB").quantize(256).save(path, optimize=True)
    print(f"{path.name}: {pixels.shape[1]} x {pixels.shape[0]}, {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    sys.exit(main())
