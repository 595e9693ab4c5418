"""Classes are compared by name, as told, or by number if asked; what was not compared is said."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from workbench.core.class_match import match_classes, words_of
from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import InputError, UsageError
from workbench.core.types import Case, Geometry, Labels
from workbench.data import formats
from workbench.volume.data.label_names import read_named, table_of
from workbench.volume.data.totalsegmentator import MR, V1, V2
from workbench.volume.evaluate.report import evaluate_cases

WEIGHTS = ClassTable.from_names(("liver", "spleen", "kidneys", "lungs"))


def reference(names: dict[int, str], values: tuple[int, ...] = ()) -> Labels:
    data = np.zeros((4, 4, 4), np.uint8)
    for n, v in enumerate(values or names):
        data.flat[n] = v
    classes = ClassTable(tuple(ClassInfo(v, n, (1, 2, 3)) for v, n in names.items()))
    return Labels(data, Geometry(data.shape, np.eye(4)), classes)


def test_names_decide_whatever_the_numbers() -> None:
    found = match_classes(WEIGHTS, reference({5: "liver", 1: "Spleen", 2: "kidney_right", 3: "kidney_left"}))
    assert [(m.name, m.compared_with, m.why) for m in found.matches] == [
        ("liver", "liver (5)", "same name"),
        ("spleen", "Spleen (1)", "synonym"),
        ("kidneys", "", "no reference class"),
        ("lungs", "", "no reference class"),
    ]
    assert found.unknown == (("kidney_right", 2), ("kidney_left", 3))
    assert found.apply(np.array([5, 1, 2, 3, 0])).tolist() == [1, 2, 0, 0, 0]


def test_rules_come_first_and_the_rest_goes_by_name() -> None:
    labels = reference({5: "liver", 2: "kidney_right", 3: "kidney_left", 9: "lung"})
    found = match_classes(WEIGHTS, labels, classes="kidneys:kidney_*")
    by_name = {m.name: m for m in found.matches}
    assert by_name["kidneys"].compared_with == "kidney_right (2) + kidney_left (3)"
    assert by_name["kidneys"].why == "told by classes"
    assert by_name["lungs"].why == "synonym"
    assert found.apply(np.array([2, 3, 5, 9])).tolist() == [3, 3, 1, 4]


def test_two_names_for_one_class_are_not_guessed_between() -> None:
    found = match_classes(WEIGHTS, reference({1: "liver", 2: "kidney", 3: "Kidneys"}))
    assert {m.name: m.why for m in found.matches}["kidneys"] == "no reference class"


def test_numbers_are_taken_only_when_asked() -> None:
    nameless = reference({1: "class 1", 2: "class 2"})
    with pytest.raises(InputError, match="have no names"):
        match_classes(WEIGHTS, nameless)
    found = match_classes(WEIGHTS, nameless, match="number")
    assert [m.why for m in found.matches[:2]] == ["same number, as asked"] * 2


def test_an_empty_reference_is_no_fault() -> None:
    found = match_classes(WEIGHTS, reference({}, ()))
    assert found.unknown == ()


def test_spellings_and_sides() -> None:
    assert words_of("Right Kidney") == words_of("kidney_right") == words_of("kidneys, r")
    assert words_of("Tumour") == words_of("tumor")
    assert words_of("kidney_left") != words_of("kidney_right") != words_of("kidneys")
    assert words_of("vertebrae_L5") != words_of("vertebrae")


def test_names_of_nnunet_the_decathlon_and_tables(tmp_path: Path) -> None:
    files = {
        "nnunet.json": json.dumps({"labels": {"background": 0, "liver": 1, "both": [1, 2], "all": [2]}}),
        "msd.json": json.dumps({"labels": {"0": "background", "1": "liver", "2": "all"}}),
        "bids.tsv": "index\tname\n1\tliver\n2\tall\n",
        "snap.txt": '# comment\n0 0 0 0 0 0 0 "Clear Label"\n1 255 0 0 1 1 1 "liver"\n2 0 255 0 1 1 1 "all"\n',
        "slicer.ctbl": "# color\n0 air 0 0 0 255\n1 liver 1 2 3 255\n2 all 3 4 5 255\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert table_of(str(tmp_path / name)) == {1: "liver", 2: "all"}, name
    with pytest.raises(UsageError, match="Did you mean 'totalsegmentator'"):
        table_of("totalsegmentor")
    (tmp_path / "none.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="names no values"):
        table_of(str(tmp_path / "none.json"))


def test_totalsegmentators_names_are_those_in_its_files(shared_data: Path) -> None:
    assert (len(V1), len(V2), len(MR)) == (104, 117, 50)
    for name, table in (("ct_abdomen", V2), ("mr_abdomen", MR)):
        labels = formats.read_labels(shared_data / "volume" / f"{name}_3mm_organs.nii.gz")
        assert {c.value: c.name for c in labels.classes} == table


def test_hippocampi_of_the_decathlon_agree_with_simpleitk(shared_data: Path, tmp_path: Path) -> None:
    """Names from dataset.json above the labels; the weights number the two parts the other way round."""
    (tmp_path / "labelsTr").mkdir()
    text = json.dumps({"labels": {"0": "background", "1": "Anterior", "2": "Posterior"}})
    (tmp_path / "dataset.json").write_text(text, encoding="utf-8")
    source = shared_data / "hippocampus"
    target = tmp_path / "labelsTr" / "hippocampus_004.nii.gz"
    target.write_bytes((source / "labels" / "hippocampus_004.nii.gz").read_bytes())
    case = Case("a", source / "images" / "hippocampus_004.nii.gz", target, "a")
    own = ClassTable.from_names(("posterior", "anterior"))
    truth = read_named(target)
    assert truth.classes.names == ("Anterior", "Posterior")

    def moved(image, progress=None) -> Labels:
        swapped = np.array([0, 2, 1], np.uint8)[truth.data]
        return Labels(np.roll(swapped, 1, axis=0), image.geometry, own)

    report = evaluate_cases([case], moved, out=tmp_path / "out")
    filter = sitk.LabelOverlapMeasuresImageFilter()
    filter.Execute(sitk.GetImageFromArray(truth.data), sitk.GetImageFromArray(np.roll(truth.data, 1, axis=0)))
    for row in report.rows:
        value = {"anterior": 1, "posterior": 2}[row["class"]]
        assert row["dice"] == pytest.approx(filter.GetDiceCoefficient(value), abs=1e-9)
        assert (row["reference"], row["why"]) == (f"{row['class'].title()} ({value})", "synonym")
        assert 0.5 < row["dice"] < 1


def test_the_headline_says_over_which_classes_it_is(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "volume"
    case = Case("a", folder / "ct_abdomen_3mm.nii.gz", folder / "ct_abdomen_3mm_organs.nii.gz", "a")

    def only_liver(image, progress=None) -> Labels:
        truth = formats.read_labels(folder / "ct_abdomen_3mm_organs.nii.gz").data
        return Labels((truth == 5).astype(np.uint8), image.geometry, WEIGHTS)

    report = evaluate_cases([case], only_liver, classes="kidneys:kidney_left+kidney_right", out=tmp_path / "out")
    assert report.compared.names == ("liver", "spleen", "kidneys")
    assert report.compared.missing == ("lungs",)
    assert "stomach" in report.compared.unknown
    assert "mean over 3 of 4 classes of the weights (liver, spleen, kidneys)" in report.text()
    by_class = {r["class"]: r for r in report.summary}
    assert by_class["liver"]["dice_mean"] == 1.0
    assert by_class["kidneys"]["missed"] == 1
    (lungs,) = [r for r in report.rows if r["class"] == "lungs"]
    assert lungs["volume_ml"] == 0
    assert np.isnan([lungs["reference_ml"], lungs["difference_ml"]]).all(), "no reference is none of 0 mL"
    assert by_class["all"]["dice_mean"] == pytest.approx(1 / 3)
    stored = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    assert stored["classes"][2]["reference_values"] == [2, 3]
    assert "lungs" in stored["mean_over"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "that the weights do not know" in page
