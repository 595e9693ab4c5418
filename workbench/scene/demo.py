"""The hyperspectral part of the demo: learn from 20 painted pixels per class, map the scene, compare with the truth."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.report.demo import Demo
    from workbench.report.html import Section

SCENE = "scene_9101"


def map_sample(run: Demo) -> Section | None:
    """Teach and map the sample scene into ``run.output``; the section for the page, or None without the sample."""
    import numpy as np

    from workbench import weights
    from workbench.core import settings
    from workbench.core.samples import sample_files
    from workbench.data import formats, write
    from workbench.report import html
    from workbench.scene import lola_specvit as backend
    from workbench.scene.evaluate.pictures import maps_picture
    from workbench.scene.evaluate.report import teach_reference
    from workbench.scene.evaluate.scores import MapScores, score_map
    from workbench.scene.train.train import learn_scene, record_of, save

    samples = sample_files()
    if SCENE not in samples:
        return None
    image = formats.read(samples[SCENE])
    painted = formats.read_labels(samples[f"{SCENE}_painted"], reference=image.geometry)
    truth = formats.read_labels(samples[f"{SCENE}_labels"], reference=image.geometry)
    config = settings.build(backend.TrainConfig, {"device": run.device})
    clock = time.perf_counter()
    with run.bar("learning the scene", unit="step") as draw:
        learnt = learn_scene(image, painted, config, on_event=lambda e: draw(e.step, e.steps))
    model = weights.find(save(run.output / "scene_model.safetensors", learnt, record_of(learnt, image)), backend.NAME)
    with run.bar("mapping the scene", unit="pixel") as draw:
        own = backend.Config(weights=str(model.path), device=run.device)
        loaded = backend.load(own, learnt.device)
        result = backend.predict(loaded, image, own, draw)
    seconds = time.perf_counter() - clock
    files = write.write(result, run.predictions, name=SCENE)
    test = np.flatnonzero((truth.data > 0) & (painted.data == 0))
    svm = teach_reference("svm", image, painted, learnt.split.learning, learnt.fitted).map(image, learnt.fitted)
    rows: list[tuple[str, MapScores]] = [
        ("LoLA-SpecViT", score_map(result.labels.data, truth.data, test, truth.classes)),
        ("SVM (RBF), same components", score_map(svm, truth.data, test, truth.classes)),
    ]
    run.say(f"Scene: {painted.data.astype(bool).sum()} painted pixels, learnt and mapped in {seconds:.0f} s")
    for name, s in rows:
        run.say(f"  {name}: OA {s.oa:.3f}, AA {s.aa:.3f}, kappa {s.kappa:.3f} on {test.size} other pixels")
    picture = maps_picture(
        image,
        {"painted": painted.data, "truth": truth.data, "LoLA-SpecViT": result.labels.data, "SVM": svm},
        truth.classes,
        result.parts["confidence"].data,  # type: ignore[union-attr,arg-type]
    )
    per_class = [(n, *(s.accuracy[i] for _, s in rows)) for i, n in enumerate(truth.classes.names)]
    areas = result.parts["areas"]
    return html.Section(
        "Hyperspectral scene",
        [
            html.Table(("method", "OA", "AA", "kappa"), [(n, s.oa, s.aa, s.kappa) for n, s in rows]),
            html.Picture(
                picture, f"{SCENE} (synthetic): 20 painted pixels per class, learnt and mapped in {seconds:.0f} s."
            ),
            html.Table(("accuracy of class", *(n for n, _ in rows)), per_class),
            html.Table(areas.columns, areas.rows, caption="Areas of the map", digits=1),  # type: ignore[union-attr]
            run.links("Results", [*files, model.path]),
            html.Text(f"In napari: workbench gui {samples[SCENE]}"),
        ],
    )
