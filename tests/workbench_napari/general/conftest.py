"""A stranger's kind of data among the installed ones, here and in processes that a test starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workbench.core import kinds, registry

ROOT = Path(__file__).resolve().parents[3]
HERE = "tests.workbench_napari.general.plates"


@pytest.fixture
def plates(tmp_path, monkeypatch):
    """Installs the kind ``plate`` and its backends by entry points, as pip would."""
    info = tmp_path / "site" / "plates-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plates\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[workbench.kinds]\nplate = {HERE}:PLATE\n[workbench.backends]\nbright = {HERE}:BRIGHT\ndark = {HERE}:DARK\n"
    )
    monkeypatch.syspath_prepend(str(info.parent))
    paths = [str(info.parent), str(ROOT), str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in paths if p))
    _forget()
    yield
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    kinds.kinds.cache_clear()
    registry.backends.cache_clear()
