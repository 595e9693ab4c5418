"""A session of a scene: painted pixels and their classes come back, unsaved, and are saved as they would have been."""

from __future__ import annotations

import numpy as np
import pytest
from workbench_napari.launch import open_files
from workbench_napari.shared.session import save_session

pytestmark = pytest.mark.gui


def test_what_was_painted_comes_back_and_is_saved(opened, window, tmp_path, wait):
    viewer, tool = opened
    (tmp_path / "out").mkdir()
    tool.painting.add_class("grass")
    layer = tool.painting.layer
    layer.data_setitem((np.array([1, 1, 2]), np.array([1, 2, 2])), 1)
    assert tool.unsaved_sign.is_on
    assert tool.covers(layer)
    assert save_session(viewer, tmp_path / "meadow.session")
    wait(lambda: not tool.runner.is_busy, 60)
    again = open_files(window(), [tmp_path / "meadow.session"])
    assert [la.name for la in again.viewer.layers] == [la.name for la in viewer.layers]
    assert np.array_equal(again.painting.layer.data, layer.data)
    assert [c.name for c in again.painting.classes] == [c.name for c in tool.painting.classes]
    assert again.unsaved_sign.is_on
    assert again.remembered.snapshot() == tool.remembered.snapshot()
    assert again.save()
    wait(lambda: not again.runner.is_busy, 60)
    assert not again.unsaved_sign.is_on
    assert list((tmp_path / "out" / "meadow").glob("painted*"))
