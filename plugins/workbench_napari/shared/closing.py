"""A person closes a window with unsaved hand work: asked once whether to save it, keep it, or throw it away.

Only people are asked: the button of the window, and File > Close and Exit with their keys. A script that closes a
viewer, a signal of the system and the end of the login session are not: there all that was drawn is kept.
"""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QApplication

from workbench_napari.shared.close_question import CloseQuestion
from workbench_napari.shared.save_all import SaveAll
from workbench_napari.shared.unsaved import Unsaved, unsaved_of
from workbench_napari.shared.window import main_window, unwrap

_guards: dict[int, CloseGuard] = {}


def guard(viewer: Any) -> CloseGuard | None:
    """Ask before the window of this viewer is closed by a person; once is enough."""
    window = main_window(viewer)
    if window is None:
        return None
    found = window.findChild(CloseGuard)
    return found if found is not None else CloseGuard(unwrap(viewer), window)


class CloseGuard(QObject):
    """Stands between a person who closes a window and what is not saved in it.

    Attributes
    ----------
    question
        The dialog, while it is open.
    """

    def __init__(self, viewer: Any, window: Any) -> None:
        super().__init__(window)
        self.unsaved = unsaved_of(viewer)
        self.question: CloseQuestion | None = None
        self._saving: SaveAll | None = None
        self._window = weakref.ref(window)
        window.installEventFilter(self)
        # Menus and keys of napari close by this method, and say that a person is to be asked.
        window.close = partial(_close, weakref.ref(window), weakref.ref(self))
        _guards[id(window)] = self
        window.destroyed.connect(partial(_forget, id(window)))

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """The button of the window: the event comes from the window system."""
        if event is None or event.type() != QEvent.Type.Close or watched is not self._window():
            return False
        if event.spontaneous() and self.asks(quit_app=False):
            event.ignore()
            return True
        return False

    def asks(self, *, quit_app: bool) -> bool:
        """Whether a person must answer first; then the question is open, and its answer closes the window or not."""
        window = self._window()
        if window is None or _is_logging_off():
            return False
        if self.question is not None:
            self.question.raise_()
            return True
        concerned = self._concerned(quit_app)
        if not any(unsaved.layers() for unsaved in concerned):
            return False
        self.question = question = CloseQuestion(concerned, quit_app=quit_app, parent=window)
        question.chosen.connect(partial(self._on_chosen, concerned, quit_app))
        question.open()
        return True

    def _concerned(self, quit_app: bool) -> list[Unsaved]:
        """Those whose work is at stake: this window, or when the program is left all windows."""
        if not quit_app:
            return [self.unsaved]
        return [self.unsaved, *(g.unsaved for g in list(_guards.values()) if g is not self)]

    def _on_chosen(self, concerned: list[Unsaved], quit_app: bool, what: str) -> None:
        if what == "save":
            assert self.question is not None
            self._saving = saving = SaveAll(concerned, self)
            saving.stepped.connect(self.question.show_step)
            saving.ended.connect(partial(self._on_saved, quit_app))
            saving.start()
            return
        if what == "cancel":
            self._end()
            return
        if what == "discard":
            for unsaved in concerned:
                for layer in unsaved.layers():
                    unsaved.journal.saved(layer)
        self._leave(quit_app)

    def _on_saved(self, quit_app: bool, whole: bool) -> None:
        if whole:
            self._leave(quit_app)
        else:
            self._end()  # the tool says what went wrong

    def _end(self) -> None:
        """The window stays."""
        question, self.question = self.question, None
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.stop()
            saving.deleteLater()
        if question is not None:
            question.shut()

    def _leave(self, quit_app: bool) -> None:
        self._end()
        QTimer.singleShot(0, partial(_leave, self._window, quit_app))


def _leave(window_ref: Any, quit_app: bool) -> None:
    window = window_ref()
    # Meanwhile somebody else may have closed it.
    if window is not None and window.isVisible():
        type(window).close(window, quit_app, False)


def _close(window_ref: Any, guard_ref: Any, quit_app: bool = False, confirm_need: bool = False) -> Any:
    """`close` of napari's window: where a person is to be asked, we ask if there is something to ask about."""
    window, guard = window_ref(), guard_ref()
    if window is None:
        return True
    if confirm_need and guard is not None and guard.asks(quit_app=quit_app):
        return None
    return type(window).close(window, quit_app, confirm_need)


def _forget(key: int, _window: Any = None) -> None:
    _guards.pop(key, None)


def _is_logging_off() -> bool:
    application = QApplication.instance()
    return isinstance(application, QGuiApplication) and bool(getattr(application, "isSavingSession", bool)())
