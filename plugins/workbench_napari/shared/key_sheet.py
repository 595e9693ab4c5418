"""The sheet of all keys of a tool, as a window of its own that any of Escape, `?` and a click on Close puts away."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QDialog, QGridLayout, QLabel, QPushButton, QScrollArea, QShortcut, QVBoxLayout, QWidget

from workbench_napari.shared.plain_text import plain_label

Rows = Sequence[tuple[str, str]]


class KeySheet(QDialog):
    """Keys and what they do, under headings.

    Parameters
    ----------
    title
        Of the window.
    groups
        Heading and rows: keys, and what they do.
    parent
        The tool.
    """

    def __init__(self, title: str, groups: Sequence[tuple[str, Rows]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.rows: list[tuple[str, str]] = []
        inner = QWidget()
        grid = QGridLayout(inner)
        grid.setColumnStretch(1, 1)
        grid.setHorizontalSpacing(16)
        line = 0
        for heading, rows in groups:
            if not rows:
                continue
            head = plain_label(heading)
            head.setStyleSheet("font-weight: bold;")
            grid.addWidget(head, line, 0, 1, 2)
            line += 1
            for keys, text in rows:
                self.rows.append((keys, text))
                grid.addWidget(self._key(keys), line, 0)
                told = plain_label(text)
                told.setWordWrap(True)
                grid.addWidget(told, line, 1)
                line += 1
        grid.setRowStretch(line, 1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(inner)
        column = QVBoxLayout(self)
        column.addWidget(scroll)
        close = QPushButton("Close")
        close.clicked.connect(self.close)
        column.addWidget(close)
        again = QShortcut(QKeySequence("?"), self)
        again.activated.connect(self.close)
        self.resize(440, min(560, 90 + 26 * line))

    @staticmethod
    def _key(keys: str) -> QLabel:
        label = plain_label(keys)
        label.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        return label
