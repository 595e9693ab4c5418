"""The CT part of the demo: segment the sample phantoms, compare with their references, and show both as contours."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.core.types import Image, Labels, Progress
    from workbench.report.demo import Demo
    from workbench.report.html import Section


def segment_samples(run: Demo) -> Section | None:
    """Segment and score the sample CTs into ``run.output``; a section with pictures, or None without the samples."""
    from workbench.core import device as devices
    from workbench.core import settings
    from workbench.core.provenance import versions
    from workbench.core.samples import sample_files
    from workbench.data import write
    from workbench.data.cases import load_cases
    from workbench.report import html
    from workbench.volume import segformer3d as backend
    from workbench.volume.data.label_names import read_named
    from workbench.volume.evaluate.pictures import comparison
    from workbench.volume.evaluate.report import evaluate_cases

    listing = sample_files().get("cases")
    if listing is None:
        return None
    cases = load_cases(listing)
    references = {c.id: c.labels for c in cases}
    config = settings.build(backend.Config, {"weights": "demo", "device": run.device})
    device, reason = devices.choose(config.device)
    model = backend.load(config, device)
    pictures: list[html.Picture] = []
    files: list[html.Links] = []
    run.say("Volumes [mL]")

    def predict(image: Image, progress: Progress | None) -> Labels:
        clock = time.perf_counter()
        result = backend.predict(model, image, config, progress)
        files.append(run.links(image.name, write.write(result, run.predictions, name=image.name)))
        sizes = result.parts["volumes"].as_dicts()  # type: ignore[union-attr]
        amounts = ", ".join(f"{r['class']} {r['volume [mL]']:.0f}" for r in sizes)
        run.say(f"  {image.name} ({time.perf_counter() - clock:.1f} s): {amounts}")
        wanted = references[image.name]
        if wanted is not None:
            reference = read_named(wanted, reference=image.geometry)
            png = comparison(image, result.labels.data, reference.data, result.labels.classes)
            caption = f"{image.name} (synthetic), not seen in training. Solid: reference, dashed: prediction."
            pictures.append(html.Picture(png, caption))
        return result.labels

    facts = {
        "weights": str(model.weights.path),
        "weights sha256": model.weights.sha256,
        "device": f"{device} ({reason})",
        **settings.as_dict(config),
        **versions(),
    }
    with run.bar("segmenting and scoring", unit="window") as draw:
        report = evaluate_cases(
            cases, predict, out=run.output / "report", title="Sample CTs", provenance=facts, progress=draw
        )
    run.failures += [f"{case}: {why}" for case, why in report.failures.items()]
    scores = [(r["class"], r["dice_mean"], r["hd95_mm_mean"]) for r in report.summary]
    run.say(report.text())
    return html.Section(
        "CT volumes",
        [
            html.Table(("class", "Dice", "HD95 [mm]"), scores, caption="Mean over the sample CTs"),
            *pictures,
            run.links("All scores", report.files),
            *files,
            html.Text(f"In napari: workbench gui {cases[0].image}"),
        ],
    )
