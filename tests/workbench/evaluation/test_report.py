"""A study is scored case by case; failures do not stop it; files hold the same numbers as the report."""

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.workbench.report.test_html import pictures_in
from workbench.errors import InputError
from workbench.evaluation.report import evaluate_cases
from workbench.types import Case, ClassTable, Labels

CLASSES = ClassTable.from_names(("liver", "spleen"))


def make_case(folder: Path, name: str, values=(1, 2)) -> Case:
    rng = np.random.default_rng(len(name))
    labels = np.zeros((24, 20, 16), np.uint8)
    labels[4:12, 4:14, 3:12] = values[0]
    labels[14:20, 4:10, 3:9] = values[1]
    image = (rng.normal(40, 10, labels.shape) - 1000 * (labels == 0)).astype(np.int16)
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    for path, array in ((folder / f"{name}.nii.gz", image), (folder / f"{name}_labels.nii.gz", labels)):
        nib.save(nib.Nifti1Image(array, affine), path)
    return Case(name, folder / f"{name}.nii.gz", folder / f"{name}_labels.nii.gz", name)


def by_threshold(image, progress=None) -> Labels:
    """A real, if simple, segmentation: dense voxels, left and right half."""
    dense = image.data[0] > -300
    half = np.arange(image.geometry.shape[0])[:, None, None] < 13
    return Labels(np.where(dense, np.where(half, 1, 2), 0).astype(np.uint8), image.geometry, CLASSES)


def shifted(image, progress=None) -> Labels:
    good = by_threshold(image)
    return Labels(np.roll(good.data, 2 if image.name == "b" else 0, axis=0), good.geometry, CLASSES)


def test_tables_and_pictures_are_written(tmp_path: Path) -> None:
    cases = [make_case(tmp_path, n) for n in ("a", "b", "c")]
    seen = []
    report = evaluate_cases(cases, shifted, out=tmp_path / "out", worst=1, progress=lambda d, t: seen.append((d, t)))
    assert seen[-1] == (3, 3)
    assert {r["case"]: r["dice"] == 1.0 for r in report.rows if r["class"] == "liver"} == {
        "a": True,
        "b": False,
        "c": True,
    }
    with (tmp_path / "out" / "scores.csv").open() as f:
        rows = list(csv.DictReader(f))
    assert [float(r["dice"]) for r in rows] == [r["dice"] for r in report.rows]
    stored = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert stored["mean_dice"] == pytest.approx(report.mean_dice)
    text = (tmp_path / "out" / "report.html").read_text()
    assert len(pictures_in(text)) == 1
    assert "b: mean Dice" in text  # the worst one
    assert report.files == tuple(tmp_path / "out" / n for n in ("scores.csv", "scores.json", "report.html"))


def test_a_broken_case_is_listed_and_the_others_are_scored(tmp_path: Path) -> None:
    good, bad = make_case(tmp_path, "a"), make_case(tmp_path, "bad")
    bad.image.write_bytes(b"no volume")
    report = evaluate_cases([bad, good], by_threshold)
    assert set(report.failures) == {"bad"}
    assert report.mean_dice == 1.0


def test_classes_are_matched_by_value_or_as_told_never_guessed(tmp_path: Path) -> None:
    other = make_case(tmp_path, "o", values=(7, 9))
    assert evaluate_cases([other], by_threshold, classes="liver:7,spleen:9").mean_dice == 1.0
    with pytest.raises(InputError, match="no gallbladder"):
        evaluate_cases([other], by_threshold, classes="gallbladder:7")


def test_cases_without_labels_cannot_be_scored(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs cases with labels"):
        evaluate_cases([Case("a", tmp_path / "a.nii")], by_threshold)
