"""What the shell prints: names in files and folders never steer the terminal nor turn the direction of writing.

A run of a night outlives who reads what it prints: a pipe that nobody empties any more, or that was closed, loses the
lines and does not stop the work.
"""

from __future__ import annotations

import os
import select
import stat
import sys
from typing import IO, Any

import click

from workbench.core.errors import visible

_PATIENCE_MS = 2000
"""How long the first line waits for a pipe that is full; those after it do not wait."""

_stuck: set[int] = set()
_lost = 0


def take_lost() -> int:
    """How many lines nobody has read, since this was asked for the last time."""
    global _lost
    count, _lost = _lost, 0
    return count


def say(text: object = "", *, err: bool = False) -> None:
    """Print lines of text, all other control characters in it made visible."""
    shown = visible(str(text), keep="\n\t").encode("utf-8", "backslashreplace").decode("utf-8")
    if not err:
        click.echo(shown)
        return
    global _lost
    try:
        if _takes(sys.stderr):
            click.echo(shown, err=True)
            return
    except BrokenPipeError:
        return  # nobody listens any more
    except OSError:
        pass  # the disk with the log is full, say
    _lost += 1


def _takes(stream: IO[str] | None) -> bool:
    """Whether a line can be written to a stream without waiting for somebody to read others."""
    if sys.platform == "win32" or stream is None:
        return True
    try:
        handle = stream.fileno()
        if not stat.S_ISFIFO(os.fstat(handle).st_mode):
            return True
    except (OSError, ValueError, AttributeError):
        return True
    poll: Any = select.poll()
    poll.register(handle, select.POLLOUT)
    if any(event & select.POLLOUT for _, event in poll.poll(0 if handle in _stuck else _PATIENCE_MS)):
        _stuck.discard(handle)
        return True
    _stuck.add(handle)
    return False
