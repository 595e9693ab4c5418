"""What the MEG tool looks like: its groups, fields and buttons, without what they do."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QSizePolicy,
    QVBoxLayout,
)

from workbench.core import registry
from workbench_napari.recording.pages import AnnotationsPage, DecodePage, GeneratePage, VariancePage
from workbench_napari.recording.topomap import Topomap
from workbench_napari.shared.agreement_box import ResultNotes
from workbench_napari.shared.form import add_row, form_layout
from workbench_napari.shared.model_form import ModelForm
from workbench_napari.shared.panel_base import button, button_row, combo_box, empty_state, group_box, layer_row, note
from workbench_napari.shared.plain_text import WrappedLabel, plain_label

FORMATS = {"FIF where it has a unit": "auto", "FIF (MNE)": "fif", "NumPy (.npy)": "npy"}
"""Names in the form and formats of `workbench.api.write`; annotations are always written for MNE and as CSV."""

WINDOWS = {"All": None, "60 s": 60.0, "10 s": 10.0, "2 s": 2.0}
GENERATION = ("generate", "top_p", "temperature", "seed")
"""Settings that the Generate tab asks for."""
_NOT_HERE = (*GENERATION, "bad_channels")
"""Those and the bad channels, which are marked where they are seen."""

MOUSE = [
    ("wheel", "on canvas and traces: zoom time around the mouse"),
    ("Shift+wheel, drag", "move along time"),
    ("click", "set the time cursor"),
    ("click on a name", "mark the channel as bad, and good again; Ctrl+click on its trace does the same"),
    ("Shift+click on a name", "add the channel to the traces, or take it away"),
]
"""What the mouse does, for the sheet of keys."""


class RecordingPanel:
    """The groups of the tool, each a class of its own; the parts of the tool bring them to life."""

    def __init__(self) -> None:
        self.open_recording_button = button("Open a recording...", "FIF, EDF, BDF, BrainVision, KIT, CTF (.ds), NumPy")
        self.sample_button = button(
            "Open the sample recording",
            "The same as File > Open Sample > Workbench > MEG recording; works offline",
        )
        self.empty = empty_state(
            "<b>No recording is open yet</b><br><br>Open MEG or EEG: FIF, EDF, BDF, BrainVision (.vhdr), KIT (.con, "
            ".sqd), a CTF folder (.ds), or parcel time courses (.npy). Drop it into the window, or:",
            self.open_recording_button,
            self.sample_button,
        )
        self.recording = RecordingGroup()
        self.channels = ChannelsGroup()
        self.model = ModelGroup()
        self.result = ResultGroup()
        self.annotations = AnnotationsPage()
        self.variance = VariancePage()
        self.generation = GeneratePage()
        self.decoding = DecodePage()
        self.model.model.changed.connect(self.show_pages)
        self.show_pages()
        self.results_button = button("Open results...", "Show the results of a folder that was saved before")
        self.browser_button = button("MNE browser", "")

    def show_pages(self) -> None:
        """Only the pages of what the chosen backend can do."""
        model = self.model.model
        self.generation.widget.setVisible(model.asks_for("generate"))
        self.decoding.widget.setVisible("evaluate" in model.backend.verbs)


class RecordingGroup:
    """Which recording is shown, which stretch of it, and where the time cursor is."""

    def __init__(self) -> None:
        self.box, column = group_box("Recording")
        form, self.recordings = layer_row("Recording", "Recording to look at, to annotate and to model")
        column.addLayout(form)
        self.info = plain_label()
        self.info.setWordWrap(True)
        column.addWidget(self.info)
        self.window_buttons = {
            text: button(text, f"Show {'the whole recording' if text == 'All' else text}") for text in WINDOWS
        }
        for made in self.window_buttons.values():
            made.setMinimumWidth(36)
        self.traces_button = button("Traces", "The plot of chosen channels below the canvas", checkable=True)
        self.traces_button.setMinimumWidth(56)
        column.addLayout(button_row(*self.window_buttons.values(), self.traces_button))
        form = form_layout()
        add_row(form, "Cursor", self._cursor_row())
        column.addLayout(form)
        self.follow = QCheckBox("Follow mouse")
        self.follow.setToolTip("The time cursor goes where the mouse is; without it, where you click")
        self.place = note("A click sets the cursor; ? shows the keys.")
        self.place.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.place.setMinimumHeight(2 * self.place.fontMetrics().lineSpacing())
        row = button_row(self.place, self.follow, spacing=6)
        row.setStretch(0, 1)
        column.addLayout(row)

    def _cursor_row(self) -> QHBoxLayout:
        self.time = QDoubleSpinBox()
        self.time.setDecimals(3)
        self.time.setSuffix(" s")
        self.time.setKeyboardTracking(False)
        self.time.setToolTip("Where the time cursor is; Ctrl+Left and Ctrl+Right step by a sample")
        self.back_button = button("◀", "One sample back (Ctrl+Left)")
        self.forth_button = button("▶", "One sample forth (Ctrl+Right)")
        for made in (self.back_button, self.forth_button):
            made.setFixedWidth(30)
            made.setAutoRepeat(True)
        row = button_row(self.back_button, self.time, self.forth_button)
        row.setStretch(1, 1)
        return row


class ChannelsGroup:
    """Which channels are drawn as traces, and what is drawn on the head."""

    def __init__(self) -> None:
        self.box, column = group_box("Traces and map")
        self.traced = combo_box("What the traces show of the chosen channels")
        self.mapped = combo_box("What is drawn on the head")
        self._row(column, "Traces of", self.traced)
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Find channels")
        self.filter.setClearButtonEnabled(True)
        self.first_button = button("First 8", "Draw the first eight channels of the list")
        self.none_button = button("None", "Draw no channels")
        self.bad_button = button("Bad", "Mark the channel that was clicked last as bad, or good again")
        self.bad_button.setAccessibleName("Mark as bad, or good again")
        column.addLayout(button_row(self.filter, self.first_button, self.none_button, self.bad_button))
        self.names = QListWidget()
        self.names.setFlow(QListWidget.Flow.LeftToRight)
        self.names.setWrapping(True)
        self.names.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.names.setUniformItemSizes(False)
        self.names.setSpacing(1)
        self.names.setSelectionMode(QAbstractItemView.SelectionMode.MultiSelection)
        self.names.setToolTip("Channels that are drawn as traces: click to add or take away")
        self.names.setFixedHeight(92)
        column.addWidget(self.names)
        self.bads = WrappedLabel()
        self.bads.setAccessibleName("Bad channels")
        self.as_file_button = button("As in the file", "The bad channels are those of the file again")
        self.as_file_button.hide()
        row = button_row(self.bads, self.as_file_button, spacing=6)
        row.setStretch(0, 1)
        column.addLayout(row)
        self._row(column, "Map of", self.mapped)
        self.topomap = Topomap()
        column.addWidget(self.topomap)

    @staticmethod
    def _row(column: QVBoxLayout, label: str, combo: QComboBox) -> None:
        form = form_layout()
        add_row(form, label, combo)
        column.addLayout(form)


class ResultGroup:
    """What a person must know of the result that is shown; there as long as there is anything to know."""

    def __init__(self) -> None:
        self.box, column = group_box("Result")
        self.notes = ResultNotes()
        column.addWidget(self.notes)
        self.box.hide()

    def show_notes(self, notes: tuple[str, ...]) -> None:
        """Show these notes instead of those before."""
        self.notes.show_notes(notes)
        self.box.setVisible(bool(notes))


class ModelGroup:
    """Which backend, its weights, device and settings."""

    def __init__(self) -> None:
        self.box, column = group_box("Model")
        self.model = ModelForm(registry.of_kind("recording"), skip=_NOT_HERE, folded=True)
        column.addWidget(self.model)

    def choice(self) -> dict[str, Any]:
        """Weights and device, as all verbs of `workbench.api` take them."""
        values = self.model.values()
        return {name: values[name] for name in ("weights", "device") if name in values}


def refill(combo: QComboBox, rows: list[tuple[str, str]]) -> None:
    """Other entries (title and key); the choice stays if it is still there."""
    before = combo.currentData()
    combo.blockSignals(True)
    combo.clear()
    for title, key in rows:
        combo.addItem(title, key)
    combo.setCurrentIndex(max(0, combo.findData(before)))
    combo.blockSignals(False)
