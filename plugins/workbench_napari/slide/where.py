"""The choice where tiles are taken: tissue that the run finds, a mask, or outlines."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QComboBox

from workbench_napari.shared.plain_text import plain_tip
from workbench_napari.slide.on_slide import annotations_on, is_own_mask, masks_on
from workbench_napari.slide.panel import FOUND

_MARGIN, _MOST = 24, 900


class Where(QObject):
    """Keeps the list of masks and outlines over the chosen slide.

    Signals
    -------
    changed
        Another choice.
    """

    changed = Signal()

    def __init__(self, viewer: Any, combo: QComboBox, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._combo = viewer, combo
        combo.addItem(FOUND, 0)
        combo.currentIndexChanged.connect(self._on_index)

    @property
    def layer(self) -> Any:
        """The mask or the layer of outlines that is chosen; ``None`` where the run finds tissue itself."""
        key = self._combo.currentData()
        return next((x for x in self._viewer.layers if id(x) == key), None)

    def follow(self, slide: Any) -> None:
        """List what lies over this slide now; the choice stays where it can."""
        rows: list[tuple[str, int]] = [(FOUND, 0)]
        if slide is not None:
            rows += [(_mask_title(x), id(x)) for x in masks_on(self._viewer, slide)]
            outlines = [x for x in annotations_on(self._viewer, slide) if type(x).__name__ == "Shapes"]
            rows += [(f"Only in the drawn outlines: {x.name}", id(x)) for x in outlines]
        if [(self._combo.itemText(i), self._combo.itemData(i)) for i in range(self._combo.count())] == rows:
            return
        before = self._combo.currentData()
        self._combo.blockSignals(True)
        self._combo.clear()
        for title, key in rows:
            self._combo.addItem(title, key)
            self._combo.setItemData(self._combo.count() - 1, plain_tip(title), Qt.ItemDataRole.ToolTipRole)
        self._combo.setCurrentIndex(max(self._combo.findData(before), 0))
        # The list is as wide as what stands in it, however narrow the dock is.
        widest = max(self._combo.fontMetrics().horizontalAdvance(title) for title, _ in rows)
        self._combo.view().setMinimumWidth(min(widest + _MARGIN, _MOST))
        self._combo.blockSignals(False)
        if self._combo.currentData() != before:
            self.changed.emit()

    def choose(self, layer: Any) -> None:
        """Take tiles in this layer."""
        index = self._combo.findData(id(layer))
        if index >= 0:
            self._combo.setCurrentIndex(index)

    def _on_index(self, _index: int) -> None:
        self.changed.emit()


def _mask_title(layer: Any) -> str:
    return f"The mask: {layer.name}" if is_own_mask(layer) else f"The corrected tissue: {layer.name}"
