"""Train the demo weights of the digitiser on drawn pages, score them on a maker that taught nothing, write the card.

    python sample_data/train_page_weights.py --work DIR    # 1.5 hours on two cores; the same seeds every time

All pages are drawn by `workbench.page.draw`: simulated electrocardiograms of five makers' styles, in nine kinds of
capture, at 62 to 260 dots per inch. Pages of maker F never teach; they score. Families of letters besides those that
come with Matplotlib (Liberation, FreeFont: `apt-get install fonts-liberation fonts-freefont-ttf`) are used where they
are installed. DIR keeps the pieces of pages (some GB) and the state of the training.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt

PAGES, PER_PAGE, SIZE = 1300, 8, 256
HELD_OUT_PAGES = 60
EXTRA_FONTS = ("Liberation Serif", "Liberation Sans", "Liberation Mono", "FreeSerif", "FreeSans", "FreeMono")
SETTINGS: dict[str, Any] = {
    "steps": 7500, "lr": 3e-3, "weight_decay": 0.01, "warmup": 0.03, "ema": 0.998, "seed": 0, "batch": 8,
}  # fmt: skip
SHAPES = {
    "pixels": (SIZE, SIZE, 3), "trace": (SIZE, 2 * SIZE), "pulse": (SIZE, 2 * SIZE), "words": (SIZE // 2, SIZE // 2),
    "names": (13, SIZE // 8, SIZE // 8),
}  # fmt: skip
Pool = dict[str, npt.NDArray[np.uint8]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).parent
    parser.add_argument("--work", type=Path, required=True, help="folder for the pieces and the state")
    parser.add_argument("-o", "--output", type=Path, default=here / "weights" / "ecg_image_demo.safetensors")
    parser.add_argument("--share", type=float, default=1.0, help="share of pages and steps, for trying the script out")
    parser.add_argument("--draw", action="store_true", help="only draw the pieces")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    taught = pool(options.work / "taught", round(PAGES * options.share), None)
    tested = pool(options.work / "tested", max(4, round(HELD_OUT_PAGES * options.share)), "F")
    if not options.draw:
        learn(options, taught, tested)


def pool(folder: Path, pages: int, maker: str | None) -> Pool:
    """Pieces of drawn pages, made once; page n depends on n only."""
    count = pages * PER_PAGE
    done = folder / "done.txt"
    folder.mkdir(exist_ok=True)
    arrays: Pool = {}
    for name, shape in SHAPES.items():
        path = folder / f"{name}.npy"
        mode = "r+" if path.exists() else "w+"
        arrays[name] = np.lib.format.open_memmap(path, mode, np.uint8, (count, *shape) if mode == "w+" else None)
    first = int(done.read_text()) if done.exists() else 0
    fonts = _fonts()
    for n in range(first, pages):
        draw_page(n, maker, fonts, arrays)
        if n % 20 == 19 or n == pages - 1:
            done.write_text(str(n + 1))
            print(f"{folder.name}: {n + 1} of {pages} pages", flush=True)
    return {name: a[:count] for name, a in arrays.items()}


def draw_page(n: int, maker: str | None, fonts: tuple[str, ...], arrays: Pool) -> None:
    """The pieces of page n."""
    from workbench.page.train.crops import crops, random_page

    rng = np.random.default_rng([n, 0 if maker is None else 1])
    page = random_page(rng, fonts=fonts if maker is None else (), maker=maker)
    for k, crop in enumerate(crops(page, rng, PER_PAGE, SIZE)):
        for name in SHAPES:
            arrays[name][n * PER_PAGE + k] = getattr(crop, name)


def _fonts() -> tuple[str, ...]:
    import logging

    from matplotlib import font_manager

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    there = {font.name for font in font_manager.fontManager.ttflist}
    return tuple(name for name in EXTRA_FONTS if name in there)


def learn(options: argparse.Namespace, taught: Pool, tested: Pool) -> None:
    """Train, and put the weights at their place."""
    import torch

    from workbench import weights
    from workbench.page.net.page_net import PageNet
    from workbench.page.train.learn import as_meta, batch_of, loss_of, scores_of
    from workbench.training.loop import LoopSettings, fit

    torch.set_num_threads(options.threads)
    torch.manual_seed(SETTINGS["seed"])
    model = PageNet().to(memory_format=torch.channels_last)
    size, count = SETTINGS["batch"], len(taught["pixels"])

    def draw_batch(step: int) -> Any:
        # Every piece once in a round, in another order in each.
        per_round = count // size
        order = np.random.default_rng([SETTINGS["seed"], step // per_round]).permutation(count)
        chosen = np.sort(order[step % per_round * size :][:size])
        return batch_of({name: a[chosen] for name, a in taught.items()})

    held = [batch_of({name: a[i : i + 8] for name, a in tested.items()}) for i in range(0, len(tested["pixels"]), 8)]

    def validate(net: Any) -> dict[str, float]:
        return scores_of(net, held)

    began = time.monotonic()

    def tell(event: Any) -> None:
        if event.validated or event.step % 50 == 0:
            print(event.line(), {k: round(v, 3) for k, v in event.scores.items()}, flush=True)

    loop = {k: v for k, v in SETTINGS.items() if k != "batch"}
    loop["steps"] = max(10, round(loop["steps"] * options.share))
    settings = LoopSettings(
        **loop, validate_every=300, save_every=300, measure="score", keep="last", precision="bfloat16"
    )
    found = fit(
        model,
        draw_batch,
        loss_of,
        settings,
        validate=validate,
        folder=options.work / "state",
        resume=True,
        on_event=tell,
    )
    meta = {
        "backend": "ecg_image", "net": as_meta(model.config), "task": "digitise", "seed": SETTINGS["seed"],
        "seen": [],  # no page of anybody
        "training": {**SETTINGS, "pages": count // PER_PAGE, "minutes": round((time.monotonic() - began) / 60, 1)},
        "scores": {k: round(v, 4) for k, v in found.scores.items()},
    }  # fmt: skip
    weights.save(options.output, {k: v.half() for k, v in found.state.items()}, meta)


if __name__ == "__main__":
    main()
