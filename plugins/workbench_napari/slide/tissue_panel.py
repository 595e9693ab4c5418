"""What learning classes of tissue looks like: how, buttons, what was marked and how well it is found again."""

from __future__ import annotations

from qtpy.QtWidgets import QVBoxLayout, QWidget

from workbench_napari.shared.form import add_row, form_layout
from workbench_napari.shared.panel_base import button, button_row, combo_box, group_box
from workbench_napari.shared.plain_text import WrappedLabel
from workbench_napari.slide.panel import ScoresTable

HOW = {"Logistic regression": "logistic", "Most similar tiles": "knn"}


class TissueGroup(QWidget):
    """Learn from marked regions, look at doubtful tiles, keep what was learnt."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        group, column = group_box("Classes of tissue")
        self.learn = button(
            "Learn", "Name all tiles after the outlines, points and painted areas that you gave a class: five of each "
            "class or so are enough",
        )  # fmt: skip
        self.doubtful = button("Next doubtful", "Go to the tile whose class is least clear; mark it, and learn again")
        self.keep = button("Save classes...", "What was learnt as a small file of weights, for other slides")
        column.addLayout(button_row(self.learn, self.doubtful))
        form = form_layout()
        self.how = combo_box("How classes are told apart")
        self.how.addItems(list(HOW))
        add_row(form, "By", self.how)
        column.addLayout(form)
        column.addLayout(button_row(self.keep))
        self.hint = WrappedLabel()
        column.addWidget(self.hint)
        self.table = ScoresTable("Classes of tissue")
        column.addWidget(self.table)
        outer.addWidget(group)
