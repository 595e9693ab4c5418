"""Train the demo weights for scenes on a synthetic scene, score them on the sample scene, and write the model card.

    python sample_data/train_scene_weights.py           # minutes on two cores; the same seeds every time
    python sample_data/train_scene_weights.py --record  # the same numbers, with what taught them written anew

The network learns scene 9001 and is scored on scene 9101, which it has not seen: other fields, roads, light and noise.
The weights exist so that every part of the workbench can be tried without anybody's data.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # the script may be run from anywhere
import make_scene

TRAIN_SEED = 9001
SETTINGS: dict[str, Any] = {
    "weights": "none",
    "device": "cpu",
    "split": "random",
    "per_class": 150,
    "val_fraction": 0.2,
    "steps": 80,
    "seed": 7,
    "save_as": "float16",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).parent
    parser.add_argument("-o", "--output", type=Path, default=here / "weights" / "lola_specvit_demo.safetensors")
    parser.add_argument("--steps", type=int, default=SETTINGS["steps"])
    parser.add_argument(
        "--record", action="store_true", help="train nothing: write anew what the weights there say of what taught them"
    )
    options = parser.parse_args()

    # Waiting threads sleep instead of spinning: several times faster on a machine with other work to do.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import workbench as wb
    from workbench import weights
    from workbench.core.samples import sample_files

    if options.record:
        write_record(options.output)
        return
    with tempfile.TemporaryDirectory() as folder:
        name = f"scene_{TRAIN_SEED}"
        make_scene.write_scene(make_scene.make_scene(TRAIN_SEED), Path(folder), name)
        case = wb.Case(name, Path(folder) / f"{name}.hdr", Path(folder) / f"{name}_labels.hdr")
        out = Path(folder) / "lola_specvit_demo.safetensors"
        report = wb.train("lola_specvit", [case], out=out, **{**SETTINGS, "steps": options.steps})
        meta = weights.read_meta(out)
        title = "six materials in synthetic scenes (103 of 120 bands, 405-2445 nm)"
        weights.save(options.output, weights.load_tensors(out), {**meta, "title": title})
    files = sample_files()
    sample = wb.Case("scene_9101", files["scene_9101"], files["scene_9101_labels"])
    scored = wb.evaluate("lola_specvit", [sample], weights=str(options.output), device="cpu")
    card = options.output.with_suffix(".md")
    card.write_text(model_card(report, scored, meta, options.output), encoding="utf-8")
    print(card.read_text(encoding="utf-8"))


def write_record(file: Path) -> None:
    """Put `taught` and `seen` into the record of weights that were trained with `SETTINGS`; no number changes."""
    import workbench as wb
    from workbench import weights
    from workbench.core.atomic import sha256_of
    from workbench.core.settings import build
    from workbench.scene.data.seen_pixels import remember
    from workbench.scene.data.taught import gather
    from workbench.scene.train.settings import SceneTrainConfig
    from workbench.scene.train.split import split_pixels
    from workbench.scene.train.train import fitted_of
    from workbench.weights.content import content_hash

    found, before = weights.find(file, "lola_specvit"), sha256_of(file)
    tensors, config = weights.load_tensors(found), build(SceneTrainConfig, SETTINGS)
    fitted, name = fitted_of(found, tensors), f"scene_{TRAIN_SEED}"
    with tempfile.TemporaryDirectory() as folder:
        make_scene.write_scene(make_scene.make_scene(TRAIN_SEED), Path(folder), name)
        image = wb.read(Path(folder) / f"{name}.hdr")
        labels = wb.read_labels(Path(folder) / f"{name}_labels.hdr", reference=image.geometry)
        assert config.split == "random"
        split = split_pixels(
            labels.data, config.split, per_class=config.per_class, val_fraction=config.val_fraction,
            patch=found.meta["net"]["spatial_size"], seed=config.seed,
        )  # fmt: skip
        sizes = {"train_pixels": split.train.size, "val_pixels": split.val.size}
        if any(found.meta["training"][k] != n for k, n in sizes.items()):
            raise SystemExit(f"{file}: was not taught by these pixels: {found.meta['training']}, expected {sizes}")
        taught = gather(image, fitted).to_json()
        seen = [remember(image, fitted, split.train, split.val).to_json()]
    meta = {k: v for k, v in found.meta.items() if k != "hashes"} | {"taught": taught, "seen": seen}
    meta["formerly"] = list(dict.fromkeys([*meta.get("formerly", ()), before]))
    weights.save(file, tensors, meta)
    if content_hash(weights.load_tensors(file)) != content_hash(tensors):
        raise SystemExit(f"{file}: its numbers changed")
    print(f"{file}: {before} -> {sha256_of(file)}")


def model_card(report: Any, scored: Any, meta: dict[str, Any], file: Path) -> str:
    """The card beside the weights: what they are, what they were taught, how well they do, what not to do with them."""
    row = scored.rows[0]
    per_class = [(k.removeprefix("accuracy "), v) for k, v in row.items() if k.startswith("accuracy ")]
    lines = [
        "# lola_specvit_demo",
        "",
        "Demo weights of LoLA-SpecViT (doi:10.1016/j.jag.2025.104924; our small configuration) for synthetic scenes.",
        f"{file.stat().st_size / 1e6:.1f} MB, float16. Licence: BSD-3-Clause, as the project.",
        "",
        f"- **Taught on** one synthetic scene (`sample_data/make_scene.py`, seed {TRAIN_SEED}): "
        f"{meta['training']['train_pixels']} training and {meta['training']['val_pixels']} validation pixels, "
        f"{meta['training']['steps']} steps, {meta['training']['seconds']:.0f} s on a CPU.",
        f"- **On the other pixels of that scene** (random split, patches overlap): OA {report.test['OA']:.4f}, "
        f"AA {report.test['AA']:.4f}, kappa {report.test['kappa']:.4f}.",
        f"- **On the sample scene 9101**, never seen, principal components of the weights: OA {row['OA']:.4f}, "
        f"AA {row['AA']:.4f}, kappa {row['kappa']:.4f} on {row['test_pixels']} pixels.",
        f"- **Classes**: {', '.join(f'{n} ({v:.3f})' for n, v in per_class)}; in brackets the accuracy on scene 9101.",
        "- **Not for real scenes**: spectra, light and noise come from formulas. Real scenes need training on their",
        "  own pixels (`workbench train lola_specvit`), which takes a minute.",
        "- **Made by** `python sample_data/train_scene_weights.py`.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
