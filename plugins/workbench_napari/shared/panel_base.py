"""What every tool looks like: an empty state, groups below each other, one main button with progress, a status line."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtWidgets import (
    QComboBox,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from workbench.core import kinds, registry
from workbench_napari.shared.agreement_box import AgreementBox
from workbench_napari.shared.delivery import kind_of
from workbench_napari.shared.form import add_row, form_layout
from workbench_napari.shared.jobs_panel import JobsPanel
from workbench_napari.shared.journal import journal_of
from workbench_napari.shared.plain_text import WrappedLabel, plain_label, plain_tip
from workbench_napari.shared.recovery_panel import RecoveryPanel
from workbench_napari.shared.window import unwrap
from workbench_napari.shared.worker import runner_of

NOTE = "color: rgb(150, 152, 156);"
"""Style of text that explains."""


class ToolPanel(QWidget):
    """The frame of a tool; subclasses say what is in it, and `workbench_napari.shared.tool_base` makes it work.

    Parameters
    ----------
    viewer
        The viewer that the tool is docked to.
    kind
        Name of the kind of data that the tool serves; "" for all.
    """

    MIN_WIDTH = 360

    def __init__(self, viewer: Any, kind: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = unwrap(viewer)
        self.journal = journal_of(self.viewer)
        self.runner = runner_of(self.viewer)
        self.kind = kinds.find(kind) if kind else None
        self._backend = registry.of_kind(kind)[0] if kind else None
        self._build()

    def _empty_state(self) -> QWidget:
        """What is shown as long as nothing is open."""
        raise NotImplementedError

    def _parts(self) -> tuple[QWidget | QLayout, ...]:
        """What is shown once something is open, from top to bottom."""
        raise NotImplementedError

    def _footer(self) -> QWidget | None:
        """What is in sight wherever the tool is scrolled to; without one the status stands below the parts."""
        return None

    def _build(self) -> None:
        self.status = WrappedLabel()
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.progress = QProgressBar()
        self.progress.setTextVisible(True)
        self.progress.hide()
        self.jobs = JobsPanel(self.runner, kind_of(self), weakref.ref(self))
        self.agreement = AgreementBox()
        self.agreement.outdated.connect(self._take_away)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(8)
        self.recovery = RecoveryPanel(self.viewer, self.journal)
        self.recovery.said.connect(self.status.setText)
        column.addWidget(self.recovery)
        self.empty = self._empty_state()
        column.addWidget(self.empty)
        self.body = QWidget()
        body = QVBoxLayout(self.body)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(8)
        for part in self._parts():
            if isinstance(part, QWidget):
                body.addWidget(part)
            else:
                body.addLayout(part)
        column.addWidget(self.body)
        footer = self._footer()
        if footer is None:
            for row in (self.status, self.agreement, self.jobs):
                column.addWidget(row)
        column.addStretch(1)
        self.scroll = scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inner)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(scroll)
        if footer is not None:
            outer.addWidget(footer)
        # The scroll area would let wide content run out of sight to the right.
        self.setMinimumWidth(max(self.MIN_WIDTH, inner.minimumSizeHint().width() + 24))

    def _footer_of(self, *rows: QWidget) -> QWidget:
        """A footer of these rows, the progress, other jobs, the status, and the way around a refusal."""
        footer = QWidget()
        column = QVBoxLayout(footer)
        column.setContentsMargins(10, 6, 10, 6)
        column.setSpacing(4)
        for row in (*rows, self.progress, self.jobs, self.status, self.agreement):
            column.addWidget(row)
        return footer

    def bring_into_sight(self, part: QWidget) -> None:
        """Scroll to a part, once it has been laid out."""
        QTimer.singleShot(0, partial(self._scroll_to, part))

    def _scroll_to(self, part: QWidget) -> None:
        top = part.mapTo(self.scroll.widget(), QPoint(0, 0)).y()
        self.scroll.ensureVisible(0, top + min(part.height(), self.scroll.viewport().height()), 0, 0)

    def _take_away(self, text: str) -> None:
        """A line is out of date: it goes, unless another one stands there by now."""
        if self.status.text() == text:
            self.status.setText("")

    def _device_box(self) -> QComboBox:
        self.device = combo_box("Where to compute; auto says what it chose")
        self.device.setEditable(True)
        self.device.addItems(["auto", "cpu", "cuda", "mps"])
        return self.device

    def _save_form(self, column: QVBoxLayout, formats: Mapping[str, str], folder_tip: str, format_tip: str) -> None:
        """Folder and format of what is saved."""
        form = form_layout()
        self.folder = QLineEdit(str(Path.home() / "workbench"))
        self.folder.setToolTip(plain_tip(folder_tip))
        self.browse_button = QPushButton("...")
        self.browse_button.setFixedWidth(30)
        self.browse_button.setToolTip("Choose the folder")
        add_row(form, "Save in", button_row(self.folder, self.browse_button))
        self.format = combo_box(format_tip)
        self.format.addItems(list(formats))
        add_row(form, "Format", self.format)
        column.addLayout(form)

    def _save_buttons(self, tip: str) -> QHBoxLayout:
        self.save_button = QPushButton("Save")
        self.save_button.setToolTip(plain_tip(tip))
        self.open_button = QPushButton("Open folder")
        self.open_button.setEnabled(False)
        return button_row(self.save_button, self.open_button, spacing=6)


def group_box(title: str) -> tuple[QGroupBox, QVBoxLayout]:
    """A titled group and the column to fill."""
    group = QGroupBox(title)
    column = QVBoxLayout(group)
    column.setSpacing(6)
    return group, column


def combo_box(tooltip: str) -> QComboBox:
    """A combo box whose long entries do not widen the dock."""
    combo = QComboBox()
    combo.setToolTip(plain_tip(tooltip))
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return combo


def layer_row(label: str, tooltip: str) -> tuple[Any, QComboBox]:
    """A form of one row to choose a layer, and its combo box."""
    form = form_layout()
    combo = combo_box(tooltip)
    add_row(form, label, combo)
    return form, combo


def labelled_row(label: str, tooltip: str) -> tuple[QWidget, QComboBox]:
    """A row to choose in that can be hidden as a whole, and its combo box."""
    row = QWidget()
    form, combo = layer_row(label, tooltip)
    form.setContentsMargins(0, 0, 0, 0)
    row.setLayout(form)
    return row, combo


def note(text: str, tooltip: str = "") -> QLabel:
    """A quiet line that explains."""
    label = plain_label(text)
    label.setWordWrap(True)
    label.setToolTip(plain_tip(tooltip))
    label.setStyleSheet(NOTE)
    return label


def button(text: str, tooltip: str, *, checkable: bool = False) -> QPushButton:
    """A button that says what it does when one points at it."""
    made = QPushButton(text)
    made.setToolTip(plain_tip(tooltip))
    made.setCheckable(checkable)
    return made


class MainButton(QPushButton):
    """The button that starts the work and then cancels it: of a double click it takes the first half only."""

    def mouseDoubleClickEvent(self, event: Any) -> None:
        event.accept()


def main_button(text: str, tooltip: str) -> QPushButton:
    """The button that the tool is there for."""
    made = MainButton(text)
    made.setToolTip(plain_tip(tooltip))
    made.setMinimumHeight(30)
    made.setStyleSheet("font-weight: bold;")
    return made


def button_row(*widgets: QWidget, spacing: int = 4) -> QHBoxLayout:
    """Widgets beside each other."""
    row = QHBoxLayout()
    row.setSpacing(spacing)
    for widget in widgets:
        row.addWidget(widget)
    return row


def empty_state(text: str, *buttons: QPushButton) -> QFrame:
    """What to do first, with buttons for it."""
    frame = QFrame()
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(8, 16, 8, 16)
    label = QLabel(text)
    label.setWordWrap(True)
    layout.addWidget(label)
    for made in buttons:
        layout.addWidget(made)
    return frame
