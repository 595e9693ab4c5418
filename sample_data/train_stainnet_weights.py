"""Train the demo weights of StainNet on the sample slides, score them on tissue they never saw, and write the card.

    python sample_data/train_stainnet_weights.py            # twenty minutes on one core; the same seeds every time
    python sample_data/train_stainnet_weights.py --score    # only score the weights there are, and write the card

They are made by our own DINO from random numbers: nothing of the published StainNet is in them. The left part of each
sample slide is learnt from, the right part (`make_slides.HELD_OUT`) is for the numbers of the card; the regions of the
painted slide score, and never teach. The real picture has no truth to be scored by: classes that are computed from its
colours would only say again what the colours are.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))  # the script may be run from anywhere
import make_slides

SETTINGS: dict[str, Any] = {
    "device": "cpu",
    "net": "tiny",
    "depth": 4,
    "stride": 64,
    "min_tissue": 0.6,
    "batch": 32,
    "steps": 600,
    "local_crops": 2,
    "global_size": 112,
    "global_scale": (0.15, 0.5),
    "local_size": 64,
    "local_scale": (0.05, 0.15),
    "stain": 0.2,
    "out_dim": 1024,
    "hidden_dim": 512,
    "bottleneck": 128,
    "teacher_temp": 0.04,
    "lr": 0.004,
    "momentum": 0.99,
    "drop_path": 0.0,
    "freeze_last": 0.02,
    "val_tiles": 128,
    "validate_every": 100,
    "seed": 0,
    "save_as": "float16",
}
POOLING = "mean"
"""What stands for a tile: of so small a network the mean of its patches tells tissue apart better than its class token.
"""
TITLE = "small ViT, self-taught on two sample slides (0.5 um): for trying things out"
RANDOM_SEEDS = range(3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).parent
    parser.add_argument("-o", "--output", type=Path, default=here / "weights" / "stainnet_demo.safetensors")
    parser.add_argument("--work", type=Path, help="folder for state and report (default: a temporary one)")
    parser.add_argument("--steps", type=int, default=SETTINGS["steps"])
    parser.add_argument("--resume", action="store_true", help="continue in --work")
    parser.add_argument("--score", action="store_true", help="only score and write the card")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        if not options.score:
            learn(options.work or Path(temporary), options.output, options.steps, resume=options.resume)
        renew(options.output)
        card = options.output.with_suffix(".md")
        card.write_text(model_card(options.output), encoding="utf-8")
        print(card.read_text(encoding="utf-8"))


def cases_of(folder: Path | None = None) -> list[Any]:
    """The parts of both sample slides as cases: to learn from, and held out."""
    from workbench.core.types import Case

    files = folder or Path(__file__).parent / "files"
    slides = (
        (make_slides.IHC, files / f"{make_slides.IHC}.tif", None),
        (
            make_slides.SPECIAL,
            files / f"{make_slides.SPECIAL}.ome.tif",
            files / f"{make_slides.SPECIAL}_regions.geojson",
        ),
    )
    found = []
    for name, image, regions in slides:
        for part, split, areas in (
            ("left", "train", make_slides.TRAINING), ("right", "validation", make_slides.HELD_OUT)):  # fmt: skip
            where = " ".join(map(str, areas[name]))
            found.append(Case(f"{name} {part}", image, regions, f"{name} {part}", {"area": where, "split": split}))
    return found


def learn(work: Path, output: Path, steps: int, *, resume: bool) -> None:
    """Train, and put the weights at their place."""
    from workbench import weights
    from workbench.core.settings import build
    from workbench.slide.train.settings import SlideTrainConfig
    from workbench.slide.train.train import train_dino

    work.mkdir(parents=True, exist_ok=True)
    out = work / "stainnet_demo.safetensors"
    config = build(SlideTrainConfig, {**SETTINGS, "steps": steps, "resume": resume, "overwrite": not resume})

    def show(event: Any) -> None:
        if event.validated:
            print(event.line(), flush=True)

    began = time.process_time()
    report = train_dino(cases_of(), config, out, show)
    meta = weights.read_meta(out)
    meta["training"]["cpu_minutes"] = round((time.process_time() - began) / 60, 1)
    meta["training"]["machine"] = f"{platform.machine()}, {platform.system()}, one thread"
    meta["training"]["history"] = report.history
    weights.save(output, weights.load_tensors(out), {**without_hashes(meta), "title": TITLE})
    renew(output)
    shutil.copyfile(report.report, work / "report.html")


def renew(output: Path) -> None:
    """Write into the record what stands for a tile; the numbers stay as they are, and ``formerly`` keeps the hash of
    the file as it was, by which what was taught on top of it finds it.
    """
    from workbench import weights

    found = weights.find(output, "stainnet")
    meta = without_hashes(found.meta)
    if meta["recipe"].get("pooling") == POOLING:
        return
    meta["recipe"] = {**meta["recipe"], "pooling": POOLING}
    meta["formerly"] = list(dict.fromkeys([*meta.get("formerly", ()), found.sha256]))
    weights.save(output, weights.load_tensors(found), meta)


def without_hashes(meta: dict[str, Any]) -> dict[str, Any]:
    """A record to be saved anew."""
    return {k: v for k, v in meta.items() if k not in ("hashes", "format")}


def score(file: Path) -> dict[str, Any]:
    """The vote of 20 neighbours on held-out tiles by embeddings, by those of random weights, by colours."""
    import torch

    from workbench import weights
    from workbench.core.settings import build
    from workbench.nets.vit import Pooled, VisionTransformer
    from workbench.slide.train.settings import SlideTrainConfig
    from workbench.slide.train.study import open_study
    from workbench.slide.train.tiles_of import TileSource
    from workbench.slide.train.validate import Validation

    found = weights.find(file, "stainnet")
    config = build(SlideTrainConfig, {**SETTINGS, "val_tiles": 256})  # more than in the course of the training
    study = open_study(cases_of(), config)
    validation = Validation(study, TileSource(study.train), TileSource(study.val), config, torch.device("cpu"))
    net = VisionTransformer(**found.meta["net"])
    net.load_state_dict({k: v.float() for k, v in weights.load_tensors(found).items()})
    with torch.no_grad():
        token = validation.knn(net.eval()).balanced
        pooled = Pooled(net, POOLING).eval()
        trained = validation.knn(pooled), validation.scores(pooled)
        untrained = []
        for seed in RANDOM_SEEDS:
            torch.manual_seed(1000 + seed)
            fresh = Pooled(VisionTransformer(**found.meta["net"]), POOLING).eval()
            untrained.append((validation.knn(fresh), validation.scores(fresh)))
    return {
        "names": study.names, "trained": trained, "token": token, "untrained": untrained,
        "colours": validation.knn_of_colours(),
        "of_class": [int((validation.truth == i + 1).sum()) for i in range(len(study.names))],
        "shown": len(validation.shown), "tiles": (len(validation.train), len(validation.val)),
    }  # fmt: skip


def model_card(file: Path) -> str:
    """The card beside the weights: what they are, what they were taught, how well they do, what not to do with
    them."""
    from workbench import weights

    meta, found = weights.read_meta(file), score(file)
    parts = (_what_it_is(file, meta), _taught(meta["training"]), _held_out(found), _course(meta["training"]))
    return "\n".join(line for part in parts for line in part)


def _filled(text: str, bullet: str = "") -> str:
    """Text in lines of 118 characters."""
    plain = " ".join(text.split())
    indent = " " * len(bullet)
    return textwrap.fill(plain, 118, initial_indent=bullet, subsequent_indent=indent, break_on_hyphens=False)


def _what_it_is(file: Path, meta: dict[str, Any]) -> list[str]:
    net, tile = meta["net"], meta["recipe"]
    what = f"""A small vision transformer (width {net["dim"]}, {net["depth"]} blocks, {net["num_heads"]} heads,
        patches of {net["patch_size"]}) for tiles of {tile["tile"]} pixels at {tile["mpp"]} um, seen at
        {tile["size"]}. {file.stat().st_size / 1e6:.1f} MB, float16. Licence: BSD-3-Clause, as the project.
        Nothing of the published StainNet (arXiv:2512.10326) is in it."""
    never = """**Research use only. It shows how the workbench works and must not be used for anything that
        matters**: no diagnosis, no grading, no scoring of stains, no comparison of encoders. It has seen one
        real picture of 512 x 512 pixels, in copies, and a painted slide. Train on your own slides, or load an
        encoder of pathology."""
    return ["# stainnet_demo", "", _filled(what), "", _filled(never), ""]


def _taught(training: dict[str, Any]) -> list[str]:
    settings, minutes = training["settings"], training["cpu_minutes"]
    tiles = f"""{training["tiles"]} tiles (overlapping by three quarters) of the left parts of the two sample slides
        (`sample_data/make_slides.py`). `{make_slides.IHC}` shows the picture *immunohistochemistry* of scikit-image
        (colonic glands, FHL2 by DAB, haematoxylin; Center for Microscopy And Molecular Imaging, CMMI; no known
        copyright restrictions), mirrored, turned and stained anew; its true pixel size is not known, 0.5 um is
        assumed. `{make_slides.SPECIAL}` is painted by formulas after Masson's trichrome."""
    method = f"""By DINO (arXiv:2104.14294) without labels, from random numbers: {training["steps"]} steps of
        {settings["batch"]} tiles, two crops of {settings["global_size"]} and {settings["local_crops"]} of
        {settings["local_size"]} pixels, seed
        {settings["seed"]}."""
    older = """Strengths of stains varied in red, green and blue then; since 30 November 2026 they vary in haematoxylin,
        eosin and DAB, so that the script gives other numbers today."""
    cost = f"""{minutes:.0f} CPU minutes ({training["machine"]}; others used it too),
        {60 * minutes / training["steps"]:.1f} s per step with validations; torch {training["torch"]}."""
    return [
        "## What it was taught",
        "",
        *(
            _filled(text, "- ")
            for text in (tiles, method, *((older,) if training["finished"] < "2026-11-30" else ()), cost)
        ),
        "",
    ]


def _held_out(found: dict[str, Any]) -> list[str]:
    (knn, scores), colours = found["trained"], found["colours"]
    randoms = [k for k, _ in found["untrained"]]
    low, high = min(r.balanced for r in randoms), max(r.balanced for r in randoms)
    views = _mean(s["own view found"] for _, s in found["untrained"])
    where = f"""The right part of the painted slide: a section of its own, with other shapes and other strengths
        of the dyes. The {knn.k} nearest of {knn.references} labelled tiles of the left part vote (cosine) on
        {knn.queries} tiles of the right part; tiles overlap by three quarters, so they count for fewer. Random
        weights: mean of {len(randoms)} seeds, balanced accuracy {low:.3f} to {high:.3f}."""
    rows = [
        (name, found["of_class"][i - 1], knn.per_class[i], _mean(r.per_class[i] for r in randoms), colours.per_class[i])
        for i, name in enumerate(found["names"], 1)
        if i in knn.per_class
    ]
    rows += [
        ("**balanced accuracy**", knn.queries, knn.balanced, _mean(r.balanced for r in randoms), colours.balanced),
        ("accuracy", knn.queries, knn.accuracy, _mean(r.accuracy for r in randoms), colours.accuracy),
    ]
    said = f"""By balanced accuracy: {_order(rows[-2][2:])}. By accuracy: {_order(rows[-1][2:])}. The section has one
        vessel and three glomeruli: these rows rest on few and overlapping tiles, and the balanced accuracy with them.
        Painted tissue has few colours and simple textures: the numbers say that training and comparing work, not how
        well anything does on real stains."""
    token = f"""A tile is the mean of its patches (`recipe.pooling`). By the class token, which the training bends to
        what is alike in crops, the balanced accuracy is {found["token"]:.3f}."""
    own = f"""Without labels, on {found["shown"]} of {found["tiles"][1]} held-out tiles of both slides: a second
        view of a tile is nearest to its own first view in {scores["own view found"]:.3f} of the cases (random weights
        {views:.3f}; neighbours overlap, which makes it hard); spread of the embeddings {scores["spread"]:.2f} (0
        would be a collapse)."""
    return [
        "## On tissue that it never saw", "", _filled(where), "",
        "| share found right | tiles | these weights | random weights | colour histogram (8 x 8 x 8) |",
        "|---|---|---|---|---|", *(f"| {name} | {n} | {a:.3f} | {b:.3f} | {c:.3f} |" for name, n, a, b, c in rows),
        "", _filled(said), "", _filled(token), "", _filled(own), "",
    ]  # fmt: skip


def _order(values: Any) -> str:
    """Who does best, in words."""
    places = sorted(zip(values, ("these weights", "random weights", "colour histogram"), strict=True), reverse=True)
    return ", ".join(f"{name} {value:.3f}" for value, name in places)


def _course(training: dict[str, Any]) -> list[str]:
    columns = ("loss", "k-NN balanced accuracy", "own view found", "spread")
    history = training["history"]
    rows = [f"| {int(h['step'])} | " + " | ".join(f"{h[c]:.3f}" for c in columns) + " |" for h in history]
    said = """Scores while training, own views among half as many tiles. The settings were chosen by a few short runs
        that showed such scores, so all numbers are a little too good; the last state was kept, whatever scored best
        on the way. The loss changes with the temperature of the teacher and is no measure of quality."""
    head = [f"| step | {' | '.join(columns)} |", "|---|---|---|---|---|"]
    end = ["", "Made by `python sample_data/train_stainnet_weights.py`.", ""]
    return ["## Course", "", _filled(said), "", *head, *rows, *end]


def _mean(values: Any) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


if __name__ == "__main__":
    main()
