"""Teach the network and its references on the same pixels of a scene, over splits and seeds, and compare their maps."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench import weights
from workbench.core.classes import ClassTable
from workbench.core.errors import InputError
from workbench.core.types import Image, Labels, Progress
from workbench.report import html
from workbench.scene.data import spectra
from workbench.scene.data.agreed import Agreed
from workbench.scene.evaluate.pictures import maps_picture
from workbench.scene.evaluate.report import Run, SceneEvaluation, summarise, teach_reference, write_report
from workbench.scene.evaluate.scores import REFERENCES, TITLES, score_map
from workbench.scene.evaluate.seen_rows import mark_of
from workbench.scene.train.settings import SceneTrainConfig
from workbench.scene.train.train import learn_scene, map_pixels, recipe_of

Array = npt.NDArray[Any]
_INPUTS = {"plain": "PCA of the bands", "same": "the network's components"}


def compare_on_scene(
    image: Image,
    labels: Labels,
    configs: Mapping[str, Sequence[SceneTrainConfig]],
    *,
    references: bool = True,
    facts: Mapping[str, Any],
    out: Path | None = None,
    progress: Progress | None = None,
) -> SceneEvaluation:
    """Teach the network (and the references, on the same pixels) for every split and seed, and test on the others.

    References learn from training and validation pixels together: they have no early stopping to spend pixels on.
    They are fed with what people use, principal components of the bands, and with the network's own components.

    Parameters
    ----------
    configs
        Split name -> one training config per seed.
    facts
        Settings and versions, for the record.
    out
        Folder for ``scores.csv``, ``scores.json``, ``report.html``; nothing is written if None.
    progress
        Called with (trainings done, trainings in all).
    """
    total = sum(len(c) for c in configs.values())
    first = next(iter(configs.values()))[0]
    plain = replace(recipe_of(first), shape=False, brightness=False, scale="common", patch=False)
    inputs = {"plain": Agreed(image, image, spectra.fit(image, plain))} if references else {}
    notes: dict[str, None] = {}
    runs: list[Run] = []
    pictures: list[html.Picture] = []
    if progress:
        progress(0, total)
    for name, several in configs.items():
        for number, config in enumerate(several):
            clock = time.perf_counter()
            learnt = learn_scene(image, labels, config)
            seconds = time.perf_counter() - clock
            if not learnt.split.test.size:
                raise InputError(
                    f"{image.name}: the {name} split leaves no pixel to test on; use fewer training pixels"
                )
            where = None
            if number:
                where = np.zeros(labels.data.shape, bool)
                where.flat[learnt.split.test] = True
            found, confidence = map_pixels(learnt, image, where)
            mark = "no"
            if learnt.start is not None:
                with weights.blaming(learnt.start.path):
                    mark = mark_of(learnt.start.meta, learnt.split.test, learnt.agreed, learnt.net.patch_size)
                if mark != "no":
                    notes[
                        f"test pixels of the {name} split, seen by the weights that the training went on from: {mark}"
                    ] = None
            notes |= dict.fromkeys(learnt.notes)
            runs.append(_run(name, "network", "same", config, found, labels, learnt, seconds, mark))
            maps = {TITLES["network"]: found}
            if references:
                inputs["same"] = learnt.agreed
                for key, agreed in inputs.items():
                    view, fitted = agreed.image, agreed.fitted
                    for method in REFERENCES:
                        clock = time.perf_counter()
                        reference = teach_reference(method, view, labels, learnt.split.learning, fitted, config.seed)
                        seconds = time.perf_counter() - clock
                        drawn = reference.map(view, fitted)
                        runs.append(_run(name, method, key, config, drawn, labels, learnt, seconds))
                        if key == "plain":
                            maps[TITLES[method]] = drawn
            if number == 0:
                pictures.append(_picture(image, labels, learnt.split.learning, maps, learnt.classes, confidence, name))
            if progress:
                progress(len([r for r in runs if r.method == "network"]), total)
    evaluation = SceneEvaluation([r.row() for r in runs], summarise(runs), notes=tuple(notes))
    return evaluation if out is None else write_report(evaluation, runs, pictures, facts, out)


def _run(
    split: str,
    method: str,
    key: str,
    config: SceneTrainConfig,
    found: Array,
    labels: Labels,
    learnt: Any,
    seconds: float,
    seen: str = "no",
) -> Run:
    scores = score_map(found, labels.data, learnt.split.test, learnt.classes)
    pixels = learnt.split.train if method == "network" else learnt.split.learning
    return Run(split, method, _INPUTS[key], config.seed, scores, int(pixels.size), seconds, seen)


def _picture(
    image: Image, labels: Labels, pixels: npt.NDArray[np.intp], maps: dict[str, Array], classes: ClassTable,
    confidence: Array, split: str,
) -> html.Picture:  # fmt: skip
    drawn = np.zeros_like(labels.data)
    drawn.flat[pixels] = labels.data.flat[pixels]
    png = maps_picture(image, {"learnt from": drawn, "reference": labels.data, **maps}, classes, confidence)
    return html.Picture(png, f"{split} split, first seed: scene, training pixels, reference, maps, confidence.")
