"""Teach the network and its references on the same pixels of a scene, over splits and seeds, and compare their maps."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench import weights
from workbench.core.errors import Cancelled, InputError, OutOfMemory, WorkbenchError, one_line
from workbench.core.types import Image, Labels, Progress
from workbench.report import html
from workbench.scene.data import spectra
from workbench.scene.data.agreed import Agreed
from workbench.scene.evaluate.pictures import maps_picture
from workbench.scene.evaluate.report import Run, SceneEvaluation, summarise, teach_reference, write_report
from workbench.scene.evaluate.scores import REFERENCES, TITLES, score_map
from workbench.scene.evaluate.seen_rows import mark_of
from workbench.scene.evaluate.written import Written, roles_of
from workbench.scene.train.begin import recipe_of, require_scene
from workbench.scene.train.learnt import Learnt
from workbench.scene.train.prepared import prepare
from workbench.scene.train.settings import SceneTrainConfig
from workbench.scene.train.train import learn_scene, map_pixels

Array = npt.NDArray[Any]
_INPUTS = {"plain": "PCA of the bands", "same": "the network's components"}
_FILES = {"plain": "pca", "same": "components"}


def compare_on_scene(
    image: Image,
    labels: Labels,
    configs: Mapping[str, Sequence[SceneTrainConfig]],
    *,
    test: Labels | None = None,
    references: bool = True,
    facts: Mapping[str, Any],
    notes: Sequence[str] = (),
    out: Path | None = None,
    progress: Progress | None = None,
) -> SceneEvaluation:
    """Teach the network (and the references, on the same pixels) for every split and seed, and test on the others.

    References learn from training and validation pixels together: they have no early stopping to spend pixels on.
    They are fed with what people use, principal components of the bands, and with the network's own components. All
    are scored on the same test pixels, which hold a whole spectrum for each of them.

    A split that cannot be drawn or taught is in the `failures` of what comes back; the others are scored and written.

    Parameters
    ----------
    configs
        Split name -> one training config per seed.
    test
        Label map of the test pixels; then those of `labels` teach.
    facts, notes
        Settings and versions, for the record; and what a reader should know.
    out
        Folder for ``scores.csv``, ``scores.json``, ``report.html``, and the maps and masks behind them; nothing is
        written if None. What was finished is written also if the rest is cancelled or fails.
    progress
        Called with (trainings done, trainings in all).

    Raises
    ------
    WorkbenchError
        No split could be drawn and taught.
    """
    require_scene(image)
    table = _Table(image, Written(image, out), facts, out, dict.fromkeys(notes))
    total = sum(len(c) for c in configs.values())
    plain = _plain_view(image, next(iter(configs.values()))[0]) if references else None
    table.written.map("reference", labels.data if test is None else np.where(test.data > 0, test.data, labels.data),
                      labels.classes)  # fmt: skip
    failed: WorkbenchError | None = None
    done = 0
    if progress:
        progress(0, total)
    try:
        for name, several in configs.items():
            for number, config in enumerate(several):
                try:
                    _compare(table, name, config, labels, test, plain, first=number == 0)
                except OutOfMemory:  # it says nothing about the split
                    raise
                except WorkbenchError as error:
                    failed = error
                    where = f"{name} split" if len(several) == 1 else f"{name} split, seed {config.seed}"
                    table.failures[where] = one_line(error)
                done += 1
                if progress:
                    progress(done, total)
    except BaseException as error:
        if table.runs:
            why = "cancelled" if isinstance(error, Cancelled | KeyboardInterrupt) else "stopped by an error"
            table.notes[f"{why} before all was done: {done} of {total} trainings are in the table"] = None
            table.finished()
        raise
    if not table.runs and failed is not None:
        raise failed
    return table.finished()


@dataclass(eq=False)
class _Table:
    """The runs so far, and what belongs to them."""

    image: Image
    written: Written
    facts: Mapping[str, Any]
    out: Path | None
    notes: dict[str, None]
    runs: list[Run] = field(default_factory=list)
    pictures: list[html.Picture] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def finished(self) -> SceneEvaluation:
        rows, summary = [r.row() for r in self.runs], summarise(self.runs)
        evaluation = SceneEvaluation(rows, summary, failures=self.failures, notes=tuple(self.notes))
        if self.out is None:
            return evaluation
        return write_report(evaluation, self.runs, self.pictures, self.facts, self.out, self.written.files)


def _plain_view(image: Image, config: SceneTrainConfig) -> Agreed:
    """The scene as people feed it to references: principal components of the bands."""
    recipe = replace(recipe_of(config, image), shape=False, brightness=False, scale="common", patch=False)
    return Agreed(image, image, spectra.fit(image, recipe))


def _compare(
    table: _Table,
    name: str,
    config: SceneTrainConfig,
    labels: Labels,
    test: Labels | None,
    plain: Agreed | None,
    *,
    first: bool,
) -> None:
    """Teach all methods on one draw of pixels; nothing goes into the table unless all of them are done."""
    image = table.image
    prepared = prepare(image, labels, config, test=test, also=[] if plain is None else [(plain.image, plain.fitted)])
    if not prepared.split.test.size:
        raise InputError(f"{image.name}: the {name} split leaves no pixel to test on; use fewer training pixels")
    clock = time.perf_counter()
    learnt = learn_scene(image, labels, config, prepared=prepared)
    seconds = time.perf_counter() - clock
    split, draw = learnt.split, f"{name}_seed{config.seed}"
    where = None if first else roles_of(split.shape, split.test) > 0
    found, confidence = map_pixels(learnt, image, where)
    mark, said = _seen(learnt, name)
    mask = table.written.mask(draw, roles_of(split.shape, split.train, split.val, split.test))
    drawn = table.written.map(f"{draw}_network", found, learnt.classes)
    runs = [_run(name, "network", "same", config, found, learnt, seconds, mark, drawn, mask)]
    maps = {TITLES["network"]: found}
    for key, agreed in {} if plain is None else {"plain": plain, "same": learnt.agreed}.items():
        for method in REFERENCES:
            clock = time.perf_counter()
            view, fitted = agreed.image, agreed.fitted
            reference = teach_reference(method, view, learnt.labels, split.learning, fitted, config.seed)
            seconds = time.perf_counter() - clock
            found = reference.map(view, fitted)
            drawn = table.written.map(f"{draw}_{method}_{_FILES[key]}", found, learnt.classes)
            runs.append(_run(name, method, key, config, found, learnt, seconds, "no", drawn, mask))
            if key == "plain":
                maps[TITLES[method]] = found
    table.runs += runs
    table.notes |= dict.fromkeys([*said, *learnt.notes])
    if first:
        table.pictures.append(_picture(image, learnt, maps, confidence, name))


def _seen(learnt: Learnt, name: str) -> tuple[str, list[str]]:
    """Whether the test pixels taught the weights that the training went on from, and how to say it."""
    if learnt.start is None:
        return "no", []
    with weights.blaming(learnt.start.path):
        mark = mark_of(learnt.start.meta, learnt.split.test, learnt.agreed, learnt.net.patch_size)
    if mark == "no":
        return mark, []
    return mark, [f"test pixels of the {name} split, seen by the weights that the training went on from: {mark}"]


def _run(
    split: str,
    method: str,
    key: str,
    config: SceneTrainConfig,
    found: Array,
    learnt: Learnt,
    seconds: float,
    seen: str,
    drawn: str,
    mask: str,
) -> Run:
    scores = score_map(found, learnt.labels.data, learnt.split.test, learnt.classes)
    pixels = learnt.split.train if method == "network" else learnt.split.learning
    return Run(split, method, _INPUTS[key], config.seed, scores, int(pixels.size), seconds, seen, drawn, mask)


def _picture(image: Image, learnt: Learnt, maps: dict[str, Array], confidence: Array, split: str) -> html.Picture:
    labels = learnt.labels.data
    drawn = np.zeros_like(labels)
    drawn.flat[learnt.split.learning] = labels.flat[learnt.split.learning]
    png = maps_picture(image, {"learnt from": drawn, "reference": labels, **maps}, learnt.classes, confidence)
    return html.Picture(png, f"{split} split, first seed: scene, training pixels, reference, maps, confidence.")
