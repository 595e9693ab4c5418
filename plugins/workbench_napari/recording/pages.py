"""Sections of the MEG tool for what is made: annotations, variance kept, generated signals, decoding."""

from __future__ import annotations

from typing import ClassVar

from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QSpinBox, QVBoxLayout

from workbench_napari.recording.marks import LABELS
from workbench_napari.recording.marks_table import MarksTable
from workbench_napari.recording.psd_plot import PsdPlot
from workbench_napari.recording.tables import ScoresTable
from workbench_napari.shared.agreement_box import ResultNotes
from workbench_napari.shared.form import add_row, form_layout
from workbench_napari.shared.panel_base import button, button_row, combo_box, note
from workbench_napari.shared.plain_text import plain_tip
from workbench_napari.shared.section import Section


class AnnotationsPage:
    """Layers of annotations, what is drawn next, and the table."""

    TITLE: ClassVar[str] = "Annotations"

    def __init__(self) -> None:
        self.widget, column = _page(self.TITLE)
        form = form_layout()
        self.layer = combo_box("Annotations of yours that you draw in; the table shows those of all layers")
        add_row(form, "Layer", self.layer)
        self.label = QComboBox()
        self.label.setEditable(True)
        self.label.addItems(list(LABELS))
        self.label.setToolTip("Name of what you draw next; MNE leaves out stretches whose name begins with BAD")
        add_row(form, "Label", self.label)
        self.covered = combo_box("What an annotation concerns that you draw next")
        self.covered.addItems(["All channels", "The channels it covers"])
        add_row(form, "Concerns", self.covered)
        column.addLayout(form)
        self.draw_button = button("Draw", "Draw rectangles with the mouse: from start to end (Ctrl+D)", checkable=True)
        self.delete_button = button("Delete", "Take the marked rows away; Undo brings them back")
        self.undo_button = button("Undo", "Take the last step back (Ctrl+Z)")
        self.redo_button = button("Redo", "Do it again (Ctrl+Shift+Z)")
        column.addLayout(button_row(self.draw_button, self.delete_button, self.undo_button, self.redo_button))
        self.table = MarksTable()
        column.addWidget(self.table)
        self.open_button = button(
            "Open annotations...", "Annotations of MNE (-annot.fif), of BIDS (events.tsv) or as CSV for this recording"
        )
        self.take_button = button(
            "Take over", "Make the marked rows of the model (all, if none is marked) yours, to change or delete them"
        )
        column.addLayout(button_row(self.open_button, self.take_button))


class VariancePage:
    """How much of each channel the tokens keep."""

    TITLE: ClassVar[str] = "Variance"
    EMPTY: ClassVar[str] = "Run to see how much of each channel the tokens keep."

    def __init__(self) -> None:
        self.widget, column = _page(self.TITLE)
        self.info = note(self.EMPTY)
        column.addWidget(self.info)
        self.table = ScoresTable()
        column.addWidget(self.table)


class GeneratePage:
    """What to generate, and how it compares with the recording."""

    TITLE: ClassVar[str] = "Generate"

    def __init__(self) -> None:
        self.widget, column = _page(self.TITLE)
        form = form_layout()
        self.seconds = _number(10.0, 1.0, 3600.0, 5.0, " s", "Length of what is generated")
        self.top_p = _number(1.0, 0.01, 1.0, 0.01, "", "Draw among the most likely tokens that together are so likely")
        self.temperature = _number(1.0, 0.05, 5.0, 0.05, "", "Below 1 calmer, above 1 wilder than what was learnt")
        self.seed = QSpinBox()
        self.seed.setRange(0, 2**31 - 1)
        self.seed.setToolTip("The same seed gives the same signals")
        for text, field in (
            ("Length", self.seconds),
            ("Top-p", self.top_p),
            ("Temperature", self.temperature),
            ("Seed", self.seed),
        ):
            add_row(form, text, field)
        column.addLayout(form)
        self.button = button("Generate", "New signals from the model, with the settings above and below Model")
        column.addWidget(self.button)
        self.psd = PsdPlot()
        column.addWidget(self.psd)
        self.comparison = ScoresTable()
        column.addWidget(self.comparison)

    def values(self) -> dict[str, float]:
        """The settings of the backend that this page asks for."""
        return {
            "generate": self.seconds.value(),
            "top_p": self.top_p.value(),
            "temperature": self.temperature.value(),
            "seed": self.seed.value(),
        }


class DecodePage:
    """Which cases to decode, and what came out."""

    TITLE: ClassVar[str] = "Decode"

    def __init__(self) -> None:
        self.widget, column = _page(self.TITLE)
        column.addWidget(
            note(
                "How well do features of the frozen model tell trials apart? Choose a list of cases (.csv) with "
                "recordings, subjects and sessions; the raw signals and chance stand beside the answer."
            )
        )
        self.button = button("Choose cases and decode...", "Runs the evaluation 'decode' of the chosen weights")
        column.addWidget(self.button)
        self.notes = ResultNotes()
        column.addWidget(self.notes)
        self.table = ScoresTable()
        column.addWidget(self.table)
        self.report_button = button("Open the report", "The whole evaluation with its pictures, in the browser")
        self.report_button.setEnabled(False)
        column.addLayout(button_row(self.report_button))


def _page(title: str) -> tuple[Section, QVBoxLayout]:
    page = Section(title)
    return page, page.column


def _number(value: float, low: float, high: float, step: float, suffix: str, tip: str) -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setRange(low, high)
    spin.setSingleStep(step)
    spin.setDecimals(2)
    spin.setValue(value)
    spin.setSuffix(suffix)
    spin.setToolTip(plain_tip(tip))
    return spin
