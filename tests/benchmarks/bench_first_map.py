"""From opening a scene to the first full map, in the real widget: ``python tests/benchmarks/bench_first_map.py``.

Opens a scene in a napari window with the Spectra tool, paints pixels of every class, presses Learn, and waits for the
map of the network. Without a display it runs under Xvfb. Prints one line per step and, with ``--json``, all numbers.

The engines (torch, MONAI) are loaded as `workbench gui` does it: in the background once the window is up.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from real_window import rerun_without_display, settle

ROOT = Path(__file__).resolve().parents[2]
JASPER = ROOT.parent / "shared" / "data" / "hyperspectral" / "jasper_ridge.mat"
SAMPLE = ROOT / "sample_data" / "files" / "scene_9101.hdr"


def main() -> int:
    """Parse the arguments, and start again under Xvfb where there is no display."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scene", choices=("jasper", "sample"), default="jasper")
    parser.add_argument("--pixels", type=int, default=20, help="painted pixels per class")
    parser.add_argument("--seed", type=int, default=0, help="decides which pixels are painted")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument("--json", action="store_true", help="print all numbers as JSON in the last line")
    parser.add_argument("--picture", type=Path, help="save the window at the end as PNG")
    arguments = parser.parse_args()
    if (status := rerun_without_display(parser)) is not None:
        return status
    with tempfile.TemporaryDirectory() as home:
        os.environ["WORKBENCH_HOME"] = home
        os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
        found = run(arguments)
    if arguments.json:
        print(json.dumps(found))
    return 0 if found["whole map"] else 1


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """One session; seconds since the start of opening the scene."""
    import napari
    from workbench_napari.launch import open_files
    from workbench_napari.shared.engines import preload

    path, truth, names = jasper() if arguments.scene == "jasper" else sample()
    viewer = napari.Viewer(title="Workbench")
    viewer.window.resize(1400, 900)
    settle(lambda: False, 0.2)
    began, processor = time.perf_counter(), time.process_time()
    steps: dict[str, Any] = {}

    def note(what: str) -> None:
        steps[what] = round(time.perf_counter() - began, 2)
        print(f"{steps[what]:7.2f} s  {what}", flush=True)

    tool = open_files(viewer, [path])
    preload()
    settle(lambda: False, 0.05)
    note("scene open, tool docked")
    tool.device.setCurrentText("cpu")
    rng = np.random.default_rng(arguments.seed)
    for name in names:
        value = tool.painting.add_class(name)
        tool.painting.layer.brush_size = 1
        for index in rng.choice(np.flatnonzero(truth == value), arguments.pixels, replace=False):
            tool.painting.layer.paint(np.unravel_index(index, truth.shape), value)
    settle(lambda: len(tool.looking.plot.classes) == len(names), 30)
    note(f"{arguments.pixels} pixels in each of {len(names)} classes painted, their spectra shown")
    limit_threads(arguments.threads)
    tool.learning.learn_button.click()
    settle(lambda: tool.learning.board is None or tool.learning.board.whole is not None, 600)
    settle(lambda: tool.maps.get("labels") is not None, 10)
    note("reference map on screen")
    settle(lambda: tool.learning.board is None or "maps the scene" in tool.learning.board.phase, 600)
    note("network has learnt")
    settle(lambda: not tool.runner.is_busy, 600)
    note("whole map of the network on screen")
    shown, reference = tool.maps.get("labels"), tool.maps.get("reference_labels")
    test = truth > 0
    test &= tool.painting.layer.data == 0
    whole = shown is not None and reference is not None and bool((shown.data > 0).all())
    steps |= {
        "processor seconds": round(time.process_time() - processor, 1),
        "whole map": whole,
        "network OA": float((shown.data == truth)[test].mean()) if whole else None,
        "SVM OA": float((reference.data == truth)[test].mean()) if whole else None,
    }
    print(tool.status.text())
    print(
        f"processor time {steps['processor seconds']:.1f} s; on {int(test.sum())} other pixels: "
        f"network {steps['network OA']:.3f}, SVM {steps['SVM OA']:.3f} right"
    )
    if arguments.picture:
        from PIL import Image

        settle(lambda: False, 0.5)
        Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)).convert("RGB").save(arguments.picture)
    viewer.close()
    return steps


def jasper() -> tuple[Path, Any, list[str]]:
    """Jasper Ridge; the truth is the largest abundance where it is at least 0.7."""
    from scipy.io import loadmat

    abundances = loadmat(JASPER)["A"]
    truth = np.where(abundances.max(axis=0) >= 0.7, abundances.argmax(axis=0) + 1, 0)
    return JASPER, truth.reshape(100, 100, order="F"), ["tree", "water", "soil", "road"]


def sample() -> tuple[Path, Any, list[str]]:
    """The synthetic sample scene with its labels."""
    from workbench.data import formats

    labels = formats.read_labels(SAMPLE.with_name(f"{SAMPLE.stem}_labels.hdr"))
    return SAMPLE, np.asarray(labels.data), list(labels.classes.names)


def limit_threads(count: int) -> None:
    """As many threads as the target allows; torch may still be loading in the background."""
    import torch

    torch.set_num_threads(count)


if __name__ == "__main__":
    sys.exit(main())
