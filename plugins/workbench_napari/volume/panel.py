"""What the Volume tool looks like: its groups, fields and buttons, without what they do."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QButtonGroup, QCheckBox, QComboBox, QHBoxLayout, QMenu

from workbench.core import registry
from workbench_napari.shared.agreement_box import ResultNotes
from workbench_napari.shared.form import add_row, form_layout
from workbench_napari.shared.model_form import ModelForm
from workbench_napari.shared.panel_base import button, combo_box, empty_state, group_box, labelled_row, layer_row, note
from workbench_napari.shared.plain_text import WrappedLabel, plain_label
from workbench_napari.volume.orientation_box import OrientationBox
from workbench_napari.volume.volumes_table import VolumesTable

FORMATS = {
    "As the image": "auto",
    "NIfTI (.nii.gz)": "nifti",
    "NRRD (.seg.nrrd)": "nrrd",
    "MetaImage (.mha)": "mha",
    "DICOM SEG (.dcm)": "dicom-seg",
}
"""Names in the form and formats of `workbench.api.write`."""


class VolumePanel:
    """The groups of the tool, each a class of its own; the parts of the tool bring them to life.

    Parameters
    ----------
    viewer
        The viewer whose layers are measured.
    view_names
        The views to make a button for.
    """

    def __init__(self, viewer: Any, view_names: tuple[str, ...]) -> None:
        self.open_button = button("Open a volume...", "Choose a file: NIfTI, NRRD, MHA, MGZ, MINC, Analyze or DICOM")
        self.sample_button = button(
            "Open the sample CT",
            "The same as File > Open Sample > Workbench > CT of a torso phantom",
        )
        self.empty = empty_state(
            "<b>No volume is open yet</b><br><br>Open a CT or MR volume: drop a NIfTI, NRRD or MHA file, or a folder "
            "of DICOM files, into the window, or open a file here. The sample works offline.",
            self.open_button,
            self.sample_button,
        )
        self.views = ViewButtons(view_names)
        self.image = ImageGroup()
        self.model = ModelGroup()
        self.labels = LabelsGroup(viewer)


class ViewButtons:
    """How the volume is turned."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.row = QHBoxLayout()
        self.row.setSpacing(4)
        self.group = QButtonGroup(self.row)
        for name in names:
            tip = f"{name} view, as on a radiology workstation: patient's right on the left of the screen"
            made = button(name, tip, checkable=True)
            self.group.addButton(made)
            self.row.addWidget(made)


class ImageGroup:
    """Which layers to run on, what they are, and what a pixel is."""

    def __init__(self) -> None:
        self.box, column = group_box("Image")
        self._form = form_layout()
        column.addLayout(self._form)
        self.combos: list[QComboBox] = []
        self.info = plain_label()
        self.info.setWordWrap(True)
        self.pixel_is_mm = QCheckBox("Count 1 pixel as 1 mm")
        self.pixel_is_mm.setToolTip(
            "This layer has neither a unit nor a spacing. Whichever backend runs, volumes and positions are in "
            "millimetres."
        )
        self.level_row, self.level = labelled_row(
            "Level", "The image has several resolutions. This one is computed; results lie exactly over it."
        )
        column.addWidget(self.level_row)
        self.orientation = OrientationBox()
        self.new_labels = button("New labels", "Labels on the grid of this image, to draw in")
        self.sources = QMenu(self.new_labels)
        self.beforehand = WrappedLabel()
        self.beforehand.hide()
        column.addWidget(self.info)
        column.addWidget(self.beforehand)
        column.addWidget(self.pixel_is_mm)
        column.addWidget(self.orientation)
        column.addWidget(self.new_labels)
        self.set_channels(("Layer",))

    def set_channels(self, names: tuple[str, ...]) -> bool:
        """One layer choice per input channel of what runs; returns whether anything changed."""
        if [c.objectName() for c in self.combos] == list(names):
            return False
        for combo in self.combos:
            self._form.removeRow(combo)
        self.combos = []
        for name in names:
            combo = combo_box("Image layer to segment" if len(names) == 1 else f"Layer that holds the channel {name}")
            combo.setObjectName(name)
            add_row(self._form, name, combo)
            self.combos.append(combo)
        return True


class ModelGroup:
    """Which backend for volumes, and its settings; a network asks for weights, a method without them for none."""

    def __init__(self) -> None:
        self.box, column = group_box("Model")
        self.form = ModelForm(registry.of_kind("volume"))
        column.addWidget(self.form)


class LabelsGroup:
    """Which labels are measured, edited and saved, and their volumes."""

    def __init__(self, viewer: Any) -> None:
        self.box, self.column = group_box("Labels")
        form, self.layers = layer_row("Layer", "Labels layer to measure, edit and save")
        self.column.addLayout(form)
        self.notes = ResultNotes()
        self.column.addWidget(self.notes)
        self.table = VolumesTable(viewer)
        self.table.setMinimumWidth(120)
        self.column.addWidget(self.table)
        self.column.addWidget(note("Click a row to paint with it; ? shows the keys."))
        self.box.hide()
