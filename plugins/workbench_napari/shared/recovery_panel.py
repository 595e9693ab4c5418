"""A panel that offers unsaved work of an earlier session, or of a layer removed in this one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMessageBox,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from workbench.core.layers import KEY
from workbench_napari.shared.journal import Journal
from workbench_napari.shared.plain_text import WrappedLabel, plain_tip
from workbench_napari.shared.recovery_store import Entry
from workbench_napari.shared.right_image import image_layer, image_of, is_changed, kept_line, must_wait, own_of

_SHOWN = 5
"""Damaged copies that are told of at once."""


class RecoveryPanel(QFrame):
    """List of recoverable layers with Restore and Discard; hidden while there are none."""

    said = Signal(str)

    def __init__(self, viewer: Any, journal: Journal, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._journal = journal
        self.setObjectName("recovery")
        self.setStyleSheet("#recovery { border: 1px solid rgb(230, 159, 0); border-radius: 4px; }")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 8)
        self._title = QLabel()
        self._title.setWordWrap(True)
        layout.addWidget(self._title)
        self.list = QListWidget()
        self.list.setAccessibleName("Unsaved layers")
        self.list.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        layout.addWidget(self.list)
        self.problems = WrappedLabel()
        self.problems.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout.addWidget(self.problems)
        row = QHBoxLayout()
        self.restore_button = QPushButton("Restore")
        self.restore_button.setToolTip("Open the chosen layers with all edits, in their place (all if none is chosen)")
        self.discard_button = QPushButton("Discard...")
        self.discard_button.setToolTip("Throw the chosen copies away for good")
        row.addWidget(self.restore_button)
        row.addWidget(self.discard_button)
        layout.addLayout(row)
        self.restore_button.clicked.connect(self.restore_chosen)
        self.discard_button.clicked.connect(self._ask_discard)
        journal.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Look again what can be offered."""
        entries = self._journal.offers()
        self.list.clear()
        for entry in entries:
            item = QListWidgetItem(describe(entry))
            item.setData(Qt.ItemDataRole.UserRole, entry)
            item.setToolTip(plain_tip(f"{entry.source or 'no file'}\n{entry.size / 1e6:.1f} MB in {entry.folder}"))
            self.list.addItem(item)
        count = len(entries)
        self._title.setText(
            f"<b>Unsaved work was kept</b><br>{count} edited layer{'s' if count != 1 else ''} can be restored:"
        )
        self.list.setFixedHeight(min(max(count, 1), 4) * 36 + 6)
        problems = self._journal.problems()
        self.problems.setText("\n".join(problems[:_SHOWN] + ["..."] * (len(problems) > _SHOWN)))
        self.problems.setVisible(bool(problems))
        for part in (self._title, self.list, self.restore_button, self.discard_button):
            part.setVisible(bool(entries))
        self.setVisible(bool(entries or problems))

    def chosen(self) -> list[Entry]:
        """The chosen entries, or all if none is chosen."""
        items = self.list.selectedItems() or [self.list.item(i) for i in range(self.list.count())]
        return [i.data(Qt.ItemDataRole.UserRole) for i in items]

    def restore_chosen(self) -> list[Any]:
        """Restore, opening the image file of each layer first if it is not shown yet."""
        from workbench_napari.shared.opening import open_path

        entries = self.chosen()
        for source, kind in {image_of(e) for e in entries} - {None}:
            shown = [(layer.metadata.get(KEY) or {}).get("source") for layer in self._viewer.layers]
            if source not in shown and Path(str(source)).exists():
                # As its own kind: the file may be of a stranger's, or one that could be several.
                open_path(self._viewer, str(source), self, kind)
        waiting = [entry for entry in entries if must_wait(entry, self._viewer)]
        found = [self._restore(entry) for entry in entries if entry not in waiting]
        if waiting:
            self.say(kept_line(waiting))
        return found

    def _restore(self, entry: Entry) -> Any:
        """Bring a layer back; its file may lie elsewhere by now."""
        image = image_layer(own_of(entry), self._viewer)
        layer = self._journal.restore(entry)
        if image is not None and is_changed(own_of(entry), image):
            self.say(
                f"The file of {image.name} was changed since '{entry.name}' was drawn: is it still the same slide?"
            )
        if layer is not None and image is not None and own_of(entry).get("source") != image.metadata[KEY]["source"]:
            layer.metadata[KEY]["source"] = image.metadata[KEY]["source"]
            self._journal.restored.emit(layer)
        return layer

    def say(self, text: str) -> None:
        """What went wrong is said by the tool."""
        self.said.emit(text)

    def discard_chosen(self) -> None:
        """Discard without asking."""
        for entry in self.chosen():
            self._journal.discard(entry)

    def _ask_discard(self) -> None:
        count = len(self.chosen())
        answer = QMessageBox.question(
            self, "Discard unsaved work", f"Throw {count} unsaved layer{'s' if count != 1 else ''} away for good?"
        )
        if answer == QMessageBox.StandardButton.Yes:
            self.discard_chosen()


def describe(entry: Entry) -> str:
    """Two lines: layer and how it ended; file and time."""
    how = "removed layer" if entry.state == "removed" else entry.kind
    file = Path(entry.source).name if entry.source else "no file"
    return f"{entry.name}  ({how})\n{file}, {entry.when}"
