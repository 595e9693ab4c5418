"""What the MEG tool looks like: its groups, fields and buttons, without what they do."""

from __future__ import annotations

from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGroupBox,
    QLabel,
    QLineEdit,
    QListWidget,
    QSizePolicy,
    QSpinBox,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from workbench_napari.recording.marks import LABELS
from workbench_napari.recording.marks_table import MarksTable
from workbench_napari.recording.psd_plot import PsdPlot
from workbench_napari.recording.tables import ScoresTable
from workbench_napari.recording.topomap import Topomap
from workbench_napari.shared.form import SettingsForm, add_row, form_layout
from workbench_napari.shared.panel_base import (
    ToolPanel,
    button,
    button_row,
    combo_box,
    empty_state,
    group_box,
    layer_row,
    main_button,
    note,
)
from workbench_napari.shared.weights_choice import WeightsChoice

FORMATS = {"FIF where it has a unit": "auto", "FIF (MNE)": "fif", "NumPy (.npy)": "npy"}
"""Names in the form and formats of `workbench.api.write`; annotations are always written for MNE and as CSV."""

WINDOWS = {"All": None, "60 s": 60.0, "10 s": 10.0, "2 s": 2.0}
GENERATION = ("generate", "top_p", "temperature", "seed")
"""Settings that the Generate tab asks for."""

HELP = (
    "Canvas and traces: wheel zooms time, Shift+wheel or drag moves, click sets the time cursor.\n"
    "A click on the names at the left adds a channel to the traces, or takes it away.\n"
    "Time cursor: Ctrl+Left and Ctrl+Right step by a sample, with Shift by a tenth of what is in sight.\n"
    "Annotations: Ctrl+D draw, Ctrl+Z undo, Ctrl+Shift+Z redo.\n"
    "Tool: Ctrl+Return run, Escape cancel, Ctrl+Shift+Return save."
)


class RecordingPanel(ToolPanel):
    """The widgets of the tool, each under a name; `workbench_napari.recording.tool` brings them to life."""

    MIN_WIDTH = 390

    def _parts(self) -> tuple[QWidget, ...]:
        return self._recording_group(), self._channels_group(), self._model_group(), self._tabs(), self._save_group()

    def _empty_state(self) -> QWidget:
        self.open_recording_button = button("Open a recording...", "FIF, EDF, BDF, BrainVision, KIT, CTF (.ds), NumPy")
        self.sample_button = button(
            "Open the sample recording",
            "The same as File > Open Sample > Workbench > MEG recording; works offline",
        )
        return empty_state(
            "<b>No recording is open yet</b><br><br>Open MEG or EEG: FIF, EDF, BDF, BrainVision (.vhdr), KIT (.con, "
            ".sqd), a CTF folder (.ds), or parcel time courses (.npy). Drop it into the window, or:",
            self.open_recording_button,
            self.sample_button,
        )

    def _recording_group(self) -> QGroupBox:
        group, column = group_box("Recording")
        form, self.recordings = layer_row("Recording", "Recording to look at, to annotate and to model")
        column.addLayout(form)
        self.info = QLabel()
        self.info.setWordWrap(True)
        column.addWidget(self.info)
        self.window_buttons = {
            text: button(text, f"Show {'the whole recording' if text == 'All' else text}") for text in WINDOWS
        }
        for made in self.window_buttons.values():
            made.setMinimumWidth(40)
        self.traces_button = button("Traces", "The plot of chosen channels below the canvas", checkable=True)
        self.traces_button.setMinimumWidth(56)
        column.addLayout(button_row(*self.window_buttons.values(), self.traces_button))
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
        self.follow = QCheckBox("Follow mouse")
        self.follow.setToolTip("The time cursor goes where the mouse is; without it, where you click")
        row = button_row(self.back_button, self.time, self.forth_button)
        row.setStretch(1, 1)
        form = form_layout()
        add_row(form, "Cursor", row)
        column.addLayout(form)
        self.place = note("A click sets the cursor; hover here for the keys.", HELP)
        self.place.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.place.setMinimumHeight(2 * self.place.fontMetrics().lineSpacing())
        row = button_row(self.place, self.follow, spacing=6)
        row.setStretch(0, 1)
        column.addLayout(row)
        return group

    def _channels_group(self) -> QGroupBox:
        group, column = group_box("Traces and map")
        self.traced = combo_box("What the traces show of the chosen channels")
        self.mapped = combo_box("What is drawn on the head")
        form = form_layout()
        add_row(form, "Traces of", self.traced)
        column.addLayout(form)
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Find channels")
        self.filter.setClearButtonEnabled(True)
        self.first_button = button("First 8", "Draw the first eight channels of the list")
        self.none_button = button("None", "Draw no channels")
        column.addLayout(button_row(self.filter, self.first_button, self.none_button))
        self.channels = QListWidget()
        self.channels.setFlow(QListWidget.Flow.LeftToRight)
        self.channels.setWrapping(True)
        self.channels.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.channels.setUniformItemSizes(False)
        self.channels.setSpacing(1)
        self.channels.setSelectionMode(QAbstractItemView.SelectionMode.MultiSelection)
        self.channels.setToolTip("Channels that are drawn as traces: click to add or take away")
        self.channels.setFixedHeight(92)
        column.addWidget(self.channels)
        form = form_layout()
        add_row(form, "Map of", self.mapped)
        column.addLayout(form)
        self.topomap = Topomap()
        column.addWidget(self.topomap)
        return group

    def _model_group(self) -> QGroupBox:
        group, column = group_box("Model")
        self.weights = WeightsChoice(self._backend.name)
        self.weights_info = QLabel()
        self.weights_info.setWordWrap(True)
        own = (("Weights", self.weights), ("", self.weights_info), ("Device", self._device_box()))
        config = self._backend.load_module().Config
        self.form = SettingsForm(config, skip=("weights", "device", *GENERATION), above=own)
        self.form.settings_fold.collapse(animate=False)
        column.addWidget(self.form)
        return group

    def _tabs(self) -> QTabWidget:
        self.tabs = QTabWidget()
        self.tabs.setUsesScrollButtons(False)
        for title, (page, column) in (
            ("Annotations", self._annotations_page()),
            ("Variance", self._variance_page()),
            ("Generate", self._generate_page()),
            ("Decode", self._decode_page()),
        ):
            column.addStretch(1)
            self.tabs.addTab(page, title)
        return self.tabs

    def _annotations_page(self) -> tuple[QWidget, QVBoxLayout]:
        page, column = _page()
        form = form_layout()
        self.marks_choice = combo_box("Annotations that the table shows and that you draw in")
        add_row(form, "Layer", self.marks_choice)
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
        self.marks_table = MarksTable()
        column.addWidget(self.marks_table)
        self.annotations_button = button(
            "Open annotations...", "Annotations of MNE (-annot.fif), of BIDS (events.tsv) or as CSV for this recording"
        )
        column.addLayout(button_row(self.annotations_button))
        return page, column

    def _variance_page(self) -> tuple[QWidget, QVBoxLayout]:
        page, column = _page()
        self.variance_info = note("Run to see how much of each channel the tokens keep.")
        column.addWidget(self.variance_info)
        self.variance = ScoresTable()
        column.addWidget(self.variance)
        return page, column

    def _generate_page(self) -> tuple[QWidget, QVBoxLayout]:
        page, column = _page()
        form = form_layout()
        self.seconds = _number(10.0, 1.0, 3600.0, 5.0, " s", "Length of what is generated")
        self.top_p = _number(1.0, 0.01, 1.0, 0.01, "", "Draw among the most likely tokens that together are so likely")
        self.temperature = _number(1.0, 0.05, 5.0, 0.05, "", "Below 1 calmer, above 1 wilder than what was learnt")
        self.seed = QSpinBox()
        self.seed.setRange(0, 2**31 - 1)
        self.seed.setToolTip("The same seed gives the same signals")
        for text, widget in (
            ("Length", self.seconds),
            ("Top-p", self.top_p),
            ("Temperature", self.temperature),
            ("Seed", self.seed),
        ):
            add_row(form, text, widget)
        column.addLayout(form)
        self.generate_button = button("Generate", "New signals from the model, with the settings above and below Model")
        column.addWidget(self.generate_button)
        self.psd = PsdPlot()
        column.addWidget(self.psd)
        self.comparison = ScoresTable()
        column.addWidget(self.comparison)
        return page, column

    def _decode_page(self) -> tuple[QWidget, QVBoxLayout]:
        page, column = _page()
        column.addWidget(
            note(
                "How well do features of the frozen model tell trials apart? Choose a list of cases (.csv) with "
                "recordings, subjects and sessions; the raw signals and chance stand beside the answer."
            )
        )
        self.decode_button = button("Choose cases and decode...", "Runs the evaluation 'decode' of the chosen weights")
        column.addWidget(self.decode_button)
        self.decoded = ScoresTable()
        column.addWidget(self.decoded)
        self.report_button = button("Open the report", "The whole evaluation with its pictures, in the browser")
        self.report_button.setEnabled(False)
        column.addLayout(button_row(self.report_button))
        return page, column

    def _save_group(self) -> QGroupBox:
        self.save_group, column = group_box("Save")
        folder_tip = "Results go into a folder of their own in here, named after the recording"
        self._save_form(column, FORMATS, folder_tip, "File format of tokens, surprisal and signals")
        column.addLayout(self._save_buttons("Write annotations and results (Ctrl+Shift+Return)"))
        self.results_button = button("Open results...", "Show the results of a folder that was saved before")
        self.browser_button = button("MNE browser", "")
        column.addLayout(button_row(self.results_button, self.browser_button, spacing=6))
        return self.save_group

    def _footer(self) -> QWidget:
        self.run_button = main_button(
            "Run",
            "Tokens, reconstruction and surprisal of the recording (Ctrl+Return). While it runs: cancel (Escape).",
        )
        return self._footer_of(self.run_button)


def _page() -> tuple[QWidget, QVBoxLayout]:
    page = QWidget()
    column = QVBoxLayout(page)
    column.setContentsMargins(6, 8, 6, 6)
    column.setSpacing(6)
    return page, column


def _number(value: float, low: float, high: float, step: float, suffix: str, tip: str) -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setRange(low, high)
    spin.setSingleStep(step)
    spin.setDecimals(2)
    spin.setValue(value)
    spin.setSuffix(suffix)
    spin.setToolTip(tip)
    return spin
