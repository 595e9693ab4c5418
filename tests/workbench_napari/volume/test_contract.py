"""Weights and volumes in the window: every row of the contract table, who knows better, and nothing out of date."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from workbench_napari.shared.opening import open_path

from tests.workbench.volume.contract_table import ROWS, phantom, save
from tests.workbench_napari.contract_window import choose, notes_of, open_tool, press, run, shows, until

pytestmark = pytest.mark.gui
FEW = ("right: as taught", "right: cropped into the body", "MR without a modality", "a label map")


@pytest.fixture(scope="module")
def made():
    return phantom()


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory) -> Path:
    """The right data as ``ct``, wrong ones as ``mr``."""
    folder = tmp_path_factory.mktemp("contract")
    for name, row in (("ct", "right: as taught"), ("mr", "MR without a modality"), ("crop", FEW[1])):
        save(folder / f"{name}.nii.gz", *ROWS[row][0](*made))
    return folder


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in FEW else pytest.mark.slow) for n in ROWS])
def test_every_row_of_the_table_ends_in_the_window_as_it_is_stated(window, made, tmp_path, name):
    change, expected, words = ROWS[name]
    path = save(tmp_path / "case.nii.gz", *change(*made))
    tool = open_tool(window(), "volume", path, "demo")
    seen = run(tool, "volume")
    assert seen.happened == expected, seen.said
    assert words in seen.said or words.capitalize() in seen.said
    assert all(shows(seen.said, note) for note in seen.notes)
    if expected == "refused":
        assert seen.said.startswith(f"{path}: not what weights demo were taught on: ")
        assert "\n" not in seen.said
        assert seen.said.endswith("'Use anyway'.")
        assert seen.added == ()
        assert tool.labels_layer is None
    assert seen.offers == (expected == "refused")
    assert tool.run_button.isEnabled()
    assert tool.run_button.text() == "Run"


def test_who_knows_better_goes_on_and_it_stays_with_the_result(window, folder, tmp_path, wait):
    viewer = window()
    tool = open_tool(viewer, "volume", folder / "mr.nii.gz", "demo")
    assert "force" not in tool.model.form.widgets
    tool.folder.setText(str(tmp_path / "out"))
    assert run(tool, "volume").offers
    assert not tool.agreement.anyway.isChecked()
    press(tool.agreement.anyway)
    seen = run(tool, "volume")
    assert seen.happened == "refused"
    assert "Forced although values" in seen.said
    assert seen.said.splitlines()[0].startswith("• Forced although")
    assert "Forced although values" in tool.status.text()
    press(tool.save_button)
    until(lambda: not tool.runner.is_busy)
    record = json.loads((tmp_path / "out" / "mr" / "provenance.json").read_text(encoding="utf-8"))
    assert any(n.startswith("forced although values") for n in record["notes"])
    assert record["settings"]["force"] is True
    assert {f["level"] for f in record["details"]["agreement"]} >= {"refused"}
    assert "Forced although values" in notes_of(tool, "volume").text, "the line of Save must not take the notes away"
    # Good for these data and these weights only.
    open_path(viewer, folder / "ct.nii.gz", tool)
    tool.panel.image.combos[0].setCurrentText("ct")
    assert tool.agreement.isHidden()
    assert "orced" not in tool.status.text()
    assert run(tool, "volume").happened == "accepted"
    assert "orced" not in notes_of(tool, "volume").text
    tool.panel.image.combos[0].setCurrentText("mr")
    assert tool.agreement.isHidden()
    assert run(tool, "volume").offers, "another image was used in between: it is asked again"
    # The notes are those of the labels that are shown.
    tool.panel.labels.layers.setCurrentText("mr labels")
    assert "Forced although values" in notes_of(tool, "volume").text
    tool.panel.labels.layers.setCurrentText("ct labels")
    assert "orced" not in notes_of(tool, "volume").text


@pytest.mark.parametrize("what", ["image", "weights", "closed", "setting"])
def test_a_refusal_goes_with_what_it_is_about(window, folder, tiny_weights, what):
    viewer = window()
    tool = open_tool(viewer, "volume", folder / "ct.nii.gz", "demo")
    open_path(viewer, folder / "mr.nii.gz", tool)
    tool.panel.image.combos[0].setCurrentText("mr")
    assert run(tool, "volume").offers
    press(tool.agreement.anyway)
    if what == "image":
        tool.panel.image.combos[0].setCurrentText("ct")
    elif what == "weights":
        tool.model.weights.choose_file(tiny_weights)
    elif what == "closed":
        viewer.layers.remove("mr")
    else:
        tool.model.form.widgets["flips"].value = True
    assert tool.agreement.isHidden()
    assert not tool.agreement.anyway.isChecked()
    if what == "setting":
        seen = run(tool, "volume")
        assert seen.happened == "refused"
        assert "mirrored" in seen.said
    else:
        assert tool.status.text() == ""


def test_what_is_chosen_while_a_run_is_refused_is_not_forced(window, folder, monkeypatch):
    """The refusal comes late, and another image is chosen by then: there is nothing to tick."""
    viewer = window()
    tool = open_tool(viewer, "volume", folder / "ct.nii.gz", "demo")
    open_path(viewer, folder / "mr.nii.gz", tool)
    tool.panel.image.combos[0].setCurrentText("mr")
    press(tool.run_button)
    tool.panel.image.combos[0].setCurrentText("ct")
    until(lambda: not tool.runner.is_busy)
    assert tool.runner.error is not None
    assert tool.agreement.isHidden()


@pytest.mark.slow
def test_flips_that_training_never_saw_are_refused_and_can_be_forced(window, folder):
    tool = open_tool(window(), "volume", folder / "crop.nii.gz", "demo")
    tool.model.form.widgets["flips"].value = True
    seen = run(tool, "volume")
    assert seen.happened == "refused"
    assert "never saw a mirrored volume" in seen.said
    assert seen.offers
    press(tool.agreement.anyway)
    seen = run(tool, "volume")
    assert "orced although" in seen.said
    assert "mirrored" in seen.said


def test_the_tool_for_any_backend_refuses_notes_and_goes_on_the_same(window, folder, tmp_path):
    from workbench_napari.launch import GENERAL
    from workbench_napari.shared.opening import PLUGIN

    viewer = window()
    _, tool = viewer.window.add_plugin_dock_widget(PLUGIN, GENERAL, tabify=False)
    tool.input.model.choose("segformer3d")
    viewer.open(str(folder / "mr.nii.gz"), plugin=PLUGIN)
    tool.folder.setText(str(tmp_path / "out"))
    tool.model = tool.input.model
    choose(tool, "volume", "demo")
    press(tool.run_button)
    until(lambda: not tool.runner.is_busy)
    assert tool.status.text().startswith(f"{folder / 'mr.nii.gz'}: not what weights demo were taught on: values")
    assert len(viewer.layers) == 1
    assert tool.result.isHidden()
    press(tool.agreement.anyway)
    press(tool.run_button)
    until(lambda: not tool.runner.is_busy)
    assert "Forced although values" in tool.result.notes.text
    press(tool.save_button)
    until(lambda: not tool.runner.is_busy)
    record = json.loads((tmp_path / "out" / "mr" / "provenance.json").read_text(encoding="utf-8"))
    assert any(n.startswith("forced although values") for n in record["notes"])
    viewer.open(str(folder / "crop.nii.gz"), plugin=PLUGIN)
    tool.input.layer.setCurrentText("crop")
    assert tool.agreement.isHidden()
    assert tool.result.isHidden()
    press(tool.run_button)
    until(lambda: not tool.runner.is_busy)
    assert "Field of view" in tool.result.notes.text
    assert "orced" not in tool.result.notes.text
    tool.input.layer.setCurrentText("mr")
    assert "Forced although values" in tool.result.notes.text


def test_notes_come_back_with_labels_that_were_saved_for_recovery(window, folder, tmp_path):
    """After a crash the record of the layer is all there is."""
    viewer = window()
    tool = open_tool(viewer, "volume", folder / "crop.nii.gz", "demo")
    run(tool, "volume")
    data, attributes, kind = tool.labels_layer.as_layer_data_tuple()
    viewer.layers.clear()
    assert notes_of(tool, "volume").isHidden()
    from napari.layers import Layer

    viewer.add_layer(Layer.create(data, json.loads(json.dumps({"metadata": attributes["metadata"]})), kind))
    assert "Field of view" in notes_of(tool, "volume").text
