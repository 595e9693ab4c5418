"""What only the window system can do to a window: press the button in its frame, give it the keyboard."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _ClientMessage(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("room", ctypes.c_long * 24),  # XEvent is a union that is larger than this member
    ]


def press_close(window: Any) -> None:
    """Close a top-level widget as the button in its frame does: the X server brings the message, as from a manager."""
    with _server() as (x, display):
        message = _ClientMessage()
        message.type, message.format = 33, 32  # ClientMessage
        message.window = int(window.winId())
        message.message_type = x.XInternAtom(display, b"WM_PROTOCOLS", 0)
        message.data[0] = x.XInternAtom(display, b"WM_DELETE_WINDOW", 0)
        x.XSendEvent(display, message.window, 0, 0, ctypes.byref(message))


def give_focus(window: Any) -> None:
    """Let the keyboard go to a top-level widget, which a window manager would do: its menu has keys only then."""
    with _server() as (x, display):
        x.XSetInputFocus(display, int(window.winId()), 1, 0)


@contextmanager
def _server() -> Iterator[tuple[Any, Any]]:
    x = ctypes.CDLL(ctypes.util.find_library("X11") or "libX11.so.6")
    x.XOpenDisplay.restype = ctypes.c_void_p
    x.XInternAtom.restype = ctypes.c_ulong
    x.XInternAtom.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    x.XSendEvent.argtypes = [ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int, ctypes.c_long, ctypes.c_void_p]
    x.XSetInputFocus.argtypes = [ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int, ctypes.c_ulong]
    x.XSync.argtypes = [ctypes.c_void_p, ctypes.c_int]
    x.XCloseDisplay.argtypes = [ctypes.c_void_p]
    display = x.XOpenDisplay(None)
    assert display, "no X server"
    yield x, display
    x.XSync(display, 0)
    x.XCloseDisplay(display)
