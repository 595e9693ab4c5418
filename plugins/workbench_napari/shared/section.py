"""Parts of a tool with a title that folds: what is folded takes no room, gets no focus, and stays so next time."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFrame, QSizePolicy, QToolButton, QVBoxLayout, QWidget
from superqt import QCollapsible

from workbench_napari.shared.memory import keep, recall

_OPEN, _FOLDED = "open", "folded"


class Section(QWidget):
    """A titled group that a click on its title, or Space while the title has the focus, folds and opens.

    Parameters
    ----------
    title
        What stands above the group.

    Attributes
    ----------
    column
        Layout to fill.

    Signals
    -------
    toggled
        Whether it is open now.
    """

    toggled = Signal(bool)

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._key = ""
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(2)
        self.head = QToolButton()
        self.head.setText(title)
        self.head.setAccessibleName(title)
        self.head.setToolTip("Fold or open")
        self.head.setCheckable(True)
        self.head.setChecked(True)
        self.head.setAutoRaise(True)
        self.head.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.head.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.head.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.head.setObjectName("section")
        self.inside = QFrame()
        self.column = QVBoxLayout(self.inside)
        self.column.setContentsMargins(4, 2, 4, 4)
        self.column.setSpacing(6)
        outer.addWidget(self.head)
        outer.addWidget(self.inside)
        self.head.toggled.connect(self._on_toggled)
        self.head.clicked.connect(self._on_clicked)
        self._arrow()

    @property
    def title(self) -> str:
        """What stands above the group."""
        return str(self.head.text())

    @property
    def is_open(self) -> bool:
        return bool(self.head.isChecked())

    def set_open(self, on: bool) -> None:
        """Open or fold it, for this session."""
        self.head.setChecked(on)

    def remember_as(self, key: str) -> None:
        """Be as a person left it under this key, and keep what a person does from now on."""
        self._key = key
        if kept := recall(key):
            self.set_open(kept == _OPEN)

    def _on_clicked(self, on: bool) -> None:
        if self._key:
            keep(self._key, _OPEN if on else _FOLDED)

    def _on_toggled(self, on: bool) -> None:
        self.inside.setVisible(on)
        self._arrow()
        self.toggled.emit(on)

    def _arrow(self) -> None:
        self.head.setArrowType(Qt.ArrowType.DownArrow if self.is_open else Qt.ArrowType.RightArrow)


class Fold(QCollapsible):
    """A smaller fold inside a section: what is in it gets no focus while it is folded.

    Parameters
    ----------
    title
        What stands on it.
    key
        Under which a person's choice is kept.
    """

    def __init__(self, title: str, key: str, parent: QWidget | None = None) -> None:
        super().__init__(title, parent)
        self._key = key
        self.setDuration(0)
        self.toggleButton().setAccessibleName(title)
        self.toggled.connect(self._on_toggled)
        self.toggleButton().clicked.connect(self._on_clicked)

    def begin(self, *, is_open: bool) -> None:
        """As a person left it; without that, open or folded as the tool wants it."""
        kept = recall(self._key)
        (self.expand if (kept == _OPEN if kept else is_open) else self.collapse)(animate=False)
        self._on_toggled()

    def _on_toggled(self, _on: Any = None) -> None:
        # QCollapsible makes what is folded zero pixels high, and Tab would still go through it.
        self.content().setVisible(self.isExpanded())

    def _on_clicked(self) -> None:
        keep(self._key, _OPEN if self.isExpanded() else _FOLDED)
