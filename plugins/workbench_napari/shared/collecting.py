"""Keep Python's collector of garbage from looking through the engines again and again.

A full collection looks at every object there is, and no thread runs meanwhile: with the engines loaded it takes half a
second, in the middle of a stroke. What was there when they had been loaded is left out (``gc.freeze``) until some of it
goes: a layer of then, a tool or a window. Then the next full collection looks at everything once more.
"""

from __future__ import annotations

import gc
import threading
import time
import weakref
from typing import Any

_MARGIN_SECONDS = 2.0
"""A layer is a little older than the moment it came into the list of layers: it is made in the turn before."""

_SETTLE_SECONDS = 30.0
"""From the moment that something goes until everything is left out again: Qt deletes a window in turns of its own, and
what only then is garbage must not be among what is left out."""

_inserted: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()
_followed: weakref.WeakSet[Any] = weakref.WeakSet()
_lock = threading.Lock()
_frozen_at: float | None = None
_thawed_at = 0.0
_is_owed = False
"""Whether something has gone, and no full collection has come since."""
_is_wanted = False
"""Whether anybody has asked to leave something out."""


def freeze() -> None:
    """Leave out of later collections what is there now; as long as garbage may be among it, once that has gone."""
    global _frozen_at, _is_wanted
    with _lock:
        _is_wanted = True
        if not _is_owed:
            gc.freeze()
            _frozen_at = time.monotonic()


def thaw() -> None:
    """Something goes: the next full collection is to find it, also where an engine is loaded before that."""
    global _frozen_at, _is_owed, _thawed_at
    with _lock:
        if _frozen_at is not None:
            gc.unfreeze()
        _frozen_at, _is_owed, _thawed_at = None, True, time.monotonic()


def is_frozen() -> bool:
    return _frozen_at is not None


def follow(layers: Any) -> None:
    """Hear when layers of a window go."""
    if layers not in _followed:
        _followed.add(layers)
        layers.events.inserted.connect(_on_inserted)
        layers.events.removed.connect(_on_removed)


def _on_inserted(event: Any) -> None:
    _inserted[event.value] = time.monotonic()


def _on_removed(event: Any) -> None:
    since = _inserted.pop(event.value, 0.0)
    if _frozen_at is None or since < _frozen_at + _MARGIN_SECONDS:
        thaw()


def _on_collection(phase: str, info: dict[str, int]) -> None:
    """Everything was looked at after something had gone: it need not be looked at again."""
    global _frozen_at, _is_owed
    # In whatever line of whatever thread: no lock.
    settled = time.monotonic() - _thawed_at > _SETTLE_SECONDS
    if phase == "stop" and info["generation"] == 2 and _is_owed and settled:
        _is_owed = False
        if _is_wanted:
            gc.freeze()
            _frozen_at = time.monotonic()


gc.callbacks.append(_on_collection)
