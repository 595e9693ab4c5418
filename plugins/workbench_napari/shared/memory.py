"""What the window remembers from one session to the next: folded sections, pages, what a person chose in a tool."""

from __future__ import annotations

from qtpy.QtCore import QSettings

from workbench.core.home import home


def recall(key: str, default: str = "") -> str:
    """What was kept under a key, or the default."""
    return str(_settings().value(key, default))


def keep(key: str, value: str) -> None:
    """Keep a text under a key, for the sessions to come."""
    settings = _settings()
    settings.setValue(key, value)
    settings.sync()


def forget(key: str) -> None:
    """Keep nothing under a key any more."""
    settings = _settings()
    settings.remove(key)
    settings.sync()


def _settings() -> QSettings:
    # A file of its own in our home, so that it moves with WORKBENCH_HOME; Qt locks it between processes.
    return QSettings(str(home() / "window.ini"), QSettings.Format.IniFormat)
