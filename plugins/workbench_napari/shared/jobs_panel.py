"""What goes on in the viewer beside the tool's own job: what runs, what waits, and results that wait to be shown."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from workbench_napari.shared.delivery import Delivery
from workbench_napari.shared.job import Job
from workbench_napari.shared.plain_text import WrappedLabel, plain_tip
from workbench_napari.shared.worker import Held, JobRunner


class JobsPanel(QFrame):
    """A line and its buttons per job and per result; hidden while there is nothing to tell.

    Parameters
    ----------
    runner
        The runner of the viewer.
    kind
        Which results can be shown here; see `workbench_napari.shared.delivery.kind_of`.
    tool
        Gives the tool that the panel is in. Its job is shown by its progress bar, and here only while it waits.

    Signals
    -------
    wanted
        A person wants to see a result that waits.
    """

    wanted = Signal(object)

    def __init__(self, runner: JobRunner, kind: str, tool: Callable[[], Any], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._runner, self._kind, self._tool = runner, kind, tool
        self._shown: list[Any] = []
        self.rows: list[JobRow] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        runner.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Look again at what runs and waits."""
        runner = self._runner
        running = [] if runner.job is None or self._is_mine(runner.job) else [runner.job]
        shown: list[Any] = [*running, *runner.waiting, *runner.offers(self._kind)]
        state = [(item, getattr(item, "is_cancelling", False)) for item in shown]
        if state == self._shown:
            return
        self._shown = state
        for row in self.rows:
            row.hide()
            row.deleteLater()
        self.rows = [self._row(item) for item in shown]
        for row in self.rows:
            self._column.addWidget(row)
        self.setVisible(bool(shown))

    def _is_mine(self, job: Job) -> bool:
        return isinstance(job.done, Delivery) and job.done.tool is self._tool()

    def _row(self, item: Job | Held) -> JobRow:
        if isinstance(item, Held):
            show = ("Show", "Show this result now", partial(self.wanted.emit, item))
            discard = ("Discard", "Throw this result away", partial(self._runner.discard, item))
            return JobRow(f"A result waits: {item.title}", item.why, show, discard)
        cancel = ("Cancel", "Take this job out of the line", partial(self._runner.cancel, item))
        if item is not self._runner.job:
            return JobRow(f"waiting: {item.title}", "It begins once the jobs before it have ended", cancel)
        if item.is_cancelling:
            return JobRow(f"cancelling: {item.title}", "It stops at its next step")
        return JobRow(f"running: {item.title}", "A job of another tool", ("Cancel", "Stop this job", cancel[2]))


class JobRow(QWidget):
    """One line and its buttons, each given as text, tip and what it does."""

    def __init__(self, text: str, tip: str, *actions: tuple[str, str, Callable[[], Any]]) -> None:
        super().__init__()
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        self.label = WrappedLabel()
        self.label.setText(text)
        self.label.setToolTip(plain_tip(tip))
        line.addWidget(self.label, 1)
        self.buttons: dict[str, QPushButton] = {}
        for name, about, act in actions:
            made = QPushButton(name)
            made.setToolTip(plain_tip(about))
            made.clicked.connect(lambda _=False, act=act: act())
            line.addWidget(made)
            self.buttons[name] = made

    @property
    def text(self) -> str:
        """What the line says."""
        return self.label.text()
