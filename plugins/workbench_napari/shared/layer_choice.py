"""Combo boxes that list layers by name and hold them weakly."""

from __future__ import annotations

import weakref
from typing import Any

from qtpy.QtWidgets import QComboBox


def opened(event: Any) -> Any:
    """The layer that was just opened, as an event of the list of layers says; ``None`` if none was."""
    return event.value if event is not None and event.type == "inserted" else None


def fill(combo: QComboBox, layers: list[Any], default: int, new: Any = None) -> None:
    """List layers by name; choose the `new` one if it is among them, or keep the choice if it is still there."""
    before = new if new in layers else chosen(combo)
    combo.blockSignals(True)
    combo.clear()
    for layer in layers:
        combo.addItem(layer.name, weakref.ref(layer))
    index = index_of(combo, before)
    combo.setCurrentIndex(index if before is not None and index >= 0 else min(max(default, 0), len(layers) - 1))
    combo.blockSignals(False)


def chosen(combo: QComboBox) -> Any:
    """The layer that is chosen, or ``None``."""
    reference = combo.currentData()
    return None if reference is None else reference()


def index_of(combo: QComboBox, layer: Any) -> int:
    """Where a layer stands in the list; -1 if it does not."""
    return next((i for i in range(combo.count()) if layer is not None and combo.itemData(i)() is layer), -1)
