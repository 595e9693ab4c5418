"""Pages a second of a full-size classifier of pictures, beside the pipeline of ``transformers`` with the same one.

    python tests/benchmarks/bench_diagnosis_speed.py --threads 2 [--architecture vit] [--device cpu] [--pages 8]

A checkpoint with random weights is written as ``transformers`` writes it and loaded by both; both are given the same
pictures, in turns. The pipeline as it is called by default takes one picture at a time; with a batch it takes all at
once. Reading a page takes longer than either.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

import numpy as np

CLASSES = 4
SIDE = 224


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=("vit", "beit", "swin"), default="vit")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--pages", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-bfloat16", action="store_true", help="leave it out where it is very slow")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        compare(folder, options)


def compare(folder: str, options: argparse.Namespace) -> None:
    import torch
    import transformers
    from PIL import Image

    from workbench.page.diagnose.published import load
    from workbench.page.net.classifiers import PictureNetConfig, hf_config, model_class
    from workbench.page.net.run import features_and_logits

    torch.manual_seed(0)
    config = PictureNetConfig(options.architecture, (SIDE, SIDE), CLASSES, {"image_size": SIDE})
    made = model_class(options.architecture)(hf_config(config))
    made.save_pretrained(folder)
    net = load(folder, (SIDE, SIDE), CLASSES)[0].to(options.device)
    pixels = np.random.default_rng(0).integers(0, 256, (options.pages, SIDE, SIDE, 3), np.uint8)
    pictures = [Image.fromarray(one) for one in pixels]
    processor = getattr(transformers, "ViTImageProcessorPil", transformers.ViTImageProcessor)
    mean, std = (net.get_buffer(name).flatten().tolist() for name in ("mean", "std"))
    pipe = transformers.pipeline(
        "image-classification", model=made.eval(), device=options.device,
        image_processor=processor(size={"height": SIDE, "width": SIDE}, image_mean=mean, image_std=std),
    )  # fmt: skip

    def theirs(batch: int) -> np.ndarray:
        found = pipe(pictures, top_k=CLASSES, batch_size=batch)
        return np.array([[d["score"] for d in sorted(one, key=lambda d: d["label"])] for one in found])

    def ours(precision: Any) -> np.ndarray:
        logits = features_and_logits(net, pixels, options.device, precision)[1]
        return np.asarray(torch.from_numpy(logits).softmax(1))

    ways = {
        "pipeline, one at a time (default)": lambda: theirs(1),
        f"pipeline, {options.pages} at once": lambda: theirs(options.pages),
        "workbench, float32": lambda: ours("float32"),
    }  # fmt: skip
    if not options.no_bfloat16:
        ways["workbench, bfloat16"] = lambda: ours("bfloat16")
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    found = {name: way() for name, way in ways.items()}
    for _ in range(options.rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - began)
    first = found[next(iter(ways))]
    fastest = {name: min(values) for name, values in seconds.items()}
    by_default, at_once = (fastest[name] for name in list(ways)[:2])
    where = f"{options.device}, {options.threads} thread(s)" if options.device == "cpu" else options.device
    print(f"{options.architecture}, {options.pages} pictures, {where}, torch {torch.__version__}")
    for name, values in fastest.items():
        away, equal = np.abs(found[name] - first).max(), (found[name].argmax(1) == first.argmax(1)).mean()
        print(
            f"  {name:36s} {options.pages / values:6.2f} pages/s, {by_default / values:5.2f} x default, "
            f"{at_once / values:5.2f} x batched; probabilities differ by {away:.1e} at most, labels equal {equal:.0%}"
        )


if __name__ == "__main__":
    main()
