"""What the Volume tool looks like: its groups, fields and buttons, without what they do."""

from __future__ import annotations

from qtpy.QtWidgets import QButtonGroup, QCheckBox, QComboBox, QGroupBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from workbench.core import registry
from workbench_napari.shared.form import add_row, form_layout
from workbench_napari.shared.model_form import ModelForm
from workbench_napari.shared.panel_base import (
    ToolPanel,
    button,
    combo_box,
    empty_state,
    group_box,
    layer_row,
    main_button,
    note,
)
from workbench_napari.volume import views
from workbench_napari.volume.volumes_table import VolumesTable

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


class VolumePanel(ToolPanel):
    """The widgets of the Volume tool, by name; `workbench_napari.volume.tool` brings them to life."""

    MIN_WIDTH = 340

    def _parts(self) -> tuple[QWidget | QHBoxLayout | QVBoxLayout, ...]:
        return self._view_buttons(), self._input_group(), self._model_group(), self._run_row(), self._labels_group()

    def _empty_state(self) -> QWidget:
        self.sample_button = button(
            "Open the sample CT",
            "The same as File > Open Sample > Workbench > CT of a torso phantom",
        )
        return empty_state(
            "<b>No volume is open yet</b><br><br>Open a CT or MR volume: drop a NIfTI, NRRD or MHA file, or a folder "
            "of DICOM files, into the window.<br><br>Or try the sample, which works offline:",
            self.sample_button,
        )

    def _view_buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(4)
        self.view_buttons = QButtonGroup(self)
        for name in (*views.VIEWS, "3-D"):
            tip = f"{name} view, as on a radiology workstation: patient's right on the left of the screen"
            view = button(name, tip, checkable=True)
            self.view_buttons.addButton(view)
            row.addWidget(view)
        return row

    def _input_group(self) -> QGroupBox:
        group, column = group_box("Image")
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
        self.model = ModelForm(registry.of_kind("volume"))
        layout.addWidget(self.model)
        return group

    def _run_row(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(4)
        self.run_button = main_button("Run", "Segment the volume (Ctrl+Return). While it runs: cancel (Escape).")
        column.addWidget(self.run_button)
        column.addWidget(self.progress)
        return column

    def _labels_group(self) -> QGroupBox:
        self.labels_group, layout = group_box("Labels")
        form, self.labels = layer_row("Layer", "Labels layer to measure, edit and save")
        layout.addLayout(form)
        self.table = VolumesTable(self.viewer)
        self.table.setMinimumWidth(120)
        layout.addWidget(self.table)
        layout.addWidget(note("Click a row to paint with it; hover here for the keys.", HELP))
        folder_tip = "Results go into a folder of their own in here, named after the image"
        self._save_form(layout, FORMATS, folder_tip, "File format of the label map")
        layout.addLayout(self._save_buttons("Write labels, volumes and how they were made (Ctrl+Shift+Return)"))
        self.labels_group.hide()
        return self.labels_group
