"""What every tool looks like: an empty state, sections that fold, and a footer with Run, Save and the status."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtWidgets import (
    QComboBox,
    QFrame,
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
from workbench_napari.shared.closing import guard
from workbench_napari.shared.delivery import kind_of
from workbench_napari.shared.form import add_row, form_layout
from workbench_napari.shared.jobs_panel import JobsPanel
from workbench_napari.shared.journal import journal_of
from workbench_napari.shared.own_context import keep_to_own_context
from workbench_napari.shared.pages import Pages, Part
from workbench_napari.shared.place import ToolPlace
from workbench_napari.shared.plain_text import WrappedLabel, plain_tip
from workbench_napari.shared.quiet_label import QuietLabel
from workbench_napari.shared.recovery_panel import RecoveryPanel
from workbench_napari.shared.section import Section
from workbench_napari.shared.spoken import name_all
from workbench_napari.shared.theme import colors_of
from workbench_napari.shared.unsaved import unsaved_of
from workbench_napari.shared.unsaved_sign import UnsavedSign
from workbench_napari.shared.view_direction import allow_no_view_direction
from workbench_napari.shared.window import unwrap
from workbench_napari.shared.worker import runner_of


class ToolPanel(QWidget):
    """The frame of a tool; subclasses say what is in it, and `workbench_napari.shared.tool_base` makes it work.

    Parameters
    ----------
    viewer
        The viewer that the tool is docked to.
    kind
        Name of the kind of data that the tool serves; "" for all.
    """

    MIN_WIDTH = 300

    def __init__(self, viewer: Any, kind: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = unwrap(viewer)
        self.journal = journal_of(self.viewer)
        self.runner = runner_of(self.viewer)
        self.unsaved = unsaved_of(self.viewer)
        guard(self.viewer)
        keep_to_own_context()
        allow_no_view_direction()
        self._wanted: QWidget | None = None
        self.kind = kinds.find(kind) if kind else None
        self._backend = registry.of_kind(kind)[0] if kind else None
        self._build()

    def _empty_state(self) -> QWidget:
        """What is shown as long as nothing is open."""
        raise NotImplementedError

    def _parts(self) -> tuple[QWidget | QLayout, ...]:
        """What is shown once something is open, from top to bottom."""
        raise NotImplementedError

    def _pages(self) -> dict[str, tuple[Part, ...]]:
        """The parts by the title of their page; in a window that is not tall enough one page is shown at a time."""
        return {"": self._parts()}

    def _above(self) -> tuple[Part, ...]:
        """What stands above the pages, whichever is shown."""
        return ()

    def _footer(self) -> QWidget | None:
        """What is in sight wherever the tool is scrolled to; without one the status stands below the parts."""
        return None

    def _build(self) -> None:
        self.status = WrappedLabel()
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.progress = QProgressBar()
        self.progress.setTextVisible(True)
        self.progress.setAccessibleName("Progress")
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
        for part in self._above():
            body.addWidget(part) if isinstance(part, QWidget) else body.addLayout(part)
        self.pages = Pages()
        for title, parts in self._pages().items():
            self.pages.add(title, parts)
        body.addWidget(self.pages)
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
        self._remember()
        name_all(self)
        self.place = ToolPlace(self, self.viewer)
        self.use_theme()
        # The scroll area would let wide content run out of sight to the right.
        self.setMinimumWidth(max(self.MIN_WIDTH, inner.minimumSizeHint().width() + 24))

    def _remember(self) -> None:
        """Sections and pages are as the person left them in the session before."""
        owner = self.kind.name if self.kind else "general"
        for section in self.findChildren(Section):
            section.remember_as(f"{owner}/{section.title}")
        self.pages.remember_as(f"{owner}/page")

    def _footer_of(self, *rows: QWidget) -> QWidget:
        """A footer of these beside Save and `?`, the progress, other jobs, the status, and the way around a refusal."""
        footer = QWidget()
        column = QVBoxLayout(footer)
        column.setContentsMargins(10, 6, 10, 6)
        column.setSpacing(4)
        self.keys_button = button("?", "Show all keys of this tool (?)")
        self.keys_button.setAccessibleName("Show all keys of this tool")
        self.keys_button.setFixedWidth(30)
        first = QWidget()
        self.unsaved_sign = UnsavedSign(self.unsaved, self.save_button)
        line = button_row(*rows, self.save_button, self.unsaved_sign, self.keys_button)
        line.setContentsMargins(0, 0, 0, 0)
        first.setLayout(line)
        for number in range(len(rows)):
            line.setStretch(number, 2)
        line.setStretch(len(rows), 1)
        for widget in (self.save_button, self.keys_button):
            widget.setMinimumHeight(30)
        for row in (first, self.progress, self.jobs, self.status, self.agreement):
            column.addWidget(row)
        return footer

    # --- the theme

    def use_theme(self, _event: Any = None) -> None:
        """Colours that can be read in the theme of the viewer."""
        colors = colors_of(self.viewer.theme)
        for widget in self._painted():
            widget.use_colors(colors)

    def _painted(self) -> list[Any]:
        """The widgets of the tool that draw by themselves."""
        return [w for w in self.findChildren(QWidget) if hasattr(w, "use_colors")]

    # --- the room there is

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._give_room()

    def _give_room(self) -> None:
        """Tell the pages how high they may be together."""
        others = sum(w.sizeHint().height() + 8 for w in (self.recovery, self.empty) if not w.isHidden())
        above = self.pages.y() if self.pages.isVisible() else 0
        self.pages.set_room(max(1, self.scroll.viewport().height() - others - above - 16))

    def bring_into_sight(self, part: QWidget) -> None:
        """Turn to the page of a part, open its section, and scroll to it, once it has been laid out."""
        self.pages.turn_to(part)
        above: QWidget | None = part
        while above is not None and above is not self:
            if isinstance(above, Section):
                above.set_open(True)
            above = above.parentWidget()
        self._wanted = part
        # A method of the tool and nothing around it: only then Qt drops the call when the tool has gone by then.
        QTimer.singleShot(0, self._scroll_to)

    def _scroll_to(self) -> None:
        part = self._wanted
        if part is None:
            return
        self._wanted = None
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
        """The row with *Open folder*; Save itself stands in the footer."""
        self.save_button = QPushButton("Save")
        self.save_button.setToolTip(plain_tip(tip))
        self.open_button = QPushButton("Open folder")
        self.open_button.setEnabled(False)
        return button_row(self.open_button, spacing=6)


def group_box(title: str) -> tuple[Section, QVBoxLayout]:
    """A titled section that folds, and the column to fill."""
    group = Section(title)
    return group, group.column


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


def note(text: str, tooltip: str = "") -> QuietLabel:
    """A quiet line that explains."""
    label = QuietLabel()
    label.setText(text)
    label.setWordWrap(True)
    label.setToolTip(plain_tip(tooltip))
    return label


def button(text: str, tooltip: str, *, checkable: bool = False) -> QPushButton:
    """A button that says what it does when one points at it."""
    made = QPushButton(text)
    made.setToolTip(plain_tip(tooltip))
    made.setCheckable(checkable)
    if not any(c.isalnum() for c in text):  # a sign; screen readers need words
        made.setAccessibleName(tooltip.split(" (")[0])
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


def empty_state(text: str, *buttons: QWidget) -> QFrame:
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
