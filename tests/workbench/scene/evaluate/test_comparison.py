"""A comparison on a scene: only pixels with data count, all methods on the same ones, and what is written says so."""

import json

import numpy as np
import pytest
import scipy.io
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix, recall_score

import workbench as wb
from tests.scenes import NAMES, cube_image, labels_of, scene_arrays, write_npy
from workbench.core.atomic import sha256_of
from workbench.core.errors import Cancelled, InputError, UsageError
from workbench.data import formats
from workbench.scene.data.scene import open_blocks
from workbench.scene.train import comparison
from workbench.scene.train.lesson import SceneLearner, reference_map
from workbench.scene.train.prepared import prepare
from workbench.scene.train.settings import SceneTrainConfig
from workbench.scene.train.train import learn_scene, map_pixels
from workbench.training.lesson import MapBoard

QUICK = {
    "device": "cpu", "components": 5, "patch": 5, "steps": 2, "batch": 9, "head_start": 60, "per_class": 15, "seeds": 1,
}  # fmt: skip


def holed(rows=44, columns=44):
    """A scene whose upper rows and one corner hold no data, and labels that are drawn over them."""
    cube, labels = scene_arrays(rows=rows, columns=columns)
    empty = np.zeros(labels.shape, bool)
    empty[:6], empty[-4:, -4:] = True, True
    cube[:, empty] = np.nan
    return cube, labels, empty


def rescored(out, labels):
    """Every row of a table against scikit-learn on the maps that lie beside it."""
    rows = json.loads((out / "scores.json").read_text(encoding="utf-8"))["runs"]
    for row in rows:
        mask = formats.read(out / row["mask"]).data[0]
        found = formats.read(out / row["map"]).data[0]
        wanted, said = labels[mask == 3], found[mask == 3]
        assert row["OA"] == pytest.approx(accuracy_score(wanted, said))
        assert row["kappa"] == pytest.approx(cohen_kappa_score(wanted, said))
        assert row["AA"] == pytest.approx(recall_score(wanted, said, average="macro", labels=np.unique(wanted)))
        assert np.sum(row["confusion"]) == row["test_pixels"] == (mask == 3).sum()
        values = [c.value for c in formats.read(out / row["map"]).classes]
        plain = confusion_matrix(wanted, said, labels=[*values, 0])[:-1]
        np.testing.assert_array_equal(np.array(row["confusion"]), plain)
    return rows


@pytest.mark.slow
def test_empty_pixels_neither_teach_nor_test_and_the_table_can_be_counted_again(tmp_path):
    cube, labels, empty = holed()
    image, truth = write_npy(tmp_path, cube, labels)
    out = tmp_path / "out"
    report = wb.evaluate("lola_specvit", wb.cases([wb.Case("s", image, truth)]), out=out, **QUICK)
    rows = rescored(out, labels)
    assert len(rows) == 10
    for split in ("random", "disjoint"):
        same = [r for r in rows if r["split"] == split]
        assert {r["mask"] for r in same} == {f"splits/{split}_seed0.hdr"}
        assert len({r["test_pixels"] for r in same}) == 1
    for row in rows:
        mask, found = (formats.read(out / row[k]).data[0] for k in ("mask", "map"))
        assert not mask[empty].any()
        assert not found[empty].any()
        assert not np.array(row["confusion"])[:, -1].any()
    assert any(f"{empty.sum()} of {labels.size} labelled pixels hold no spectrum" in n for n in report.notes)
    assert [c.name for c in formats.read(out / rows[0]["mask"]).classes] == ["train", "validation", "test"]
    facts = json.loads((out / "scores.json").read_text(encoding="utf-8"))["provenance"]
    assert facts["scene sha256"] == sha256_of(image)
    assert facts["labels sha256"] == sha256_of(truth)
    assert all(f.is_file() for f in report.files)
    np.testing.assert_array_equal(formats.read(out / "maps" / "reference.hdr").data[0], labels)


def test_given_weights_are_scored_where_the_scene_has_data(tmp_path):
    cube, labels, empty = holed()
    image, truth = write_npy(tmp_path, cube, labels)
    model = tmp_path / "w.safetensors"
    quick = {k: v for k, v in QUICK.items() if k not in ("seeds", "per_class")}
    wb.train("lola_specvit", wb.cases([wb.Case("s", image, truth)]), out=model, **quick)
    report = wb.evaluate(
        "lola_specvit", wb.cases([wb.Case("s", image, truth)]), out=tmp_path / "out", weights=str(model), device="cpu",
        match="number", split="disjoint", steps=7,
    )  # fmt: skip
    rows = rescored(tmp_path / "out", labels)
    assert rows[-1]["test_pixels"] == (~empty).sum()
    assert any("--steps, --split had no effect" in n for n in report.notes)


def test_a_training_keeps_to_pixels_with_data_and_maps_no_others():
    cube, labels, empty = holed(30, 26)
    image = cube_image(cube)
    settings = SceneTrainConfig(device="cpu", components=5, patch=5, steps=1, batch=9, head_start=20, split="random")
    learnt = learn_scene(image, labels_of(labels, image), settings)
    for pixels in (learnt.split.train, learnt.split.val, learnt.split.test):
        assert not empty.flat[pixels].any()
    found, _ = map_pixels(learnt, image)
    np.testing.assert_array_equal(found == 0, empty)
    assert any("hold no spectrum" in n for n in learnt.notes)
    only = np.where(empty, labels, 0)
    with pytest.raises(InputError, match="none of the .* holds a spectrum"):
        prepare(image, labels_of(only, image), settings)


def test_pixels_painted_on_nothing_teach_no_reference():
    cube, labels, empty = holed(30, 26)
    image = cube_image(cube)
    board = MapBoard(image.geometry.shape, labels_of(labels, image).classes)
    painted = np.where(empty, 3, np.where(labels < 3, labels, 0))  # the third class is painted over no data only
    found = reference_map(image, painted, board, lambda done, total: None)
    assert set(np.unique(found)) == {0, 1, 2}
    with pytest.raises(InputError, match="no whole spectrum"):
        reference_map(image, np.where(empty, labels, 0), board, lambda done, total: None)
    with pytest.raises(UsageError, match="test_labels"):
        SceneLearner(image, test_labels="te.npy")


def test_what_was_finished_is_written_when_another_split_fails(tmp_path, monkeypatch):
    cube, labels = scene_arrays(rows=30, columns=26)
    image, truth = write_npy(tmp_path, cube, labels)
    cases = wb.cases([wb.Case("s", image, truth)])
    settings = QUICK | {"patch": 25, "references": False}  # no room for a guard of 31 pixels
    report = wb.evaluate("lola_specvit", cases, out=tmp_path / "out", **settings)
    assert {r["split"] for r in report.rows} == {"random"}
    assert list(report.failures) == ["disjoint split"]
    assert "random split" in report.failures["disjoint split"]
    rescored(tmp_path / "out", labels)
    stored = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    assert stored["failures"] == report.failures
    assert "disjoint split: no blocks" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="no blocks"):
        wb.evaluate("lola_specvit", cases, out=tmp_path / "none", **settings, split="disjoint")

    def stop(done, total):
        if done == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        wb.evaluate("lola_specvit", cases, out=tmp_path / "cut", progress=stop, **QUICK, references=False)
    rescored(tmp_path / "cut", labels)
    notes = json.loads((tmp_path / "cut" / "scores.json").read_text(encoding="utf-8"))["notes"]
    assert notes[-1] == "cancelled before all was done: 1 of 2 trainings are in the table"


@pytest.mark.parametrize("name", ["random", "disjoint"])
def test_the_split_that_is_asked_for_is_the_one_that_is_made(tmp_path, name):
    image, truth = write_npy(tmp_path, *scene_arrays(rows=44, columns=44))
    cases = wb.cases([wb.Case("s", image, truth)])
    for flag in ("split", "splits"):
        report = wb.evaluate("lola_specvit", cases, **QUICK, references=False, **{flag: name})
        assert {r["split"] for r in report.rows} == {name}
    with pytest.raises(UsageError, match="twice"):
        wb.evaluate("lola_specvit", cases, **QUICK, split=name, splits=name)


def two_maps():
    cube, labels = scene_arrays(rows=44, columns=44)
    train, test = np.where(np.arange(44)[:, None] < 14, labels, 0), np.where(np.arange(44)[:, None] >= 30, labels, 0)
    return cube, labels, train.astype(np.uint8), test.astype(np.uint8)


@pytest.mark.parametrize("how", ["files", "keys", "one file", "npz"])
def test_fixed_pixels_train_and_test_all_methods(tmp_path, how):
    cube, labels, train, test = two_maps()
    image, _ = write_npy(tmp_path, cube, labels)
    values = QUICK | {"references": how == "files"}
    if how == "files":
        np.save(tmp_path / "a.npy", train)
        np.save(tmp_path / "b.npy", test)
        given, values["test_labels"] = tmp_path / "a.npy", str(tmp_path / "b.npy")
    elif how == "npz":
        given = tmp_path / "houston.npz"
        np.savez(given, houston_gt_tr=train, houston_gt_te=test)
    else:
        given = tmp_path / "all.mat"
        scipy.io.savemat(given, {"input": np.moveaxis(cube, 0, -1), "TR": train, "TE": test})
        if how == "keys":
            given, values["test_labels"] = f"{given}:TR", f"{given}:TE"
    out = tmp_path / "out"
    report = wb.evaluate("lola_specvit", wb.cases([wb.Case("s", image, given)]), out=out, **values, class_names="a,b,c")
    rows = rescored(out, labels)
    assert {r["split"] for r in rows} == {"fixed"}
    assert len(rows) == (5 if how == "files" else 1)
    mask = formats.read(out / rows[0]["mask"]).data[0]
    np.testing.assert_array_equal(mask == 3, test > 0)
    np.testing.assert_array_equal(np.isin(mask, (1, 2)), train > 0)
    assert [c.name for c in formats.read(out / rows[0]["map"]).classes] == ["a", "b", "c"]
    assert "test labels sha256" in json.loads((out / "scores.json").read_text(encoding="utf-8"))["provenance"]
    assert any("by their names" in n for n in report.notes) == (how in ("one file", "npz"))
    with pytest.raises(UsageError, match="leave out --split"):
        wb.evaluate("lola_specvit", wb.cases([wb.Case("s", image, given)]), **values, split="random")


def test_a_class_that_only_the_test_knows_is_left_out_by_name(tmp_path):
    cube, labels, train, test = two_maps()
    image, _ = write_npy(tmp_path, cube, labels)
    np.save(tmp_path / "a.npy", np.where(train == 3, 0, train))
    test = np.where(np.arange(44)[:, None] == 14, labels, test)  # beside the last row that trains
    np.save(tmp_path / "b.npy", np.maximum(test, np.where(np.arange(44)[:, None] == 13, train, 0)))
    settings = QUICK | {"references": False, "test_labels": str(tmp_path / "b.npy"), "names": ",".join(NAMES)}
    report = wb.evaluate("lola_specvit", wb.cases([wb.Case("s", image, tmp_path / "a.npy")]), **settings)
    assert any("left out of the fixed split" in n and "water (3)" in n for n in report.notes)
    assert any("pixels lie in the maps of training and of test pixels" in n for n in report.notes)
    assert any("1 pixel(s) from a training pixel" in n for n in report.notes)
    assert report.rows[0]["test_pixels"] == (np.isin(test, (1, 2))).sum()


def test_all_methods_must_be_able_to_use_a_test_pixel(monkeypatch):
    """A band that only one method reads is empty in some pixels: none of the methods is scored there."""
    cube, labels = scene_arrays(rows=44, columns=44)
    image, other = cube_image(cube), cube.copy()
    other[3, :5] = np.nan
    views = [(cube_image(other), comparison._plain_view(image, SceneTrainConfig(components=5)).fitted)]
    settings = SceneTrainConfig(device="cpu", components=5, patch=5, split="random")
    prepared = prepare(image, labels_of(labels, image), settings, also=views)
    assert prepared.split.test.min() >= 5 * 44
    assert not prepared.labels.data[:5].any()
    assert open_blocks(image).read(slice(0, 5)).size


def test_fewer_bands_than_components_work_by_default(tmp_path):
    cube, labels = scene_arrays(rows=44, columns=44, bands=6)
    image, truth = write_npy(tmp_path, cube, labels)
    quick = {k: v for k, v in QUICK.items() if k != "components"} | {"head_start": 150}
    report = wb.evaluate("lola_specvit", wb.cases([wb.Case("s", image, truth)]), **quick, split="random")
    assert {r["test_pixels"] for r in report.rows} == {44 * 44 - 45}
    assert any("6 components instead of 15" in n for n in report.notes)
    assert min(r["OA"] for r in report.rows) > 0.8


def test_test_pixels_of_a_map_of_their_own_need_data_too(tmp_path):
    cube, labels, train, test = two_maps()
    cube[:, 32:36] = np.nan
    image, _ = write_npy(tmp_path, cube, labels)
    np.save(tmp_path / "a.npy", train)
    np.save(tmp_path / "b.npy", test)
    settings = QUICK | {"references": False, "test_labels": str(tmp_path / "b.npy")}
    report = wb.evaluate("lola_specvit", wb.cases([wb.Case("s", image, tmp_path / "a.npy")]), **settings)
    assert report.rows[0]["test_pixels"] == np.count_nonzero(test) - 4 * 44
    assert any(f"{4 * 44} of {np.count_nonzero(test)} test pixels hold no spectrum" in n for n in report.notes)
