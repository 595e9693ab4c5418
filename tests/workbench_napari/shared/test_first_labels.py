"""The first labels of a process cost nothing to speak of: numba is a dependency of ours, and with it alone napari
compiles for seconds, in every process, before labels with own colours are shown.
"""

from __future__ import annotations

import subprocess
import sys

_FIRST = """
import time
import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
Labels(np.zeros((2, 2), np.uint8))
began = time.process_time()
for dtype in (np.uint8, np.uint16, np.int32, np.uint32, np.int64):
    Labels(np.zeros((2, 2), dtype))
    Labels(np.zeros((2, 2), dtype), colormap=DirectLabelColormap(color_dict={None: "black", 0: "black", 1: "red"}))
print(time.process_time() - began)
"""


def test_nothing_is_compiled_at_the_first_labels():
    found = subprocess.run([sys.executable, "-c", _FIRST], capture_output=True, text=True, check=True)
    assert float(found.stdout) < 1.5
