"""Make pictures of every tool in small and large windows, both themes, and at scale 2, and measure the canvas.

``python docs/make_layout_pictures.py`` (Linux: needs Xvfb). Prints, for every tool and window, how much of the window's
width the canvas has, and whether Run, Save and the status are in sight. Nothing is drawn by hand.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from make_pictures import HERE, on_a_display, settle, shoot

TOOLS = {
    "volume": "torso_ct_labels",
    "scene": "spectral_scene",
    "recording": "meg_recording",
    "slide": "slide",
    "general": "torso_ct",
}
SIZES = ((1000, 700), (1600, 1000))
KEPT = ("volume-1000x700-dark", "recording-1000x700-light", "scene-1000x700-scale2-light")
"""The pictures that the pages show whole; all of them are on the sheets of each tool (``--sheets``)."""
SHEET_WIDTH, SHEET_GAP = 640, 8


def main() -> int:
    """Parse the arguments, and make the pictures of each scale in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "pictures", help="folder for the PNG files")
    parser.add_argument("--all", action="store_true", help="keep all pictures, not only those that the pages show")
    parser.add_argument(
        "--sheets", type=Path, help="with --all: put the pictures of each tool on one sheet, in this folder"
    )
    parser.add_argument("--tool", choices=list(TOOLS), action="append", help="only these tools")
    parser.add_argument("--scale", type=int, choices=(1, 2), action="append", help="only these scales")
    arguments = parser.parse_args()
    if "WORKBENCH_SCALE" not in os.environ:
        for scale in arguments.scale or (1, 2):
            screen = f"-screen 0 {1600 * scale}x{1000 * scale}x24"
            command = ["xvfb-run", "-a", "-s", screen, sys.executable, *sys.argv]
            env = {**os.environ, "WORKBENCH_SCALE": str(scale), "QT_SCALE_FACTOR": str(scale)}
            env.pop("DISPLAY", None)
            if subprocess.run(command, check=False, env=env).returncode:
                return 1
        if arguments.sheets is not None:
            for name in arguments.tool or list(TOOLS):
                sheet(arguments.out, name, arguments.sheets / f"windows-{name}.jpg")
        return 0
    scale = int(os.environ["WORKBENCH_SCALE"])
    names = arguments.tool or list(TOOLS)
    return on_a_display(parser, lambda home: make(arguments.out, names, scale, arguments.all))


def make(out: Path, names: list[str], scale: int, keep_all: bool) -> None:
    """The pictures of one scale."""
    import napari
    from workbench_napari.launch import GENERAL
    from workbench_napari.shared.opening import PLUGIN

    titles = {
        "volume": "Volume tool",
        "scene": "Spectra tool",
        "recording": "MEG tool",
        "slide": "Slides tool",
        "page": "ECG tool",
        "general": GENERAL,
    }
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        viewer = napari.Viewer(title="Workbench")
        viewer.window.resize(*SIZES[0])
        _, tool = viewer.window.add_plugin_dock_widget(PLUGIN, titles[name], tabify=False)
        viewer.open_sample("napari-workbench", TOOLS[name])
        settle(lambda: False, 4.0)
        for width, height in SIZES[: 1 if scale > 1 else 2]:
            viewer.window.resize(width, height)
            for theme in ("dark", "light"):
                viewer.theme = theme
                settle(lambda: False, 1.0)
                title = f"{name}-{width}x{height}{'-scale2' if scale > 1 else ''}-{theme}"
                print(title, measured(viewer, tool), flush=True)
                if keep_all or title in KEPT:
                    shoot(viewer, out / f"{title}.png", is_kept=title in KEPT)
        viewer.close()


def sheet(folder: Path, name: str, path: Path) -> None:
    """Small and large window and scale 2 from left to right, the dark theme above the light one."""
    from PIL import Image

    windows = ("1000x700", "1600x1000", "1000x700-scale2")
    rows = [
        [Image.open(folder / f"{name}-{w}-{theme}.png").convert("RGB") for w in windows] for theme in ("dark", "light")
    ]
    rows = [[p.resize((SHEET_WIDTH, round(p.height * SHEET_WIDTH / p.width))) for p in row] for row in rows]
    height = max(p.height for row in rows for p in row)
    whole = Image.new("RGB", (3 * (SHEET_WIDTH + SHEET_GAP), 2 * (height + SHEET_GAP)), "gray")
    for down, row in enumerate(rows):
        for across, picture in enumerate(row):
            whole.paste(picture, (across * (SHEET_WIDTH + SHEET_GAP), down * (height + SHEET_GAP)))
    path.parent.mkdir(parents=True, exist_ok=True)
    whole.save(path, quality=80, optimize=True)
    print(f"{path.name}: {whole.width} x {whole.height}, {path.stat().st_size // 1000} kB")


def measured(viewer: Any, tool: Any) -> str:
    """How wide window and canvas are, and what of the footer is in sight."""
    window = viewer.window._qt_window
    canvas = viewer.window._qt_viewer.canvas.native
    seen = {
        word: not part.visibleRegion().isEmpty()
        for word, part in (("run", tool._main_button()), ("save", tool.save_button), ("status", tool.status))
    }
    share = canvas.width() / window.width()
    return f"window {window.width()} x {window.height()}, canvas {canvas.width()} ({share:.0%}), in sight {seen}"


if __name__ == "__main__":
    sys.exit(main())
