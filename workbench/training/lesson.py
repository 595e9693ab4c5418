"""A lesson: from painted pixels to a map, as one job of a worker thread. No Qt and no napari here.

First a reference map (a support vector machine), there in a moment and hard to beat on a few pixels; then the network
learns, and its map replaces the reference block by block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.core import settings
from workbench.core.classes import ClassTable
from workbench.core.errors import Cancelled
from workbench.core.types import Heatmap, Image, Labels, Part, Progress, Result

BACKEND = "lola_specvit"


class Board:
    """What a lesson leaves for the window to show while it runs; the window only reads.

    Parameters
    ----------
    shape
        Rows and columns of the scene.
    classes
        Of the map.
    """

    def __init__(self, shape: tuple[int, int], classes: ClassTable) -> None:
        self.classes = classes
        self.labels = np.zeros(shape, np.uint16)
        self.version = 0
        self.phase = ""
        self.complete: npt.NDArray[np.uint16] | None = None

    def put(self, rows: slice, columns: slice, labels: npt.NDArray[Any]) -> None:
        """A finished block of the map."""
        self.labels[rows, columns] = labels
        self.version += 1

    def finish_map(self) -> None:
        """The map is whole: if the lesson is cancelled from here on, this is what stays."""
        self.complete = self.labels.copy()


@dataclass(frozen=True, eq=False)
class Outcome:
    """Result of a lesson, the file of the network it made (``None`` if it only mapped), and a line for people."""

    result: Result
    model: Path | None
    text: str


def learn(
    image: Image,
    painted: npt.NDArray[Any],
    classes: ClassTable,
    values: Mapping[str, Any],
    model: Path,
    board: Board,
    progress: Progress,
) -> Outcome:
    """Learn from painted pixels and map the scene.

    Parameters
    ----------
    image
        Spectral cube.
    painted
        ``(rows, columns)`` class values, 0 where nothing was painted.
    values
        Settings of the training by name.
    model
        File to write the network to.
    board
        Takes the map as it grows.
    progress
        Called often with (steps done, steps in all); raises `Cancelled` to stop.

    Raises
    ------
    WorkbenchError
        Settings, pixels or weights that cannot work.
    """
    from workbench import weights
    from workbench.core import registry
    from workbench.scene.train.train import learn_scene, record_of, save

    backend = registry.find(BACKEND).load_module()
    config = settings.build(backend.TrainConfig, dict(values))
    board.phase = "Reference map: a support vector machine learns"
    progress(0, 0)
    reference = reference_map(image, painted, board, progress)
    board.finish_map()

    def on_event(event: Any) -> None:
        score = "" if event.score is None else f", {100 * event.score:.0f} % of the held-out pixels right"
        board.phase = f"The reference map is there. The network learns: step {event.step} of {event.steps}{score}"
        progress(event.step, event.steps)

    board.phase = "The reference map is there. The network gets ready"
    progress(0, 0)
    labels = Labels(painted.astype(np.uint16), image.geometry, classes)
    learnt = learn_scene(image, labels, config, on_event=on_event)
    if learnt.result.stopped == "cancelled":
        raise Cancelled
    save(model, learnt, record_of(learnt, image))
    board.phase = "The network maps the scene"
    taught = replace(backend.model_of(learnt), weights=weights.find(str(model), BACKEND))
    own = backend.Config(weights=str(model), device=config.device, tile=_tile(image))
    result = backend.predict(taught, image, own, progress, on_tile=board.put)
    board.finish_map()
    result = _with_reference(result, reference, learnt, int(np.count_nonzero(painted)))
    differs = 100 * float((result.labels.data != reference).mean())
    score = learnt.result.scores.get("accuracy")
    held = "" if score is None else f" {100 * score:.0f} % of the held-out pixels are right."
    text = f"Learnt {len(classes)} classes from {np.count_nonzero(painted)} pixels.{held}"
    return Outcome(result, model, f"{text} {differs:.0f} % of the scene differs from the reference.")


def map_only(image: Image, values: Mapping[str, Any], board: Board, progress: Progress) -> Outcome:
    """Map a scene with weights as they are, block by block; see `learn`."""
    from workbench.core import device as devices
    from workbench.core import registry

    backend = registry.find(BACKEND).load_module()
    config = settings.build(backend.Config, {**values, "tile": _tile(image)})
    device, _ = devices.choose(config.device)
    board.phase = "The weights are loaded"
    progress(0, 0)
    model = backend.load(config, device)
    board.classes = model.classes
    board.phase = "The network maps the scene"
    result = backend.predict(model, image, config, progress, on_tile=board.put)
    board.finish_map()
    return Outcome(result, None, f"Mapped with {Path(config.weights).name}: {', '.join(model.classes.names)}.")


def reference_map(image: Image, painted: npt.NDArray[Any], board: Board, progress: Progress) -> npt.NDArray[np.uint16]:
    """Class map ``(rows, columns)`` of a support vector machine on the painted spectra; on the board block by block."""
    from workbench.scene.data.scene import open_blocks
    from workbench.scene.data.spectra import SpectralRecipe, fit
    from workbench.scene.evaluate.scores import fit_reference

    fitted = fit(image, SpectralRecipe(components=min(15, len(image.channels)), shape=False, brightness=False))
    rows, columns = np.nonzero(painted)
    spectra = open_blocks(image).spectra(rows, columns)
    pixels = fitted.apply(spectra.T[:, :, None])[:, :, 0].T
    progress(0, 0)
    machine = fit_reference("svm", pixels, painted[rows, columns], search=False)
    found: npt.NDArray[np.uint16] = machine.map(image, fitted, progress, board.put)
    return found


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
