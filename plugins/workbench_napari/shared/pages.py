"""The parts of a tool: below each other where the window is tall enough, else as pages of which one is shown."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QTimer, Signal
from qtpy.QtWidgets import QLayout, QTabBar, QVBoxLayout, QWidget

from workbench_napari.shared.memory import keep, recall

_SPARE = 60
"""Pixels that must be free before pages become a column again, or a growing table would turn them to and fro."""

Part = QWidget | QLayout


class Pages(QWidget):
    """Pages with a bar of tabs, which is there only while they do not all fit.

    Signals
    -------
    turned
        Another page is shown, or all of them.
    """

    turned = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        self.bar = QTabBar()
        self.bar.setExpanding(True)
        self.bar.setDrawBase(False)
        self.bar.setUsesScrollButtons(True)
        self.bar.setAccessibleName("Pages of the tool")
        self.bar.hide()
        column.addWidget(self.bar)
        self.pages: list[QWidget] = []
        self._column, self._room, self._key = column, 0, ""
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._fit)
        self.bar.currentChanged.connect(self._show)
        self.bar.tabBarClicked.connect(self._on_clicked)

    def add(self, title: str, parts: tuple[Part, ...]) -> QWidget:
        """One more page; returns it."""
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for part in parts:
            if isinstance(part, QWidget):
                column.addWidget(part)
            else:
                column.addLayout(part)
        self.pages.append(page)
        self._column.addWidget(page)
        self.bar.addTab(title)
        return page

    @property
    def are_tabs(self) -> bool:
        """Whether one page is shown at a time."""
        return not self.bar.isHidden()

    def remember_as(self, key: str) -> None:
        """Show the page that a person chose last under this key, and keep what is chosen from now on."""
        self._key = key
        titles = [self.bar.tabText(n) for n in range(self.bar.count())]
        if recall(key) in titles:
            self.bar.setCurrentIndex(titles.index(recall(key)))

    def turn_to(self, part: QWidget) -> None:
        """Show the page that a part is on."""
        for n, page in enumerate(self.pages):
            if page is part or page.isAncestorOf(part):
                self.bar.setCurrentIndex(n)

    def set_room(self, height: int) -> None:
        """So many pixels are there for all pages."""
        self._room = height
        self._timer.start(0)

    def event(self, event: Any) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:
            self._timer.start(0)
        return bool(super().event(event))

    def _fit(self) -> None:
        if len(self.pages) < 2 or not self._room:
            return
        width = self.width()
        wanted = sum(_height(page, width) for page in self.pages) + 8 * (len(self.pages) - 1)
        if self.are_tabs == (wanted + (_SPARE if self.are_tabs else 0) > self._room):
            return
        self.bar.setVisible(not self.are_tabs)
        self._show()

    def _show(self, _index: int = 0) -> None:
        for n, page in enumerate(self.pages):
            page.setVisible(not self.are_tabs or n == self.bar.currentIndex())
        self.turned.emit()

    def _on_clicked(self, index: int) -> None:
        if self._key and index >= 0:
            keep(self._key, self.bar.tabText(index))


def _height(page: QWidget, width: int) -> int:
    layout = page.layout()
    wrapped = layout.heightForWidth(width) if layout.hasHeightForWidth() else -1
    return int(wrapped if wrapped >= 0 else layout.sizeHint().height())
