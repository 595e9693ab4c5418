"""Scores against numbers worked out by hand, references that learn, and a comparison over splits and seeds."""

import csv
import json

import numpy as np
import pytest

from tests.scenes import NAMES, cube_image, labels_of, scene_arrays, write_npy
from workbench.core.classes import ClassTable
from workbench.core.errors import InputError
from workbench.core.settings import build
from workbench.core.types import Case
from workbench.scene import lola_specvit as backend
from workbench.scene.data.spectra import SpectralRecipe, fit
from workbench.scene.evaluate.report import teach_reference
from workbench.scene.evaluate.scores import added_up, fit_reference, mean_and_deviation, score_map

TABLE = ClassTable.from_names(NAMES)


def test_scores_worked_out_by_hand() -> None:
    reference = np.array([[1, 1, 1, 1], [2, 2, 3, 0]])
    found = np.array([[1, 1, 1, 2], [2, 3, 3, 1]])
    s = score_map(found, reference, np.flatnonzero(reference), TABLE)
    assert s.oa == pytest.approx(5 / 7)
    assert s.accuracy == pytest.approx((3 / 4, 1 / 2, 1.0))
    assert s.aa == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    chance = (4 * 3 + 2 * 2 + 1 * 2) / 49
    assert s.kappa == pytest.approx((5 / 7 - chance) / (1 - chance))
    assert s.f1 == pytest.approx((6 / 7, 1 / 2, 2 / 3))
    assert s.confusion.tolist() == [[3, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0]]


def test_pixels_that_a_map_leaves_out_count_as_wrong_and_are_counted() -> None:
    reference = np.array([[1, 1, 1, 1], [2, 2, 3, 3]])
    found = np.array([[1, 0, 1, 2], [2, 0, 7, 3]])
    s = score_map(found, reference, np.arange(8), TABLE)
    assert s.confusion.tolist() == [[2, 1, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1]]
    assert s.confusion.sum() == 8
    assert s.oa == pytest.approx(4 / 8)
    plain = s.to_json()
    assert plain["confusion_columns"] == [*NAMES, "not mapped"]
    assert np.sum(plain["confusion"]) == plain["pixels"] == 8
    other = ClassTable(tuple(c for c in TABLE if c.value > 1))
    both = added_up([s, score_map(found[1:], reference[1:], np.arange(4), other)])
    assert both.confusion.tolist() == [[2, 1, 0, 1], [0, 2, 0, 2], [0, 0, 2, 2]]


def test_a_class_without_test_pixels_does_not_count() -> None:
    reference = np.array([[1, 1, 2, 2]])
    s = score_map(np.array([[1, 2, 2, 2]]), reference, np.arange(4), TABLE)
    assert np.isnan(s.accuracy[2])
    assert s.aa == pytest.approx(0.75)


def test_mean_and_sample_deviation() -> None:
    reference = np.array([[1, 1, 2, 2]])
    runs = [score_map(np.array([m]), reference, np.arange(4), TABLE) for m in ([1, 1, 2, 2], [1, 2, 2, 2])]
    mean, deviation = mean_and_deviation(runs)["OA"]
    assert mean == pytest.approx(0.875)
    assert deviation == pytest.approx(np.std([1, 0.75], ddof=1))
    assert mean_and_deviation(runs[:1])["OA"] == (1.0, 0.0)


@pytest.mark.parametrize("name", ["svm", "forest"])
def test_references_learn_what_can_be_told_apart(name) -> None:
    rng = np.random.default_rng(0)
    values = np.repeat([1, 4, 9], 20)
    pixels = rng.standard_normal((60, 4)) * 0.3 + values[:, None]
    reference = fit_reference(name, pixels, values)
    assert (reference.predict(pixels) == values).mean() > 0.95
    assert reference.settings


def test_a_reference_maps_a_scene_block_by_block_with_holes() -> None:
    cube, labels = scene_arrays()
    cube[:, 0] = np.nan
    image = cube_image(cube)
    fitted = fit(image, SpectralRecipe(components=4))
    pixels = np.flatnonzero(labels)[26::17]
    svm = teach_reference("svm", image, labels_of(labels, image), pixels, fitted)
    blocks, steps = [], []
    found = svm.map(image, fitted, lambda *a: steps.append(a), lambda r, c, m: blocks.append(m.size))
    assert not found[0].any()
    assert (found[1:] == labels[1:]).mean() > 0.95
    assert steps[-1] == (780, 780)
    assert sum(blocks) == 780


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_npy(tmp_path_factory.mktemp("scene"), *scene_arrays(rows=44, columns=44))


@pytest.mark.slow
def test_both_splits_side_by_side_with_references(files, tmp_path) -> None:
    quick = {
        "device": "cpu", "components": 5, "patch": 5, "steps": 2, "batch": 9, "head_start": 150,
        "per_class": 15, "seeds": 2,
    }  # fmt: skip
    steps = []
    report = backend.evaluate(
        [Case("s", *files)], build(backend.EvaluateConfig, quick), tmp_path, lambda *a: steps.append(a)
    )
    assert steps[0] == (0, 4)
    assert steps[-1] == (4, 4)
    assert {(r["split"], r["method"]) for r in report.summary} == {
        (s, m) for s in ("random", "disjoint") for m in ("LoLA-SpecViT", "SVM (RBF)", "random forest")
    }
    assert all(r["runs"] == 2 for r in report.summary)
    ours = [r for r in report.summary if r["method"] == "LoLA-SpecViT"]
    assert all(r["OA"] > 0.9 for r in ours)
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 2 * 2 * 5
    assert float(rows[0]["OA"]) == report.rows[0]["OA"]
    plain = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert np.sum(plain["runs"][0]["confusion"]) == report.rows[0]["test_pixels"]
    assert "disjoint split, first seed" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "±" in report.text()
    assert not report.failures


def test_given_weights_are_scored_on_all_labels(files, tmp_path) -> None:
    quick = {"device": "cpu", "components": 5, "patch": 5, "steps": 2, "batch": 9, "head_start": 150}
    out = tmp_path / "w.safetensors"
    backend.train([Case("s", *files)], build(backend.TrainConfig, quick), out)
    config = build(backend.EvaluateConfig, {"weights": str(out), "device": "cpu"})
    report = backend.evaluate([Case("s", *files)], config)
    # They learnt from all of them: the rows apart add up to the row of all, and the note says what the scores show.
    *apart, whole = report.rows
    assert whole["test_pixels"] == sum(r["test_pixels"] for r in apart) == 44 * 44
    assert {r["seen"] for r in apart} == {"chosen by", "learnt"}
    assert any("scores show fit" in n for n in report.notes)
    assert report.summary[-1]["OA"] > 0.9
    assert report.files == ()


def test_a_split_that_leaves_nothing_to_test_on_is_an_error(tmp_path) -> None:
    cube, labels = scene_arrays(rows=12, columns=12)
    files = write_npy(tmp_path, cube, labels)
    config = build(backend.EvaluateConfig, {"splits": "disjoint", "seeds": 1, "components": 5, "patch": 9, "steps": 1})
    with pytest.raises((InputError, ValueError), match="random split"):
        backend.evaluate([Case("s", *files)], config)
