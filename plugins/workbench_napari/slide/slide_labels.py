"""Labels of whole slides in the Slides tool: learnt from a list of slides of patients, as weights for others."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

import workbench as wb
from workbench import weights
from workbench.core.errors import WorkbenchError
from workbench.core.types import Progress, Scores
from workbench.slide import LabelList, read_label_list
from workbench_napari.shared.form import add_row, form_layout
from workbench_napari.shared.panel_base import button, button_row, combo_box, group_box
from workbench_napari.shared.plain_text import WrappedLabel
from workbench_napari.shared.worker import report
from workbench_napari.slide.panel import ScoresTable
from workbench_napari.slide.weights_name import named_weights

_LISTS = "Lists of slides (*.csv *.tsv *.jsonl *.ndjson);;All files (*)"
_WEIGHTS = "Weights (*.safetensors)"
_NONE = (
    "Choose a list (CSV) with a row per slide: 'image', its file or its embeddings.h5, its 'label', and its 'patient'."
)
_OF_TILES = {
    "mpp": "given_mpp", "target_mpp": "mpp", "tile": "tile", "stride": "stride",
    "tissue": "min_tissue", "allow_upsample": "allow_upsample", "pooling": "pooling", "stain_profile": "stain_profile",
}  # fmt: skip
"""What decides how the tiles of a slide are embedded: as a run has it, and as a training calls it."""


class SlideLabelsGroup(QWidget):
    """A list, the column of its labels, how many there are of each, and what was learnt."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        group, column = group_box("Labels of slides")
        self.open = button("Choose a list...", "Slides of several patients, each with a label: a row per slide")
        self.learn = button(
            "Learn labels...",
            "Weights that give a slide its label, and show which tiles speak for it, from slides alone: no outlines "
            "are needed. Every patient is judged once by what never saw them",
        )
        column.addLayout(button_row(self.open, self.learn))
        form = form_layout()
        self.column = combo_box("The column of the list that holds the labels")
        add_row(form, "Column", self.column)
        column.addLayout(form)
        self.hint = WrappedLabel()
        column.addWidget(self.hint)
        self.table = ScoresTable("Labels of slides")
        column.addWidget(self.table)
        outer.addWidget(group)


@dataclass(frozen=True)
class _Taught:
    """What was learnt, with the rows of its log, and what there is to say of it."""

    report: Any
    rows: tuple[tuple[Any, ...], ...]
    notes: tuple[str, ...]


class SlideLabelsPage(QObject):
    """The list that was chosen, and learning from it.

    Parameters
    ----------
    tool
        The Slides tool: it runs jobs, and says what there is to say.
    """

    def __init__(self, tool: Any, group: SlideLabelsGroup) -> None:
        super().__init__(tool)
        self._tool, self.group = tool, group
        self.list: LabelList | None = None
        group.open.clicked.connect(self._on_open)
        group.learn.clicked.connect(self._on_learn)
        group.column.currentIndexChanged.connect(lambda _: self._show_counts())
        group.hint.setText(_NONE)

    def refresh(self) -> None:
        """A job began or ended."""
        is_free = not self._tool.is_busy
        self.group.open.setEnabled(is_free)
        self.group.column.setEnabled(is_free and self.list is not None)
        self.group.learn.setEnabled(is_free and self.list is not None and not self.group.table.isHidden())

    # --- the list

    def _on_open(self, _checked: bool = False) -> None:
        path, _ = QFileDialog.getOpenFileName(self.group, "List of slides with labels", "", _LISTS)
        if path:
            self.open(Path(path))

    def open(self, path: Path) -> bool:
        """Read a list in the background; returns whether that started. Nothing of the list before stays."""
        if self._tool.is_busy:
            return False
        self.list = None
        self.group.column.clear()
        self.group.table.show_scores(None)
        self.group.hint.setText(_NONE)
        return bool(self._tool.start(f"Reading {path.name}", partial(_read, path), self._show_list))

    def _show_list(self, found: LabelList) -> None:
        column = self.group.column
        column.blockSignals(True)
        column.clear()
        column.addItems(list(found.columns))
        column.blockSignals(False)
        self.list = found
        self._show_counts()
        self._tool.say_done(f"{found.path.name}: {len(found.cases)} slides{''.join(f'; {n}' for n in found.notes)}.")

    def _show_counts(self) -> None:
        """How many slides and patients each label has, before anything is learnt."""
        found, name = self.list, self.group.column.currentText()
        if found is None:
            return
        try:
            rows = found.counts(name)
        except WorkbenchError as error:
            self.group.table.show_scores(None)
            self.group.hint.setText(str(error))
        else:
            self.group.table.show_scores(Scores(("label", "slides", "patients"), tuple(rows), "labels"))
            few = [label for label, _, own in rows if own < 2]
            said = [f"{found.path.name}: {len(found.cases)} slides of {len(found.patients)} patients"]
            if few:
                said.append(f"'{few[0]}' has slides of one patient alone: each label needs two, to judge each other")
            said += found.doubts(name)
            self.group.hint.setText(_sentences(said))
        self.refresh()

    # --- learning

    def _on_learn(self, _checked: bool = False) -> None:
        if self.list is None:
            return
        path, _ = QFileDialog.getSaveFileName(self.group, "Learn labels", "labels.safetensors", _WEIGHTS)
        if path:
            self.learn(Path(path))

    def learn(self, path: Path) -> bool:
        """Learn from the list and write weights, in the background; returns whether that started."""
        tool, form, found = self._tool, self._tool.input.model, self.list
        if found is None:
            return False
        values: dict[str, Any] = {"weights": "demo", "device": "auto"}
        if form.backend.name == "stainnet":
            tool.pixel_size.apply()
            try:
                chosen = form.values()
            except WorkbenchError as error:
                tool.say(report(error))
                return False
            values = {key: chosen[key] for key in ("weights", "device")}
            if not found.is_embedded:
                wrong = next((name for name in ("encoder", "icc") if chosen.get(name)), "")
                if wrong:
                    tool.say(
                        f"Labels are learnt without '{wrong}' (Method): leave it out, or list files embeddings.h5."
                    )
                    return False
                values |= {there: chosen[name] for name, there in _OF_TILES.items() if chosen.get(name) is not None}
        values["label_column"] = self.group.column.currentText()
        work = partial(_learn, found, values, path)
        return bool(tool.start("Learning labels of slides", work, self._show_learnt, without=_said))

    def _show_learnt(self, taught: _Taught) -> None:
        group, form, tool = self.group, self._tool.input.model, self._tool
        made = taught.report
        group.table.show_scores(Scores(("label", "slides", "patients", "recall"), taught.rows, "labels"))
        column = group.column.currentText()
        group.hint.setText(_sentences([f"'{column}': {_score(made)}, {made.validation}", *taught.notes]))
        is_chosen = form.backend.name == "stainnet" and form.weights is not None
        if is_chosen:
            form.weights.choose_file(made.weights)
        what_now = (
            "They are chosen now: Run says the label of a slide" if is_chosen
            else "With these weights StainNet says the label of a slide"
        )  # fmt: skip
        tool.say_done(f"{_said(taught)} {what_now}, and shows the tiles that speak for it.")


def _read(path: Path, _progress: Progress | None = None) -> LabelList:
    return read_label_list(path)


def _learn(found: LabelList, values: Mapping[str, Any], path: Path, progress: Progress) -> _Taught:
    own = weights.find(str(values["weights"]), "stainnet")
    if own.meta.get("base"):  # what was learnt before: its encoder sees the tiles
        own = weights.find_base(own)
        values = {**values, "weights": str(own.path)}
    path = named_weights(path, own.path)

    def tell(event: Any) -> None:
        progress(event.step, event.steps)

    made = wb.train(
        "stainnet", list(found.cases), out=path, on_step=tell, objective="mil", overwrite=True, **values
    )  # fmt: skip
    rows = csv.DictReader(made.log.read_text(encoding="utf-8").splitlines())
    shown = [(row["label"], int(row["slides"]), int(row["patients"]), float(row["recall"])) for row in rows]
    size = values.get("given_mpp")  # typed for the slide that is open, maybe
    given = f"slides that do not say how large their pixels are were taken at {size} um, as 'Mpp' says" if size else ""
    return _Taught(made, tuple(shown), tuple(filter(None, (*made.notes, given))))


def _sentences(texts: Sequence[str]) -> str:
    return " ".join(f"{text if n == 0 else text[:1].upper() + text[1:]}." for n, text in enumerate(texts))


def _score(made: Any) -> str:
    return "no score" if made.score is None else f"{made.measure} {made.score:.2f}"


def _said(taught: _Taught) -> str:
    made = taught.report
    return f"Written: {made.weights}: {_score(made)}, {made.validation}; {made.report} shows the curve of calibration."
