"""Painted pixels, maps and networks of one save stay together, and the next save replaces none that was painted."""

from __future__ import annotations

import json

import numpy as np
import pytest
from workbench_napari.launch import open_files

import workbench as wb
from tests.scene_maker import save_envi
from tests.scenes import scene_arrays
from tests.workbench_napari.contract_window import press
from tests.workbench_napari.mouse import at_rest, canvas_place, drag
from workbench.core.atomic import sha256_of

pytestmark = pytest.mark.gui

FAST = {"steps": 4, "components": 5, "validate_every": 4, "patch": 7, "head_start": 80, "batch": 12}


@pytest.fixture
def seen(window, tmp_path):
    """A window on the screen with a scene."""
    cube, _ = scene_arrays()
    viewer = window(show=True)
    tool = open_files(viewer, [save_envi(tmp_path / "in", cube, name="meadow")])
    tool.device.setCurrentText("cpu")
    tool.learning.form.set_values(FAST)
    tool.folder.setText(str(tmp_path / "out"))
    viewer.window.resize(1500, 900)
    at_rest(viewer)
    viewer.reset_view()
    return viewer, tool


def finish(tool, wait):
    wait(lambda: not tool.runner.is_busy, 120)
    assert tool.runner.error is None, tool.status.text()


def save(tool, wait):
    press(tool.save_button)
    finish(tool, wait)
    return tool.last_folder


def stroke(viewer, tool, row, first, last):
    layer = tool.painting.layer
    layer.brush_size = 1
    at_rest(viewer)
    before = np.array(layer.data)
    drag(viewer, canvas_place(viewer, layer, (row, first)), canvas_place(viewer, layer, (row, last)))
    assert (layer.data != before).any(), "the stroke met the layer"


def record_in(folder):
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert all(sha256_of(folder / name) == entry["sha256"] for name, entry in record["files"].items())
    return record


@pytest.mark.slow
def test_a_second_lesson_keeps_the_painted_pixels_and_the_network_of_the_first(seen, wait):
    viewer, tool = seen
    _, labels = scene_arrays()
    rows, columns = labels.shape
    for value in (1, 2, 3):
        press(tool.painting.add_button)
        where = np.argwhere(labels == value)
        row = int(np.bincount(where[:, 0]).argmax())
        own = where[where[:, 0] == row][:, 1]
        stroke(viewer, tool, row, int(own[0]), int(own[4]))
    painted = np.array(tool.painting.layer.data)
    press(tool.learning.learn_button)
    finish(tool, wait)
    first = save(tool, wait)
    record = record_in(first)
    assert record["edited_by_hand"] is True, "what was painted is hand work, also where the map was not corrected"
    assert record["details"]["edited by hand"] == ["painted"]
    assert {"model.safetensors", "painted.dat", "labels.dat"} <= set(record["files"])
    network = (first / "model.safetensors").read_bytes()
    map_before = np.array(tool.maps.get("labels").data)

    stroke(viewer, tool, rows - 1, columns - 9, columns - 1)
    press(tool.learning.learn_button)
    finish(tool, wait)
    assert save(tool, wait) == first
    record_in(first)
    (kept,) = (first / "versions").iterdir()
    assert record_in(kept)["edited_by_hand"] is True
    assert np.array_equal(wb.read(kept / "painted.hdr").data[0], painted)
    assert np.array_equal(wb.read(kept / "labels.hdr").data[0], map_before)
    assert (kept / "model.safetensors").read_bytes() == network
    assert (kept / "spectra.csv").is_file()
    assert np.array_equal(wb.read(first / "painted.hdr").data[0], tool.painting.layer.data)
    assert f"is kept in meadow/versions/{kept.name}" in tool.status.text()
