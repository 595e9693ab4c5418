"""What the Spectra tool looks like: its groups, fields and buttons, without what they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from workbench import registry
from workbench_napari.bands_panel import BandsPanel
from workbench_napari.classes_table import ClassesTable
from workbench_napari.form import SettingsForm, add_row, form_layout
from workbench_napari.journal import Journal
from workbench_napari.recovery_panel import RecoveryPanel
from workbench_napari.spectrum_plot import SpectrumPlot
from workbench_napari.volume_panel import combo_box
from workbench_napari.weights_choice import WeightsChoice

FORMATS = {"ENVI (.dat + .hdr)": "envi", "GeoTIFF (.tif)": "geotiff", "NumPy (.npy)": "npy"}
"""Names in the form and formats of `workbench.api.write` for class maps."""

HELP = (
    "Labels: 2 paint, 1 erase, 4 fill, 5 pick a label, [ ] brush size, Ctrl+Z undo, Ctrl+Shift+Z redo.\n"
    "Spectra: move over the scene; click to pin (while painting: hold Space and click).\n"
    "Tool: Ctrl+Return learn, Escape cancel, Ctrl+Shift+Return save."
)
_NOT_HERE = ("weights", "device", "resume", "split", "per_class", "fraction", "block")
"""Settings that painting leaves no room for: everything painted is learnt from."""
_NOTE = "color: rgb(150, 152, 156);"


class SpectraPanel(QWidget):
    """The widgets of the tool, each under a name; `workbench_napari.spectra_tool` brings them to life."""

    def __init__(self, viewer: Any, backend: str, journal: Journal, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.journal = journal
        self._backend = registry.find(backend)
        self._build()

    def _build(self) -> None:
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(8)
        self.recovery = RecoveryPanel(self.viewer, self.journal)
        column.addWidget(self.recovery)
        column.addWidget(self._empty_state())
        self.body = QWidget()
        body = QVBoxLayout(self.body)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(8)
        for group in (self._scene_group(), self._classes_group(), self._learn_group(), self._map_group()):
            body.addWidget(group)
        column.addWidget(self.body)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inner)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(scroll)
        outer.addWidget(self._footer())
        self.setMinimumWidth(max(360, inner.minimumSizeHint().width() + 24))

    def _empty_state(self) -> QWidget:
        self.empty = QFrame()
        layout = QVBoxLayout(self.empty)
        layout.setContentsMargins(8, 16, 8, 16)
        text = QLabel(
            "<b>No scene is open yet</b><br><br>Open a hyperspectral cube: ENVI (.hdr), MATLAB (.mat), a multi-band "
            "TIFF or GeoTIFF, or NumPy (.npy). Drop it into the window, or:"
        )
        text.setWordWrap(True)
        layout.addWidget(text)
        self.open_cube_button = QPushButton("Open a cube...")
        self.sample_button = QPushButton("Open the sample scene")
        self.sample_button.setToolTip("The same as File > Open Sample > Workbench > Hyperspectral scene; works offline")
        layout.addWidget(self.open_cube_button)
        layout.addWidget(self.sample_button)
        return self.empty

    def _scene_group(self) -> QGroupBox:
        group = QGroupBox("Scene")
        column = QVBoxLayout(group)
        column.setSpacing(6)
        top = form_layout()
        self.cubes = combo_box("Scene to look at, to paint on and to map")
        add_row(top, "Layer", self.cubes)
        column.addLayout(top)
        self.scene_info = QLabel()
        self.scene_info.setWordWrap(True)
        column.addWidget(self.scene_info)
        self.colours = BandsPanel(combo_box("Which wavelengths are shown as red, green and blue"))
        column.addWidget(self.colours)
        self.plot = SpectrumPlot()
        column.addWidget(self.plot)
        row = QHBoxLayout()
        self.place = QLabel("Move over the scene; click to pin a spectrum")
        self.place.setStyleSheet(_NOTE)
        self.place.setWordWrap(True)
        # Map coordinates are long; they must not widen the dock.
        self.place.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.place.setMinimumHeight(2 * self.place.fontMetrics().lineSpacing())
        self.clear_pins_button = QPushButton("Clear pins")
        self.clear_pins_button.setToolTip("Take the pinned spectra off the plot")
        self.clear_pins_button.setEnabled(False)
        row.addWidget(self.place, 1)
        row.addWidget(self.clear_pins_button)
        column.addLayout(row)
        return group

    def _classes_group(self) -> QGroupBox:
        group = QGroupBox("Classes: paint a few pixels of each")
        column = QVBoxLayout(group)
        column.setSpacing(6)
        top = form_layout()
        self.painted = combo_box("Labels layer that holds what you paint")
        add_row(top, "Paint in", self.painted)
        column.addLayout(top)
        self.table = ClassesTable()
        column.addWidget(self.table)
        row = QHBoxLayout()
        row.setSpacing(4)
        self.add_button = QPushButton("Add class")
        self.add_button.setToolTip("One more class; you paint with it at once")
        self.remove_button = QPushButton("Remove")
        self.remove_button.setToolTip("Take the marked class and its painted pixels away; Undo brings them back")
        self.undo_button = QPushButton("Undo")
        self.undo_button.setToolTip("Take the last stroke back (Ctrl+Z)")
        self.redo_button = QPushButton("Redo")
        self.redo_button.setToolTip("Paint it again (Ctrl+Shift+Z)")
        for button in (self.add_button, self.remove_button, self.undo_button, self.redo_button):
            row.addWidget(button)
        column.addLayout(row)
        hint = QLabel("Click a row to paint with it; hover here for the keys.")
        hint.setToolTip(HELP)
        hint.setStyleSheet(_NOTE)
        column.addWidget(hint)
        return group

    def _learn_group(self) -> QGroupBox:
        group = QGroupBox("Learn")
        column = QVBoxLayout(group)
        column.setSpacing(6)
        self.weights = WeightsChoice(self._backend.name)
        self.weights.combo.insertItem(0, "nothing (from scratch)", "none")
        self.weights.combo.setCurrentIndex(0)
        self.weights.combo.setToolTip("What the network knows before it sees your pixels; nothing is fetched")
        self.device = combo_box("Where to compute; auto says what it chose")
        self.device.setEditable(True)
        self.device.addItems(["auto", "cpu", "cuda", "mps"])
        config = self._backend.load_module().TrainConfig
        self.form = SettingsForm(config, skip=_NOT_HERE, above=(("Start from", self.weights), ("Device", self.device)))
        self.form.settings_fold.collapse(animate=False)
        column.addWidget(self.form)
        return group

    def _footer(self) -> QWidget:
        """What must be in sight wherever the tool is scrolled to."""
        footer = QWidget()
        column = QVBoxLayout(footer)
        column.setContentsMargins(10, 6, 10, 6)
        column.setSpacing(4)
        self.learn_row = QWidget()
        row = QHBoxLayout(self.learn_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        self.learn_button = QPushButton("Learn")
        self.learn_button.setToolTip(
            "Learn from the painted pixels and map the scene (Ctrl+Return). While it runs: cancel (Escape)."
        )
        self.learn_button.setMinimumHeight(30)
        self.learn_button.setStyleSheet("font-weight: bold;")
        self.map_button = QPushButton("Map only")
        self.map_button.setToolTip("Map the scene with the chosen weights, without learning")
        self.map_button.setMinimumHeight(30)
        row.addWidget(self.learn_button, 2)
        row.addWidget(self.map_button, 1)
        column.addWidget(self.learn_row)
        self.progress = QProgressBar()
        self.progress.setTextVisible(True)
        self.progress.hide()
        column.addWidget(self.progress)
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        column.addWidget(self.status)
        return footer

    def _map_group(self) -> QGroupBox:
        self.map_group = QGroupBox("Map")
        column = QVBoxLayout(self.map_group)
        column.setSpacing(6)
        row = QHBoxLayout()
        row.setSpacing(4)
        self.show_buttons: dict[str, QPushButton] = {}
        for key, text, tip in (
            ("labels", "Map", "The classes the network found"),
            ("reference_labels", "SVM", "The map of the reference method, made in a moment from the same pixels"),
            ("confidence", "Confidence", "How sure the network is; dark is doubtful"),
            ("disagreement", "Disagreement", "Where network and reference differ"),
        ):
            button = QPushButton(text)
            button.setCheckable(True)
            button.setToolTip(tip)
            self.show_buttons[key] = button
            row.addWidget(button)
        column.addLayout(row)
        self.next_button = QPushButton("Where to paint next")
        self.next_button.setToolTip(
            "Go to the spot where the network is least sure and differs from the reference; press again for the next"
        )
        column.addWidget(self.next_button)
        bottom = form_layout()
        self.folder = QLineEdit(str(Path.home() / "workbench"))
        self.folder.setToolTip("Results go into a folder of their own in here, named after the scene")
        self.browse_button = QPushButton("...")
        self.browse_button.setFixedWidth(30)
        self.browse_button.setToolTip("Choose the folder")
        line = QHBoxLayout()
        line.setSpacing(4)
        line.addWidget(self.folder)
        line.addWidget(self.browse_button)
        add_row(bottom, "Save in", line)
        self.format = combo_box("File format of the maps")
        self.format.addItems(list(FORMATS))
        add_row(bottom, "Format", self.format)
        column.addLayout(bottom)
        ticks = QHBoxLayout()
        self.save_spectra = QCheckBox("Spectra")
        self.save_spectra.setToolTip("Mean and deviation per class and the pins: CSV and ENVI spectral library")
        self.save_model = QCheckBox("Model")
        self.save_model.setToolTip("The network as .safetensors: use it for other scenes, here or in the shell")
        for tick in (self.save_spectra, self.save_model):
            tick.setChecked(True)
            ticks.addWidget(tick)
        ticks.addStretch(1)
        column.addLayout(ticks)
        buttons = QHBoxLayout()
        self.save_button = QPushButton("Save")
        self.save_button.setToolTip("Write map, painted pixels, areas and how they were made (Ctrl+Shift+Return)")
        self.open_button = QPushButton("Open folder")
        self.open_button.setEnabled(False)
        buttons.addWidget(self.save_button)
        buttons.addWidget(self.open_button)
        column.addLayout(buttons)
        return self.map_group
