"""What every tool does: follow the viewer, run one job with progress and cancel, save, keep hand work, let go."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from qtpy.QtCore import QEvent, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QDockWidget, QFileDialog, QPushButton, QWidget

from workbench.core.errors import MismatchError, UsageError, WorkbenchError
from workbench_napari.shared.agreement_box import Asked
from workbench_napari.shared.key_sheet import KeySheet
from workbench_napari.shared.panel_base import ToolPanel
from workbench_napari.shared.plain_text import plain_tip
from workbench_napari.shared.shortcuts import LOOKING, PAINTING, Key, ToolKeys, keys_of_napari
from workbench_napari.shared.worker import report, runner_of


class DockTool(ToolPanel):
    """A dock widget of ours; a tool is this and owns its parts, which tell each other by signals.

    A tool names its main button, calls `connect_tool` once its own parts are there, and says in `_viewer_events` what
    it follows.
    """

    PROGRESS_TEXT: ClassVar[str] = "%p %"
    SAMPLE: ClassVar[str] = ""

    def __init__(self, napari_viewer: Any, kind: str, parent: QWidget | None = None) -> None:
        super().__init__(napari_viewer, kind, parent)
        self.runner = runner_of(self.viewer)
        self.last_folder: Path | None = None
        self._wires: list[tuple[Any, Callable[..., Any]]] = []
        self._mouse: list[tuple[Any, Callable[..., Any]]] = []
        self._done_text = self._failure_note = ""
        self._is_mine = False

    # --- what a tool says of itself

    def _main_button(self) -> QPushButton:
        """The button that starts the work, and cancels it while it runs."""
        raise NotImplementedError

    def main_action(self) -> bool:
        """What the main button starts; returns whether it started."""
        raise NotImplementedError

    def save(self) -> bool:
        """Write what is shown now, in the background; returns whether it started."""
        raise NotImplementedError

    def _viewer_events(self) -> list[tuple[Any, Callable[..., Any]]]:
        """Emitters of the viewer and what they call, as long as the tool is docked."""
        layers = self.viewer.layers.events
        return [(e, self._on_layers) for e in (layers.inserted, layers.removed, layers.renamed)]

    def _on_layers(self, event: Any = None) -> None:
        """Layers came, went, or have another name."""
        raise NotImplementedError

    def _refresh_buttons(self, _event: Any = None) -> None:
        """What can be done now?"""

    def _let_go(self) -> None:
        """Let go of layers, besides the events of the viewer."""

    def _asked(self) -> tuple[Asked, ...]:
        """What could be run now, as the runs say it to the box "Use anyway"."""
        return ()

    def _after_job(self, how: str) -> None:
        """A job ended: ``"done"``, ``"cancelled"`` or ``"failed"``."""

    # --- wiring

    def connect_tool(self) -> None:
        """Follow the viewer, and let the buttons that all tools have work."""
        self._wires = self._viewer_events()
        for emitter, callback in self._wires:
            emitter.connect(callback)
        self._main_text = self._main_button().text()
        self._main_button().clicked.connect(self._main_or_cancel)
        self.sample_button.clicked.connect(self.open_sample)
        self.browse_button.clicked.connect(self._browse)
        self.save_button.clicked.connect(self.save)
        self.open_button.clicked.connect(self._open_folder)
        self.runner.started.connect(self._on_started)
        self.runner.progressed.connect(self._on_progress)
        self.runner.finished.connect(self._on_finished)
        self.journal.message.connect(self._on_journal)
        self.viewer.events.theme.connect(self.use_theme)
        self.keys = ToolKeys(self, self.viewer)
        self.keys.add(
            Key("Ctrl+Return", f"{self._main_text.lower()}", self.main_action),
            # On the canvas Escape may belong to the layer: labels and shapes end a polygon with it.
            Key("Escape", "cancel what runs", self.runner.cancel),
            Key("Ctrl+.", "cancel what runs, also while a layer has Escape", self.runner.cancel),
            Key("Ctrl+Shift+Return", "save", self.save),
            Key("?", "show this sheet", self.show_keys),
        )
        self.keys_button.clicked.connect(self.show_keys)

    def show_keys(self, _checked: bool = False) -> KeySheet:
        """Show all keys that work now: those of the tool, and those of napari that go with it."""
        title = self.kind.tool if self.kind and self.kind.tool else "Any backend"
        own = [(k.keys, k.text) for k in self.keys.keys]
        groups = [
            (f"{title} (in the tool and on the canvas)", own),
            ("With the mouse", self.keys.notes),
            ("napari, with a labels layer chosen", keys_of_napari(PAINTING)),
            ("napari, on the canvas", keys_of_napari(LOOKING)),
        ]
        sheet = KeySheet(f"Keys of the {title}", groups, self)
        sheet.show()
        return sheet

    def follow_mouse(self, move: Callable[..., Any], press: Callable[..., Any]) -> None:
        """Call these when the mouse moves over the canvas and when a button is pressed, while docked."""
        self._mouse = [(self.viewer.mouse_move_callbacks, move), (self.viewer.mouse_drag_callbacks, press)]
        for callbacks, mine in self._mouse:
            callbacks.append(mine)

    def disconnect_viewer(self) -> None:
        """Let go of the viewer and its layers; the journal stays with the viewer."""
        if not self._wires:
            return
        for emitter, callback in self._wires:
            emitter.disconnect(callback)
        for callbacks, mine in self._mouse:
            if mine in callbacks:
                callbacks.remove(mine)
        self._wires, self._mouse = [], []
        self.viewer.events.theme.disconnect(self.use_theme)
        self.keys.let_go()
        self.place.let_go()
        self._let_go()

    def event(self, event: Any) -> bool:
        """Let go when napari takes the tool out of its dock: it only loses its parent then, nobody closes it."""
        handled = super().event(event)
        if event.type() == QEvent.Type.ParentChange and (dock := self._dock()) is not None:
            self.place.docked(dock)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None and getattr(self, "_wires", None):
            self.disconnect_viewer()
            # Left to the garbage collector, the parts of a plot would go in an order that Qt does not survive.
            self.deleteLater()
        return handled

    def _dock(self) -> QDockWidget | None:
        above = self.parentWidget() if hasattr(self, "place") else None
        while above is not None and not isinstance(above, QDockWidget):
            above = above.parentWidget()
        return above

    def closeEvent(self, event: Any) -> None:
        self.disconnect_viewer()
        super().closeEvent(event)

    # --- one job at a time

    def _main_or_cancel(self) -> None:
        if self.runner.is_busy:
            self.runner.cancel()
            self._main_button().setText("Cancelling...")
            self._main_button().setEnabled(False)
        else:
            self.main_action()

    def start(self, title: str, work: Any, done: Any, *, busy: str = "wait for it or cancel it") -> bool:
        """Start a job, or say that another one still runs; see `workbench_napari.shared.worker.JobRunner.start`."""
        started = self.runner.start(title, work, partial(self._hand_over, title, done))
        if not started:
            self.say(f"{self.runner.title} is still running; {busy}.")
        self._is_mine = self._is_mine or started
        return started

    def _hand_over(self, title: str, done: Callable[[Any], None], answer: Any) -> None:
        if not self._wires:  # the dock was closed: its widgets are gone, and other tools wait for the end of this job
            raise UsageError(f"{title}: the tool was closed before it ended, so its result is not shown. Run it again.")
        done(answer)

    def _on_started(self, title: str) -> None:
        self._done_text = ""
        self._main_button().setText("Cancel")
        self._main_button().setEnabled(True)
        self.progress.setRange(0, 0)
        self.progress.setFormat("starting")
        self.progress.show()
        self._refresh_buttons()
        self.say(f"{title}...")

    def _on_progress(self, done: int, total: int) -> None:
        if total > 0:
            self.progress.setRange(0, total)
            self.progress.setValue(done)
            self.progress.setFormat(self.PROGRESS_TEXT)

    def _on_finished(self, how: str, text: str) -> None:
        self.progress.hide()
        self._main_button().setText(self._main_text)
        self._after_job(how)
        self._refresh_buttons()
        note, self._failure_note = self._failure_note, ""
        said = self._done_text or (f"{text} {note}" if how == "failed" and note else text)
        self.say(said)
        if self._is_mine:
            self._is_mine = False
            self.agreement.ended(said, refused=how == "failed" and isinstance(self.runner.error, MismatchError))
        self.follow_choice()

    def follow_choice(self, _value: Any = None) -> None:
        """Something else may be chosen: a refusal of other data or other weights goes."""
        self.agreement.follow(*self._asked())

    # --- open, save, speak

    def open_sample(self, _checked: bool = False) -> None:
        """Open the sample of this tool; works offline."""
        try:
            self.viewer.open_sample("napari-workbench", self.SAMPLE)
        except WorkbenchError as error:
            self.say(report(error))

    def browse_file(self, title: str, pattern: str) -> None:
        """Ask for a file and open it."""
        path, _ = QFileDialog.getOpenFileName(self, title, "", pattern)
        if path:
            from workbench_napari.shared.opening import open_path

            open_path(self.viewer, path, self)

    def chosen_folder(self) -> Path | None:
        """Where to save; says so if nobody has chosen."""
        text = self.folder.text().strip()
        if not text:
            self.say("Choose a folder to save in.")
            return None
        return Path(text).expanduser()

    def start_saving(self, name: str, work: Any, drawn: Sequence[Any], kept: str) -> bool:
        """Start writing; the layers in `drawn` count as saved when it succeeds, and `kept` is said when it fails."""
        revisions = [(weakref.ref(layer), self.journal.revision(layer)) for layer in drawn]
        self.journal.write_soon()
        unsaved = any(self.journal.is_unsaved(layer) for layer in drawn)
        self._failure_note = f"Nothing was lost: {kept} kept for recovery." if unsaved else ""
        busy = "save again when it has finished"
        return self.start(f"Saving {name}", work, partial(self._on_saved, revisions), busy=busy)

    def _on_saved(self, revisions: Any, paths: list[Path]) -> None:
        for reference, revision in revisions:
            layer = reference()
            if layer is not None:
                self.journal.saved(layer, revision)
        self.last_folder = paths[-1].parent
        self.open_button.setEnabled(True)
        self.open_button.setToolTip(plain_tip(str(self.last_folder)))
        self._done_text = f"Saved {', '.join(p.name for p in paths)} in {self.last_folder}"

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder for results", self.folder.text())
        if chosen:
            self.folder.setText(chosen)

    def _open_folder(self) -> None:
        if self.last_folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.last_folder)))

    def _on_journal(self, text: str) -> None:
        """What concerns unsaved work must not be overlooked: also a notification."""
        from napari.utils.notifications import show_warning

        self.say(text)
        show_warning(plain_tip(text))

    def say(self, text: str) -> None:
        """Show one line at the bottom of the tool."""
        self.status.setText(text)
