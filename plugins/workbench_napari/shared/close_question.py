"""The question before a window with unsaved hand work is closed: Save, Keep for next time, Discard or Cancel."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QDialog, QHBoxLayout, QListWidget, QProgressBar, QPushButton, QVBoxLayout, QWidget

from workbench_napari.shared.plain_text import WrappedLabel, plain_tip
from workbench_napari.shared.unsaved import Unsaved
from workbench_napari.shared.worker import runner_of

_ROWS = 6


class CloseQuestion(QDialog):
    """What is unsaved, and what to do with it; while it is saved, how far that is.

    Signals
    -------
    chosen
        ``"save"``, ``"keep"``, ``"discard"`` or ``"cancel"``.
    """

    chosen = Signal(str)

    def __init__(self, concerned: list[Unsaved], *, quit_app: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Unsaved work")
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._is_over = False
        rows = [(layer, unsaved.tool_for(layer)) for unsaved in concerned for layer in unsaved.layers()]
        able = [layer for layer, tool in rows if tool is not None]
        column = QVBoxLayout(self)
        column.setSpacing(10)
        left = "napari is left" if quit_app else "the window is closed"
        self.text = WrappedLabel()
        self.text.setText(f"Save what you drew before {left}?")
        column.addWidget(self.text)
        self.list = QListWidget()
        self.list.setAccessibleName("Unsaved layers")
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setSelectionMode(QListWidget.SelectionMode.NoSelection)
        for layer, tool in rows:
            self.list.addItem(_row(layer, tool))
            self.list.item(self.list.count() - 1).setToolTip(plain_tip(_row(layer, tool)))
        height = max(self.list.sizeHintForRow(0), self.fontMetrics().height() + 4)
        self.list.setFixedHeight(min(len(rows), _ROWS) * height + 10)
        column.addWidget(self.list)
        self.notes = WrappedLabel()
        self.notes.setText("\n".join(_notes(concerned, len(able) < len(rows))))
        self.notes.setVisible(bool(self.notes.text()))
        column.addWidget(self.notes)
        self.progress = QProgressBar()
        self.progress.setAccessibleName("Progress of saving")
        self.progress.hide()
        column.addWidget(self.progress)
        row = QHBoxLayout()
        tips = {
            "save": ("Save", "Write each layer where its tool saves, then close"),
            "keep": ("Keep for next time", "Close, and offer these layers with all edits at the next start"),
            "discard": ("Discard", "Close, and throw this work away for good"),
            "cancel": ("Cancel", "Leave the window open"),
        }
        self.buttons: dict[str, QPushButton] = {}
        for name, (title, tip) in tips.items():
            self.buttons[name] = made = QPushButton(title)
            made.setToolTip(plain_tip(tip))
            made.setAutoDefault(False)
            made.clicked.connect(partial(self._choose, name))
            row.addWidget(made)
        first = "save" if able else "keep"
        self.buttons["save"].setEnabled(bool(able))
        self.buttons[first].setDefault(True)
        self.buttons[first].setStyleSheet("font-weight: bold;")  # napari's style shows no default button
        self.buttons[first].setFocus()
        column.addLayout(row)
        self.setMinimumWidth(440)

    def sizeHint(self) -> QSize:
        return QSize(480, super().sizeHint().height())

    def _choose(self, what: str, _checked: bool = False) -> None:
        if what == "save":
            for name in ("save", "keep", "discard"):
                self.buttons[name].setEnabled(False)
        self.chosen.emit(what)

    def show_step(self, number: int, count: int, text: str) -> None:
        """Saving has come so far."""
        self.text.setText(text)
        self.progress.setRange(0, 0 if count < 2 else count)
        self.progress.setValue(number)
        self.progress.setFormat(f"{number + 1} of {count}")
        self.progress.show()

    def shut(self) -> None:
        """The answer was given."""
        self._is_over = True
        self.close()

    def reject(self) -> None:
        """Escape, or the button of the dialog's frame."""
        if self._is_over:
            super().reject()
        else:
            self._is_over = True
            super().reject()
            self.chosen.emit("cancel")


def _row(layer: Any, tool: Any) -> str:
    if tool is None:
        return f"{layer.name}: no tool here saves it"
    where = tool.folder.text().strip()
    return f"{layer.name}: {tool.kind.tool if tool.kind else 'Any backend'}, {where or 'no folder is chosen'}"


def _notes(concerned: list[Unsaved], some_are_left: bool) -> list[str]:
    lines = ["What no tool here saves is kept for next time when you save."] if some_are_left else []
    running = [title for unsaved in concerned if unsaved.viewer is not None and (title := _running(unsaved.viewer))]
    return [*lines, *(f"'{title}' still runs, and stops." for title in running)]


def _running(viewer: Any) -> str:
    job = runner_of(viewer).job
    return "" if job is None or job.writes else job.title
