"""Unsaved work of version 0.1 is offered, restored exactly and can be saved; its layers are known to the tools."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from workbench_napari.launch import open_files
from workbench_napari.scene.writer import write_class_map
from workbench_napari.shared.recovery_store import Store, is_alive, read_array

import workbench as wb
from tests.compat.old_home import INPUTS, layer, truth, unpack
from workbench.core.layers import KEY
from workbench.recording.layers import marks_from_layer

UNSAVED = {
    "volume labels": "recovery_volume.npy",
    "scene map": "recovery_scene_map.npy",
    "scene painted": "recovery_scene_painted.npy",
}


@pytest.fixture
def old(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of version 0.1, its home being the home of this test."""
    folder = unpack(tmp_path / "old")
    monkeypatch.setenv("WORKBENCH_HOME", str(folder / "home"))
    return folder


def test_the_recovery_store_is_read_exactly(old: Path) -> None:
    entries = {e.name: e for e in Store().entries()}
    assert entries.keys() == {*UNSAVED, "recording annotations"}
    for name, file in UNSAVED.items():
        found, wanted = read_array(entries[name]), truth(file)
        assert found.dtype == wanted.dtype
        assert np.array_equal(found, wanted)
    assert not any(is_alive(e) for e in entries.values())
    assert len([e for e in entries.values() if list(e.folder.glob("delta-*.npz"))]) == 2
    for name in ("scene map", "scene painted"):
        stored = json.loads((entries[name].folder / "entry.json").read_text(encoding="utf-8"))
        assert stored["attributes"]["metadata"][KEY]["kind"] == "cube", "else this test proves nothing"
        record = entries[name].record["attributes"]["metadata"][KEY]
        assert record == stored["attributes"]["metadata"][KEY] | {"kind": "scene"}
    mine = Store().claim(entries["scene map"])
    assert mine is not None
    rewritten = json.loads((mine.folder / "entry.json").read_text(encoding="utf-8"))
    assert rewritten["attributes"]["metadata"][KEY]["kind"] == "scene"


def offered(tool, *names):
    """Choose these of what the tool offers and restore them."""
    found = {}
    for i in range(tool.recovery.list.count()):
        item = tool.recovery.list.item(i)
        name = item.text().split("  (")[0]
        item.setSelected(name in names)
        found[name] = item
    assert set(names) <= set(found)
    return {layer.name: layer for layer in tool.recovery.restore_chosen()}


def saved(tool, wait, folder: Path) -> Path:
    tool.folder.setText(str(folder))
    assert tool.save(), tool.status.text()
    wait(lambda: not tool.runner.is_busy, 60)
    assert tool.last_folder is not None, tool.status.text()
    record = json.loads((tool.last_folder / "provenance.json").read_text(encoding="utf-8"))
    assert record["edited_by_hand"] is True
    return tool.last_folder


@pytest.mark.gui
def test_unsaved_labels_of_a_volume(old: Path, window, wait, tmp_path: Path) -> None:
    viewer = window()
    tool = open_files(viewer, [old / "inputs" / INPUTS["volume"]])
    assert not tool.recovery.isHidden()
    back = offered(tool, "volume labels")["volume labels"]
    assert np.array_equal(back.data, truth(UNSAVED["volume labels"]))
    folder = saved(tool, wait, tmp_path / "out")
    scan = wb.read(old / "inputs" / INPUTS["volume"])
    written = wb.read(folder / "labels.nii.gz")
    assert written.geometry.affine.tobytes() == scan.geometry.affine.tobytes()
    assert np.array_equal(written.data[0], back.data.transpose(2, 1, 0)[::-1, ::-1])
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert (record["backend"], record["weights"]) == ("segformer3d", "volume")
    tool.journal.flush()
    assert "volume labels" not in {e.name for e in Store().entries()}


@pytest.mark.gui
@pytest.mark.parametrize("opened", [True, False])
def test_unsaved_maps_and_painted_pixels_of_a_scene(old: Path, window, wait, tmp_path: Path, opened: bool) -> None:
    viewer = window()
    file = old / "inputs" / INPUTS["scene"]
    tool = open_files(viewer, [file] if opened else [], "spectra")
    back = offered(tool, "scene map", "scene painted")
    assert sorted(layer.name for layer in viewer.layers) == ["scene", "scene map", "scene painted"]
    for name, restored in back.items():
        assert np.array_equal(restored.data, truth(UNSAVED[name]))
        assert restored.metadata[KEY]["kind"] == "scene"
    assert tool.painting.layer is back["scene painted"]
    assert list(tool.painting.classes.names) == truth("recovery_scene_classes.json")
    folder = saved(tool, wait, tmp_path / "out")
    # From napari's own dialog; the tool saves the maps that it made itself.
    back["scene map"].save(str(tmp_path / "map.dat"), plugin="napari-workbench")
    scene = wb.read(file)
    for path, name in ((tmp_path / "map.hdr", "scene map"), (folder / "painted.hdr", "scene painted")):
        written = wb.read(path)
        assert np.array_equal(written.data[0], truth(UNSAVED[name]))
        assert written.geometry.affine.tobytes() == scene.geometry.affine.tobytes()
    assert list(wb.read(folder / "painted.hdr").classes.names) == truth("recovery_scene_classes.json")
    tool.journal.flush()
    assert {e.name for e in Store().entries()} == {"volume labels", "recording annotations"}


@pytest.mark.gui
def test_unsaved_annotations_of_a_recording(old: Path, window, wait, tmp_path: Path) -> None:
    viewer = window()
    tool = open_files(viewer, [old / "inputs" / INPUTS["recording"]])
    # The tool may have made an empty layer of that name already: the restored one is called after it then.
    (back,) = offered(tool, "recording annotations").values()
    wanted = truth("recovery_recording.json")
    marks = sorted(
        marks_from_layer(back.data, {"metadata": back.metadata, "features": back.features}), key=lambda m: m.onset
    )
    assert [(m.label, list(m.channels)) for m in marks] == [(label, channels) for _, _, label, channels in wanted]
    times = [(m.onset, m.duration) for m in marks]
    assert np.allclose(times, [row[:2] for row in wanted], atol=1e-6)
    folder = saved(tool, wait, tmp_path / "out")
    lines = (folder / "annotations.csv").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if "BAD_artefact" in line]) == len(wanted)


@pytest.mark.gui
@pytest.mark.parametrize("folder", ["results", "edited"])
def test_results_of_a_recording_open_again(old: Path, window, wait, folder: str) -> None:
    viewer = window()
    tool = open_files(viewer, [old / "inputs" / INPUTS["recording"]])
    assert tool.keeping.open_results(old / folder / "recording")
    wait(lambda: not tool.runner.is_busy, 60)
    parts = {(shown.metadata.get(KEY) or {}).get("part") for shown in viewer.layers}
    assert parts >= {"tokens", "surprisal", "reconstruction"}, tool.status.text()
    drawn = [shown for shown in viewer.layers if (shown.metadata.get(KEY) or {}).get("role") == "marks"]
    labels = [str(v) for shown in drawn for v in shown.features.get("label", ())]
    assert labels.count("BAD_artefact") == (folder == "edited")


@pytest.mark.gui
def test_layers_that_a_script_kept_are_known_to_the_tool(old: Path, window, wait, tmp_path: Path) -> None:
    from napari.layers import Layer

    viewer = window()
    tool = open_files(viewer, [], "spectra")
    for name in ("scene_cube", "scene_painted"):
        data, attributes, kind = layer(old, name)
        viewer.add_layer(Layer.create(data, {k: v for k, v in attributes.items() if k != "contrast_limits"}, kind))
    wait(lambda: tool.painting.layer is not None)
    assert tool.painting.layer.name == "scene painted"
    assert list(tool.painting.classes.names) == truth("recovery_scene_classes.json")
    tool.painting.layer.paint((12, 12), 2)
    folder = saved(tool, wait, tmp_path / "out")
    assert np.array_equal(wb.read(folder / "painted.hdr").data[0], tool.painting.layer.data)


@pytest.mark.parametrize("suffix", [".dat", ".tif", ".npy"])
def test_napari_saves_a_class_map_that_a_script_kept(old: Path, tmp_path: Path, suffix: str) -> None:
    data, attributes, _ = layer(old, "scene_labels")
    written = write_class_map(str(tmp_path / f"map{suffix}"), data, attributes)
    image = wb.read(tmp_path / "map.hdr" if suffix == ".dat" else tmp_path / f"map{suffix}")
    assert len(written) >= 1
    assert np.array_equal(np.squeeze(image.data), data)
    if suffix != ".npy":
        scene = wb.read(old / "inputs" / INPUTS["scene"])
        assert np.array_equal(image.geometry.affine, scene.geometry.affine)
