"""What every tool does: follow the viewer, run one job with progress and cancel, save, keep hand work, let go."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from qtpy.QtCore import QEvent, QTimer, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QApplication, QDockWidget, QFileDialog, QPushButton, QWidget

from workbench.core.errors import MismatchError, WorkbenchError
from workbench_napari.shared import collecting, engines
from workbench_napari.shared.agreement_box import Asked
from workbench_napari.shared.case import Saved, remember
from workbench_napari.shared.delivery import Delivery
from workbench_napari.shared.job import Done, Job, Work
from workbench_napari.shared.key_sheet import KeySheet
from workbench_napari.shared.napari_versions import renamed_of
from workbench_napari.shared.next_turn import NextTurn
from workbench_napari.shared.opening import Opening
from workbench_napari.shared.panel_base import ToolPanel
from workbench_napari.shared.plain_text import plain_tip
from workbench_napari.shared.remembered import Remembered
from workbench_napari.shared.shortcuts import LOOKING, PAINTING, Key, ToolKeys, keys_of_napari
from workbench_napari.shared.worker import Held, report

_PRELOAD_MS = 300
"""From docking to loading the engines: the window is drawn first."""

_leaving: dict[int, DockTool] = {}
"""Tools out of their dock that Qt has not deleted yet: until then the garbage collector must not come to them."""


class DockTool(ToolPanel):
    """A dock widget of ours; a tool is this and owns its parts, which tell each other by signals.

    A tool names its main button, calls `connect_tool` once its own parts are there, and says in `_viewer_events` what
    it follows.
    """

    PROGRESS_TEXT: ClassVar[str] = "%p %"
    SAMPLE: ClassVar[str] = ""

    def __init__(self, napari_viewer: Any, kind: str, parent: QWidget | None = None) -> None:
        if engines.is_wanted() and not collecting.is_frozen():
            # What napari has loaded so far need not be looked through while the tool is built.
            collecting.freeze()
        super().__init__(napari_viewer, kind, parent)
        self.last_folder: Path | None = None
        self._wires: list[tuple[Any, Callable[..., Any]]] = []
        self._mouse: list[tuple[Any, Callable[..., Any]]] = []
        self._done_text = self._failure_note = ""
        self._outlives = False
        self._job: Job | None = None
        self.opening = Opening(self.viewer, kind)
        # The button becomes Cancel at once, but a second click that was meant for Run must not cancel.
        self._guard = QTimer(self)
        self._guard.setSingleShot(True)
        # napari dresses all widgets of the window in its turn: what we draw ourselves comes after that, and once.
        self._themed = NextTurn(self.use_theme, self)
        if engines.is_wanted():
            collecting.follow(self.viewer.layers)
            QTimer.singleShot(0, partial(_warm_up, kind))

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

    def covers(self, layer: Any) -> bool:
        """Whether `save` can write the hand work in a layer, once `take_up` has chosen it."""
        return False

    def take_up(self, layer: Any) -> None:
        """Choose a layer that `covers` says yes to, so that `save` writes it."""

    def _habits(self) -> dict[str, QWidget]:
        """The fields that show next time what a person chose in them, besides backends, weights and settings."""
        device = {"device": self.device} if hasattr(self, "device") else {}
        return {"folder": self.folder, "format": self.format, **device}

    def _viewer_events(self) -> list[tuple[Any, Callable[..., Any]]]:
        """Emitters of the viewer and what they call, as long as the tool is docked."""
        layers = self.viewer.layers
        emitters = (layers.events.inserted, layers.events.removed, renamed_of(layers))
        return [(emitter, self._on_layers) for emitter in emitters]

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
        self.sample_button.clicked.connect(lambda: self.opening.open_sample(self.SAMPLE))
        self.opening.said.connect(self.say)
        self.opening.outdated.connect(self._take_away)
        self.browse_button.clicked.connect(self._browse)
        self.save_button.clicked.connect(self.save)
        self.open_button.clicked.connect(self._open_folder)
        self.runner.started.connect(self._on_started)
        self.runner.progressed.connect(self._on_progress)
        self.runner.finished.connect(self._on_finished)
        self.jobs.wanted.connect(self.show_held)
        self.journal.message.connect(self._on_journal)
        self.viewer.events.theme.connect(self._themed.ask)
        self.keys = ToolKeys(self, self.viewer)
        self.keys.add(
            Key("Ctrl+Return", f"{self._main_text.lower()}", self.main_action),
            # On the canvas Escape may belong to the layer: labels and shapes end a polygon with it.
            Key("Escape", "cancel what runs", self.cancel),
            Key("Ctrl+.", "cancel what runs, also while a layer has Escape", self.cancel),
            Key("Ctrl+Shift+Return", "save", self.save),
            Key("?", "show this sheet", self.show_keys),
        )
        self.keys_button.clicked.connect(self.show_keys)
        self.unsaved_sign.follow(self)
        self.remembered = Remembered(self, self.kind.name if self.kind else "general")
        self.remembered.begin(self._habits())
        if self.remembered.problems:
            self.say(" ".join(self.remembered.problems))

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

    def follow_mouse(self, move: Callable[..., Any] | None, *press: Callable[..., Any]) -> None:
        """Call these when the mouse moves over the canvas and when a button is pressed, while docked."""
        moves = [] if move is None else [(self.viewer.mouse_move_callbacks, move)]
        self._mouse = [*moves, *((self.viewer.mouse_drag_callbacks, one) for one in press)]
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
        self.viewer.events.theme.disconnect(self._themed.ask)
        self._themed.forget()
        self.keys.let_go()
        self.unsaved_sign.let_go()
        self.place.let_go()
        self._let_go()

    def event(self, event: Any) -> bool:
        """Let go when napari takes the tool out of its dock: it only loses its parent then, nobody closes it."""
        handled = super().event(event)
        if event.type() == QEvent.Type.ParentChange and (dock := self._dock()) is not None:
            self.place.docked(dock)
            self.unsaved_sign.docked(dock)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None and getattr(self, "_wires", None):
            self.disconnect_viewer()
            # Left to the garbage collector, the parts of a plot would go in an order that Qt does not survive.
            _leaving[id(self)] = self
            self.destroyed.connect(partial(_left, id(self)))
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

    # --- one job of its own; those of other tools go before or after it

    @property
    def is_docked(self) -> bool:
        """Whether the tool is in the window; it never comes back once it was taken out."""
        return bool(self._wires)

    @property
    def is_busy(self) -> bool:
        """Whether a job of this tool runs or waits."""
        return self._job is not None

    def cancel(self) -> None:
        """Stop the job of this tool, at its next step; one that waits goes at once."""
        if self._job is not None:
            self.runner.cancel(self._job)

    def _main_or_cancel(self) -> None:
        if not self.is_busy:
            self.main_action()
        elif not self._guard.isActive():
            self._main_button().setText("Cancelling...")
            self._main_button().setEnabled(False)
            self.cancel()

    def start(
        self,
        title: str,
        work: Work,
        done: Done,
        *,
        busy: str = "wait for it or cancel it",
        without: Callable[[Any], str] | None = None,
    ) -> bool:
        """Start a job, or let it wait for those of other tools; says so if a job of this tool has not ended yet.

        Parameters
        ----------
        title, work
            See `workbench_napari.shared.job.Job`.
        done
            Takes the answer: a method of the tool or of one of its parts, or a `partial` of one. It may be a generator:
            what lies between two of its ``yield`` is done without a pause of the window. If the dock is closed before
            the end, the answer waits for the next tool of this class.
        busy
            What to do instead while another job of this tool runs.
        without
            Says in a line what the job did, where it needs no tool to show it: it has written files.
        """
        if self._job is not None:
            self.say(f"{self._job.title} is still running; {busy}.")
            return False
        kind = "" if self.kind is None else self.kind.name
        cold = without is None and engines.is_loading(kind)
        prepare = (engines.LOADING, partial(engines.wait, kind)) if cold else None
        delivery = Delivery(self, title, done, without)
        self._job = job = Job(title, work, delivery, prepare=prepare, writes=without is not None)
        self._guard.start(QApplication.doubleClickInterval())
        if not self.runner.submit(job):
            self._job = None
            return False
        if job.is_waiting:
            self._show_busy("waiting")
            self.say(f"{title} waits until '{self.runner.title}' has ended.")
        return True

    def _show_busy(self, text: str) -> None:
        self._done_text, self._outlives = "", False
        self._main_button().setText("Cancel")
        self._main_button().setEnabled(True)
        self.progress.setRange(0, 0)
        self.progress.setFormat(text)
        self.progress.show()
        self._refresh_buttons()

    def _on_started(self, title: str) -> None:
        if self.runner.job is self._job:
            self._show_busy("starting")
            self.say(f"{title}...")

    def _on_progress(self, done: int, total: int) -> None:
        """The job that runs has come further; it may be that of another tool."""
        job = self.runner.job
        if job is None or job is not self._job:
            return
        if job.phase:
            self.progress.setFormat(job.phase)
            self.say(f"{job.title}: {job.phase}...")
        elif total > 0:
            self.progress.setRange(0, total)
            self.progress.setValue(done)
            self.progress.setFormat(self.PROGRESS_TEXT)

    def _on_finished(self, how: str, text: str) -> None:
        if self._job is None or self.runner.ended is not self._job or not self.is_docked:
            return
        self._job = None
        self.progress.hide()
        self._main_button().setText(self._main_text)
        self._after_job(how)
        self._refresh_buttons()
        note, self._failure_note = self._failure_note, ""
        said = self._done_text or (f"{text} {note}" if how == "failed" and note else text)
        self.say(said)
        refused = how == "failed" and isinstance(self.runner.error, MismatchError)
        # A line about what is not chosen any more goes, unless it says just that.
        self.agreement.ended("" if how == "waits" or self._outlives else said, refused=refused)
        self.follow_choice()

    def show_held(self, held: Held) -> bool:
        """Show a result that waits, of a tool of this kind that was closed say; returns whether it could be shown."""
        self._done_text = ""
        try:
            self.runner.show(held, self)
        except Exception as error:  # it stays on offer, whatever went wrong
            self.say(report(error))
            return False
        self._after_job("done")
        self._refresh_buttons()
        self.say(self._done_text or f"{held.title}: done")
        return True

    def follow_choice(self, _value: Any = None) -> None:
        """Something else may be chosen: a refusal of other data or other weights goes."""
        self.agreement.follow(*self._asked())

    # --- open, save, speak

    def open_sample(self, _checked: bool = False) -> None:
        """Open the sample of this tool before anything else goes on; works offline."""
        try:
            self.viewer.open_sample("napari-workbench", self.SAMPLE)
        except WorkbenchError as error:
            self.say(report(error))

    def browse_file(self, title: str, pattern: str, kind: str | None = None) -> None:
        """Ask for a file and open it, as that kind of data where one is named."""
        path, _ = QFileDialog.getOpenFileName(self, title, "", pattern)
        if path:
            self.opening.open_path(path, kind)

    def chosen_folder(self) -> Path | None:
        """Where to save; says so if nobody has chosen."""
        text = self.folder.text().strip()
        if not text:
            self.say("Choose a folder to save in.")
            return None
        return Path(text).expanduser()

    def start_saving(self, name: str, work: Any, drawn: Sequence[Any], kept: str) -> bool:
        """Start writing; the layers in `drawn` count as saved when it succeeds, and `kept` is said when it fails.

        `work` gives a `Saved`: once it has, everything is on the disk, and only then a recovery copy goes.
        """
        journal = self.journal
        revisions = [(weakref.ref(layer), journal.revision(layer), journal.entry_of(layer)) for layer in drawn]
        journal.write_soon()
        unsaved = any(journal.is_unsaved(layer) for layer in drawn)
        self._failure_note = f"Nothing was lost: {kept} kept for recovery." if unsaved else ""
        busy = "save again when it has finished"
        told = partial(_saved, journal, revisions)
        return self.start(f"Saving {name}", work, partial(self._on_saved, revisions), busy=busy, without=told)

    def _on_saved(self, revisions: Any, saved: Saved) -> None:
        self._done_text = _saved(self.journal, revisions, saved)
        self.last_folder = saved.paths[-1].parent
        self.open_button.setEnabled(True)
        self.open_button.setToolTip(plain_tip(str(self.last_folder)))
        if saved.notes:
            from napari.utils.notifications import show_info

            show_info(plain_tip(f"{self.last_folder}: {'; '.join(saved.notes)}"))

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder for results", self.folder.text())
        if chosen:
            self.folder.setText(chosen)
            self.folder.textEdited.emit(chosen)  # a person chose it

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


def _left(key: int, _tool: Any = None) -> None:
    _leaving.pop(key, None)
    collecting.thaw()


def _warm_up(kind: str) -> None:
    """The event loop runs again: once the tool is drawn, load what it will need."""
    QTimer.singleShot(_PRELOAD_MS, partial(engines.preload, kind))
    QTimer.singleShot(4 * _PRELOAD_MS, engines.give_units)


def _saved(journal: Any, revisions: Any, saved: Saved) -> str:
    """The layers as they were then are on disk, whether or not the tool is still there; gives the line to say."""
    for reference, revision, entry in revisions:
        layer = reference()
        if layer is not None:
            remember([layer], saved.identity)
            journal.saved(layer, revision)
        journal.saved_since(entry, revision)
    told = f" ({'; '.join(saved.notes)})" if saved.notes else ""
    return f"Saved {', '.join(p.name for p in saved.paths)} in {saved.paths[-1].parent}{told}"
