"""What the Volume tool looks like: its groups, fields and buttons, without what they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
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
from workbench_napari import views
from workbench_napari.form import SettingsForm, add_row, form_layout
from workbench_napari.journal import Journal
from workbench_napari.recovery_panel import RecoveryPanel
from workbench_napari.volumes_table import VolumesTable
from workbench_napari.weights_choice import WeightsChoice

FORMATS = {
    "As the image": "auto",
    "NIfTI (.nii.gz)": "nifti",
    "NRRD (.seg.nrrd)": "nrrd",
    "MetaImage (.mha)": "mha",
    "DICOM SEG (.dcm)": "dicom-seg",
}
"""Names in the form and formats of `workbench.api.write`."""

HELP = (
    "Labels: 2 paint, 1 erase, 4 fill, 5 pick a label, M new label, [ ] brush size, Ctrl+Z undo, Ctrl+Shift+Z redo.\n"
    "View: Ctrl+Y 2-D/3-D, Ctrl+E next axis, Ctrl+R whole picture.\n"
    "Tool: Ctrl+Return run, Escape cancel, Ctrl+Shift+Return save."
)


class VolumePanel(QWidget):
    """The widgets of the Volume tool, by name; `workbench_napari.volume_tool` brings them to life."""

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
        body.addLayout(self._view_buttons())
        body.addWidget(self._input_group())
        body.addWidget(self._model_group())
        body.addLayout(self._run_row())
        body.addWidget(self._labels_group())
        column.addWidget(self.body)
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        column.addWidget(self.status)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inner)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        # The scroll area would let wide content run out of sight to the right.
        self.setMinimumWidth(max(340, inner.minimumSizeHint().width() + 24))

    def _empty_state(self) -> QWidget:
        self.empty = QFrame()
        layout = QVBoxLayout(self.empty)
        layout.setContentsMargins(8, 16, 8, 16)
        text = QLabel(
            "<b>No volume is open yet</b><br><br>Open a CT or MR volume: drop a NIfTI, NRRD or MHA file, or a folder "
            "of DICOM files, into the window.<br><br>Or try the sample, which works offline:"
        )
        text.setWordWrap(True)
        layout.addWidget(text)
        self.sample_button = QPushButton("Open the sample CT")
        self.sample_button.setToolTip("The same as File > Open Sample > Workbench > CT of a torso phantom")
        layout.addWidget(self.sample_button)
        return self.empty

    def _view_buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(4)
        self.view_buttons = QButtonGroup(self)
        for name in (*views.VIEWS, "3-D"):
            button = QPushButton(name)
            button.setCheckable(True)
            button.setToolTip(f"{name} view, as on a radiology workstation: patient's right on the left of the screen")
            self.view_buttons.addButton(button)
            row.addWidget(button)
        return row

    def _input_group(self) -> QGroupBox:
        group = QGroupBox("Image")
        column = QVBoxLayout(group)
        column.setSpacing(6)
        self.channel_form = form_layout()
        column.addLayout(self.channel_form)
        self.images: list[QComboBox] = []
        self.image_info = QLabel()
        self.image_info.setWordWrap(True)
        self.pixel_is_mm = QCheckBox("Count 1 pixel as 1 mm")
        self.pixel_is_mm.setToolTip("This layer has neither a unit nor a spacing, and the network needs millimetres.")
        column.addWidget(self.image_info)
        column.addWidget(self.pixel_is_mm)
        self.set_channels(("Layer",))
        return group

    def set_channels(self, names: tuple[str, ...]) -> bool:
        """One layer choice per input channel of the network; returns whether anything changed."""
        if [c.objectName() for c in self.images] == list(names):
            return False
        for combo in self.images:
            self.channel_form.removeRow(combo)
        self.images = []
        for name in names:
            combo = combo_box("Image layer to segment" if len(names) == 1 else f"Layer that holds the channel {name}")
            combo.setObjectName(name)
            add_row(self.channel_form, name, combo)
            self.images.append(combo)
        return True

    def _model_group(self) -> QGroupBox:
        group = QGroupBox("Model")
        layout = QVBoxLayout(group)
        self.weights = WeightsChoice(self._backend.name)
        self.weights_info = QLabel()
        self.weights_info.setWordWrap(True)
        self.device = combo_box("Where to compute; auto says what it chose")
        self.device.setEditable(True)
        self.device.addItems(["auto", "cpu", "cuda", "mps"])
        own = (("Weights", self.weights), ("", self.weights_info), ("Device", self.device))
        config = self._backend.load_module().Config
        self.form = SettingsForm(config, skip=("weights", "device"), above=own)
        layout.addWidget(self.form)
        return group

    def _run_row(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(4)
        self.run_button = QPushButton("Run")
        self.run_button.setToolTip("Segment the volume (Ctrl+Return). While it runs: cancel (Escape).")
        self.run_button.setMinimumHeight(30)
        self.run_button.setStyleSheet("font-weight: bold;")
        self.progress = QProgressBar()
        self.progress.setTextVisible(True)
        self.progress.hide()
        column.addWidget(self.run_button)
        column.addWidget(self.progress)
        return column

    def _labels_group(self) -> QGroupBox:
        self.labels_group = QGroupBox("Labels")
        layout = QVBoxLayout(self.labels_group)
        layout.setSpacing(6)
        top = form_layout()
        self.labels = combo_box("Labels layer to measure, edit and save")
        add_row(top, "Layer", self.labels)
        layout.addLayout(top)
        self.table = VolumesTable(self.viewer)
        self.table.setMinimumWidth(120)
        layout.addWidget(self.table)
        hint = QLabel("Click a row to paint with it; hover here for the keys.")
        hint.setWordWrap(True)
        hint.setToolTip(HELP)
        hint.setStyleSheet("color: rgb(150, 152, 156);")
        layout.addWidget(hint)
        bottom = form_layout()
        self.folder = QLineEdit(str(Path.home() / "workbench"))
        self.folder.setToolTip("Results go into a folder of their own in here, named after the image")
        self.browse_button = QPushButton("...")
        self.browse_button.setFixedWidth(30)
        self.browse_button.setToolTip("Choose the folder")
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.folder)
        row.addWidget(self.browse_button)
        add_row(bottom, "Save in", row)
        self.format = combo_box("File format of the label map")
        self.format.addItems(list(FORMATS))
        add_row(bottom, "Format", self.format)
        layout.addLayout(bottom)
        buttons = QHBoxLayout()
        self.save_button = QPushButton("Save")
        self.save_button.setToolTip("Write labels, volumes and how they were made (Ctrl+Shift+Return)")
        self.open_button = QPushButton("Open folder")
        self.open_button.setEnabled(False)
        buttons.addWidget(self.save_button)
        buttons.addWidget(self.open_button)
        layout.addLayout(buttons)
        self.labels_group.hide()
        return self.labels_group


def combo_box(tooltip: str) -> QComboBox:
    combo = QComboBox()
    combo.setToolTip(tooltip)
    # Long layer names must not widen the dock.
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return combo
