"""Classes of weights meet labels of a scene: by name, as told, or by number if asked; held against scikit-learn."""

import csv
import json
import re

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix

import workbench as wb
from tests.scene_maker import save_envi
from tests.workbench.scene.contract_cases import LABELS, QUICK, digital, envi, train, truth
from workbench.cli import run
from workbench.core.classes import ClassTable
from workbench.core.errors import InputError, UsageError
from workbench.core.types import Labels
from workbench.scene.train.lesson import SceneLearner
from workbench.training.lesson import Lesson
from workbench.weights import read_meta

# What the same materials (grass 1, soil 2, water 3) are called and numbered by another group, and two of their own.
OTHER = {1: 7, 2: 3, 3: 5}


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taught")
    weights, _ = train(folder)
    image = envi(folder, "other day", digital(5))
    found = wb.predict("lola_specvit", image, weights=str(weights), device="cpu").labels.data
    return weights, image, found


def other_numbers():
    """The truth in the numbers of others, with a patch of each class that the weights do not know."""
    data = np.vectorize(OTHER.get)(truth()).astype(np.uint8)
    data[:3, :4], data[10:14, 8:20] = 9, 2
    data[20:22] = 0
    return data


def npy(folder, data, name="gt"):
    np.save(folder / f"{name}.npy", data)
    return folder / f"{name}.npy"


def judge(taught, labels, out=None, **values):
    weights, image, _ = taught
    case = wb.Case("c", image, labels)
    return wb.evaluate("lola_specvit", [case], out=out, weights=str(weights), device="cpu", **values)


NAMES = "# of others\n7 Grass\n3: soil\n5, water\n2 road\n9 snow\n"


@pytest.mark.parametrize("how", ["beside", "names", "csv", "json", "header", "classes"])
def test_scores_are_those_of_scikit_learn_on_the_classes_of_the_same_name(taught, tmp_path, how):
    data, values = other_numbers(), {}
    labels = npy(tmp_path, data)
    if how == "beside":
        (tmp_path / "gt.txt").write_text(NAMES, encoding="utf-8")
    elif how == "names":
        (tmp_path / "table.txt").write_text(NAMES, encoding="utf-8")
        values["names"] = str(tmp_path / "table.txt")
    elif how == "csv":
        (tmp_path / "gt_classes.csv").write_text("index,name\n7,Grass\n3,soil\n5,water\n2,road\n9,snow\n")
    elif how == "json":
        (tmp_path / "gt.json").write_text(
            json.dumps({"7": "Grass", "3": "soil", "5": "water", "2": "road", "9": "snow"})
        )
    elif how == "header":
        named = "{none, a, road, soil, b, water, c, Grass, d, snow}"
        fields = {"file_type": "ENVI Classification", "classes": 10, "class_names": named}
        labels = save_envi(tmp_path, data[None], name="gt_envi", **fields)
    else:
        values["classes"] = "grass:7,soil:3,water:4-6"
    report = judge(taught, labels, tmp_path / "out", **values)

    known = np.isin(data, list(OTHER.values()))
    inverse = {theirs: ours for ours, theirs in OTHER.items()}
    wanted, found = np.vectorize(inverse.get)(data[known]), taught[2][known]
    row = report.rows[-1]
    assert row["test_pixels"] == known.sum()
    assert row["OA"] == pytest.approx(accuracy_score(wanted, found))
    assert row["kappa"] == pytest.approx(cohen_kappa_score(wanted, found))
    stored = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    counted = np.array(stored["runs"][-1]["confusion"])
    np.testing.assert_array_equal(counted[:, :-1], confusion_matrix(wanted, found, labels=[1, 2, 3]))
    assert not counted[:, -1].any()
    assert [c["reference_values"] for c in stored["classes"]] == [[7], [3], [5]]
    whys = ["told by classes"] * 3 if how == "classes" else ["synonym", "same name", "same name"]
    assert [c["why"] for c in stored["classes"]] == whys
    assert len(stored["unknown_reference_classes"]) == 2

    assert "mean over 3 of 3 classes of the weights (grass, soil, water)" in report.text()
    assert "2 reference class(es) that the weights do not know" in report.text()
    outside = np.isin(data, (2, 9)).sum()
    assert any(n.startswith(f"{outside} of {(data > 0).sum()} labelled pixels") for n in report.notes)
    assert any("the mean is over 3 of 3" in n for n in report.notes)
    assert "What was compared" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_labels_without_names_are_refused_with_the_ways_out(taught, tmp_path, capsys):
    labels = npy(tmp_path, truth())
    with pytest.raises(InputError, match=r"gt\.npy: its values \(1, 2, 3\) have no names") as caught:
        judge(taught, labels, tmp_path / "out")
    for way in ("--names FILE", "--classes 'grass:1,...'", "--match number"):
        assert way in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    asked = ["evaluate", "lola_specvit", "-i", taught[1], "--labels", labels, "-o", tmp_path / "o", "--device", "cpu"]
    asked = [*map(str, asked), "--weights", str(taught[0])]
    assert run(asked) == 3
    assert "--match number" in capsys.readouterr().err
    assert run([*asked, "--match", "number"]) == 0
    shown = capsys.readouterr().out
    assert "grass (1): class 1 (1), same number, as asked" in shown
    rows = list(csv.DictReader((tmp_path / "o" / "scores.csv").read_text(encoding="utf-8").splitlines()))
    assert float(rows[-1]["OA"]) == pytest.approx((taught[2] == truth()).mean())


def test_two_without_names_are_compared_by_number_and_it_is_said(taught, tmp_path):
    image = envi(tmp_path, "nameless", digital())
    labels = npy(tmp_path, truth())
    wb.train("lola_specvit", [wb.Case("n", image, labels)], out=tmp_path / "n.safetensors", **QUICK)
    theirs = (tmp_path / "n.safetensors", taught[1], None)
    report = judge(theirs, labels)
    assert {m.why for m, _ in report.compared.classes} == {"same number, neither has names"}
    assert any(n.startswith("neither the weights nor the labels name their classes") for n in report.notes)
    asked = judge(theirs, labels, match="number")
    assert {m.why for m, _ in asked.compared.classes} == {"same number, as asked"}
    assert not any("neither" in n for n in asked.notes)
    (tmp_path / "gt.txt").write_text("1 grass\n2 soil\n3 water\n", encoding="utf-8")
    with pytest.raises(InputError, match="are none of those of the weights") as caught:
        judge(theirs, labels)
    assert "--match number" in str(caught.value)
    assert judge(theirs, labels, match="number").rows[-1]["OA"] > 0.85


def test_a_class_without_a_reference_is_told(taught, tmp_path):
    data = np.where(truth() == 3, 0, truth()).astype(np.uint8)
    labels = save_envi(tmp_path, data[None], name="two", **LABELS)
    report = judge(taught, labels)
    assert report.compared.missing == ("water",)
    assert "without a reference class: water" in report.text()
    assert {m.name: m.why for m, _ in report.compared.classes}["water"] == "no reference class"
    known = data > 0
    assert report.rows[-1]["OA"] == pytest.approx(accuracy_score(data[known], taught[2][known]))


def test_a_map_without_labels_is_refused_before_anything_is_mapped(taught, tmp_path):
    with pytest.raises(InputError, match=r"gt\.npy: no pixel has a label"):
        judge(taught, npy(tmp_path, np.zeros_like(truth())), match="number")


def test_rules_are_for_given_weights(taught, tmp_path):
    labels = npy(tmp_path, truth())
    with pytest.raises(UsageError, match="taught anew"):
        wb.evaluate("lola_specvit", [wb.Case("c", taught[1], labels)], weights="none", classes="a:1")
    with pytest.raises(InputError, match="the weights know no trees"):
        judge(taught, labels, classes="trees:1")


def test_a_table_of_names_that_is_none_is_refused(taught, tmp_path):
    labels = npy(tmp_path, truth())
    with pytest.raises(UsageError, match="no such file"):
        judge(taught, labels, names="nowhere.txt")
    (tmp_path / "prose.txt").write_text("1 grass\nand other things\n", encoding="utf-8")
    with pytest.raises(InputError, match=re.escape("prose.txt: names no values")):
        judge(taught, labels, names=str(tmp_path / "prose.txt"))


# --- going on from weights


def adapt(taught, labels, out, **values):
    settings = QUICK | {"lora_rank": 2, "steps": 1, "head_start": 0, "weights": str(taught[0])} | values
    report = wb.train("lola_specvit", [wb.Case("c", taught[1], labels)], out=out, **settings)
    return report, [(c["value"], c["name"]) for c in read_meta(out)["classes"]]


def test_adapting_says_which_classes_are_new_and_which_are_lost(taught, tmp_path):
    labels = npy(tmp_path, other_numbers())
    (tmp_path / "gt.txt").write_text("7 Grass\n3 soil\n5 lake\n2 road\n9 snow\n", encoding="utf-8")
    report, _ = adapt(taught, labels, tmp_path / "a.safetensors")
    note = report.notes[-1]
    assert "do not know by this name: road, lake, Grass, which the weights call grass, snow" in note
    assert note.endswith("the new weights do not know them: water")
    assert note in read_meta(tmp_path / "a.safetensors")["training"]["notes"]
    same = save_envi(tmp_path, truth()[None], name="same", **LABELS)
    assert adapt(taught, same, tmp_path / "b.safetensors")[0].notes == ()


def test_adapting_to_labels_without_names_makes_new_classes_unless_asked(taught, tmp_path):
    labels = npy(tmp_path, truth())
    report, classes = adapt(taught, labels, tmp_path / "a.safetensors")
    assert classes == [(1, "class 1"), (2, "class 2"), (3, "class 3")]
    assert "not as those of the weights (grass (1), soil (2), water (3))" in report.notes[-1]
    report, classes = adapt(taught, labels, tmp_path / "b.safetensors", match="number")
    assert classes == [(1, "grass"), (2, "soil"), (3, "water")]
    assert "taken by number" in report.notes[-1]


def test_a_painted_layer_without_names_says_so_in_the_lesson(taught, tmp_path):
    image = wb.read(taught[1])
    values = QUICK | {"lora_rank": 2, "steps": 1, "head_start": 0, "weights": str(taught[0])}
    painted = Labels(truth(), image.geometry, ClassTable.from_values([1, 2, 3]))
    told = Lesson(SceneLearner(image, **values), painted, tmp_path / "m.safetensors").run()
    assert "The labels do not name their classes (class 1, class 2, class 3)" in told.text
    named = Labels(truth(), image.geometry, ClassTable.from_names(("grass", "soil", "water")))
    told = Lesson(SceneLearner(image, **values), named, tmp_path / "n.safetensors").run()
    assert "classes" not in told.text.split("differs from the reference.")[1]


# --- labelled pixels without a spectrum


def holed(folder):
    data = digital(5)
    data[:, :4] = -9999
    return envi(folder, "holed", data, data_ignore_value=-9999)


def test_pixels_without_a_spectrum_are_in_no_score(taught, tmp_path):
    labels = save_envi(tmp_path, truth()[None], name="all", **LABELS)
    report = judge((taught[0], holed(tmp_path), None), labels)
    row, known = report.rows[-1], truth()[4:]
    assert row["test_pixels"] == known.size
    assert row["OA"] == pytest.approx(accuracy_score(known.ravel(), taught[2][4:].ravel()))
    assert (
        f"{truth()[:4].size} of {truth().size} labelled pixels hold no spectrum: they are in no score" in report.notes
    )


def test_pixels_without_a_spectrum_are_neither_learnt_nor_tested_by_any_method(tmp_path):
    labels = save_envi(tmp_path, truth()[None], name="all", **LABELS)
    case = wb.Case("c", holed(tmp_path), labels)
    report = wb.evaluate(
        "lola_specvit", [case], **QUICK | {"weights": "none", "splits": "random", "seeds": 1, "per_class": 30}
    )
    assert {r["test_pixels"] for r in report.rows} == {truth()[4:].size - 90}
    assert any("hold no spectrum: nothing is learnt" in n for n in report.notes)
    wb.train("lola_specvit", [case], out=tmp_path / "w.safetensors", **QUICK)
    training = read_meta(tmp_path / "w.safetensors")["training"]
    assert training["train_pixels"] + training["val_pixels"] == truth()[4:].size
