"""A study is scored case by case; failures do not stop it; files hold the same numbers as the report."""

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.workbench.report.test_html import pictures_in
from workbench.core.classes import ClassTable
from workbench.core.errors import Cancelled, InputError, UsageError
from workbench.core.types import Case, Geometry, Labels
from workbench.data.geometry import is_sheared
from workbench.volume.evaluate.report import evaluate_cases

CLASSES = ClassTable.from_names(("liver", "spleen"))


def make_case(folder: Path, name: str, values=(1, 2), shear: float = 0.0) -> Case:
    rng = np.random.default_rng(len(name))
    labels = np.zeros((24, 20, 16), np.uint8)
    labels[4:12, 4:14, 3:12] = values[0]
    labels[14:20, 4:10, 3:9] = values[1]
    image = (rng.normal(40, 10, labels.shape) - 1000 * (labels == 0)).astype(np.int16)
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    affine[1, 2] = shear
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
    report = evaluate_cases(
        cases, shifted, match="number", out=tmp_path / "out", worst=1, progress=lambda d, t: seen.append((d, t))
    )
    assert seen[-1] == (3, 3)
    assert {r["case"]: r["dice"] == 1.0 for r in report.rows if r["class"] == "liver"} == {
        "a": True,
        "b": False,
        "c": True,
    }
    with (tmp_path / "out" / "scores.csv").open() as f:
        rows = list(csv.DictReader(f))
    assert [float(r["dice"]) for r in rows] == [r["dice"] for r in report.rows]
    stored = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    assert stored["mean_dice"] == pytest.approx(report.mean_dice)
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert len(pictures_in(text)) == 1
    assert "b: mean Dice" in text  # the worst one
    assert report.files == tuple(tmp_path / "out" / n for n in ("scores.csv", "scores.json", "report.html"))


def test_a_broken_case_is_listed_and_the_others_are_scored(tmp_path: Path) -> None:
    good, bad = make_case(tmp_path, "a"), make_case(tmp_path, "bad")
    bad.image.write_bytes(b"no volume")
    report = evaluate_cases([bad, good], by_threshold, match="number")
    assert set(report.failures) == {"bad"}
    assert report.mean_dice == 1.0


def test_classes_are_matched_as_told_never_guessed_by_value(tmp_path: Path) -> None:
    nameless = make_case(tmp_path, "n")
    with pytest.raises(InputError, match=r"its values \(1, 2\) have no names.*--match number"):
        evaluate_cases([nameless], by_threshold)
    asked = evaluate_cases([nameless], by_threshold, match="number")
    assert asked.mean_dice == 1.0
    assert {r["why"] for r in asked.rows} == {"same number, as asked"}
    other = make_case(tmp_path, "o", values=(7, 9))
    assert evaluate_cases([other], by_threshold, classes="liver:7,spleen:9").mean_dice == 1.0
    with pytest.raises(InputError, match="no gallbladder"):
        evaluate_cases([other], by_threshold, classes="gallbladder:7")


def test_cases_without_labels_cannot_be_scored(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs cases with labels"):
        evaluate_cases([Case("a", tmp_path / "a.nii")], by_threshold)


def test_a_case_without_labels_fails_and_the_others_are_scored(tmp_path: Path) -> None:
    report = evaluate_cases(
        [Case("bare", tmp_path / "bare.nii"), make_case(tmp_path, "good")], by_threshold, match="number"
    )
    assert list(report.failures) == ["bare"]
    assert "bare.nii: has no labels, and is not scored" in report.failures["bare"]
    assert {r["case"] for r in report.rows} == {"good"}


def test_a_case_that_breaks_unexpectedly_does_not_stop_the_others(tmp_path: Path) -> None:
    def fragile(image, progress=None) -> Labels:
        if image.name == "bad":
            raise ZeroDivisionError("a bug")
        return by_threshold(image)

    report = evaluate_cases([make_case(tmp_path, "bad"), make_case(tmp_path, "good")], fragile, match="number")
    assert "ZeroDivisionError: a bug" in report.failures["bad"]
    assert "fragile" in report.traces["bad"]
    assert report.mean_dice == 1.0


@pytest.mark.parametrize("stop", [Cancelled, KeyboardInterrupt])
def test_the_work_can_be_stopped_within_a_case(tmp_path: Path, stop) -> None:
    begun = []

    def in_windows(image, progress) -> Labels:
        begun.append(image.name)
        for n in range(5):
            progress(n, 4)
        return by_threshold(image)

    def cancel(done: int, total: int) -> None:
        if done == 2:
            raise stop

    with pytest.raises(stop):
        evaluate_cases([make_case(tmp_path, n) for n in ("a", "b")], in_windows, match="number", progress=cancel)
    assert begun == ["a"]


def test_progress_grows_within_cases_and_ends_at_the_end(tmp_path: Path) -> None:
    def in_windows(image, progress) -> Labels:
        windows = 4 if image.name == "a" else 10
        for n in range(windows + 1):
            progress(n, windows)
        return by_threshold(image)

    seen = []
    cases = [make_case(tmp_path, n) for n in ("a", "b")]
    evaluate_cases(cases, in_windows, match="number", progress=lambda d, t: seen.append((d, t)))
    shares = [done / total for done, total in seen]
    assert shares == sorted(shares)
    assert {0.0, 0.25, 0.5, 0.75, 1.0} <= set(shares)
    assert seen[-1] == (20, 20)


def test_an_output_that_cannot_be_a_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    def never(image, progress=None) -> Labels:
        raise AssertionError("predicted all the same")

    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="is a file"):
            evaluate_cases([make_case(tmp_path, "a")], never, out=out)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "in the way"


def test_sheared_axes_give_true_volumes_and_a_note(tmp_path: Path) -> None:
    straight = evaluate_cases([make_case(tmp_path, "straight")], by_threshold, match="number")
    sheared = evaluate_cases(
        [make_case(tmp_path, "sheared", shear=2.0)], by_threshold, match="number", out=tmp_path / "out"
    )
    for a, b in zip(straight.rows, sheared.rows, strict=True):  # a shear moves planes and keeps volumes
        assert a["reference_ml"] == pytest.approx(b["reference_ml"])
    assert straight.notes == ()
    assert "not orthogonal (sheared)" in sheared.notes[0]
    assert "not orthogonal (sheared)" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))["notes"] == list(sheared.notes)


def test_rotated_axes_are_not_sheared() -> None:
    turned = np.eye(4)
    turned[:3, :3] = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0] * (0.7, 0.7, 5.0)
    assert not is_sheared(Geometry((4, 4, 4), turned))
    assert not is_sheared(Geometry((4, 4, 4)))
