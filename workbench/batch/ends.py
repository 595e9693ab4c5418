"""Asked to stop: once, and the cases that run are finished; twice, and everything stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = tuple(s for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if (s := getattr(signal, name, None)))


class Stop:
    """A context that hears signals; without them, or outside the main thread, nothing ever stops it.

    Parameters
    ----------
    on_first
        Called with the name of the first signal, to say what happens now.
    hears
        Whether signals are listened to at all: a library leaves them to its program.
    """

    def __init__(self, on_first: Callable[[str], None] | None = None, hears: bool = True) -> None:
        self.asked = ""
        self.at_once = False
        self.interrupts = False
        self._on_first = on_first
        self._hears = hears and threading.current_thread() is threading.main_thread()
        self._before: dict[Any, Any] = {}

    def __enter__(self) -> Self:
        for sign in _SIGNALS if self._hears else ():
            # What was started with nohup, or in the background of a shell, was told to ignore some of them.
            if signal.getsignal(sign) is not signal.SIG_IGN:
                self._before[sign] = signal.signal(sign, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sign, before in self._before.items():
            signal.signal(sign, before)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = signal.Signals(number).name
            if self._on_first is not None:
                self._on_first(self.asked)
            return
        self.at_once = True
        if self.interrupts:
            raise KeyboardInterrupt
