"""Labels of whole slides in the Slides tool: a list, learning, and what is learnt on the slide that is shown."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from qtpy.QtWidgets import QFileDialog

from tests.mil_maker import bag_file, facts_of
from tests.workbench_napari.contract_window import until
from tests.workbench_napari.slide.hands import click
from workbench import weights

pytestmark = pytest.mark.gui


@pytest.fixture(scope="module")
def study(slide_weights, tmp_path_factory):
    """A list of the embeddings of sixteen slides of eight patients, half of whom have two rare tiles in each."""
    folder, facts = tmp_path_factory.mktemp("bags"), facts_of(slide_weights)
    rows = ["image,patient,label,site"]
    for n in range(16):
        is_ill = (n // 2) % 2 == 1
        bag_file(folder / f"s{n:02d}.h5", facts, n, 2 * is_ill)
        rows.append(f"s{n:02d}.h5,p{n // 2},{'ill' if is_ill else 'well'},{n % 3}")
    path = folder / "study.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def choose(monkeypatch, kind, path):
    monkeypatch.setattr(QFileDialog, f"get{kind}FileName", lambda *a: (str(path), ""))


def test_labels_are_learnt_from_a_list_and_said_of_the_slide_that_is_shown(opened, study, tmp_path, monkeypatch):
    viewer, tool = opened
    group = tool.labels_group
    assert not group.learn.isEnabled()
    choose(monkeypatch, "Open", study)
    click(tool, group.open)
    assert [group.column.itemText(n) for n in range(group.column.count())] == ["label", "site"]
    assert group.table.texts() == [["ill", "8", "4"], ["well", "8", "4"]]
    assert group.hint.text() == "study.csv: 16 slides of 8 patients."
    out = tmp_path / "study"
    choose(monkeypatch, "Save", out)
    click(tool, group.learn)
    out = out.with_suffix(".safetensors")
    assert weights.read_meta(out)["training"]["settings"]["label_column"] == "label"
    assert f"Written: {out}" in tool.status.text()
    assert "16 slides of 8 patients" in tool.status.text()
    assert group.table.texts()[0][:3] == ["ill", "8", "4"]
    assert 0 <= float(group.table.texts()[0][3]) <= 1
    # They are chosen, and say the label of the slide that is shown.
    click(tool, tool.run_button)
    assert {"attention", "evidence ill"} <= {x.name.removeprefix("section ") for x in viewer.layers}
    assert [row[0] for row in tool.areas.texts()] == ["ill", "well"]
    # Another column is learnt by the same encoder, though what was learnt is chosen by now.
    group.column.setCurrentText("site")
    assert group.table.texts() == [["0", "6", "6"], ["1", "5", "5"], ["2", "5", "5"]]
    choose(monkeypatch, "Save", tmp_path / "site.safetensors")
    click(tool, group.learn)
    meta = weights.read_meta(tmp_path / "site.safetensors")
    assert meta["base_sha256"] == weights.read_meta(out)["base_sha256"]
    # An encoder is never written over.
    before = weights.find_base(weights.find(out, "stainnet")).path
    choose(monkeypatch, "Save", before)
    click(tool, group.learn)
    assert "these are the weights that it builds on" in tool.status.text()
    assert weights.find(before, "stainnet").sha256 == meta["base_sha256"]


def test_a_label_of_one_patient_is_said_before_anything_is_learnt(opened, study, tmp_path):
    _, tool = opened
    path = study.with_name("lone.csv")
    path.write_text("image,patient,label\ns00.h5,1,x\ns01.h5,1,x\ns02.h5,2,y\ns03.h5,3,y\n", encoding="utf-8")
    tool.labels.open(path)
    until(lambda: not tool.runner.is_busy)
    assert "'x' has slides of one patient alone" in tool.labels_group.hint.text()
    tool.labels.learn(tmp_path / "no.safetensors")
    until(lambda: not tool.runner.is_busy)
    assert "each label needs slides of two patients at least" in tool.status.text()
    assert not (tmp_path / "no.safetensors").exists()
    # A list that cannot be read leaves nothing of the one before.
    path.write_text("image,patient,label\ngone.h5,1,x\n", encoding="utf-8")
    tool.labels.open(path)
    until(lambda: not tool.runner.is_busy)
    assert "gone.h5 does not exist" in tool.status.text()
    assert tool.labels.list is None
    assert tool.labels_group.table.isHidden()
    assert not tool.labels_group.learn.isEnabled()
    # Who the patients are, and labels that differ by case alone, are asked about before anything is learnt.
    path.write_text("image,label\ns00.h5,x\ns01.h5,X\ns02.h5,X\ns03.h5,x\n", encoding="utf-8")
    tool.labels.open(path)
    until(lambda: not tool.runner.is_busy)
    said = tool.labels_group.hint.text()
    assert "No column 'group' or 'patient' names whose the slides are" in said
    assert "'X', 'x' differ by case" in said
    # Where nothing can be written is said before anything is learnt.
    (tmp_path / "file").write_bytes(b"")
    tool.labels.learn(tmp_path / "file" / "x.safetensors")
    until(lambda: not tool.runner.is_busy)
    assert "cannot write" in tool.status.text()


def test_slides_are_embedded_as_a_run_would_or_not_at_all(opened, slide_file, tmp_path):
    _, tool = opened
    path = tmp_path / "slides.csv"
    path.write_text(f"image,id,patient,label\n{slide_file},a,1,x\n{slide_file},b,2,y\n", encoding="utf-8")
    tool.labels.open(path)
    until(lambda: not tool.runner.is_busy)
    tool.input.model.form.set_values({"icc": True})
    assert not tool.labels.learn(tmp_path / "no.safetensors")
    assert "Labels are learnt without 'icc'" in tool.status.text()
    tool.input.model.form.set_values({"icc": False, "tile": 128})
    tool.labels.learn(tmp_path / "no.safetensors")
    until(lambda: not tool.runner.is_busy)
    assert "are the same slide in two groups" in tool.status.text()
    assert not (tmp_path / "no.safetensors").exists()


def test_a_size_of_pixels_that_was_given_is_said_of_the_slides_that_say_none(opened, tmp_path):
    _, tool = opened
    rows = ["image,patient,label"]
    for n in range(4):
        pixels = np.random.default_rng(n).integers(0, 255, (600, 600, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"s{n}.png")  # says nothing of its size
        rows.append(f"s{n}.png,p{n},{'xy'[n % 2]}")
    path = tmp_path / "pictures.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    tool.labels.open(path)
    until(lambda: not tool.runner.is_busy)
    tool.input.model.form.set_values({"tissue": 0.0})
    tool.labels.learn(tmp_path / "x.safetensors")
    until(lambda: not tool.runner.is_busy)
    assert "s0.png: it is not known how many micrometres a pixel has" in tool.status.text()
    assert not (tmp_path / "x.safetensors").exists()
    tool.input.model.form.set_values({"mpp": 0.5, "tissue": 0.0})
    tool.labels.learn(tmp_path / "x.safetensors")
    until(lambda: not tool.runner.is_busy)
    assert (tmp_path / "x.safetensors").is_file(), tool.status.text()
    assert "taken at 0.5 um, as 'Mpp' says" in tool.labels_group.hint.text()
