"""Files are read beside the window, and shown a layer at a time."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from napari.layers import Layer
from qtpy.QtWidgets import QApplication
from workbench_napari.launch import open_files
from workbench_napari.shared import opening as opening_module
from workbench_napari.shared.painting_later import painted_later
from workbench_napari.shared.views import canvas_of

from tests.scene_maker import save_envi
from tests.tiny import make_tiny_slide
from workbench.core.errors import UsageError

pytestmark = pytest.mark.gui


def test_a_sample_is_read_beside_the_window_and_shown_once(window, wait, monkeypatch):
    viewer = window()
    tool = open_files(viewer, [], tool="volume")
    readers, slices = [], []
    read = opening_module._sample
    slicing = Layer.set_view_slice

    def reading(key):
        readers.append(threading.current_thread())
        return read(key)

    def counted(self):
        slices.append(self)
        return slicing(self)

    monkeypatch.setattr(opening_module, "_sample", reading)
    monkeypatch.setattr(Layer, "set_view_slice", counted)
    tool.sample_button.click()
    tool.sample_button.click()  # the second half of a double click
    assert tool.status.text() == "Opening torso_ct..."
    assert not viewer.layers, "it would have been read while the window stood still"
    wait(lambda: len(viewer.layers) == 1 and not tool.opening.is_busy)
    assert [thread is threading.main_thread() for thread in readers] == [False]
    # Once when napari makes it, and when the list of layers and the sliders have come to know it.
    assert len(slices) <= 4, f"sliced {len(slices)} times"
    assert tool.status.text() == ""
    assert viewer.layers[0].source.sample == (opening_module.PLUGIN, "torso_ct")


def test_files_are_opened_in_the_order_they_were_asked_for(window, wait, ct_file, tmp_path):
    viewer = window()
    tool = open_files(viewer, [], tool="volume")
    damaged = tmp_path / "damaged.nii.gz"
    damaged.write_bytes(b"no volume")
    for path in (damaged, ct_file):
        tool.opening.open_path(path)
    said = []
    tool.opening.said.connect(said.append)
    wait(lambda: not tool.opening.is_busy)
    assert len(viewer.layers) == 1
    assert viewer.layers[0].source.path == str(ct_file)
    assert any("damaged.nii.gz" in line for line in said)


def test_what_is_read_outlives_its_tool(window, wait, ct_file):
    viewer = window()
    tool = open_files(viewer, [], tool="volume")
    opening = tool.opening
    opening.open_path(ct_file)
    viewer.window.remove_dock_widget(tool)
    wait(lambda: not opening.is_busy)
    assert len(viewer.layers) == 1


def test_the_canvas_is_painted_after_a_step_and_once(window, wait):
    viewer = window(show=True)
    canvas = canvas_of(viewer)
    with painted_later(viewer), painted_later(viewer):
        assert not canvas.updatesEnabled()
    assert not canvas.updatesEnabled()
    wait(canvas.updatesEnabled, 5)
    painted = []
    canvas_events = viewer.window._qt_viewer.canvas._scene_canvas.events.draw
    canvas_events.connect(lambda _event: painted.append(1))
    with painted_later(viewer):
        viewer.add_points([[0, 0]])
        QApplication.sendPostedEvents()
        assert not painted
    wait(lambda: bool(painted), 5)


def test_what_napari_cannot_show_beside_it_is_refused_and_the_window_stays_whole(window, wait, tmp_path):
    """A scene of kilometres and a slide: napari alone breaks its sliders, and then the whole window."""
    viewer = window()
    tool = open_files(viewer, [], tool="slide")
    map_info = "{UTM, 1, 1, 500000, 4649776, 2000, 2000, 33, North, WGS-84, units=Meters}"
    scene = save_envi(tmp_path, np.zeros((30, 40, 4), np.int16), name="fields", map_info=map_info)
    slide = make_tiny_slide(tmp_path / "one.ome.tif")
    viewer.open(str(scene), plugin=opening_module.PLUGIN)
    count = len(viewer.layers)
    assert count
    said = []
    tool.opening.said.connect(said.append)
    tool.opening.open_path(slide)
    wait(lambda: not tool.opening.is_busy)
    opening_module.open_path(viewer, slide, tool)
    assert "window of its own" in tool.status.text()
    with pytest.raises(UsageError, match="more than napari can go in one window"):
        viewer.open(str(slide), plugin=opening_module.PLUGIN)
    assert [line for line in said if "window of its own" in line]
    assert len(viewer.layers) == count
    viewer.layers.clear()
    viewer.open(str(slide), plugin=opening_module.PLUGIN)
    assert viewer.layers


@pytest.mark.parametrize("tool", ["Volume tool", "Spectra tool", "MEG tool", "Slides tool", "ECG tool", "Any backend"])
def test_every_tool_opens_its_sample_by_its_button(window, wait, tool):
    viewer = window()
    _, widget = viewer.window.add_plugin_dock_widget("napari-workbench", tool)
    widget.sample_button.click()
    wait(lambda: not widget.opening.is_busy)
    assert viewer.layers, widget.status.text()


def test_a_sample_that_is_not_there_is_said(window, wait):
    viewer = window()
    tool = open_files(viewer, [], tool="volume")
    said = []
    tool.opening.said.connect(said.append)
    tool.opening.open_sample("no_such")
    wait(lambda: not tool.opening.is_busy)
    assert any("no sample 'no_such'" in line for line in said), said
