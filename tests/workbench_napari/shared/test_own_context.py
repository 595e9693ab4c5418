"""A layer that goes from one window leaves the picture of the other as it was, and the process alive."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

# Without the mend napari ends the process: "invalid value" in glVertexAttribPointer, or worse.
CODE = """
import os
import napari
import numpy as np
from tests.workbench_napari.mouse import at_rest
from workbench_napari.shared.own_context import keep_to_own_context

keep_to_own_context()
keep_to_own_context()
noise = np.random.default_rng(0).random((40, 50))
one, other = napari.Viewer(), napari.Viewer()
for viewer in (one, other):
    viewer.window.resize(500, 400)
    viewer.add_image(noise)
    viewer.add_image(noise[::-1], blending="additive")
at_rest(one)
at_rest(other)
# What is drawn last is current: the canvas of the other window.
before = other.screenshot(canvas_only=True, flash=False)
one.layers.remove(one.layers[0])
after = other.screenshot(canvas_only=True, flash=False)
print("as it was" if np.array_equal(before, after) and before.std() > 1 else "another picture", flush=True)
one.close()
at_rest(other)
last = other.screenshot(canvas_only=True, flash=False)
print("as it was" if np.array_equal(before, last) else "another picture", flush=True)
other.close()
os._exit(0)
"""


@pytest.mark.gui
def test_a_layer_that_goes_leaves_the_other_window_alone(display):
    if display is None:
        pytest.skip("no display and no Xvfb: apt-get install xvfb")
    paths = [str(ROOT), str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p)}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=120, env=environment)
    assert (done.returncode, done.stdout) == (0, "as it was\nas it was\n"), done.stderr[-3000:]
