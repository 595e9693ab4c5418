"""A third party's backend of recordings in the MEG tool: its form, only the pages of what it can, its annotations."""

from __future__ import annotations

import pytest
from workbench_napari.launch import open_files

from tests import strangers
from tests.tiny import make_tiny_recording
from workbench.testing import check_backend

pytestmark = pytest.mark.gui


def test_run_a_strangers_backend(window, qtbot, tmp_path, monkeypatch):
    path = make_tiny_recording(tmp_path / "parcels.npy")
    check_backend(strangers.install("recording", tmp_path, monkeypatch), path)
    viewer = window()
    tool = open_files(viewer, [path])
    form = tool.panel.model.model
    pages = [page.widget for page in (tool.panel.generation, tool.panel.decoding)]
    assert [not page.isHidden() for page in pages] == [True, True]
    form.choose("stranger")
    assert [not page.isHidden() for page in pages] == [False, False]
    assert sorted(form.form.widgets) == ["level"]
    assert form.weights is None
    with qtbot.waitSignal(tool.runner.finished, timeout=60_000) as ended:
        tool.run_button.click()
    assert ended.args[0] == "done", ended.args
    shapes = [layer for layer in viewer.layers if type(layer).__name__ == "Shapes"]
    assert any("loud" in list(layer.features.get("label", [])) for layer in shapes)
    form.choose("meg_gpt")
    assert [not page.isHidden() for page in pages] == [True, True]
