"""The canvas waits for the end of a step, and no longer, however slow the window is."""

from __future__ import annotations

import time

import pytest
from qtpy.QtCore import QTimer
from qtpy.QtTest import QTest
from workbench_napari.shared.painting_later import is_to_be_painted, painted_later
from workbench_napari.shared.views import canvas_of

from tests.workbench_napari.contract_window import until

pytestmark = pytest.mark.gui


def test_a_step_is_painted_though_every_turn_is_slow(window):
    """A timer whose work takes longer than the pause between two turns must not keep the canvas dark for ever."""
    viewer = window(show=True)
    canvas = canvas_of(viewer)
    slow = QTimer()
    slow.setInterval(0)
    slow.timeout.connect(lambda: time.sleep(0.06))
    slow.start()
    try:
        with painted_later(viewer):
            assert not canvas.updatesEnabled()
            assert is_to_be_painted(viewer)
        until(canvas.updatesEnabled, 5)
    finally:
        slow.stop()
    QTest.qWait(60)
    assert not is_to_be_painted(viewer)
