"""Load the heavy libraries in the background once the window is up, so that the first Run does not wait for them."""

from __future__ import annotations

import importlib
import os
import threading

from workbench.core import kinds

_thread: threading.Thread | None = None


def engines() -> tuple[str, ...]:
    """Modules worth loading, as the rows of the kinds say."""
    return tuple(dict.fromkeys(name for row in kinds.kinds().values() for name in row.engines))


def preload() -> threading.Thread | None:
    """Start importing the engines in a daemon thread, once per process; ``WORKBENCH_PRELOAD=0`` turns it off."""
    global _thread
    if _thread is None and os.environ.get("WORKBENCH_PRELOAD", "1") != "0":
        _thread = threading.Thread(target=_load, name="workbench-engines", daemon=True)
        _thread.start()
    return _thread


def _load() -> None:
    import warnings

    with warnings.catch_warnings():
        # Libraries warn about themselves while they load; that is no news for somebody who looks at images.
        warnings.simplefilter("ignore")
        for name in engines():
            try:
                importlib.import_module(name)
            except ImportError:
                # The tool that needs it says so when it is used, with the install command.
                continue
