"""What the Spectra tool looks like: its groups, fields and buttons, without what they do."""

from __future__ import annotations

from qtpy.QtWidgets import QCheckBox, QGroupBox, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from workbench_napari.scene.bands_panel import BandsPanel
from workbench_napari.scene.classes_table import ClassesTable
from workbench_napari.scene.spectrum_plot import SpectrumPlot
from workbench_napari.shared.form import SettingsForm
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

FORMATS = {"ENVI (.dat + .hdr)": "envi", "GeoTIFF (.tif)": "geotiff", "NumPy (.npy)": "npy"}
"""Names in the form and formats of `workbench.api.write` for class maps."""

HELP = (
    "Labels: 2 paint, 1 erase, 4 fill, 5 pick a label, [ ] brush size, Ctrl+Z undo, Ctrl+Shift+Z redo.\n"
    "Spectra: move over the scene; click to pin (while painting: hold Space and click).\n"
    "Tool: Ctrl+Return learn, Escape cancel, Ctrl+Shift+Return save."
)
_NOT_HERE = ("weights", "device", "resume", "split", "per_class", "fraction", "block")
"""Settings that painting leaves no room for: everything painted is learnt from."""


class ScenePanel(ToolPanel):
    """The widgets of the tool, each under a name; `workbench_napari.scene.tool` brings them to life."""

    def _parts(self) -> tuple[QWidget, ...]:
        return self._scene_group(), self._classes_group(), self._learn_group(), self._map_group()

    def _empty_state(self) -> QWidget:
        self.open_scene_button = QPushButton("Open a cube...")
        self.sample_button = button(
            "Open the sample scene",
            "The same as File > Open Sample > Workbench > Hyperspectral scene; works offline",
        )
        return empty_state(
            "<b>No scene is open yet</b><br><br>Open a hyperspectral cube: ENVI (.hdr), MATLAB (.mat), a multi-band "
            "TIFF or GeoTIFF, or NumPy (.npy). Drop it into the window, or:",
            self.open_scene_button,
            self.sample_button,
        )

    def _scene_group(self) -> QGroupBox:
        group, column = group_box("Scene")
        form, self.scenes = layer_row("Layer", "Scene to look at, to paint on and to map")
        column.addLayout(form)
        self.scene_info = QLabel()
        self.scene_info.setWordWrap(True)
        column.addWidget(self.scene_info)
        self.colours = BandsPanel(combo_box("Which wavelengths are shown as red, green and blue"))
        column.addWidget(self.colours)
        self.plot = SpectrumPlot()
        column.addWidget(self.plot)
        row = QHBoxLayout()
        self.place = note("Move over the scene; click to pin a spectrum")
        # Map coordinates are long; they must not widen the dock.
        self.place.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.place.setMinimumHeight(2 * self.place.fontMetrics().lineSpacing())
        self.clear_pins_button = button("Clear pins", "Take the pinned spectra off the plot")
        self.clear_pins_button.setEnabled(False)
        row.addWidget(self.place, 1)
        row.addWidget(self.clear_pins_button)
        column.addLayout(row)
        return group

    def _classes_group(self) -> QGroupBox:
        group, column = group_box("Classes: paint a few pixels of each")
        form, self.painted = layer_row("Paint in", "Labels layer that holds what you paint")
        column.addLayout(form)
        self.table = ClassesTable()
        column.addWidget(self.table)
        self.add_button = button("Add class", "One more class; you paint with it at once")
        self.remove_button = button(
            "Remove", "Take the marked class and its painted pixels away; Undo brings them back"
        )
        self.undo_button = button("Undo", "Take the last stroke back (Ctrl+Z)")
        self.redo_button = button("Redo", "Paint it again (Ctrl+Shift+Z)")
        column.addLayout(button_row(self.add_button, self.remove_button, self.undo_button, self.redo_button))
        column.addWidget(note("Click a row to paint with it; hover here for the keys.", HELP))
        return group

    def _learn_group(self) -> QGroupBox:
        group, column = group_box("Learn")
        self.weights = WeightsChoice(self._backend.name)
        self.weights.combo.insertItem(0, "nothing (from scratch)", "none")
        self.weights.combo.setCurrentIndex(0)
        self.weights.combo.setToolTip("What the network knows before it sees your pixels; nothing is fetched")
        own = (("Start from", self.weights), ("Device", self._device_box()))
        self.form = SettingsForm(self._backend.load_module().TrainConfig, skip=_NOT_HERE, above=own)
        self.form.settings_fold.collapse(animate=False)
        column.addWidget(self.form)
        return group

    def _footer(self) -> QWidget:
        self.learn_row = QWidget()
        row = QHBoxLayout(self.learn_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        self.learn_button = main_button(
            "Learn", "Learn from the painted pixels and map the scene (Ctrl+Return). While it runs: cancel (Escape)."
        )
        self.map_button = button("Map only", "Map the scene with the chosen weights, without learning")
        self.map_button.setMinimumHeight(30)
        row.addWidget(self.learn_button, 2)
        row.addWidget(self.map_button, 1)
        return self._footer_of(self.learn_row)

    def _map_group(self) -> QGroupBox:
        self.map_group, column = group_box("Map")
        self.show_buttons: dict[str, QPushButton] = {}
        for key, text, tip in (
            ("labels", "Map", "The classes the network found"),
            ("reference_labels", "SVM", "The map of the reference method, made in a moment from the same pixels"),
            ("confidence", "Confidence", "How sure the network is; dark is doubtful"),
            ("disagreement", "Disagreement", "Where network and reference differ"),
        ):
            self.show_buttons[key] = button(text, tip, checkable=True)
        column.addLayout(button_row(*self.show_buttons.values()))
        self.next_button = button(
            "Where to paint next",
            "Go to the spot where the network is least sure and differs from the reference; press again for the next",
        )
        column.addWidget(self.next_button)
        folder_tip = "Results go into a folder of their own in here, named after the scene"
        self._save_form(column, FORMATS, folder_tip, "File format of the maps")
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
        tip = "Write map, painted pixels, areas and how they were made (Ctrl+Shift+Return)"
        column.addLayout(self._save_buttons(tip))
        return self.map_group
