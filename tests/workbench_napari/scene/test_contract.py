"""Weights and scenes in the window: every row of the contract table, Learn and Map only, who knows better."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from workbench_napari.shared.opening import open_path

import workbench as wb
from tests.workbench.scene.contract_cases import rows, train, truth
from tests.workbench_napari.contract_window import notes_of, open_tool, press, run, shows, until
from workbench import weights as weight_files
from workbench.core.layers import KEY

pytestmark = pytest.mark.gui
FEW = ("right data", "no wavelengths", "bands in reverse order", "radiance", "fewer bands", "a class map")
ADAPT = {"lora_rank": 2, "steps": 2, "head_start": 0, "batch": 9, "val_fraction": 0.2}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Such small work only loses time to threads that wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def taught(tmp_path_factory) -> tuple[Path, wb.Case]:
    return train(tmp_path_factory.mktemp("taught"))


def write(name: str, folder: Path) -> Path:
    return next(r for r in rows() if r.name == name).write(folder)


def paint(tool, per_class: int = 12) -> None:
    rng = np.random.default_rng(0)
    for name in ("grass", "soil", "water"):
        value = tool.painting.add_class(name)
        layer = tool.painting.layer
        layer.brush_size = 1
        for index in rng.choice(np.flatnonzero(truth() == value), per_class, replace=False):
            layer.paint(np.unravel_index(index, layer.data.shape), value)


def learn(tool) -> str:
    """Press Learn and wait; returns what the tool says at the end."""
    until(lambda: not tool._guard.isActive())
    press(tool.learning.learn_button)
    until(lambda: not tool.runner.is_busy)
    return tool.status.text()


def save(tool, folder: Path) -> Path:
    tool.folder.setText(str(folder))
    press(tool.save_button)
    until(lambda: not tool.runner.is_busy)
    assert tool.last_folder is not None, tool.status.text()
    return tool.last_folder


@pytest.mark.parametrize("row", [pytest.param(r, id=r.name, marks=() if r.name in FEW else pytest.mark.slow)
                                 for r in rows()])  # fmt: skip
def test_every_row_of_the_table_ends_in_the_window_as_it_is_stated(window, taught, tmp_path, row):
    path = row.write(tmp_path)
    viewer = window()
    tool = open_tool(viewer, "scene", path, str(taught[0]))
    seen = run(tool, "scene")
    if row.name == "a class map":  # opens as what it is: there is nothing to map
        assert [layer._type_string for layer in viewer.layers] == ["labels"]
        assert not tool.looking.has_scenes
        return
    assert seen.happened == row.outcome, seen.said
    assert row.says.lower() in seen.said.lower()
    assert all(shows(seen.said, note) for note in seen.notes)
    if row.outcome == "refused":
        assert seen.said.startswith(str(path.parent / path.stem))
        assert "\n" not in seen.said
        assert seen.added == ()
    else:
        assert tool.maps.get("labels") is not None
    if row.equal:
        right = wb.predict("lola_specvit", taught[1].image, weights=str(taught[0]), device="cpu").labels.data
        assert np.array_equal(tool.maps.get("labels").data, right)
    assert seen.offers == (row.outcome == "refused")
    assert tool.learning.map_button.isEnabled()
    assert tool.learning.learn_button.text() == "Learn"


def test_learning_is_refused_before_anything_is_shown_and_can_be_forced(window, taught, tmp_path):
    """What teaches on must agree as what is mapped: no reference map of a scene that is refused stays behind."""
    path = write("centres 300 nm higher", tmp_path)
    viewer = window()
    tool = open_tool(viewer, "scene", path, str(taught[0]))
    assert "force" not in tool.learning.form.widgets
    tool.learning.form.set_values(ADAPT)
    paint(tool)
    before = list(viewer.layers)
    said = learn(tool)
    assert "half a band width" in said
    assert said.endswith("tick 'Use anyway'.")
    assert said.startswith(str(path.parent / path.stem))
    assert list(viewer.layers) == before
    assert tool.learning.model is None
    press(tool.agreement.anyway)
    said = learn(tool)
    assert "Forced although wavelengths" in said
    assert "Forced although wavelengths" in notes_of(tool, "scene").text
    folder = save(tool, tmp_path / "out")
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert any(n.startswith("forced although wavelengths") for n in record["notes"])
    assert record["settings"]["training"]["force"] is True
    meta = weight_files.read_meta(folder / "model.safetensors")
    assert [s["id"] for s in meta["seen"]] == ["base", path.stem]
    assert [s["name"] for s in meta["taught"]["scenes"]] == ["base", path.stem]


def test_learning_converts_what_can_be_and_the_new_weights_remember_who_taught_them(window, taught, tmp_path):
    path = write("bands in reverse order", tmp_path)
    tool = open_tool(window(), "scene", path, str(taught[0]))
    tool.learning.form.set_values(ADAPT)
    paint(tool)
    assert "reverse order" in learn(tool)
    assert tool.agreement.isHidden()
    assert "reverse order" in notes_of(tool, "scene").text
    folder = save(tool, tmp_path / "out")
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert any("reverse order" in n for n in record["notes"])
    meta = weight_files.read_meta(folder / "model.safetensors")
    assert [s["id"] for s in meta["seen"]] == ["base", path.stem]
    # Whoever scores with them is told which pixels taught them.
    report = wb.evaluate("lola_specvit", [taught[1]], weights=str(folder / "model.safetensors"), device="cpu")
    assert any(r["seen"] in ("learnt", "in part") for r in report.rows)


def test_refusal_and_notes_go_with_scene_and_weights(window, taught, tmp_path):
    viewer = window()
    tool = open_tool(viewer, "scene", write("right data", tmp_path), str(taught[0]))
    open_path(viewer, write("radiance", tmp_path), tool)
    tool.looking.scenes.setCurrentText("radiance")
    assert run(tool, "scene").offers
    press(tool.agreement.anyway)
    tool.looking.scenes.setCurrentText("right_data")
    assert tool.agreement.isHidden()
    assert tool.status.text() == ""
    assert run(tool, "scene").happened == "same"
    assert notes_of(tool, "scene").isHidden()
    tool.looking.scenes.setCurrentText("radiance")
    assert tool.agreement.isHidden()
    assert run(tool, "scene").offers
    press(tool.agreement.anyway)
    forced = run(tool, "scene")
    assert "Forced although scale" in forced.said
    # The notes are those of the map of the scene that is looked at.
    tool.looking.scenes.setCurrentText("right_data")
    assert notes_of(tool, "scene").isHidden()
    tool.looking.scenes.setCurrentText("radiance")
    assert "Forced although scale" in notes_of(tool, "scene").text
    assert run(tool, "scene").offers
    tool.learning.weights.combo.setCurrentIndex(0)
    assert tool.agreement.isHidden()
    assert tool.status.text() == ""


def test_a_cancelled_lesson_does_not_leave_the_notes_of_another_map(window, taught, tmp_path):
    """The reference map that stays after a cancel was made without the weights: it says so, and nothing of theirs."""
    path = write("bands in reverse order", tmp_path)
    tool = open_tool(window(), "scene", path, str(taught[0]))
    assert "everse order" in run(tool, "scene").said
    tool.learning.form.set_values({**ADAPT, "steps": 100_000, "patience": 0, "validate_every": 50_000})
    paint(tool)
    press(tool.learning.learn_button)
    until(lambda: tool.learning.board is not None and "step" in tool.learning.board.phase)
    until(notes_of(tool, "scene").isHidden)  # while a map grows, the notes of the last one are not its own
    until(lambda: not tool._guard.isActive())
    press(tool.learning.learn_button)
    until(lambda: not tool.runner.is_busy)
    assert "reverse order" not in notes_of(tool, "scene").text
    assert "Reference map of a support vector machine" in notes_of(tool, "scene").text
    made = tool.maps.get("labels").metadata[KEY]["provenance"]
    assert made["weights"] == "none"
