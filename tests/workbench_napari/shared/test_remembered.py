"""A tool shows next time what a person chose in it, and nothing that a script set or that is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog
from workbench_napari.launch import open_files
from workbench_napari.shared.remembered import gone_device

from tests.tiny import make_tiny_weights

pytestmark = pytest.mark.gui


def retype(field, text):
    field.selectAll()
    QTest.keyClicks(field, text)


def pick(combo, text):
    """Choose an entry with the keyboard, as a person does."""
    index = combo.findText(text)
    assert index >= 0
    combo.setFocus()
    QTest.keyClick(combo, Qt.Key.Key_Home)
    for _ in range(index):
        QTest.keyClick(combo, Qt.Key.Key_Down)
    assert combo.currentText() == text


def settings_of(tool):
    form = tool.model.form
    return {n: w for n, w in form.widgets.items() if hasattr(w.native, "setValue")}


def habits(tool):
    spin = {name: widget.value for name, widget in settings_of(tool).items()}
    device = tool.model.device.currentText()
    return tool.folder.text(), tool.format.currentText(), tool.model.weights.value, device, spin


def choose_by_hand(tool, tmp_path, monkeypatch):
    weights = make_tiny_weights(tmp_path / "mine.safetensors")
    (tmp_path / "results").mkdir()
    retype(tool.folder, str(tmp_path / "results"))
    pick(tool.format, "NRRD (.seg.nrrd)")
    retype(tool.model.device.lineEdit(), "cpu")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *args: (str(weights), ""))
    tool.model.weights._browse()
    tool.model.form.settings_fold.expand(animate=False)
    name, widget = next(iter(settings_of(tool).items()))
    tool.activateWindow()
    widget.native.setFocus()
    QTest.keyClick(widget.native, Qt.Key.Key_Down)
    return name, weights


def test_what_was_chosen_by_hand_is_there_in_the_next_session(window, tmp_path, monkeypatch, ct_file, qtbot):
    viewer = window(show=True)
    viewer.window._qt_window.activateWindow()
    tool = open_files(viewer, [ct_file])
    before = habits(tool)
    choose_by_hand(tool, tmp_path, monkeypatch)
    chosen = habits(tool)
    assert all(a != b for a, b in zip(before, chosen, strict=True)), "everything was changed"
    again = open_files(window(), [])
    assert habits(again) == chosen
    assert again.status.text() == ""
    assert again.model.weights_info.text() == tool.model.weights_info.text(), "the weights are described anew"
    other = open_files(window(), [], tool="scene")
    assert other.folder.text() == before[0], "each tool has its own"


def test_what_a_script_sets_is_no_habit(window, tmp_path):
    tool = open_files(window(), [], tool="volume")
    before = habits(tool)
    tool.folder.setText(str(tmp_path))
    tool.format.setCurrentIndex(2)
    tool.model.device.setCurrentText("cpu")
    tool.model.weights.choose_file(make_tiny_weights(tmp_path / "mine.safetensors"))
    for widget in settings_of(tool).values():
        widget.value = widget.native.maximum() if widget.native.maximum() < 1e6 else widget.value + 1
    assert habits(open_files(window(), [], tool="volume")) == before


def test_what_is_gone_falls_back_to_the_default_and_is_said(window, tmp_path, monkeypatch):
    viewer = window(show=True)
    tool = open_files(viewer, [], tool="volume")
    before = habits(tool)
    tool.body.show()
    choose_by_hand(tool, tmp_path, monkeypatch)
    retype(tool.model.device.lineEdit(), "cuda:97")
    (tmp_path / "results").rmdir()
    (tmp_path / "mine.safetensors").unlink()
    again = open_files(window(), [], tool="volume")
    folder, _, weights, device, _ = habits(again)
    assert (folder, weights, device) == (before[0], before[2], before[3])
    said = again.status.text()
    assert f"The folder {tmp_path / 'results'} is not there any more" in said
    assert "mine.safetensors are not there any more" in said
    assert "The device cuda:97 is not there any more" in said
    assert open_files(window(), [], tool="volume").status.text() == "", "it is said once"


def test_what_is_set_back_by_hand_follows_the_default_again(window, tmp_path, home):
    tool = open_files(window(show=True), [], tool="volume")
    tool.body.show()
    default = tool.folder.text()
    retype(tool.folder, str(tmp_path))
    assert open_files(window(), [], tool="volume").folder.text() == str(tmp_path)
    retype(tool.folder, default)
    assert "folder" not in Path(home / "window.ini").read_text(encoding="utf-8")


def test_a_device_is_looked_for_without_the_engine():
    assert [gone_device(name) for name in ("auto", "cpu")] == ["", ""]
    for name in ("cuda:97", "abacus"):
        assert gone_device(name) == f"The device {name} is not there any more"
