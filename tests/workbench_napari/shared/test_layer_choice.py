"""Every tool goes to what was just opened, and stays where it is when other layers come and go."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from workbench_napari.launch import GENERAL, open_files
from workbench_napari.shared.layer_choice import chosen
from workbench_napari.shared.opening import PLUGIN, open_path

from tests.recording_maker import save_raw
from tests.scene_maker import cube, save_envi
from tests.tiny import make_volume

pytestmark = pytest.mark.gui


def made(kind, folder, name):
    if kind == "scene":
        return save_envi(folder / name, cube(), name=name)
    return save_raw(folder / f"{name}_raw.fif") if kind == "recording" else make_volume(folder / f"{name}.nii.gz")


def tool_and_choice(viewer, kind, path):
    if kind == "general":
        _, tool = viewer.window.add_plugin_dock_widget(PLUGIN, GENERAL, tabify=False)
        tool.input.model.choose("segformer3d")
        open_path(viewer, path, tool)
        return tool, tool.input.layer
    tool = open_files(viewer, [path])
    if kind == "volume":
        return tool, tool.panel.image.combos[0]
    return tool, tool.looking.scenes if kind == "scene" else tool.panel.recording.recordings


KINDS = ["volume", "recording", *(pytest.param(k, marks=pytest.mark.slow) for k in ("scene", "general"))]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_just_opened_is_chosen(window, tmp_path, kind):
    viewer = window()
    tool, combo = tool_and_choice(viewer, kind, made(kind, tmp_path, "a"))
    first = chosen(combo)
    assert first.name.startswith("a")
    open_path(viewer, made(kind, tmp_path, "b"), tool)
    assert chosen(combo).name.startswith("b")
    combo.setCurrentIndex(0)
    assert chosen(combo) is first
    viewer.add_points([[0, 0]], name="of another")
    viewer.layers.remove("of another")
    assert chosen(combo) is first
    open_path(viewer, made(kind, tmp_path, "c"), tool)
    assert chosen(combo).name.startswith("c")


@pytest.mark.parametrize("kind", KINDS)
def test_the_layer_that_a_person_selects_is_chosen(window, tmp_path, kind):
    viewer = window()
    tool, combo = tool_and_choice(viewer, kind, made(kind, tmp_path, "a"))
    first = chosen(combo)
    open_path(viewer, made(kind, tmp_path, "b"), tool)
    assert chosen(combo) is not first
    # As a click in the list of layers does it.
    viewer.layers.selection.active = first
    assert chosen(combo) is first


def test_of_a_volume_with_several_channels_the_first_is_chosen(window, tmp_path, ct_file):
    data = np.random.default_rng(0).normal(size=(12, 13, 14, 3)).astype(np.float32)
    nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / "three.nii.gz")
    viewer = window()
    tool = open_files(viewer, [tmp_path / "three.nii.gz"])
    combo = tool.panel.image.combos[0]
    layers = [layer for layer in viewer.layers if layer.name.startswith("three")]
    assert len(layers) == 3
    assert chosen(combo) is layers[0]
    open_path(viewer, ct_file, tool)
    assert chosen(combo) is viewer.layers["ct"]
