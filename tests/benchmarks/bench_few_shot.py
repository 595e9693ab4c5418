"""Few-shot on the sample slide: five regions of each class, scored on regions that did not teach; and the seconds.

``python tests/benchmarks/bench_few_shot.py [REPEATS]``. Squares of 512 pixels are drawn in the outlines of the painted
sample slide, five of each class, none over another; the probe learns from tiles in them. Beside the demo weights: the
same network with random numbers, a colour histogram, local binary patterns.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]
SIDE, EACH = 512, 5


def main() -> int:
    """Measure and print."""
    import torch

    import workbench as wb
    from workbench.nets.vit import Pooled, VisionTransformer
    from workbench.slide import stainnet
    from workbench.slide.annotations.read import read_annotations
    from workbench.slide.evaluate.tile_sets import texture
    from workbench.slide.few_shot import Examples, learn_tiles
    from workbench.slide.marked import marked_by
    from workbench.slide.predict.heads import ProbeHead
    from workbench.slide.search_report import picture_of
    from workbench.slide.settings import Config
    from workbench.slide.train.knn import colour_histogram

    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    torch.set_num_threads(1)
    files = ROOT / "sample_data" / "files"
    image = wb.read(files / "slide_9302.ome.tif", kind="slide")
    truth = read_annotations(files / "slide_9302_regions.geojson")
    config = Config(device="cpu", stride=64, tissue=0.3)
    model = stainnet.load(config, torch.device("cpu"))
    clock = time.perf_counter()
    made = stainnet.predict(model, image, config)
    embedded = time.perf_counter() - clock
    part = made["embeddings"]
    torch.manual_seed(1)
    fresh = Pooled(VisionTransformer(**model.net.config).eval(), model.pooling)
    places, side = part.places, float(part.about["patch_size_level0"])
    pictures = [picture_of(image, corner, side, 224) for corner in places]
    features = {
        "demo": part.data, "random": stainnet.predict(replace(model, net=fresh), image, config)["embeddings"].data,
        "colour": colour_histogram(pictures), "lbp": texture(pictures), "lbp+colour": texture(pictures, colour=True),
    }  # fmt: skip
    scores: dict[str, list[dict[str, float]]] = {name: [] for name in features}
    seconds = []
    for seed in range(repeats):
        drawn = squares_in(truth, seed)
        for name, own in features.items():
            clock = time.perf_counter()
            marked = marked_by(places, side, drawn)
            examples = Examples(
                np.asarray(own, np.float32), marked.values, marked.regions, np.zeros(len(own), np.int64), places,
                np.full(len(own), side), ("slide",),
            )  # fmt: skip
            taught = learn_tiles(examples, marked.classes)
            scores[name].append(taught.scores)
            if name == "demo":
                assert isinstance(ProbeHead(taught.head).head.probabilities(examples.features), np.ndarray)
                seconds.append(time.perf_counter() - clock)
    print(f"{len(places)} tiles embedded in {embedded:.1f} s (1 thread); learnt, validated and applied in "
          f"{np.median(seconds):.2f} s; {EACH} regions of {len(truth.classes)} classes, {repeats} draws")  # fmt: skip
    for name, each in scores.items():
        line = ", ".join(f"{k} {_of(each, k)}" for k in ("balanced accuracy", "macro F1", "AUROC"))
        print(f"  {name:<11} {line}")
    return 0


def _of(each: list[dict[str, float]], key: str) -> str:
    values = [one[key] for one in each]
    return f"{np.mean(values):.3f} ({np.min(values):.3f} to {np.max(values):.3f})"


def squares_in(truth: Any, seed: int) -> Any:
    """Five squares of each class within its outlines, none over another."""
    import shapely

    from workbench.data.outlines import area_of
    from workbench.slide.annotations.types import Annotation, Annotations, Shape

    rng = np.random.default_rng([seed, 61])
    found = []
    for one in truth.classes:
        areas = shapely.union_all([area_of(a.shape.parts) for a in truth if a.class_name == one.name])
        left, top, right, bottom = areas.bounds
        own: list[Any] = []
        side = SIDE
        while len(own) < EACH:
            for _ in range(4000):
                x, y = rng.uniform(left, max(left + 1, right - side)), rng.uniform(top, max(top + 1, bottom - side))
                box = shapely.box(x, y, x + side, y + side)
                if box.intersection(areas).area > 0.8 * box.area and not any(box.intersects(b) for b in own):
                    own.append(box)
                    if len(own) == EACH:
                        break
            side = int(0.9 * side)  # of a class in small pieces, smaller ones
        found += [
            Annotation(Shape("areas", ((np.array(b.exterior.coords),),)), class_name=one.name, class_color=one.color)
            for b in own
        ]
    return Annotations(tuple(found))


if __name__ == "__main__":
    sys.exit(main())
