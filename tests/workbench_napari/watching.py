"""Everything that goes wrong in a process with a window, in whatever thread and language: one list of lines."""

from __future__ import annotations

import faulthandler
import sys
import threading
import traceback
import warnings
from typing import Any

OURS = ("workbench", "workbench_napari")
"""Warnings that come from these packages are faults of ours."""
_WRAPPED = ("wrapped c/c++ object", "internal c++ object", "already deleted", "has been deleted")
# What Qt says of the display of the machine and of napari's own style, whoever runs in it.
_OF_THE_MACHINE = ("propagatesizehints", "xkbcommon", "qt.qpa", "qfontdatabase", "could not parse stylesheet")


class Watch:
    """Listens from `start` on; `faults` holds what it heard, each with its stack where there is one.

    Parameters
    ----------
    refusals
        Whether a person may be told of an error in one line, for a file that is damaged say: only what comes with an
        exception is a fault then.
    """

    def __init__(self, *, refusals: bool = False) -> None:
        self.faults: list[str] = []
        self.told: list[str] = []
        self._refusals = refusals

    def start(self) -> Watch:
        """Take the places of all hooks; what napari catches itself is heard by `listen_to_napari`."""
        faulthandler.enable()
        sys.excepthook = self._on_error
        threading.excepthook = lambda args: self._on_error(args.exc_type, args.exc_value, args.exc_traceback)
        sys.unraisablehook = self._on_unraisable
        warnings.showwarning = self._on_warning
        warnings.filterwarnings("default", category=Warning, module=rf"({'|'.join(OURS)})(\.|$)")
        from qtpy.QtCore import qInstallMessageHandler

        qInstallMessageHandler(self._on_qt)
        return self

    def listen_to_napari(self) -> None:
        """Hear what napari shows as an error: it catches what a callback of an event raises."""
        from napari.utils.notifications import notification_manager

        notification_manager.notification_ready.connect(self._on_notification)

    def say(self, text: str) -> None:
        """Note a fault, and print it: the process may end before anybody asks."""
        self.faults.append(text)
        print(text, file=sys.stderr, flush=True)

    def _on_error(self, kind: Any, error: Any, stack: Any) -> None:
        self.say("unhandled: " + "".join(traceback.format_exception(kind, error, stack)))

    def _on_unraisable(self, args: Any) -> None:
        text = "".join(traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback))
        self.say(f"unraisable ({args.err_msg or 'in'} {args.object!r}): {text}")

    def _on_warning(
        self, message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        place = filename.replace("\\", "/")
        if any(f"/{name}/" in place for name in OURS):
            self.say(f"warning: {place}:{lineno}: {category.__name__}: {message}")

    def _on_qt(self, kind: Any, _context: Any, text: str) -> None:
        low = text.lower()
        grave = getattr(kind, "name", str(kind)) in ("QtCriticalMsg", "QtFatalMsg")
        if any(word in low for word in _OF_THE_MACHINE):
            return
        if grave or any(word in low for word in _WRAPPED) or "qobject" in low or "qthread" in low:
            self.say(f"Qt: {text}")

    def _on_notification(self, event: Any) -> None:
        self.told.append(f"{event.severity}: {event.message}")
        error = getattr(event, "exception", None)
        if error is not None:
            self.say("notification: " + "".join(traceback.format_exception(type(error), error, error.__traceback__)))
        elif str(event.severity) == "error" and not self._refusals:
            self.say(f"notification: {event.message}")
