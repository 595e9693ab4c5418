"""The recording in a window of MNE's own."""

from __future__ import annotations

import importlib.util
from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QPushButton

from workbench_napari.recording.annotating import Annotating
from workbench_napari.recording.shown import Shown
from workbench_napari.shared.worker import report


class MneBrowser(QObject):
    """Opens the recording that is shown, with its annotations, in mne-qt-browser.

    Signals
    -------
    said
        A line for the user.
    """

    said = Signal(str)

    def __init__(
        self, shown: Shown, annotating: Annotating, button: QPushButton, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._shown, self._annotating, self._button = shown, annotating, button
        self._window: Any = None
        self.is_there = importlib.util.find_spec("mne_qt_browser") is not None
        """Whether its package is installed."""
        button.setToolTip(
            "Open recording and annotations in mne-qt-browser, a window of its own"
            if self.is_there
            else "mne-qt-browser is not installed: pip install mne-qt-browser"
        )
        button.clicked.connect(self.open)

    def open(self, _checked: bool = False) -> None:
        """Open it, or say why that cannot be."""
        found = self._shown.opened
        if found is None or not self.is_there:
            self.said.emit(self._button.toolTip())
            return
        try:
            import mne

            from workbench.recording import as_annotations, open_recording

            raw = open_recording(found.read_again(found.bads_to_give)).raw()
            raw.set_annotations(as_annotations(self._annotating.all_marks()))
            with mne.viz.use_browser_backend("qt"):
                # MNE knows no usual size of parcel time courses.
                scalings = {"misc": found.main.reach(range(len(found.main.rows)))}
                self._window = raw.plot(block=False, show=True, scalings=scalings, verbose="ERROR")
        except Exception as error:  # a program of its own: whatever goes wrong in it must not take this one along
            self.said.emit(report(error))
