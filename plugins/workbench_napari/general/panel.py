"""What the general tool looks like: a layer, a backend with its form, and what to save."""

from __future__ import annotations

from qtpy.QtWidgets import QVBoxLayout, QWidget

from workbench.core.registry import Backend
from workbench_napari.shared.agreement_box import ResultNotes
from workbench_napari.shared.form import add_row, form_layout
from workbench_napari.shared.model_form import ModelForm
from workbench_napari.shared.panel_base import combo_box, group_box
from workbench_napari.shared.plain_text import plain_label


class InputGroup(QWidget):
    """Which layer to work on, and which backend with what settings.

    Parameters
    ----------
    skip
        Settings that the tool asks for in its own way.
    """

    def __init__(self, backends: list[Backend], skip: tuple[str, ...] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        group, inside = group_box("Image")
        self.column = inside
        form = form_layout()
        self.layer = combo_box("Layer that was opened from a file of the backend's kind of data")
        add_row(form, "Layer", self.layer)
        inside.addLayout(form)
        self.about = plain_label()
        self.about.setWordWrap(True)
        inside.addWidget(self.about)
        model, box = group_box("Method")
        self.model = ModelForm(backends, skip=skip)
        box.addWidget(self.model)
        column.addWidget(model)
        column.addWidget(group)


class ResultGroup(QWidget):
    """What the result says, in words; the tool adds where to save it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        self.group, self.column = group_box("Result")
        self.summary = plain_label()
        self.summary.setWordWrap(True)
        self.column.addWidget(self.summary)
        self.notes = ResultNotes()
        self.column.addWidget(self.notes)
        outer.addWidget(self.group)
