"""Make what takes a library once the library is there: a tool is docked before there is anything to draw."""

from __future__ import annotations

import sys

from qtpy.QtCore import QObject, QTimer, Signal

from workbench_napari.shared import engines

_LOOK_MS = 400


class WhenLoaded(QObject):
    """Looks now and then whether somebody has imported some modules; it imports nothing.

    Parameters
    ----------
    names
        The modules.

    Signals
    -------
    loaded
        They are there, and what takes them can be made in no time; once.
    """

    loaded = Signal()

    def __init__(self, names: tuple[str, ...], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._names = names
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._timer.start()

    def stop(self) -> None:
        """Somebody needed them before that."""
        self._timer.stop()

    def _look(self) -> None:
        if all(name in sys.modules and not engines.is_busy_with(name) for name in self._names):
            self.stop()
            self.loaded.emit()
