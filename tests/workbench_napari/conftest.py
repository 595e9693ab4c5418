"""A display for the GUI tests, a home of their own, and small parts to work with."""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tiny import make_tiny_weights, make_volume

pytest.importorskip("napari", reason="the extra 'gui' is not installed")


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


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recovery store and settings away from the user's own."""
    folder = tmp_path / "workbench-home"
    monkeypatch.setenv("WORKBENCH_HOME", str(folder))
    monkeypatch.setenv("WORKBENCH_PRELOAD", "0")
    return folder


@pytest.fixture
def window(display: str | None, make_napari_viewer: Callable, npe2pm_ours: None) -> Callable:
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
