"""Save all unsaved hand work of one or several windows, one layer after the other, each by the tool that saves it."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from workbench_napari.shared.unsaved import Unsaved
from workbench_napari.shared.worker import runner_of


class SaveAll(QObject):
    """Starts a save, waits for its end, looks what is left, and goes on until nothing is or one failed.

    Signals
    -------
    stepped
        Number of the layer that is being saved (from 0), how many there are, and a line for people.
    ended
        Whether everything that a tool can save was saved.
    """

    stepped = Signal(int, int, str)
    ended = Signal(bool)

    def __init__(self, concerned: list[Unsaved], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._concerned = concerned
        self._count = len(self._left())
        self._tried: list[Any] = []
        self._is_stopped = False
        self._runners = [runner_of(u.viewer) for u in concerned if u.viewer is not None]
        for runner in self._runners:
            runner.changed.connect(self._soon)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._step)

    def start(self) -> None:
        """Begin; jobs that compute stop, as they do when the window closes, and what is being written is waited for."""
        for runner in self._runners:
            for job in [j for j in (*runner.waiting, runner.job) if j is not None and not j.writes]:
                runner.cancel(job)
        self._soon()

    def stop(self) -> None:
        """Begin no other save; one that has begun is written to its end."""
        self._is_stopped = True
        self._timer.stop()

    def _soon(self) -> None:
        if not self._is_stopped:
            self._timer.start(0)

    def _left(self) -> list[tuple[Any, Any]]:
        """Layers that are unsaved, with their tools."""
        rows = [(layer, unsaved.tool_for(layer)) for unsaved in self._concerned for layer in unsaved.layers()]
        return [(layer, tool) for layer, tool in rows if tool is not None]

    def _step(self) -> None:
        if self._is_stopped or any(runner.is_busy for runner in self._runners):
            return
        left = self._left()
        if not left:
            self._end(whole=True)
            return
        layer, tool = left[0]
        if any(layer is tried for tried in self._tried):
            self._end(whole=False)
            return
        self._tried.append(layer)
        number = max(self._count - len(left), 0)
        self.stepped.emit(number, self._count, f"Saving '{layer.name}'...")
        tool.take_up(layer)
        if not tool.save():
            self._end(whole=False)

    def _end(self, *, whole: bool) -> None:
        self.stop()
        self.ended.emit(whole)
