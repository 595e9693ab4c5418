"""The page of nuclei in the Slides tool: opening them, correcting them, learning their classes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog

from workbench.core.errors import WorkbenchError
from workbench.core.reports import TrainReport
from workbench.core.types import Embeddings, Result
from workbench.slide import Learnt, edits_in, learn_classes
from workbench_napari.shared.worker import report
from workbench_napari.slide.nuclei_editing import NucleiEditing
from workbench_napari.slide.nuclei_panel import NucleiGroup
from workbench_napari.slide.nuclei_work import open_nuclei, teach, write_classes
from workbench_napari.slide.on_slide import record_of

_FILES = "Nuclei (*.geojson *.json *.parquet *.dcm);;All files (*)"
_WEIGHTS = "Weights (*.safetensors)"
_NO_EMBEDDINGS = (
    "What the encoder saw of these nuclei is not kept: run CellVTA again with 'Embeddings' ticked, then name some "
    "nuclei of each class."
)
_OF_OTHERS = (
    "Classes are learnt from what an encoder sees of nuclei, and CellVTA did not find these: run it with 'Embeddings' "
    "ticked, then name some nuclei of each class."
)


def _is_of_cellvta(made: Result | None) -> bool:
    return made is not None and made.provenance.backend == "cellvta"


class NucleiPage(QObject):
    """Ties the nuclei of the result that is shown to the page.

    Parameters
    ----------
    tool
        The Slides tool: it runs jobs, shows results, and says what there is to say.
    """

    def __init__(self, tool: Any, group: NucleiGroup) -> None:
        super().__init__(tool)
        self._tool, self.group = tool, group
        self.editing = NucleiEditing(tool.viewer, group, self)
        self._learnt: tuple[Learnt, Result] | None = None
        group.open.clicked.connect(self._on_open)
        group.learn.clicked.connect(self.learn)
        group.keep.clicked.connect(self._on_keep)
        group.teach.clicked.connect(self._on_teach)
        self.editing.said.connect(tool.say)
        self.editing.went.connect(self._on_step)

    def refresh(self) -> None:
        """Another result is shown, a slide came or went, a job began or ended."""
        tool = self._tool
        layer = (
            next((x for x in tool.shown.layers() if edits_in(x.data) is not None), None) if tool.shown.token else None
        )
        if layer is not self.editing.followed or (layer is None and self.group.none.isHidden()):
            self._learnt = None
            self.group.told.hide()
            self.editing.follow(layer)
        self.group.open.setEnabled(tool.layer is not None and not tool.is_busy)
        self.group.learn.setEnabled(not tool.is_busy)
        self.group.teach.setEnabled(not tool.is_busy)
        self.group.keep.setEnabled(self._learnt is not None and not tool.is_busy)

    def let_go(self) -> None:
        """Follow nothing any more."""
        self.editing.let_go()

    def takes_step(self, layer: Any, what: str) -> bool:
        """Undo or redo, if it is for nuclei."""
        own = self.editing.layer
        if own is None or layer is None or not (layer is own or layer is self.editing.marks):
            return False
        getattr(self.editing, what)()
        return True

    def _on_step(self, text: str, which: str) -> None:
        """What was learnt was taken back, or is there again."""
        if text == "classes":
            is_there = which == "redo" and self._learnt is not None
            self.group.told.setVisible(is_there)
            self.group.keep.setEnabled(is_there and not self._tool.is_busy)

    # --- files

    def _on_open(self, _checked: bool = False) -> None:
        path, _ = QFileDialog.getOpenFileName(self.group, "Open nuclei", "", _FILES)
        if path:
            self.open(Path(path))

    def open(self, path: Path) -> bool:
        """Show the nuclei of a file over the chosen slide, in the background; returns whether it started."""
        tool = self._tool
        if tool.layer is None:
            tool.say("Open the slide first.")
            return False
        work = partial(open_nuclei, path, dict(record_of(tool.layer)))
        return bool(tool.start(f"Opening {path.name}", work, tool.shower(tool.layer)))

    # --- classes

    def learn(self, _checked: bool = False) -> bool:
        """Learn from the nuclei whose class a person gave, and name all others; returns whether it started."""
        edits, made = self.editing.edits, self._tool.shown.made
        if edits is None:
            return False
        known = None if made is None else made.parts.get("embeddings")
        if not isinstance(known, Embeddings):
            self._tool.say(_NO_EMBEDDINGS if _is_of_cellvta(made) else _OF_OTHERS)
            return False
        work = lambda _progress: learn_classes(edits, known)  # noqa: E731
        return bool(self._tool.start("Learning classes", work, partial(self._show_learnt, made)))

    def _show_learnt(self, made: Result, learnt: Learnt) -> None:
        edits = self.editing.edits
        if edits is None or self._tool.shown.made is not made:
            self._tool.say_done("Another result is shown by now: learn again.")
            return
        of = ", ".join(f"{n} '{name}'" for name, n in learnt.examples.items())
        note = f"classes were learnt from nuclei that a person named ({of}), for all others"
        count = edits.relabel(learnt.values, learnt.odds, note)
        self._learnt = (learnt, made)
        score = learnt.scores.get("balanced accuracy")
        said = (
            f"balanced accuracy {score:.2f}, cross-validated" if score is not None else "not scored: one example only"
        )
        recalls = [
            f"{k.removeprefix('recall of ')} {v:.2f}" for k, v in learnt.scores.items() if k.startswith("recall")
        ]
        self.group.told.setText(
            f"Learnt from {of}: {said}{f' (recall: {chr(44).join(recalls)})' if recalls else ''}. The most doubtful "
            "stand first in the table; name some of them and learn again."
        )
        self.group.told.show()
        self._tool.say_done(
            f"{count:,} nuclei were given a class by {sum(learnt.examples.values())} examples ({said})."
        )

    def _on_keep(self, _checked: bool = False) -> None:
        if self._learnt is None:
            return
        path, _ = QFileDialog.getSaveFileName(self.group, "Save classes", "classes.safetensors", _WEIGHTS)
        if path:
            self.keep(Path(path))

    def keep(self, path: Path) -> bool:
        """Write what was learnt as weights for other slides; returns whether that was done."""
        if self._learnt is None:
            return False
        try:
            written = write_classes(*self._learnt, path)
        except WorkbenchError as error:
            self._tool.say(report(error))
            return False
        self._tool.say(f"Written: {written}. It names nuclei of other slides as weights of CellVTA.")
        return True

    # --- outlines

    def _on_teach(self, _checked: bool = False) -> None:
        edits = self.editing.edits
        if edits is None:
            return
        if not ((edits.review != 0) & ~edits.gone).any():
            self._tool.say("Correct or accept some nuclei first, and reject what is none: these teach.")
            return
        path, _ = QFileDialog.getSaveFileName(self.group, "Teach outlines", "taught.safetensors", _WEIGHTS)
        if path:
            self.teach(Path(path))

    def teach(self, path: Path) -> bool:
        """Teach the weights what was corrected, in the background; returns whether it started."""
        edits, made, layer, tool = self.editing.edits, self._tool.shown.made, self.editing.layer, self._tool
        if edits is None or made is None or layer is None:
            return False
        form = tool.input.model
        chosen = form.weights.value if form.backend.name == "cellvta" and form.weights is not None else "demo"
        work = partial(teach, edits, dict(record_of(layer)), made, chosen, path)
        return bool(tool.start("Teaching outlines", work, self._show_taught))

    def _show_taught(self, report: TrainReport) -> None:
        form = self._tool.input.model
        is_chosen = form.backend.name == "cellvta" and form.weights is not None
        if is_chosen:
            form.weights.choose_file(report.weights)
        what_now = "They are chosen now: Run" if is_chosen else "With these weights CellVTA"
        short = "" if report.stopped == "finished" else f" ({report.stopped} before its end)"
        notes = "; ".join(n.partition(": ")[2] or n for n in report.notes)
        self._tool.say_done(
            f"Written: {report.weights}{short}: {notes}. {what_now} shows what they find, and "
            f"{report.report} where they were taught."
        )
