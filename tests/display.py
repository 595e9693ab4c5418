"""A display for the tests that need a real window: that of the machine, or an Xvfb of our own."""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import signal
import subprocess
import sys

import pytest


@pytest.fixture(scope="session", autouse=True)
def display() -> str | None:
    """The display of the machine, or an Xvfb of our own (offscreen Qt has no OpenGL); ``None`` if there is neither."""
    if not sys.platform.startswith("linux") or os.environ.get("DISPLAY"):
        return os.environ.get("DISPLAY", "native")
    program = shutil.which("Xvfb")
    if program is None:
        return None
    read, write = os.pipe()
    command = [program, "-displayfd", str(write), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"]
    # Qt ends the whole process when its server goes first, so the server ends right after the test process.
    server = subprocess.Popen(
        command, pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=_end_with_parent
    )
    # It outlives this process by a moment; that is no leak.
    atexit.register(setattr, server, "returncode", 0)
    os.close(write)
    with os.fdopen(read) as answer:
        number = answer.readline().strip()
    os.environ["DISPLAY"] = f":{number}"
    return os.environ["DISPLAY"]


def _end_with_parent() -> None:
    """Ask Linux to send SIGTERM to this process when its parent ends (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
