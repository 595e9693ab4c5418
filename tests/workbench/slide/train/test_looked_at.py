"""Corrections teach where a person looked; what was only proposed does not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch

import workbench as wb
from tests.workbench.slide.train.test_cells import ABOUT, discs, start  # noqa: F401
from workbench import weights as stored
from workbench.core.atomic import sha256_of
from workbench.core.classes import ClassTable
from workbench.core.errors import GeometryError, InputError, UsageError
from workbench.core.frame import Frame
from workbench.core.objects import ACCEPTED, EDITED, PROPOSED, REJECTED, Objects
from workbench.core.seen import Seen, content_key
from workbench.core.types import Case
from workbench.data.geojson import write_geojson
from workbench.data.objects import read_objects
from workbench.slide.data.nuclei_labels import painted, read_reference
from workbench.slide.nuclei_edits import NucleiEdits
from workbench.slide.train.cell_settings import CellTrainConfig
from workbench.slide.train.corrected import teach_corrected
from workbench.slide.train.labelled import open_labelled
from workbench.slide.train.looked_at import reviewed, squares_of

SIDE = 320


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    pixels = np.tile(discs(np.random.default_rng(1))[0], (4, 4, 1))[:SIDE, :SIDE]
    path = tmp_path_factory.mktemp("p") / "big.ome.tif"
    tifffile.imwrite(path, pixels, ome=True, photometric="rgb", metadata=ABOUT)
    return path, pixels


def boxes(places, review, size=8.0, ids=None):
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * size
    rings = [[[np.array(p, float) + corners]] for p in places]
    return Objects.from_polygons(rings, review=np.array(review, np.uint8), frame=Frame(), ids=ids)


def saved(folder, objects, rejected=None):
    write_geojson(objects, folder / "nuclei.geojson")
    if rejected is not None:
        write_geojson(rejected, folder / "rejected.geojson")
    return folder / "nuclei.geojson"


def test_only_squares_around_what_was_looked_at_teach(picture, tmp_path):
    path, pixels = picture
    found = boxes([(60, 60), (100, 70), (250, 250)], [ACCEPTED, PROPOSED, PROPOSED])
    labels = saved(tmp_path, found)
    study = open_labelled([Case("a", path, labels)], CellTrainConfig(crop=96, val_fraction=0), 0.5, None)
    (one,) = study.train
    assert one.image.shape == (96, 96, 3)
    np.testing.assert_array_equal(one.image, pixels[12:108, 12:108])
    assert study.nuclei == 2
    assert "1 square(s) around 1 nuclei" in study.notes[0]
    assert "1 others in them were not looked at" in study.notes[0]
    assert study.seen[0].keys == (content_key(pixels),), "known again as the picture that it is of"
    whole = open_labelled(
        [Case("a", path, labels)], CellTrainConfig(crop=96, val_fraction=0, everywhere=True), 0.5, None
    )
    assert whole.train[0].image.shape == (SIDE, SIDE, 3)
    assert whole.nuclei == 3


def test_a_rejected_nucleus_teaches_that_there_is_none(picture, tmp_path):
    path, _ = picture
    labels = saved(tmp_path, boxes([(60, 60)], [EDITED], ids=[1]), boxes([(250, 250)], [REJECTED], ids=[2]))
    study = open_labelled([Case("a", path, labels)], CellTrainConfig(crop=96, val_fraction=0), 0.5, None)
    assert sorted(int(f.labels.max()) for f in study.train) == [0, 1]


def test_squares_keep_to_the_slide_and_share_what_they_can():
    found = boxes([(10, 10), (40, 30), (310, 310)], [ACCEPTED] * 3)
    squares, _ = squares_of(found, (SIDE, SIDE), 100.0, "x.geojson")
    assert [(s.row, s.column) for s in squares] == [(0, 0), (220, 220)]
    assert all(s.reference.labels.shape == (100, 100) for s in squares)
    (small,), _ = squares_of(boxes([(30, 30)], [ACCEPTED]), (60, 70), 100.0, "x.geojson")
    assert small.reference.labels.shape == (60, 70)


WIDE, TALL = (60, 200), (200, 60)


@pytest.mark.parametrize("shape", [WIDE, TALL], ids=["wide", "tall"])
@pytest.mark.parametrize("side", [50, 100])
def test_squares_hold_what_lies_at_each_edge_of_a_slide(shape, side):
    """Nuclei in the corners and in the middle of it, each nowhere but where it lies on the slide."""
    rows, columns = shape
    places = [(x, y) for x in (9, columns / 2, columns - 9) for y in (9, rows / 2, rows - 9)]
    found = boxes(places, [ACCEPTED] * len(places))
    whole = painted(found, shape) > 0
    squares, _ = squares_of(found, shape, float(side), "x.geojson")
    seen = np.zeros(shape, bool)
    for one in squares:
        high, wide = one.reference.labels.shape
        assert (high, wide) == (min(side, rows), min(side, columns))
        assert 0 <= one.row <= rows - high
        assert 0 <= one.column <= columns - wide
        part = slice(one.row, one.row + high), slice(one.column, one.column + wide)
        np.testing.assert_array_equal(one.reference.labels > 0, whole[part])
        seen[part] = True
    assert seen[whole].all()


@pytest.mark.parametrize(
    "place", [(100, 20), (100, 180), (20, 100), (180, 100)], ids=["above", "below", "left", "right"]
)
def test_nuclei_beside_a_square_are_not_in_it(place):
    found = boxes([(100, 100), place], [ACCEPTED, PROPOSED])
    (one,), said = squares_of(found, (200, 200), 50.0, "x.geojson")
    assert len(one.reference) == 1
    assert one.reference.notes == ()
    assert "not looked at" not in said


def test_outlines_of_another_slide_are_refused():
    with pytest.raises(GeometryError, match="1 of 2 outlines lie outside"):
        squares_of(boxes([(10, 10), (500, 20)], [ACCEPTED] * 2), (SIDE, SIDE), 100.0, "x.geojson")
    for shape, beyond in ((WIDE, (30, 100)), (TALL, (100, 30))):
        with pytest.raises(GeometryError, match="1 of 2 outlines lie outside"):
            squares_of(boxes([(30, 30), beyond], [ACCEPTED] * 2), shape, 50.0, "x.geojson")


def test_labels_that_nobody_reviewed_are_whole(picture, tmp_path):
    assert reviewed(saved(tmp_path, boxes([(60, 60)], [PROPOSED]))) is None


def test_rejected_ones_beside_a_file_of_others_are_not_taken(tmp_path):
    own = saved(tmp_path, boxes([(60, 60)], [EDITED], ids=[1]), boxes([(250, 250)], [REJECTED], ids=[2]))
    assert reviewed(own).review.tolist() == [EDITED, REJECTED]
    foreign = tmp_path / "x.geojson"
    write_geojson(boxes([(60, 60), (90, 90)], [ACCEPTED] * 2), foreign)
    assert reviewed(foreign).review.tolist() == [ACCEPTED] * 2


@pytest.mark.parametrize(("known", "taught"), [(["nucleus"], ()), (["tumour", "stroma"], ("tumour", "stroma"))])
def test_classes_teach_weights_that_know_several_at_the_scale_that_is_given(known, taught, tmp_path, monkeypatch):
    meta = {"backend": "cellvta", "net": {}, "classes": ClassTable.from_names(known).to_json()}
    weights = stored.save(tmp_path / "w.safetensors", {"x": torch.zeros(1)}, meta)
    found = boxes([(60, 60), (100, 70), (250, 250)], [ACCEPTED, PROPOSED, REJECTED])
    classes = ClassTable.from_names(["tumour", "stroma"])
    edits = NucleiEdits(replace(found, classes=classes, class_values=np.array([1, 2, 2], np.int32)))
    seen = []

    def train(cases, config, out, on_step):
        (case,) = cases
        seen.append((config, *(read_objects(case.labels.with_name(f"{n}.geojson")) for n in ("nuclei", "rejected"))))

    monkeypatch.setattr("workbench.slide.train.corrected.train_cells", train)
    teach_corrected(edits, tmp_path / "s.png", str(weights), tmp_path / "out.safetensors", mpp=0.25)
    ((config, nuclei, rejected),) = seen
    assert config.mpp == 0.25
    assert nuclei.classes.names == taught
    names = {0: "", **{c.value: c.name for c in nuclei.classes}}
    assert [names[v] for v in nuclei.class_values.tolist()] == (list(taught) or ["", ""])
    assert len(rejected) == 1


def test_what_was_corrected_teaches_the_weights_that_found_it(picture, start, tmp_path):  # noqa: F811
    path, pixels = picture
    edits = NucleiEdits(boxes([(60, 60), (100, 70), (250, 250)], [PROPOSED] * 3))
    out = tmp_path / "mine.safetensors"
    with pytest.raises(UsageError, match="Nobody has looked"):
        teach_corrected(edits, path, str(start), out)
    edits.accept([0])
    edits.reject([2])
    steps = []
    report = teach_corrected(edits, path, str(start), out, steps=2, on_step=lambda e: steps.append(e.step))
    assert steps[-1] == 2
    meta = stored.read_meta(out)
    assert meta["training"]["started_from"] == str(start)
    assert [c["name"] for c in meta["classes"]] == ["nucleus"]
    assert Seen.of(meta).cases[0].keys == (content_key(pixels),)
    assert "around 2 nuclei that a person looked at" in report.notes[0]
    page = report.report.read_text(encoding="utf-8")
    assert "found before the training" in page
    assert "found after it" in page
    result = wb.predict("cellvta", path, weights=str(out), device="cpu", tissue=False)
    assert result.provenance.weights == str(out)


def test_nuclei_of_another_picture_are_refused(picture, tmp_path):
    path, _ = picture
    labels = saved(tmp_path, boxes([(60, 60)], [ACCEPTED]))
    record = {"input_sha256": "0" * 64, "source": "/elsewhere/other.svs"}
    (tmp_path / "provenance.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(InputError, match="is of other.svs"):
        open_labelled([Case("a", path, labels)], CellTrainConfig(val_fraction=0), 0.5, None)
    record["input_sha256"] = sha256_of(path)
    (tmp_path / "provenance.json").write_text(json.dumps(record), encoding="utf-8")
    study = open_labelled([Case("a", path, labels)], CellTrainConfig(crop=96), 0.5, None)
    assert study.val == ()
    study = open_labelled([Case("a", path, saved(tmp_path, boxes([(60, 60), (250, 250)], [ACCEPTED] * 2)))],
                          CellTrainConfig(crop=96), 0.5, None)  # fmt: skip
    assert len(study.train) == 2
    assert study.validation == "on nothing: all squares are of one picture"


def test_what_was_only_proposed_is_said(picture, tmp_path):
    found = boxes([(60, 60), (250, 250)], [ACCEPTED, PROPOSED])
    notes = read_reference(saved(tmp_path, found), (SIDE, SIDE)).notes
    assert any("1 of 2 outlines were looked at by nobody" in n for n in notes)
    plain = replace(found, review=None)
    (tmp_path / "provenance.json").write_text("{}", encoding="utf-8")
    notes = read_reference(saved(tmp_path, plain), (SIDE, SIDE)).notes
    assert any("2 outlines are what a model proposed" in n for n in notes)
    with pytest.raises(InputError, match="all its outlines were rejected"):
        read_reference(saved(tmp_path, boxes([(60, 60)], [REJECTED])), (SIDE, SIDE))


def test_what_weights_of_one_class_left_unclassified_is_of_that_class(picture, tmp_path):
    path, _ = picture
    found = boxes([(60, 60), (100, 70)], [ACCEPTED, PROPOSED])
    found = replace(found, classes=ClassTable.from_names(["nucleus"]), class_values=np.array([1, 0], np.int32))
    case, config = Case("a", path, saved(tmp_path, found)), CellTrainConfig(crop=96, val_fraction=0)
    study = open_labelled([case], config, 0.5, ClassTable.from_names(["nucleus"]))
    assert set(np.unique(study.train[0].types[study.train[0].labels > 0])) == {1}
    with pytest.raises(InputError, match="1 nuclei have no class"):
        open_labelled([case], config, 0.5, ClassTable.from_names(["tumour"]))
