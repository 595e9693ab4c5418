"""Libraries that are loaded in the background when Python ends."""

from __future__ import annotations

import os
import subprocess
import sys

SLOW = """
import atexit, time
atexit.register(print, "taken apart", flush=True)
time.sleep(1)
print("imported", flush=True)
"""
CHILD = """
import sys, time
from workbench_napari.shared import engines
engines.for_opening = lambda kind: ()
engines.load_libraries = lambda is_stopped: None
engines.engines = lambda first="": ("slow_engine", "next_engine")
engines.preload()
while "slow_engine" not in sys.modules:
    time.sleep(0.01)
time.sleep(0.2)
"""


def test_a_library_is_not_taken_apart_while_it_is_imported(tmp_path):
    (tmp_path / "slow_engine.py").write_text(SLOW)
    (tmp_path / "next_engine.py").write_text("print('another')")
    path = os.pathsep.join((str(tmp_path), *(p for p in sys.path if p)))
    own = {"WORKBENCH_PRELOAD": "1", "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", CHILD], env=os.environ | own, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split("\n")[:2] == ["imported", "taken apart"], done.stderr
    assert "another" not in done.stdout
