"""What the benchmarks of a real window share: a display, and waiting for what happens in the window."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable


def rerun_without_display(parser: argparse.ArgumentParser) -> int | None:
    """Where there is no display, start the script again under Xvfb and return its status; else ``None``."""
    if not sys.platform.startswith("linux") or os.environ.get("DISPLAY"):
        return None
    program = shutil.which("xvfb-run")
    if program is None:
        parser.error("no display and no Xvfb: apt-get install xvfb")
    command = [program, "-a", "-s", "-screen 0 1600x1000x24", sys.executable, *sys.argv]
    return subprocess.run(command, check=False).returncode


def settle(done: Callable[[], bool], seconds: float) -> None:
    """Let Qt work until something holds, or the time is up."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.005)
