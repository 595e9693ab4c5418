"""What the ECG tool looks like besides the parts of the general tool: correcting lines, scale, what is shown."""

from __future__ import annotations

from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QVBoxLayout, QWidget

from workbench.page import STANDARD
from workbench_napari.shared.form import add_row, form_layout
from workbench_napari.shared.panel_base import button, button_row, combo_box, group_box, note
from workbench_napari.shared.plain_text import plain_label


class CorrectGroup(QWidget):
    """Correct the lines of leads: draw a stretch again, move points, give another name, take away."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        group, column = group_box("Correct")
        form = form_layout()
        self.lead = combo_box(
            "Lead of the chosen line, and of what is drawn next. Another name for a chosen line: the line that has "
            "that name gets its old one."
        )
        self.lead.setEditable(True)
        self.lead.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.lead.addItems([*STANDARD, *(f"{lead} strip" for lead in ("II", "V1", "V5"))])
        add_row(form, "Lead", self.lead)
        column.addLayout(form)
        self.draw = button(
            "Draw again", "Drag along the ink: what is drawn replaces that stretch of the lead (Ctrl+D)", checkable=True
        )
        tip = "Drag the points of a line; the tools of the layer add and remove them (Ctrl+Shift+E)"
        self.points = button("Move points", tip, checkable=True)
        self.choose = button("Choose", "Choose lines by a click, to name or delete them", checkable=True)
        column.addLayout(button_row(self.draw, self.points, self.choose))
        self.snap = QCheckBox("Onto the ink")
        self.snap.setChecked(True)
        self.snap.setToolTip("A stretch that is drawn is moved onto the darkest way within 1.2 mm of it")
        self.undo, self.redo = (
            button("Undo", "Take back the last edit (Ctrl+Z)"),
            button("Redo", "Again (Ctrl+Shift+Z)"),
        )
        column.addLayout(button_row(self.snap, self.undo, self.redo))
        self.gap = button(
            "Take a stretch away", "Drag along it: that stretch of the lead becomes a gap", checkable=True
        )
        self.open = button("Open lines...", "Lines that were saved for this page (traces.geojson), to go on with")
        column.addLayout(button_row(self.gap, self.open))
        outer.addWidget(group)


class ScaleGroup(QWidget):
    """The grid as it was found, and a scale that is set by two clicks."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        group, column = group_box("Scale")
        self.found = plain_label()
        self.found.setWordWrap(True)
        column.addWidget(self.found)
        self.grid = button("Show grid", "Every fifth line of the grid as it was found, over the page (Ctrl+Shift+G)",
                           checkable=True)  # fmt: skip
        self.click = button("Set by two clicks", "Click two lines of the grid, and say how far they are apart",
                            checkable=True)  # fmt: skip
        column.addLayout(button_row(self.grid, self.click))
        self.row = QWidget()
        inside = QVBoxLayout(self.row)
        inside.setContentsMargins(0, 0, 0, 0)
        self.said = note("")
        inside.addWidget(self.said)
        form = form_layout()
        self.distance = QDoubleSpinBox()
        self.distance.setRange(0.5, 500.0)
        self.distance.setDecimals(1)
        self.distance.setSuffix(" mm")
        self.distance.setToolTip("A small square has 1 mm, a large one 5 mm")
        add_row(form, "Apart", self.distance)
        inside.addLayout(form)
        self.apply = button("Use it", "Leads and intervals follow; Undo is 'As found'")
        self.reset = button("As found", "The scale of the grid again")
        inside.addLayout(button_row(self.apply))
        column.addWidget(self.row)
        column.addLayout(button_row(self.reset))
        self.row.hide()
        outer.addWidget(group)


class ShowGroup(QWidget):
    """What else is shown: the leads below the page, the page laid flat."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        group, column = group_box("Show")
        self.leads = button("Leads", "Leads in mV over seconds below the page, with calipers (Ctrl+L)", checkable=True)
        self.flat = button("Laid flat", "The corrected page beside the picture", checkable=True)
        column.addLayout(button_row(self.leads, self.flat))
        outer.addWidget(group)
