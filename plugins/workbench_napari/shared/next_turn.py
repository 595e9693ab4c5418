"""Something that is done once in the next turn of the event loop, however often it was asked for in this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, QTimer


class NextTurn(QObject):
    """Calls something later, once.

    Parameters
    ----------
    action
        What is called.
    """

    def __init__(self, action: Callable[[], Any], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(action)

    def ask(self, _event: Any = None) -> None:
        """Let it be called in the next turn."""
        self._timer.start(0)

    def forget(self) -> None:
        """Do not call what was asked for."""
        self._timer.stop()
