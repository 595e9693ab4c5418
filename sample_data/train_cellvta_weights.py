"""Train the demo weights of CellVTA on the colour fields of the Data Science Bowl 2018, score them, and write the card.

    python sample_data/train_cellvta_weights.py FIELDS           # an hour on one core; the same seeds every time
    python sample_data/train_cellvta_weights.py FIELDS --score   # only score the weights there are, and write the card

FIELDS is a folder with ``NNN_*_image.png`` (RGB) and ``NNN_*_instances.png`` (numbers of the nuclei): 70 colour fields
of 320 x 256 pixels of stage 1 (CC0, https://bbbc.broadinstitute.org/BBBC038). They are not shipped; the weights are.

Fields of one slide look alike, so whole clusters of stain and size are held out (`HELD_OUT`, which `clusters` finds
again); they never teach, and nothing was chosen by them. Beside it a second network is taught on an image-wise split
(`BY_IMAGE`), as papers often do: fields of the same slides on both sides.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt

CLUSTERS = 10
HELD_OUT = (5, 9, 16, 19, 22, 27, 30, 32, 36, 40, 44, 48, 50, 52, 54, 63, 69)
"""Three whole clusters: the first of ``numpy.random.default_rng(0).permutation(10)`` that make a quarter of all."""
BY_IMAGE = tuple(range(2, 70, 4))
SETTINGS: dict[str, Any] = {
    "steps": 1000, "batch": 4, "crop": 256, "lr": 2e-3, "weight_decay": 0.01, "warmup": 0.05, "ema": 0.99, "seed": 0,
    "zoom": [0.6, 1.6],
}  # fmt: skip
NET: dict[str, Any] = {"num_classes": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).parent
    parser.add_argument("fields", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=here / "weights" / "cellvta_demo.safetensors")
    parser.add_argument("--work", type=Path, help="folder for the state (default: none is kept)")
    parser.add_argument("--by-image", action="store_true", help="teach on the image-wise split (for the card)")
    parser.add_argument("--steps", type=int, default=SETTINGS["steps"])
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    learn(options)


def fields_of(folder: Path) -> list[Any]:
    """All fields, in the order of their names."""
    from PIL import Image as Pillow

    from workbench.slide.train.fields import Field

    found = []
    for path in sorted(folder.glob("*_image.png")):
        labels = np.asarray(Pillow.open(path.with_name(path.name.replace("_image", "_instances"))))
        found.append(Field(np.asarray(Pillow.open(path).convert("RGB")), labels.astype(np.int32)))
    return found


def clusters(fields: list[Any]) -> npt.NDArray[np.int64]:
    """Which fields look alike: colour and its spread, colour of the nuclei, their size (Ward's linkage)."""
    from skimage.color import rgb2lab
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.preprocessing import StandardScaler

    rows = []
    for field in fields:
        colour = rgb2lab(field.image)
        sizes = np.bincount(field.labels.ravel())[1:]
        size = 10 * np.log(np.median(sizes[sizes > 0]))
        flat = colour.reshape(-1, 3)
        rows.append([*flat.mean(0), *flat.std(0), *colour[field.labels > 0].mean(0), size])
    scaled = StandardScaler().fit_transform(np.array(rows))
    return np.asarray(AgglomerativeClustering(CLUSTERS, linkage="ward").fit_predict(scaled))


def held_out(groups: npt.NDArray[np.int64]) -> tuple[int, ...]:
    """Whole clusters in an order by chance, until a quarter of the fields is held out."""
    chosen: list[int] = []
    for group in np.random.default_rng(0).permutation(CLUSTERS):
        if len(chosen) >= len(groups) / 4 - 1:
            break
        chosen += np.flatnonzero(groups == group).tolist()
    return tuple(sorted(chosen))


def learn(options: argparse.Namespace) -> None:
    """Train, and put the weights at their place."""
    import torch

    from workbench import weights
    from workbench.slide.net.cellvta import SMALL, CellVTA
    from workbench.slide.train.fields import Variation, draw
    from workbench.slide.train.nuclei_loss import loss_of
    from workbench.training.loop import Event, LoopSettings, fit

    fields = fields_of(options.fields)
    if held_out(clusters(fields)) != HELD_OUT:
        sys.exit("these are other fields: their clusters are not those of HELD_OUT")
    away = BY_IMAGE if options.by_image else HELD_OUT
    taught = [field for i, field in enumerate(fields) if i not in away]
    torch.manual_seed(SETTINGS["seed"])
    net = CellVTA(**SMALL, **NET).to(memory_format=torch.channels_last)
    variation = Variation(zoom=tuple(SETTINGS["zoom"]))

    def batch(step: int) -> Any:
        return draw(
            taught, step, count=SETTINGS["batch"], size=SETTINGS["crop"], seed=SETTINGS["seed"], variation=variation
        )

    def loss(model: Any, one: Any) -> torch.Tensor:
        images, truth = one
        return loss_of(model(images.contiguous(memory_format=torch.channels_last)), truth)

    began = time.process_time()

    def show(event: Event) -> None:
        if event.step % 20 == 0:
            print(event.line(), f"{(time.process_time() - began) / 60:.1f} CPU minutes", flush=True)

    settings = LoopSettings(
        steps=options.steps, lr=SETTINGS["lr"], weight_decay=SETTINGS["weight_decay"], warmup=SETTINGS["warmup"],
        ema=SETTINGS["ema"], seed=SETTINGS["seed"], validate_every=100, save_every=100, keep="last",
    )  # fmt: skip
    result = fit(net, batch, loss, settings, folder=options.work, resume=options.work is not None, on_event=show)
    meta = {
        "backend": "cellvta", "net": dict(net.config),
        "recipe": {"mpp": 0.5, "mean": [0.5] * 3, "std": [0.5] * 3},
        "classes": [{"value": 1, "name": "nucleus", "color": [255, 159, 68]}],
        "title": "small CellVTA, taught on 53 colour fields: for trying things out",
        "training": {
            "fields": len(taught), "nuclei": sum(len(np.unique(f.labels)) - 1 for f in taught),
            "split": "by image" if options.by_image else "by cluster", "settings": SETTINGS | {"steps": options.steps},
            "steps": result.step, "seconds": round(result.seconds),
            "cpu_minutes": round((time.process_time() - began) / 60, 1),
            "machine": f"{platform.machine()}, {platform.system()}, one thread", "torch": torch.__version__,
        },
    }  # fmt: skip
    state = {k: v.half() if v.is_floating_point() else v for k, v in result.state.items()}
    weights.save(options.output, {k: v.contiguous() for k, v in state.items()}, meta)
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
