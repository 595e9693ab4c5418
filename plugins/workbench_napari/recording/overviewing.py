"""The part of the MEG tool that keeps the overview: reads the whole recording in the background, a piece at a time."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from workbench_napari.recording.field_power import Power, powers
from workbench_napari.recording.overview_bar import OverviewBar
from workbench_napari.recording.shown import Shown
from workbench_napari.recording.stack import StackView
from workbench_napari.shared.pixel_reader import PixelReader

_DELAY_MS = 400
"""From a change of the bad channels to reading anew: people mark several."""


class Overviewing(QObject):
    """Fills the overview of the recording that is shown, and moves the view as it is dragged.

    Signals
    -------
    said
        A line for the user.
    """

    said = Signal(str)

    def __init__(self, shown: Shown, stack: StackView, bar: OverviewBar, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._shown, self._stack, self._bar = shown, stack, bar
        self._pieces: Iterator[list[Power]] | None = None
        self._of: Any = lambda: None
        self.reader = PixelReader(self)
        self.reader.arrived.connect(self._on_piece)
        self.reader.failed.connect(self.said)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self._begin)
        shown.changed.connect(self._on_changed)
        stack.range_changed.connect(bar.set_span)
        bar.wanted.connect(stack.set_range)

    def close(self) -> None:
        """Stop reading after the piece that is read now."""
        self._timer.stop()
        self._pieces = None
        self.reader.close()

    @property
    def is_busy(self) -> bool:
        """Whether something of the recording is still to be read."""
        return self._pieces is not None or self._timer.isActive()

    def on_bads(self) -> None:
        """Other channels are bad: they do not count."""
        self._timer.start()

    def _on_changed(self) -> None:
        found = self._shown.opened
        if found is None:
            self._pieces = None
            return
        self._bar.set_extent(*self._stack.extent)
        self._bar.set_span(*self._stack.span)
        if self._of() is not found:
            self._of = weakref.ref(found)
            self._bar.set_powers(())
            self._begin()

    def _begin(self) -> None:
        found = self._shown.opened
        self._pieces = None
        if found is not None:
            self._pieces = powers(found.sensors, dict.fromkeys(found.main.kinds), found.bads)
            self._next()

    def _next(self) -> None:
        pieces = self._pieces
        if pieces is not None:
            self.reader.ask((weakref.ref(self._shown.opened), pieces), lambda: next(pieces, None))

    def _on_piece(self, token: Any, found: list[Power] | None) -> None:
        reference, pieces = token
        if pieces is not self._pieces or not self._shown.is_still(reference()):
            return
        if found is None:
            self._pieces = None
            return
        self._bar.set_powers(found)
        self._next()
