"""The general tool in a real window: any backend on an opened file, corrected, saved."""

from __future__ import annotations

import json

import numpy as np
import pytest
from workbench_napari.general.results import corrected, layers_of
from workbench_napari.launch import GENERAL
from workbench_napari.shared.opening import PLUGIN

import workbench as wb
from tests.tiny import make_tiny_recording, make_tiny_scene, make_tiny_scene_weights, make_tiny_weights, make_volume
from workbench.core.errors import GeometryError
from workbench.core.layers import KEY


@pytest.mark.gui
def test_run_correct_and_save_on_a_file_of_a_kind(window, qtbot, tmp_path, ct_file, tiny_weights):
    viewer = window()
    _, tool = viewer.window.add_plugin_dock_widget(PLUGIN, GENERAL, tabify=False)
    assert tool.input.model.choice.count() == len([b for b in wb.backends().values() if "predict" in b.verbs])
    tool.input.model.choose("segformer3d")
    assert not tool.run()
    viewer.open(str(ct_file), plugin=PLUGIN)
    assert tool.layer is viewer.layers["ct"]
    tool.input.model.weights.choose_file(tiny_weights)
    tool.input.model.device.setCurrentText("cpu")
    with qtbot.waitSignal(tool.runner.finished, timeout=120_000) as ended:
        tool.run_button.click()
    assert ended.args[0] == "done", ended.args
    labels = next(x for x in viewer.layers if type(x).__name__ == "Labels")
    assert labels not in [tool.input.layer.itemData(i)() for i in range(tool.input.layer.count())]
    labels.data_setitem((np.array([3]), np.array([4]), np.array([5])), 7)
    tool.folder.setText(str(tmp_path / "out"))
    with qtbot.waitSignal(tool.runner.finished, timeout=60_000) as ended:
        tool.save_button.click()
    assert ended.args[0] == "done", ended.args
    record = json.loads((tmp_path / "out" / "ct" / "provenance.json").read_text(encoding="utf-8"))
    assert record["backend"] == "segformer3d"
    assert 7 in np.unique(wb.read(tmp_path / "out" / "ct" / "labels.nii.gz").data)


def _results(tmp_path):
    volume = make_volume(tmp_path / "ct.nii.gz")
    scene = make_tiny_scene(tmp_path / "scene.npy")
    weights = make_tiny_scene_weights(tmp_path / "s.safetensors", scene)
    yield wb.predict("segformer3d", volume, weights=str(make_tiny_weights(tmp_path / "v.safetensors")), device="cpu")
    yield wb.predict("lola_specvit", scene, weights=str(weights), device="cpu")


def test_what_is_shown_is_what_is_saved(tmp_path):
    for result in _results(tmp_path):
        name, layers = layers_of(result)
        states = [(np.array(data), attributes) for data, attributes, _ in layers]
        same = corrected(result, states)
        assert np.array_equal(same.labels.data, result.labels.data)
        assert not same.provenance.edited_by_hand
        index = next(i for i, (_, a, kind) in enumerate(layers) if kind == "labels")
        assert states[index][1]["metadata"][KEY]["result"] == name
        states[index][0][:] = 1
        states[index][1]["metadata"][KEY]["edited"] = True
        now = corrected(result, states)
        assert (now.labels.data == 1).all()
        assert now.provenance.edited_by_hand
        sizes = now.parts.get("volumes") or now.parts.get("areas")
        counted = [row.get("voxels", row.get("pixels")) for row in sizes.as_dicts() if row["value"] == 1]
        assert counted == [now.labels.data.size]


def test_a_layer_of_another_shape_is_refused(tmp_path):
    result = next(_results(tmp_path))
    _, layers = layers_of(result)
    states = [(np.array(data)[1:], attributes) for data, attributes, kind in layers if kind == "labels"]
    with pytest.raises(GeometryError):
        corrected(result, states)


def test_annotations_come_back_from_their_layer(tmp_path):
    from tests.tiny import make_tiny_meg_weights

    weights = make_tiny_meg_weights(tmp_path / "m.safetensors")
    result = wb.predict("meg_gpt", make_tiny_recording(tmp_path / "r.npy"), weights=str(weights), device="cpu")
    _, layers = layers_of(result)
    shapes = [(data or [], attributes) for data, attributes, kind in layers if kind == "shapes"]
    for _, attributes in shapes:
        attributes.setdefault("features", {})
    now = corrected(result, shapes)
    assert [m.label for m in now.parts["annotations"]] == [m.label for m in result.parts["annotations"]]
