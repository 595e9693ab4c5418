"""A third party's backend of scenes in the Spectra tool: its form, its map, saved with its name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from workbench_napari.launch import open_files

from tests import strangers
from tests.scene_maker import cube, save_envi
from workbench.testing import check_backend

pytestmark = pytest.mark.gui


def test_without_strangers_nothing_is_shown(window, tmp_path):
    tool = open_files(window(), [save_envi(tmp_path, cube())])
    assert tool.others.isHidden()


def test_map_with_a_strangers_method_and_save(window, qtbot, tmp_path, monkeypatch):
    scene = save_envi(tmp_path, cube())
    check_backend(strangers.install("scene", tmp_path, monkeypatch), scene)
    viewer = window()
    tool = open_files(viewer, [scene])
    assert not tool.others.isHidden()
    assert tool.others.model.backend.name == "stranger"
    assert sorted(tool.others.model.form.widgets) == ["level"]
    tool.others.model.form.set_values({"level": 0.25})
    with qtbot.waitSignal(tool.runner.finished, timeout=60_000) as ended:
        tool.others.run_button.click()
    assert ended.args[0] == "done", ended.args
    labels = tool.maps.get("labels")
    assert set(np.unique(labels.data)) == {0, 1}
    assert np.mean(labels.data) == pytest.approx(0.75, abs=0.05)
    tool.folder.setText(str(tmp_path / "out"))
    with qtbot.waitSignal(tool.runner.finished, timeout=60_000) as ended:
        tool.save_button.click()
    assert ended.args[0] == "done", ended.args
    (record,) = (tmp_path / "out").glob("*/provenance.json")
    made = json.loads(record.read_text(encoding="utf-8"))
    assert (made["backend"], made["settings"]["level"]) == ("stranger", 0.25)
