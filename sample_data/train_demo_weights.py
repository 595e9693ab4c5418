"""Train the demo weights on phantoms drawn on the fly, score them on phantoms with other seeds, write the model card.

    python sample_data/train_demo_weights.py            # about an hour on two cores; the same seeds every time
    python sample_data/train_demo_weights.py --record   # what the file says of its training, anew; no number changes

The weights exist so that every part of the workbench can be tried without anybody's data. They are no medical device.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # the script may be run from anywhere
import make_phantoms

TRAIN_SEEDS = list(range(101, 141))
MORE_SEEDS = list(range(101, 181))  # for the last stage
HELD_OUT_SEEDS = list(range(701, 711))  # 501-510 and 601-610 served to choose the settings below
COMMON: dict[str, Any] = {
    "device": "cpu",
    "net": "small",
    "window": (-1000.0, 400.0),
    "batch": 1,
    "ema": 0.995,
    "val_fraction": 0.1,
    "seed": 7,
}
# Coarse first, because it is cheap; then finer voxels for thin structures (vessels, arches of the vertebrae); then
# larger windows, so that sides and heights are not confused; then the same on twice as many bodies, so that organs cut
# by the end of the scan are met often enough. Each stage starts from the one before.
STAGES: tuple[dict[str, Any], ...] = (
    {"spacing": (2.5, 2.5, 2.5), "roi": (80, 80, 80), "lr": 2e-3, "steps": 2600, "validate_every": 325},
    {"spacing": (2.0, 2.0, 2.0), "roi": (80, 80, 80), "lr": 1e-3, "steps": 800, "validate_every": 400},
    {"spacing": (2.0, 2.0, 2.0), "roi": (96, 96, 96), "lr": 6e-4, "steps": 600, "validate_every": 300, "warmup": 0.03},
    {"spacing": (2.0, 2.0, 2.0), "roi": (96, 96, 96), "lr": 1e-3, "steps": 900, "validate_every": 450, "warmup": 0.03,
     "val_fraction": 0.05},
)  # fmt: skip
PREDICT_ROI = (128, 128, 128)  # the network takes any size, and a larger window sees more of its surroundings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).parent
    parser.add_argument("-o", "--output", type=Path, default=here / "weights" / "segformer3d_demo.safetensors")
    parser.add_argument("--cache", type=Path, default=None, help="folder for the phantoms (default: user cache)")
    parser.add_argument(
        "--first",
        type=int,
        default=0,
        help="stage to begin with (0-3; 4: only score); earlier ones are in the cache",
    )
    parser.add_argument("--max-minutes", type=float, default=0.0, help="end each stage by then")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--record", action="store_true", help="write the record anew around the same numbers")
    options = parser.parse_args()

    # Waiting threads sleep instead of spinning: several times faster on a machine with other work to do.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch
    from platformdirs import user_cache_path

    from workbench.core.settings import build
    from workbench.data.cases import load_cases
    from workbench.volume.train.settings import TrainConfig
    from workbench.volume.train.train import train_volumes

    torch.set_num_threads(min(2, os.cpu_count() or 1))
    cache = options.cache or user_cache_path("napari-workbench") / "phantoms"
    few = load_cases(make_phantoms.make_set(TRAIN_SEEDS, cache / "train"))
    many = load_cases(make_phantoms.make_set(MORE_SEEDS, cache / "train_more"))
    if options.record:
        write_record(options.output, many)
        return
    held_out = load_cases(make_phantoms.make_set(HELD_OUT_SEEDS, cache / "held_out"))

    def show(event: Any) -> None:
        if event.validated or event.step % 25 == 0:
            print(event.line(), flush=True)

    limits = {"max_minutes": options.max_minutes, "resume": options.resume, "overwrite": True}
    files = [cache / "training" / f"stage_{n}.safetensors" for n in range(len(STAGES))]
    for n, stage in list(enumerate(STAGES))[options.first :]:
        start = str(files[n - 1]) if n else "none"
        config = build(TrainConfig, COMMON | stage | limits | {"weights": start})
        trained = train_volumes(many if n == len(STAGES) - 1 else few, config, files[n], show)
        print(f"stage {n}: {trained.seconds / 60:.1f} min, validation Dice {trained.score:.4f}", flush=True)
    finish(files, held_out, options.output, cache)


def write_record(target: Path, cases: list[Any]) -> None:
    """Put what the weights were taught on into their record, from the phantoms that their seeds give again.

    The numbers stay as they are; ``formerly`` keeps the hashes of the files that had them before, by which adapters
    find their base.
    """
    from workbench import weights
    from workbench.core.settings import build
    from workbench.volume.data.recipe import VolumeRecipe
    from workbench.volume.train.settings import TrainConfig
    from workbench.volume.train.survey import Survey, survey_cases
    from workbench.weights.content import content_hash

    found = weights.find(target)
    tensors = weights.load_tensors(found)
    training = found.meta["training"]
    recipe = VolumeRecipe.from_json(found.meta["recipe"])
    config = build(TrainConfig, {"weights": "none", "flip": training["settings"]["flip"]})
    survey = Survey(recipe, None)
    survey_cases(cases, survey)
    by_id = {c.id: c for c in cases}
    learnt, chosen_by = ([by_id[i] for i in training[key]] for key in ("trained_on", "validated_on"))
    meta = {
        **{k: v for k, v in found.meta.items() if k != "hashes"},
        "taught": survey.taught(config, training["settings"]["roi"]).to_json(),
        "seen": survey.seen(learnt, chosen_by),
    }
    same = all(meta[k] == found.meta.get(k) for k in ("taught", "seen"))
    if not same:
        meta["formerly"] = list(dict.fromkeys([*found.meta.get("formerly", ()), found.sha256]))
    before = content_hash(tensors)
    weights.save(target, tensors, meta)
    assert content_hash(weights.load_tensors(weights.find(target))) == before
    print(f"{target}: {len(learnt)} learnt from, {len(chosen_by)} chosen by, {target.stat().st_size / 1e6:.2f} MB")


def finish(stages: list[Path], held_out: list[Any], target: Path, cache: Path) -> None:
    """Score on held-out phantoms by the public call, put the scores into the weight file and write its card."""
    import workbench
    from workbench import weights
    from workbench.core.atomic import write_text

    found = weights.find(stages[-1])
    recipe = {**found.meta["recipe"], "roi": PREDICT_ROI}
    candidate = weights.save(
        cache / "training" / target.name, weights.load_tensors(found), {**found.meta, "recipe": recipe}
    )
    report = workbench.evaluate("segformer3d", held_out, out=cache / "evaluation", weights=str(candidate), device="cpu")
    summary = {r["class"]: {k: v for k, v in r.items() if k != "class"} for r in report.summary}
    meta = {
        **found.meta,
        "recipe": recipe,
        "stages": [weights.read_meta(path)["training"] for path in stages],
        "title": "Six organs, trained on synthetic torso phantoms",
        "scores": {**found.meta["scores"], "held_out": {"seeds": HELD_OUT_SEEDS, "summary": summary}},
    }
    weights.save(target, weights.load_tensors(found), meta)
    write_text(target.with_suffix(".md"), model_card(meta, report, target))
    print(f"held-out mean Dice {report.mean_dice:.4f}; {target} ({target.stat().st_size / 1e6:.1f} MB)")


def model_card(meta: dict[str, Any], report: Any, target: Path) -> str:
    """The card that goes with the weights."""
    training, recipe, net = meta["training"], meta["recipe"], meta["net"]
    rows = "\n".join(
        f"| {r['class']} | {r['cases']} | {r['dice_mean']:.3f} ± {r['dice_sd']:.3f} | {r['hd95_mm_mean']:.1f} "
        f"| {r['nsd_mean']:.3f} | {r['volume_error_percent']:.1f} |"
        for r in report.summary
    )
    s = training["settings"]
    steps = "\n".join(
        f"  {n}. {t['steps']} steps, windows of {t['settings']['roi'][0]} at {t['settings']['spacing'][0]:g} mm, "
        f"rate {t['settings']['lr']:g}, {t['seconds'] / 60:.0f} minutes; best at step {t['best_step']}"
        for n, t in enumerate(meta["stages"], start=1)
    )
    return f"""# {target.stem}

SegFormer3D (small), six classes in CT: {", ".join(c["name"] for c in meta["classes"])}.

**Research use only. Trained on synthetic phantoms, never on a patient.** It shows how the workbench works; its masks
on real CT are a rough first proposal at best. It must not be used for diagnosis, treatment or any measurement that
matters. Teach it with your own cases (`workbench train segformer3d --weights demo`) before you rely on it.

## Held-out phantoms

Seeds {HELD_OUT_SEEDS[0]}-{HELD_OUT_SEEDS[-1]}, drawn by the same script, never trained or validated on. Means over
cases that show the class; HD95 in mm; surface Dice within 2 mm.

| class | cases | Dice (± sd) | HD95 [mm] | surface Dice | volume error [%] |
|---|---|---|---|---|---|
{rows}

Organs of which the field of view shows only a sliver pull the means down. Phantoms are far
more alike than patients: these numbers say that training and inference work, not how well the weights do in a hospital.

## Recipe

- data: torso phantoms (`sample_data/make_phantoms.py`), seeds {TRAIN_SEEDS[0]}-{TRAIN_SEEDS[-1]}, in the last stage
  {MORE_SEEDS[0]}-{MORE_SEEDS[-1]}: {len(training["trained_on"])} trained on, {len(training["validated_on"])} to choose
  the best checkpoint by;
  three contrast phases, six fields of view, 2.6-3.4 mm pixels, 2.5-5 mm slices
- network: widths {net["embed_dims"]}, heads {net["num_heads"]}, decoder {net["decoder_head_embedding_dim"]};
  attention divided by sqrt(width of a head)
- preparation: {recipe["orientation"]}, {recipe["spacing_mm"][0]:g} mm, {recipe["window"][0]:g} to
  {recipe["window"][1]:g} HU scaled to 0..1, windows of {"x".join(map(str, recipe["roi"]))} when predicting
- training, AdamW with warm-up and cosine, Dice + cross-entropy, averaged weights ({s["ema"]}), seed {s["seed"]}:
{steps}
- made by `python sample_data/train_demo_weights.py` with workbench {training["version"]}, torch {training["torch"]}

Known limits: vessels and bone are cut coarsely (logits lie on an 8 mm grid); no pathology, no implants, no children,
no MR; arms, tubes and metal confuse it; the classes outside the phantoms' variety (e.g. a missing kidney) are untested.

Licence: BSD-3-Clause, as the code.
"""


if __name__ == "__main__":
    main()
