"""Segmentations and contours of a tree are labels of the series that they refer to, and never compete with a volume."""

import json

import numpy as np
import pydicom
import pytest

import workbench as wb
from tests.seg_maker import planes_of, write_seg
from tests.study_maker import save_nifti, write_ct
from workbench.cli import run
from workbench.core.classes import ClassTable
from workbench.core.types import Labels
from workbench.data import formats, tree
from workbench.data.write import write

pytest.importorskip("highdicom", reason="extra 'dicom' is not installed")


def patient(folder, name, number=1):
    """A series of a patient; its image, and the map that is drawn on it."""
    write_ct(folder, name, number, n=6)
    image = wb.read(folder)
    data = np.zeros(image.geometry.shape, np.uint8)
    data[1:5, 1:4, 1:4] = 1
    data[5, 2, 4] = 2
    return image, data


def drawn(path, folder, data, **more):
    return write_seg(path, data, planes_of(wb.read(folder), folder), **more)


def contours(folder, image, data):
    labels = Labels(data, image.geometry, ClassTable.from_names(["liver", "spleen"]))
    (path,) = write(labels, folder, format="rtstruct", source=image)
    return path


def reading(case):
    return formats.read_labels(case.labels, reference=wb.read(case.image, series=case.options.get("series")).geometry)


def test_each_finds_its_series_wherever_it_lies(tmp_path):
    top, maps = tmp_path / "in", {}
    image, maps["P1"] = patient(top / "P1", "P1")
    drawn(tmp_path / "seg.dcm", top / "P1", maps["P1"])
    (tmp_path / "seg.dcm").rename(top / "P1" / "zz.dcm")  # among the slices
    _, maps["P2_ct"] = patient(top / "P2" / "ct", "P2")
    drawn(top / "P2" / "seg" / "1.dcm", top / "P2" / "ct", maps["P2_ct"], kind="LABELMAP")
    _, maps["P3"] = patient(top / "P3", "P3")
    drawn(top / "all segmentations" / "p3.dcm", top / "P3", maps["P3"])
    image, maps["P4"] = patient(top / "P4", "P4")
    contours(top / "contours of P4", image, maps["P4"])
    patient(top / "P5", "P5")
    study = tree.find(top)
    assert [c.id for c in study.cases] == ["P1", "P2_ct", "P3", "P4", "P5"]
    assert not any(c.problem for c in study.cases)
    assert study.skipped == ()
    for case in study.cases[:-1]:
        np.testing.assert_array_equal(reading(case).data, maps[case.id], err_msg=case.id)
    assert study.cases[-1].labels is None
    (note,) = [n for n in study.notes if "refer to their series" in n]
    assert note.startswith("4 case(s) have labels")
    assert "P3 (p3.dcm)" in note


def test_all_in_one_folder_go_to_their_own_patients(tmp_path):
    maps = {}
    for name, shift in (("P1", 0), ("P2", 1)):
        _, data = patient(tmp_path / name, name)
        maps[name] = np.roll(data, shift, 0)
        drawn(tmp_path / f"{name}.dcm", tmp_path / name, maps[name])
    flat = tmp_path / "flat"
    flat.mkdir()
    for name in ("P1", "P2"):
        for number, file in enumerate(sorted((tmp_path / name).iterdir())):
            file.rename(flat / f"{name}_{number}.dcm")
        (tmp_path / f"{name}.dcm").rename(flat / f"a{name}.dcm")
    study = tree.find(flat)
    assert len(study.cases) == 2
    for case in study.cases:
        name = case.labels.stem[1:]
        np.testing.assert_array_equal(reading(case).data, maps[name])
        assert case.group == next(c.group for c in study.cases if c.labels == case.labels)
    assert len({c.group for c in study.cases}) == 2


def test_several_of_one_series_are_named_and_none_is_taken(tmp_path, capsys):
    top = tmp_path / "in"
    image, data = patient(top / "P1" / "ct", "P1")
    drawn(top / "P1" / "one.dcm", top / "P1" / "ct", data)
    drawn(top / "P1" / "two.dcm", top / "P1" / "ct", np.roll(data, 1, 0))
    rt = contours(top / "P1" / "rt", image, data)
    study = tree.find(top)
    (case,) = study.cases
    assert case.labels is None
    assert {s.path for s in study.skipped} == {top / "P1" / "one.dcm", top / "P1" / "two.dcm", rt}
    assert all("one of 3 label maps of" in s.reason and "none is taken" in s.reason for s in study.skipped)
    assert run(["evaluate", "segformer3d", "-i", str(top), "-o", str(tmp_path / "out")]) == 3
    said = capsys.readouterr().err
    assert "one.dcm: a segmentation, one of 3 label maps" in said
    assert "1 of 1 cases have no labels" in said
    # Chosen by a list, as the line says.
    chosen = tmp_path / "list.csv"
    chosen.write_text(f"image,labels\n{top / 'P1' / 'ct'},{top / 'P1' / 'two.dcm'}\n", encoding="utf-8")
    (case,) = wb.study(chosen).cases
    np.testing.assert_array_equal(reading(case).data, np.roll(data, 1, 0))


def test_copies_of_one_file_are_one(tmp_path):
    _, data = patient(tmp_path / "ct", "P1")
    drawn(tmp_path / "seg" / "1.dcm", tmp_path / "ct", data)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "1.dcm").write_bytes((tmp_path / "seg" / "1.dcm").read_bytes())
    study = tree.find(tmp_path)
    assert [c.labels is not None for c in study.cases] == [True]
    assert [s.reason.partition(":")[0] for s in study.skipped] == ["a segmentation"]


def test_of_another_series_it_is_only_listed(tmp_path):
    _, data = patient(tmp_path / "in" / "P1", "P1")
    patient(tmp_path / "other", "P9")
    drawn(tmp_path / "in" / "P1" / "seg.dcm", tmp_path / "other", data)
    study = tree.find(tmp_path / "in")
    (case,) = study.cases
    assert case.labels is None
    assert not case.problem
    assert [s.reason.partition(":")[0] for s in study.skipped] == ["a segmentation"]
    assert wb.read(tmp_path / "in").modality == "CT"


def test_source_images_tell_the_series_where_it_is_not_named(tmp_path):
    _, data = patient(tmp_path / "ct", "P1")
    drawn(tmp_path / "seg" / "1.dcm", tmp_path / "ct", data)
    ds = pydicom.dcmread(tmp_path / "seg" / "1.dcm")
    del ds.ReferencedSeriesSequence
    ds.save_as(tmp_path / "seg" / "1.dcm")
    (case,) = tree.find(tmp_path).cases
    np.testing.assert_array_equal(reading(case).data, data)


def test_a_map_beside_the_folder_and_one_by_reference_are_a_fault(tmp_path):
    _, data = patient(tmp_path / "P1", "P1")
    drawn(tmp_path / "seg" / "1.dcm", tmp_path / "P1", data)
    save_nifti(tmp_path / "P1_seg.nii.gz", value=1, dtype="u1")
    study = tree.find(tmp_path)
    assert [f for f in study.faults if "P1: has 2 label maps" in f and "P1_seg.nii.gz" in f and "1.dcm" in f]


def test_all_verbs_agree(tmp_path, capsys, tiny_weights):
    """Two patients, a segmentation and contours: scored from the tree as from a list that names the label maps."""
    top, rows = tmp_path / "in", ["image,labels,id"]
    for name in ("P1", "P2"):
        image, data = patient(top / name / "ct", name)
        if name == "P1":
            path = top / name / "seg.dcm"
            drawn(path, top / name / "ct", data)
        else:
            path = contours(top / name / "rt", image, data)
        rows.append(f"{top / name / 'ct'},{path},{name}_ct")
    (tmp_path / "list.csv").write_text("\n".join(rows), encoding="utf-8")
    found = []
    for given in (top, tmp_path / "list.csv"):
        out = tmp_path / given.stem
        line = ["evaluate", "segformer3d", "-i", str(given), "-o", str(out), "--device", "cpu", "--force", "-q"]
        assert run([*line, "--weights", str(tiny_weights)]) == 0, capsys.readouterr().err
        scores = json.loads((out / "scores.json").read_text(encoding="utf-8"))["rows"]
        found.append([(r["case"], r["value"], r["dice"], r["reference_ml"]) for r in scores])
    assert found[0] == found[1]
    assert len(found[0]) == 4
    capsys.readouterr()
    assert run(["predict", "segformer3d", "-i", str(top), "-o", str(tmp_path / "p"), "--dry-run", "--json"]) == 0
    printed = capsys.readouterr()
    assert [r["case"] for r in json.loads(printed.out)] == ["P1_ct", "P2_ct"]
    assert "2 case(s) have labels that refer to their series" in printed.err
    assert run(["info", str(top), "--json"]) == 0
    assert len([r for r in json.loads(capsys.readouterr().out) if r.get("labels")]) == 2
    assert run(["info", str(top / "P1"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [str(r.get("labels")).rpartition("/")[2] for r in rows if r["modality"] == "CT"] == ["seg.dcm"]
