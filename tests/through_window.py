"""A column of the contract tables: what the window makes of the same files, where it is asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Look = Callable[[str, Path, str], str]


@contextmanager
def asking_a_window(wanted: bool) -> Iterator[Look]:
    """Gives a function of kind, file and weights: the word of the table for what the tool shows, or a dash.

    Where there is no display the script starts again under Xvfb.
    """
    if not wanted:
        yield lambda kind, path, weights: "-"
        return
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        program = shutil.which("xvfb-run")
        if program is None:
            raise SystemExit("no display and no Xvfb: apt-get install xvfb")
        command = [program, "-a", "-s", "-screen 0 1600x1000x24", *sys.orig_argv]
        raise SystemExit(subprocess.run(command, check=False).returncode)
    from tests.workbench_napari.contract_window import a_window, shows

    with a_window() as look:

        def word(kind: str, path: Path, weights: str) -> str:
            seen = look(kind, path, weights)
            if seen.happened == "refused" and seen.added:
                return "added a layer although refused"
            untold = [note for note in seen.notes if not shows(seen.said, note)]
            return f"{seen.happened}, not shown: {untold}" if untold else seen.happened

        yield word
