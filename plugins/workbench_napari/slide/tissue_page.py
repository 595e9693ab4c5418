"""Ties learning of classes of tissue to the Slides tool: from what is marked to maps, a score, and a file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog

from workbench.core.errors import WorkbenchError
from workbench.core.layers import KEY
from workbench.core.types import Embeddings, Progress, Result, Scores
from workbench.slide import (
    PREDICTED,
    LearntTissue,
    annotations_in,
    is_tissue,
    learn_tissue,
    mask_of,
    save_tissue,
    side_of,
    with_tissue,
)
from workbench_napari.general.results import layers_of
from workbench_napari.shared.saving import LayerState
from workbench_napari.shared.views import camera_of
from workbench_napari.shared.worker import report
from workbench_napari.slide.on_slide import annotations_on, is_own_mask, masks_on, record_of, state_now
from workbench_napari.slide.tissue_panel import HOW, TissueGroup
from workbench_napari.slide.weights_name import named_weights

_WEIGHTS = "Weights (*.safetensors)"
_NO_CLASSES = ("tissue", "pen", "region")
"""Classes of masks that say where tiles are taken, not what they are."""
_FEWEST_PIXELS = 120
_MOST_KNOWN = 8
"""Results of which it is remembered what was learnt."""


class TissuePage(QObject):
    """What was learnt from marks on the slide of the result that is shown.

    Parameters
    ----------
    tool
        The Slides tool: it runs jobs, shows results, and says what there is to say.
    """

    def __init__(self, tool: Any, group: TissueGroup) -> None:
        super().__init__(tool)
        self._tool, self.group = tool, group
        self.learnt: LearntTissue | None = None
        self._token = ""
        self._next = 0
        self._known: dict[str, _Known] = {}
        group.learn.clicked.connect(self.learn)
        group.doubtful.clicked.connect(self.go_to_doubtful)
        group.keep.clicked.connect(self._on_keep)

    def refresh(self) -> None:
        """Another result is shown, a slide came or went, a job began or ended."""
        tool = self._tool
        if tool.shown.token != self._token:
            known = self._known.get(tool.shown.token)
            self.learnt, self._token, self._next = None if known is None else known.learnt, tool.shown.token, 0
            self._show_table()
            if known is not None:
                self.group.hint.setText(known.said)
        ready = self._embeddings() is not None and tool.layer is not None
        self.group.learn.setEnabled(ready and not tool.is_busy)
        self.group.doubtful.setEnabled(self.learnt is not None)
        self.group.keep.setEnabled(self.learnt is not None and not tool.is_busy)
        if not ready:
            self.group.hint.setText("Run StainNet on a slide first: its tiles are what is named.")
        elif self.learnt is None:
            self.group.hint.setText("Draw outlines or points with a class above, of two classes or more, then learn.")

    def _embeddings(self) -> Embeddings | None:
        made = self._tool.shown.made if self._tool.shown.token else None
        part = None if made is None else made.parts.get("embeddings")
        return part if isinstance(part, Embeddings) and part.about.get("patch_size_level0") else None

    # --- learning

    def learn(self, _checked: bool = False) -> bool:
        """Learn from what is marked, in the background; returns whether it started."""
        tool, part = self._tool, self._embeddings()
        if part is None or tool.layer is None:
            return False
        tool.annotating.take_class()
        slide = tool.layer
        layers, notes = self._marks(slide)
        try:
            states = [state_now(x, slide) for x in layers]
        except WorkbenchError as error:
            tool.say(report(error))
            return False
        drawn, painted = (
            [s for s, x in zip(states, layers, strict=True) if is_own_mask(x) == is_painted]
            for is_painted in (False, True)
        )
        if not states:
            also = f" {notes[0][:1].upper()}{notes[0][1:]}." if notes else ""
            tool.say(f"Nothing is marked: draw outlines or points with a class (New annotations), then learn.{also}")
            return False
        self.group.table.show_scores(None)  # of what was marked before
        self.group.hint.setText("")
        how, mpp = HOW[self.group.how.currentText()], record_of(slide).get("mpp")
        work = partial(_learn, part, drawn, painted, how, None if mpp is None else (float(mpp[1]), float(mpp[0])))
        marks = _Marks(self._signature(slide), tuple(notes))
        return bool(tool.start("Learning classes of tissue", work, partial(self._show, slide, tool.shown.made, marks)))

    def _marks(self, slide: Any) -> tuple[list[Any], list[str]]:
        """Layers with what a person marked on a slide, and what to say of them."""
        viewer = self._tool.viewer
        painted = [x for x in masks_on(viewer, slide) if is_own_mask(x) and _tells(x)]
        own = [x for x in painted if not record_of(x).get(PREDICTED)]
        notes = [f"'{x.name}' is what was learnt before, and does not teach" for x in painted if x not in own]
        layers = [*annotations_on(viewer, slide), *own]
        return layers, notes + [f"'{x.name}' is hidden, and teaches, too" for x in layers if not x.visible]

    def _signature(self, slide: Any) -> tuple[Any, ...]:
        """What is marked on a slide, so that it can be told whether that has changed."""
        journal = self._tool.journal
        return tuple((id(x), journal.revision(x)) for x in self._marks(slide)[0])

    def changed_since(self) -> str:
        """What to say where marks have changed since the classes that are shown were learnt; "" where they have not."""
        known, slide = self._known.get(self._token), self._tool.layer
        if known is None or slide is None or self._signature(slide) == known.marks:
            return ""
        return "marks have changed since the classes of tissue were learnt from them"

    def _show(self, slide: Any, made: Result, marks: _Marks, learnt: LearntTissue) -> None:
        tool = self._tool
        if slide not in tool.viewer.layers:
            tool.say_done("The slide was closed while its classes were learnt: nothing is shown.")
            return
        if tool.shown.made is not made:
            tool.say_done("Another result is shown by now: learn again.")
            return
        regions = ", ".join(f"{n} of '{name}'" for name, n in learnt.taught.regions.items())
        extended = with_tissue(made, learnt, f"{regions}; {learnt.taught.validation}")
        self._replace(slide, extended)
        self.learnt, self._next = learnt, 0
        self._show_table()
        score = learnt.taught.scores.get("balanced accuracy")
        said = (
            learnt.taught.validation if score is None else f"balanced accuracy {score:.2f}, {learnt.taught.validation}"
        )
        told = [*learnt.marked.notes, *marks.notes]
        notes = f" ({'; '.join(told)})" if told else ""
        text = f"{said[:1].upper()}{said[1:]}{notes}."
        self.group.hint.setText(text)
        self._token = tool.shown.token
        self._known[self._token] = _Known(learnt, text, marks.signature)
        for old in list(self._known)[:-_MOST_KNOWN]:
            del self._known[old]
        tool.say_done(
            f"{len(learnt.odds):,} tiles were named by {sum(learnt.taught.tiles.values())} marked ones: {said}."
        )

    def _show_table(self) -> None:
        learnt = self.learnt
        colors = {} if learnt is None else {c.name: c.color for c in learnt.taught.classes}
        self.group.table.show_scores(None if learnt is None else _table(learnt), colors)

    def _replace(self, slide: Any, result: Result) -> None:
        """Show the classes as layers of the result that is shown, instead of those that were learnt before."""
        from napari.layers import Layer

        tool = self._tool
        viewer, shown, token = tool.viewer, tool.shown, tool.shown.token
        seen = {record_of(x).get("part"): x.visible for x in shown.layers() if is_tissue(str(record_of(x).get("part")))}
        active = viewer.layers.selection.active
        _, layers = layers_of(result, record_of(slide).get("series"), token)
        shown.extend(result)
        for old in [x for x in shown.layers() if is_tissue(str(record_of(x).get("part")))]:
            viewer.layers.remove(old)
        for data, attributes, kind in layers:
            own = attributes["metadata"][KEY]
            if is_tissue(str(own.get("part"))):
                attributes["visible"] = seen.get(own["part"], own["part"] == "classes")
                viewer.add_layer(Layer.create(data, attributes, kind))
            else:
                for layer in shown.layers():
                    if record_of(layer).get("part") == own.get("part"):
                        layer.visible = layer.visible and bool(seen)  # at first the classes lie over the slide alone
                        layer.metadata[KEY] |= {k: own[k] for k in ("parts", "tables", "provenance")}
        if active is not None and active in viewer.layers:
            viewer.layers.selection.active = active
        shown.count()

    # --- what is doubtful

    def go_to_doubtful(self, _checked: bool = False) -> None:
        """Go to the next tile whose class is least clear."""
        tool, learnt, part = self._tool, self.learnt, self._embeddings()
        if learnt is None or part is None or part.places is None or tool.layer is None:
            return
        tiles = learnt.doubtful
        if not len(tiles):
            tool.say("Every tile is marked.")
            return
        number = int(tiles[self._next % len(tiles)])
        self._next += 1
        side = side_of(part.about)
        x, y = np.asarray(part.places[number]) + side / 2 - 0.5
        camera, middle = camera_of(tool.viewer), tool.layer.data_to_world((y, x))
        camera.center = tuple(camera.center[: -len(middle)]) + tuple(middle)
        seen = side * float(tool.layer.scale[-1])
        if seen * camera.zoom < _FEWEST_PIXELS:
            camera.zoom = 2 * _FEWEST_PIXELS / max(seen, 1e-6)
        odds = sorted(zip(learnt.odds[number].tolist(), learnt.taught.classes.names, strict=True), reverse=True)[:2]
        said = " or ".join(f"{name} {value:.2f}" for value, name in odds)
        tool.say(f"Tile {part.ids[number]}, doubtful number {self._next}: {said}. Mark it, and learn again.")

    # --- files

    def _on_keep(self, _checked: bool = False) -> None:
        if self.learnt is None:
            return
        path, _ = QFileDialog.getSaveFileName(self.group, "Save classes", "tissue.safetensors", _WEIGHTS)
        if path:
            self.keep(Path(path))

    def keep(self, path: Path) -> bool:
        """Write what was learnt as weights for other slides; returns whether that was done."""
        if self.learnt is None:
            return False
        try:
            written = save_tissue(self.learnt, named_weights(path))
        except (WorkbenchError, OSError) as error:
            self._tool.say(report(error))
            return False
        self._tool.say(f"Written: {written}. It names tiles of other slides as weights of StainNet.")
        return True


@dataclass(frozen=True)
class _Marks:
    """What was marked when it was learnt from, and what there is to say of it."""

    signature: tuple[Any, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Known:
    """What was learnt of a result, with the line about it, and what was marked then."""

    learnt: LearntTissue
    said: str
    marks: tuple[Any, ...]


def _learn(
    part: Embeddings, drawn: list[LayerState], painted: list[LayerState], how: str, mpp: tuple[float, float] | None,
    _progress: Progress | None = None,
) -> LearntTissue:  # fmt: skip
    masks = [mask_of(state) for state in painted]
    return learn_tissue(part, annotations_in(drawn), masks, how=cast("Any", how), mpp=mpp)


def _tells(layer: Any) -> bool:
    """Whether a mask has classes of tissue, and says not only where tiles are taken."""
    names = [str(c.get("name")) for c in record_of(layer).get("classes") or ()]
    return any(name not in _NO_CLASSES for name in names)


def _table(learnt: LearntTissue) -> Scores:
    taught, names = learnt.taught, learnt.taught.classes.names
    share = np.bincount(learnt.odds.argmax(1), minlength=len(names)) / max(1, len(learnt.odds))
    rows = tuple(
        (name, taught.regions.get(name, 0), taught.tiles.get(name, 0),
         round(taught.scores.get(f"recall of {name}", float("nan")), 3) if taught.scores else "",
         f"{100 * share[i]:.0f} %")
        for i, name in enumerate(names)
    )  # fmt: skip
    return Scores(("class", "regions", "tiles", "recall", "share"), rows, "classes")
