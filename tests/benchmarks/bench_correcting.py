"""Correct, learn, better: ``python tests/benchmarks/bench_correcting.py PICTURES [--mpp 0.25] [--sides left]``.

PICTURES is a folder with ``NAME.png`` and ``NAME_instances.png`` (numbers of nuclei). Of each picture a person corrects
the left half, up to 20 nuclei: what was found right is accepted, what is none is rejected, what is missing is drawn.
The demo weights of CellVTA learn that (LoRA, as the button of the Slides tool), and the right half, which nobody
touched, is scored before and after; the same once more the other way round. Seconds are those of the lesson alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]
MOST = 20
LIMIT_S = 60


def main() -> int:
    """Go through the pictures, and print a row for each half."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--mpp", type=float, default=0.25, help="um per pixel")
    parser.add_argument("--sides", nargs="+", choices=("left", "right"), default=["left", "right"], help="corrected")
    parser.add_argument("--draw", type=Path, help="folder for pictures of the scored halves, before and after")
    options = parser.parse_args()
    import torch

    print(f"{os.cpu_count()} processors, {torch.get_num_threads()} threads of torch")
    print(f"{'picture':<12} {'corrected':>9} {'PQ':>8} {'after':>8} {'F1':>8} {'after':>8} {'s':>6}")
    rows = []
    for path in sorted(options.pictures.glob("*_instances.png")):
        picture = path.with_name(path.name.replace("_instances", ""))
        for side in options.sides:
            rows.append(row := _one(picture, path, side, options))
            scores = " ".join(f"{value:8.3f}" for value in row[1:5])
            print(f"{picture.stem + ' ' + side:<12} {row[0]:9d} {scores} {row[5]:6.1f}", flush=True)
    table = np.array(rows)
    better, mean = int((table[:, 2] > table[:, 1]).sum()), table.mean(0)
    print(
        f"better in PQ: {better} of {len(rows)}, mean {mean[1]:.3f} -> {mean[2]:.3f}; F1 {mean[3]:.3f} -> {mean[4]:.3f}"
    )
    print(f"longest lesson {table[:, 5].max():.1f} s")
    return int(table[:, 5].max() > LIMIT_S)


def _one(picture: Path, labels: Path, side: str, options: argparse.Namespace) -> tuple[Any, ...]:
    from PIL import Image as Pillow

    import workbench as wb
    from workbench.slide.evaluate.nuclei import detection, panoptic
    from workbench.slide.nuclei_edits import NucleiEdits
    from workbench.slide.predict.traced import traced
    from workbench.slide.train.corrected import teach_corrected

    pixels = np.asarray(Pillow.open(picture).convert("RGB"))
    truth = np.asarray(Pillow.open(labels)).astype(np.int32)
    half = truth.shape[1] // 2
    taught, judged = (slice(0, half), slice(half, None)) if side == "left" else (slice(half, None), slice(0, half))
    found = wb.predict("cellvta", picture, weights="demo", mpp=options.mpp, tissue=False)
    edits = NucleiEdits(found["nuclei"])
    edits.shape = truth.shape
    count = _correct(edits, truth, taught)
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        began = time.perf_counter()
        report = teach_corrected(edits, picture, "demo", Path(folder) / "taught.safetensors", mpp=options.mpp)
        seconds = time.perf_counter() - began
        after = wb.predict("cellvta", picture, weights=str(report.weights), mpp=options.mpp, tissue=False)
    maps = [painted(result["nuclei"], truth.shape)[:, judged] for result in (found, after)]
    right = np.ascontiguousarray(truth[:, judged])
    scores = []
    for own in maps:
        pair = panoptic(right, own)
        scores += [pair.pq, detection(traced(right).centroids, traced(own).centroids, 3.0 / options.mpp).f1]
    if options.draw is not None:
        _draw(options.draw / f"{picture.stem}_{side}.png", pixels[:, judged], (right, *maps))
    return count, scores[0], scores[2], scores[1], scores[3], seconds


def _correct(edits: Any, truth: Any, columns: slice) -> int:
    """Accept, reject and draw up to `MOST` nuclei of a part; returns how many."""
    import shapely

    from workbench.slide.predict.traced import traced

    middle = edits.base.centroids()
    start, stop = columns.start or 0, columns.stop or truth.shape[1]
    own = np.flatnonzero((middle[:, 0] >= start) & (middle[:, 0] < stop))
    areas = {i: edits.area(i) for i in own.tolist()}
    table = traced(np.ascontiguousarray(truth))
    numbers = [i for i, (x, _) in enumerate(table.centroids) if start <= x < stop][:MOST]
    used: set[int] = set()
    for i in numbers:
        ring = table.coordinates[table.offsets[i] : table.offsets[i + 1]]
        right = shapely.make_valid(shapely.Polygon(ring))
        over = {n: right.intersection(a).area / right.union(a).area for n, a in areas.items() if n not in used}
        best = max(over, key=over.get, default=None)
        if best is not None and over[best] > 0.5:
            edits.accept([best])
            used.add(best)
            continue
        wrong = [n for n, share in over.items() if share > 0.1]
        edits.reject(wrong)
        used.update(wrong)
        edits.add(ring, 1)
    low = table.centroids[numbers].min(0) if numbers else np.zeros(2)
    high = table.centroids[numbers].max(0) if numbers else np.zeros(2)
    stray = [n for n in areas if n not in used and ((middle[n] >= low) & (middle[n] <= high)).all()]
    edits.reject(stray)
    return len(numbers)


def painted(nuclei: Any, shape: tuple[int, ...]) -> Any:
    """Outlines as numbers ``(H, W)``, at the size of the picture."""
    from workbench.slide.data.nuclei_labels import painted as paint

    return paint(nuclei, (shape[0], shape[1]))


def _draw(path: Path, pixels: Any, maps: tuple[Any, ...]) -> None:
    from PIL import Image as Pillow
    from skimage.segmentation import mark_boundaries

    path.parent.mkdir(parents=True, exist_ok=True)
    large = np.kron(pixels, np.ones((3, 3, 1), np.uint8))
    shown = [mark_boundaries(large, np.kron(m, np.ones((3, 3), np.int32)), (1, 1, 0)) for m in maps]
    Pillow.fromarray((np.concatenate(shown, 1) * 255).astype(np.uint8)).save(path)


if __name__ == "__main__":
    sys.exit(main())
