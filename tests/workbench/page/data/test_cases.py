"""Pages with what belongs to them: beside the picture, in the folder of a result, in another folder, in a list."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image as Pillow

import workbench as wb
from tests.workbench.page.taught_pages import blue_page, save_page
from workbench.data.cases import load_study


@pytest.fixture
def folder(tmp_path):
    save_page(blue_page(700), tmp_path / "in", "p0")
    return tmp_path / "in"


def one(found):
    (case,) = found
    return case


def test_lines_and_record_beside_a_picture(folder):
    study = load_study(folder, kind="page")
    case = one(study.cases)
    assert (case.id, case.labels.name, case.options["reference"]) == ("p0", "p0.geojson", str(folder / "p0.csv"))
    assert (study.faults, study.skipped) == ((), ())
    assert one(wb.cases(folder)).labels == case.labels
    assert one(wb.cases(folder / "p0.png")).labels == case.labels
    (folder / "p0.geojson").unlink()
    case = one(wb.cases(folder))
    assert (case.labels, case.options) == (folder / "p0.csv", {"kind": "page"})


def test_the_folder_of_a_result(folder):
    (folder / "p0.csv").unlink()
    (folder / "p0").mkdir()
    (folder / "p0.geojson").rename(folder / "p0" / "traces.geojson")
    (folder / "p0" / "provenance.json").write_text(json.dumps({"backend": "ecg_image", "weights": "demo"}))
    assert one(load_study(folder, kind="page").cases).labels == folder / "p0" / "traces.geojson"
    out = folder.with_name("out")
    shutil.move(folder / "p0", out / "p0")
    assert one(load_study(folder, kind="page").cases).labels is None
    assert one(load_study(folder, out, kind="page").cases).labels == out / "p0" / "traces.geojson"
    assert one(wb.cases(folder / "p0.png", out)).labels == out / "p0" / "traces.geojson"


def test_records_in_another_folder(folder):
    (folder / "p0.geojson").unlink()
    truth = folder.with_name("truth")
    truth.mkdir()
    shutil.move(folder / "p0.csv", truth / "p0.csv")
    assert one(load_study(folder, truth, kind="page").cases).labels == truth / "p0.csv"


def test_a_picture_with_outlines_of_something_else_is_no_page(folder):
    (folder / "p0.csv").unlink()
    (folder / "p0.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    assert one(load_study(folder, kind="page").cases).labels is None
    assert one(load_study(folder, kind="slide").cases).labels is None


def test_a_list_names_a_record_besides(folder):
    listed = folder.with_name("list.csv")
    listed.write_text("image,labels,reference\nin/p0.png,in/p0.geojson,in/p0.csv\n", encoding="utf-8")
    case = one(wb.cases(listed))
    assert case.options["reference"] == str(folder / "p0.csv")


def test_pictures_of_one_folder_are_looked_at_once_each(tmp_path):
    for n in range(3):
        Pillow.fromarray(np.full((64, 64, 3), 255, np.uint8)).save(tmp_path / f"a{n}.png")
    assert [c.labels for c in load_study(tmp_path, kind="page").cases] == [None] * 3
