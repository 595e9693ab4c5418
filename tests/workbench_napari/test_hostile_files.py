"""Damaged and hostile files in the window: each is one line in the tool, none a traceback, and the next one opens."""

from __future__ import annotations

import pytest
from workbench_napari.launch import open_files
from workbench_napari.shared.opening import open_path

from tests.mutation.hostile_table import HOSTILE, entries, to_open

pytestmark = pytest.mark.gui


def test_every_hostile_file_is_said_in_one_line(window, ct_file):
    from napari.utils.notifications import ErrorNotification, notification_manager

    if not entries():
        pytest.skip(f"real data not here: {HOSTILE}")
    viewer = window()
    tool = open_files(viewer, [], tool="volume")
    shown = {}
    for name in entries():
        before = len(notification_manager.records)
        tool.say("")
        open_path(viewer, to_open(name), tool)
        new = list(notification_manager.records)[before:]
        shown[name] = tool.status.text()
        assert not len(viewer.layers), name
        assert "\n" not in shown[name], name
        assert name.split(".")[0] in shown[name], shown[name]
        assert len(shown[name]) < 700, name
        assert new, name
        assert not any(isinstance(n, ErrorNotification) for n in new), f"{name}: a traceback is offered"
    open_path(viewer, ct_file, tool)
    assert "ct" in viewer.layers
