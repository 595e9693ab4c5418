"""A session of a recording: what was annotated and not saved is drawn on, and what the file came with stays out."""

from __future__ import annotations

import pytest
from workbench_napari.launch import open_files
from workbench_napari.shared.session import save_session

from tests.workbench_napari.recording.window import finish

pytestmark = pytest.mark.gui


def marks(tool):
    return sorted((round(row.mark.onset, 6), row.mark.label) for row in tool.annotating.rows)


def test_annotations_of_a_session_are_those_of_the_recording(opened, window, tmp_path, wait):
    viewer, tool = opened
    (tmp_path / "out").mkdir()
    wait(lambda: len(tool.annotating.rows) == 2, 10)
    tool.annotating.rename(0, "mine")
    wait(lambda: any(label == "mine" for _, label in marks(tool)), 10)
    before, names = marks(tool), [layer.name for layer in viewer.layers]
    assert tool.unsaved_sign.is_on
    assert save_session(viewer, tmp_path / "rest.session")
    finish(tool, wait)
    again = open_files(window(), [tmp_path / "rest.session"])
    wait(lambda: marks(again) == before, 10)
    assert [layer.name for layer in again.viewer.layers] == names
    assert again.opened is not None
    assert again.unsaved_sign.is_on
    assert again.remembered.snapshot() == tool.remembered.snapshot()
    assert again.save()
    finish(again, wait)
    assert "annotations-annot.fif" in again.status.text()
    assert not again.unsaved_sign.is_on
