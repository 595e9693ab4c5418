"""A display for the GUI tests, a home of their own, and small parts to work with."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.display import display  # noqa: F401
from tests.tiny import make_tiny_weights, make_volume

pytest.importorskip("napari", reason="the extra 'gui' is not installed")

_MOST_OBJECTS = 100_000


@pytest.fixture(autouse=True)
def _collector_looks_at_what_is_new() -> None:
    """What earlier tests loaded (PyTorch, napari...) is not looked at again with every window that closes.

    The fixture of viewers collects garbage several times, and each pass went through a million objects that stay.
    """
    if len(gc.get_objects()) > _MOST_OBJECTS:
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def _no_button_stays_down() -> Iterator[None]:
    """Qt remembers a mouse button whose release went nowhere; what waits for it would wait in every later test."""
    yield
    from qtpy.QtCore import Qt
    from qtpy.QtGui import QWindow
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QApplication

    down = QApplication.mouseButtons() if QApplication.instance() is not None else Qt.MouseButton.NoButton
    if down == Qt.MouseButton.NoButton:
        return
    window = QWindow()
    for button in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton):
        if down & button:
            QTest.mouseRelease(window, button)
    assert QApplication.mouseButtons() == Qt.MouseButton.NoButton


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recovery store and settings away from the user's own."""
    folder = tmp_path / "workbench-home"
    monkeypatch.setenv("WORKBENCH_HOME", str(folder))
    monkeypatch.setenv("WORKBENCH_PRELOAD", "0")
    return folder


@pytest.fixture
def window(
    display: str | None,  # noqa: F811
    make_napari_viewer: Callable,
    npe2pm_ours: None,
) -> Callable:
    """Makes real napari viewers that know our plugin; fails on leaked widgets."""
    if display is None:
        pytest.skip("no display and no Xvfb: apt-get install xvfb")
    return make_napari_viewer


@pytest.fixture
def npe2pm_ours() -> None:
    """npe2 with our manifest and no stray plugins; napari's own are registered by its viewer."""
    from npe2 import PluginManager, PluginManifest

    manager = PluginManager.instance()
    if "napari-workbench" not in manager._manifests:
        manager.register(PluginManifest.from_distribution("napari-workbench"))


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real SegFormer3D with random weights."""
    return make_tiny_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture(scope="session")
def ct_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CT-like NIfTI with an off-centre origin."""
    return make_volume(tmp_path_factory.mktemp("ct") / "ct.nii.gz")


@pytest.fixture
def wait(qtbot) -> Callable[[Callable[[], bool], float], None]:
    """Let Qt work until a condition holds."""

    def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited {seconds} s in vain"
            qtbot.wait(20)

    return until
