"""Which recording of the window is shown: layers come and go, and one of the recordings among them is chosen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from qtpy.QtCore import QObject, Signal

from workbench.core.errors import WorkbenchError
from workbench_napari.recording.panel import RecordingGroup
from workbench_napari.recording.recording import OpenRecording, is_recording, key_of, record_of
from workbench_napari.shared.following import our_choice
from workbench_napari.shared.layer_choice import chosen, fill, opened
from workbench_napari.shared.worker import report


class Shown(QObject):
    """The recording that is shown; all other parts of the tool ask this one for it.

    Signals
    -------
    present
        Whether there is any recording in the window.
    switched
        Another recording was opened, or could not be.
    changed
        Layers came or went, or another recording was chosen: look at what is shown anew.
    """

    present = Signal(bool)
    switched = Signal()
    changed = Signal()

    def __init__(self, viewer: Any, group: RecordingGroup, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._choice, self._info = viewer, group.recordings, group.info
        self.opened: OpenRecording | None = None
        self.is_quiet = False
        self._open: dict[int, OpenRecording] = {}
        self._choice.currentIndexChanged.connect(self._choose)

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Add and remove layers of our own without looking around after every one of them."""
        self.is_quiet = True
        try:
            with our_choice():
                yield
        finally:
            self.is_quiet = False

    def look_around(self, event: Any = None) -> None:
        """Which recordings are there? One that was just inserted is chosen."""
        shown = [layer for layer in self._viewer.layers if is_recording(layer)]
        fill(self._choice, shown, len(shown) - 1, opened(event))
        self.present.emit(bool(shown))
        self._choose()

    def is_mine(self, layer: Any) -> bool:
        """Whether a layer belongs to the recording that is shown."""
        record = record_of(layer)
        return self.opened is not None and record.get("kind") == "recording" and key_of(record) == self.opened.key

    def is_still(self, found: OpenRecording | None) -> bool:
        """Whether this recording, asked about a moment ago, is the one that is shown."""
        return found is not None and found is self.opened

    def still_open(self, found: OpenRecording) -> OpenRecording | None:
        """A recording that was worked on, as it is open now; ``None`` if it was closed.

        Meanwhile the tool may have been closed and docked again, or the file closed and opened again.
        """
        for layer in self._viewer.layers:
            if not is_recording(layer) or key_of(record_of(layer)) != found.key:
                continue
            known = self._open.get(id(layer))
            if known is None or known.main.layer is not layer:
                known = self._open[id(layer)] = found if found.main.layer is layer else OpenRecording.open(layer)
            return known
        return None

    def _choose(self, _index: int = 0) -> None:
        layer = chosen(self._choice)
        if layer is None:
            self.opened = None
        elif self.opened is None or self.opened.main.layer is not layer:
            self._show(layer)
        self.changed.emit()

    def _show(self, layer: Any) -> None:
        self.opened, known = None, self._open.get(id(layer))
        try:
            found = known if known is not None and known.main.layer is layer else OpenRecording.open(layer)
        except (WorkbenchError, OSError) as error:
            self._info.setText(report(error))
        else:
            self._open[id(layer)] = self.opened = found
            self._info.setText(found.describe())
        self.switched.emit()
