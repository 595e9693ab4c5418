"""Learning a scene from painted pixels: `teach_scene` for a script, `SceneLearner` for a lesson that one can watch.

First a reference map (a support vector machine), there in a moment and hard to beat on a few pixels; then the network
learns, and its map replaces the reference block by block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core import settings
from workbench.core.agreement import FORCED
from workbench.core.classes import ClassTable
from workbench.core.errors import Cancelled, InputError, UsageError
from workbench.core.types import Heatmap, Image, Labels, Part, Progress, Result
from workbench.scene import lola_specvit as backend
from workbench.training.lesson import Lesson, MapBoard, Outcome, follow

TOO_FEW = "Paint a few pixels of at least two classes first; 20 of each are a good start."


def teach_scene(
    image: Image | str | Path,
    painted: Labels | str | Path,
    model: str | Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    **values: Any,
) -> Outcome:
    """Learn the classes of a scene from a few painted pixels, and map the scene: what the button Learn does.

    To watch the map grow, to cancel, or to go on from what was learnt, use `SceneLearner` with
    `workbench.training.lesson`.

    Parameters
    ----------
    image
        A spectral cube, or its file.
    painted
        Label map on its grid, or its file (``painted.hdr`` of an earlier session): 0 where nothing was painted.
    model
        ``.safetensors`` file to write the network to: weights for ``workbench.predict("lola_specvit", ...)``.
    overwrite
        Replace that file if it exists.
    progress
        Called with (steps done, steps in all); raise `Cancelled` in it to stop.
    **values
        Settings of the training by name, as of ``workbench train lola_specvit --help``.

    Returns
    -------
    Outcome
        ``result`` holds the map, its confidence and areas, the reference map, and where both differ; ``score`` is the
        share (0 to 1) of held-out painted pixels that are right.

    Raises
    ------
    InputError
        The image is no scene, or the labels do not lie on its grid.
    UsageError, WeightsError
        Fewer than two classes, settings that cannot work, a file that may not be written, weights that do not fit.
    """
    from workbench.data import formats
    from workbench.scene.train.study import read_on
    from workbench.training import output

    out = Path(model)
    output.check(out, resume=False, overwrite=overwrite)
    scene = image if isinstance(image, Image) else formats.read(image)
    learner = SceneLearner(scene, **values)
    labels = painted if isinstance(painted, Labels) else read_on(scene, Path(painted), learner.config.names)
    return Lesson(learner, labels, out).run(progress)


class SceneLearner:
    """A scene that is learnt from painted pixels; see `workbench.training.lesson.Learner`.

    Parameters
    ----------
    image
        Spectral cube.
    **values
        Settings of the training by name, as of ``workbench train lola_specvit --help``.

    Raises
    ------
    InputError
        The image is no scene.
    UsageError
        A setting of that name is unknown, or its value out of range.
    """

    def __init__(self, image: Image, **values: Any) -> None:
        if image.kind != "scene":
            raise InputError(f"{image.source or image.name}: is a {image.kind}, a spectral cube was expected")
        self.image = image
        self.config = settings.build(backend.TrainConfig, values)
        if self.config.test_labels:
            raise UsageError("test_labels: everything painted is learnt from; leave it out, or train on files")

    def check(self, given: Labels) -> None:
        """Refuse labels of another grid, or of fewer than two classes."""
        if given.data.shape != self.image.geometry.shape:
            raise InputError(
                f"the painted pixels lie on {given.data.shape} rows and columns, the scene {self.image.name} has "
                f"{self.image.geometry.shape}"
            )
        if len(_painted_classes(given)) < 2:
            raise UsageError(TOO_FEW)

    def board(self, given: Labels, before: Any = None) -> MapBoard:
        """An empty map of the scene, with the classes that were painted."""
        return MapBoard(self.image.geometry.shape, _painted_classes(given), before=before)

    def learn(self, given: Labels, model: Path, board: MapBoard, progress: Progress) -> Outcome:
        """Learn from painted pixels and map the scene; see `workbench.training.lesson.Learner.learn`."""
        from workbench import weights
        from workbench.scene.train.begin import begin
        from workbench.scene.train.train import learn_scene, record_of, save

        image, painted = self.image, np.asarray(given.data)
        if self.config.weights != "none":
            board.say("The weights are compared with the scene")
        progress(0, 0)
        # Before anything is shown: of a scene that the weights refuse there must not be half a lesson.
        begun = begin(image, self.config)
        board.say("Reference map: a support vector machine learns")
        progress(0, 0)
        reference = reference_map(image, painted, board, progress)
        board.keep("reference map of a support vector machine on the painted pixels: the network did not finish")
        board.say("The reference map is there. The network gets ready")
        progress(0, 0)
        labels = Labels(painted.astype(np.uint16), image.geometry, board.classes)
        learnt = learn_scene(image, labels, self.config, on_event=follow(board, progress, _line), begun=begun)
        if learnt.result.stopped == "cancelled":
            raise Cancelled
        save(model, learnt, record_of(learnt, image))
        board.say("The network maps the scene")
        taught = replace(backend.model_of(learnt), weights=weights.find(str(model), backend.NAME))
        own = backend.Config(weights=str(model), device=self.config.device, tile=_tile(image), force=self.config.force)
        result = backend.predict(taught, image, own, progress, on_tile=_onto(board))
        board.keep()
        pixels = int(np.count_nonzero(painted))
        result = _with_reference(result, reference, learnt, pixels)
        differs = 100 * float((result.labels.data != reference).mean())
        score = learnt.result.scores.get("accuracy")
        held = "" if score is None else f" {100 * score:.0f} % of the held-out pixels are right."
        text = f"Learnt {len(board.classes)} classes from {pixels} pixels.{held}"
        text = f"{text} {differs:.0f} % of the scene differs from the reference."
        named = [f"{note[:1].upper()}{note[1:]}." for note in learnt.label_notes]
        return Outcome(result, model, " ".join((text, *_said(result), *named)), score, "accuracy")


def map_only(image: Image, board: MapBoard, progress: Progress, **values: Any) -> Outcome:
    """Map a scene with weights as they are, block by block; `values` are settings of the prediction by name.

    The board gets the classes of the weights as soon as they are known.
    """
    from workbench.core import device as devices

    config = settings.build(backend.Config, {**values, "tile": _tile(image)})
    device, _ = devices.choose(config.device)
    board.say("The weights are loaded")
    progress(0, 0)
    model = backend.load(config, device)
    board.classes = model.classes
    board.say("The network maps the scene")
    result = backend.predict(model, image, config, progress, on_tile=_onto(board))
    board.keep()
    text = f"Mapped with {Path(config.weights).name}: {', '.join(model.classes.names)}."
    return Outcome(result, None, " ".join((text, *_said(result))))


def _said(result: Result) -> list[str]:
    """What was converted, or done although it does not agree: sentences for the line that people see."""
    found = [f for f in result.provenance.details.get("agreement", ()) if f["level"] != "noted"]
    told = [f"{f['fact']}: {f['said']}." for f in found if f["level"] == "converted"]
    told = [f"{FORCED} {f['fact']}: {f['said']}." for f in found if f["level"] == "refused"] + told
    return [line[:1].upper() + line[1:] for line in told]


def reference_map(
    image: Image, painted: npt.NDArray[Any], board: MapBoard, progress: Progress
) -> npt.NDArray[np.uint16]:
    """Class map ``(rows, columns)`` of a support vector machine on the painted spectra; on the board block by block."""
    from workbench.scene.data.scene import open_blocks
    from workbench.scene.data.spectra import SpectralRecipe, fit, valid_map
    from workbench.scene.evaluate.scores import fit_reference

    fitted = fit(image, SpectralRecipe(components=min(15, len(image.channels)), shape=False, brightness=False))
    painted = np.where(valid_map(image, fitted, where=painted > 0), painted, 0)
    if np.unique(painted[painted > 0]).size < 2:
        raise InputError(f"{image.name}: most painted pixels hold no whole spectrum (no data there). {TOO_FEW}")
    rows, columns = np.nonzero(painted)
    spectra = open_blocks(image).spectra(rows, columns)
    pixels = fitted.apply(spectra.T[:, :, None])[:, :, 0].T
    progress(0, 0)
    machine = fit_reference("svm", pixels, painted[rows, columns], search=False)
    found: npt.NDArray[np.uint16] = machine.map(image, fitted, progress, _onto(board))
    return found


def _painted_classes(painted: Labels) -> ClassTable:
    """The classes that were painted, by their names; those that the table does not name go by their value."""
    values = [int(v) for v in np.unique(painted.data) if v > 0]
    named = tuple(c for c in painted.classes if c.value in values)
    rest = sorted(set(values) - {c.value for c in named})
    return ClassTable((*named, *ClassTable.from_values(rest)))


def _line(event: Any) -> str:
    score = "" if event.score is None else f", {100 * event.score:.0f} % of the held-out pixels right"
    return f"The reference map is there. The network learns: step {event.step} of {event.steps}{score}"


def _onto(board: MapBoard) -> Callable[[slice, slice, Any], None]:
    return lambda rows, columns, values: board.put((rows, columns), values)


def _tile(image: Image) -> int:
    """Side of blocks small enough to see the map grow, large enough not to convolve their borders again and again."""
    return max(50, min(128, min(image.geometry.shape) // 3))


def _with_reference(result: Result, reference: npt.NDArray[Any], learnt: Any, pixels: int) -> Result:
    """The result of the network, with the reference map, where they differ, and how it was taught."""
    image, found = result.image, result.labels
    differs = (found.data != reference).astype(np.float32)
    parts: dict[str, Part] = {
        **result.parts,
        "disagreement": Heatmap(differs, image.geometry, "disagreement", limits=(0.0, 1.0), colormap="magma"),
        "reference_labels": Labels(reference, image.geometry, found.classes, "SVM map"),
    }
    note = f"taught by {pixels} painted pixels of this scene, {learnt.result.step} steps"
    provenance = replace(
        result.provenance,
        settings={**result.provenance.settings, "training": settings.as_dict(learnt.config)},
        seed=learnt.config.seed,
        notes=(*result.provenance.notes, note),
    )
    return Result(parts, image, provenance)
