"""Which level of a multiscale layer is computed: the finest that fits into memory, unless a person says another."""

from __future__ import annotations

import math
import weakref
from typing import Any

from qtpy.QtWidgets import QComboBox, QWidget

from workbench.core.errors import WorkbenchError
from workbench.core.levels import factors
from workbench.core.memory import available

_BYTES = 24
"""What a voxel takes at least while a backend works on it: as it is read, as float32, and two maps of results."""


class LevelChoice:
    """Fills a combo box with the levels of a layer; it is hidden where there is only one."""

    def __init__(self, row: QWidget, combo: QComboBox) -> None:
        self._row, self.combo = row, combo
        self._of: Any = lambda: None
        self._shapes: list[tuple[int, ...]] = []
        self._row.hide()

    @property
    def chosen(self) -> int:
        """The level that is chosen; 0 of a layer without levels."""
        return max(0, self.combo.currentIndex())

    @property
    def note(self) -> str:
        """What a result says of the chosen level; "" where that is the finest."""
        if not self.chosen or _refusal(self._shapes, self.chosen):
            return ""
        steps = " × ".join(map(str, factors(self._shapes, self.chosen)))
        size = " × ".join(map(str, self._shapes[self.chosen]))
        return f"computed at level {self.chosen}: {size}, each for {steps} of the finest"

    def follow(self, layer: Any) -> None:
        """Offer the levels of this layer; what a person chose stays as long as its levels are the same."""
        shapes = [tuple(x.shape) for x in layer.data] if getattr(layer, "multiscale", False) else []
        if layer is self._of() and shapes == self._shapes:
            return
        self._of = (lambda: None) if layer is None else weakref.ref(layer)
        self._shapes = shapes
        blocked = self.combo.blockSignals(True)
        self.combo.clear()
        self.combo.addItems([_text(shapes, level) for level in range(len(shapes))])
        self.combo.setCurrentIndex(finest_that_fits(shapes, available().bytes) if shapes else -1)
        self.combo.blockSignals(blocked)
        self._row.setVisible(len(shapes) > 1)


def finest_that_fits(shapes: list[tuple[int, ...]], room: int) -> int:
    """The first level that can be computed in so many bytes and can be placed; 0 if none can."""
    for level, shape in enumerate(shapes):
        if math.prod(shape) * _BYTES <= room and not _refusal(shapes, level):
            return level
    return 0


def _text(shapes: list[tuple[int, ...]], level: int) -> str:
    size = " × ".join(str(n) for n in shapes[level])
    if level == 0:
        return f"0, the finest: {size}"
    try:
        steps = factors(shapes, level)
    except WorkbenchError:
        return f"{level}: {size}, cannot be placed"
    # Short enough for a narrow dock; the line below has the spacing.
    return f"{level}: {size} (÷ {', '.join(map(str, steps if len(set(steps)) > 1 else steps[:1]))})"


def _refusal(shapes: list[tuple[int, ...]], level: int) -> str:
    try:
        factors(shapes, level)
    except WorkbenchError as error:
        return str(error)
    return ""
