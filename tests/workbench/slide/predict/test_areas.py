"""Areas are those of what was drawn and found on the slide, and what cannot be right is said."""

from __future__ import annotations

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import shapely
import tifffile
import torch
from PIL import Image as Pillow

from tests.tiny import make_tiny_slide, make_tiny_slide_weights
from workbench.core import settings
from workbench.core.errors import InputError, UsageError
from workbench.data import formats, write
from workbench.slide import stainnet
from workbench.slide.predict.area import roi_file


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return make_tiny_slide_weights(tmp_path_factory.mktemp("w") / "w.safetensors")


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return make_tiny_slide(tmp_path_factory.mktemp("s") / "section.ome.tif")


@pytest.fixture
def run(weights):
    model = stainnet.load(stainnet.Config(weights=str(weights), device="cpu"), torch.device("cpu"))

    def start(path, **more):
        chosen = stainnet.Config(**{"weights": str(weights), "device": "cpu", "tile": 64, "target_mpp": 1.0, **more})
        return stainnet.predict(model, formats.read(path, kind="slide"), chosen)

    return start


def drawn(path, *shapes):
    features = [
        {"type": "Feature", "properties": {"classification": {"name": name}} if name else {},
         "geometry": json.loads(shapely.to_geojson(shape))}
        for name, shape in shapes
    ]  # fmt: skip
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return str(path)


def sizes(result):
    return {row["class"]: row["area [mm2]"] for row in result["areas"].as_dicts()}


PIXEL = 0.25e-6
BOX, OTHER = shapely.box(300, 300, 700, 720), shapely.box(500, 500, 800, 810)


@pytest.mark.parametrize(
    "shapes",
    [
        [BOX],
        [BOX, OTHER],
        [BOX.difference(shapely.box(400, 400, 500, 517))],
        [shapely.box(-200, 300, 700, 720)],
        [shapely.Point(512, 512).buffer(211.3)],
    ],
    ids=["one", "overlap", "hole", "partly outside", "circle"],
)
def test_the_area_of_outlines_is_theirs_on_the_slide(run, slide, tmp_path, shapes):
    result = run(slide, roi=drawn(tmp_path / "a.geojson", *((None, s) for s in shapes)))
    right = shapely.intersection(shapely.union_all(shapes), shapely.box(0, 0, 1024, 1024)).area * PIXEL
    assert sizes(result)["region"] == pytest.approx(right, abs=6e-7)


def test_the_area_of_very_many_outlines_is_counted_and_said(run, slide, tmp_path, monkeypatch):
    from workbench.slide.predict import area

    monkeypatch.setattr(area, "_MOST_JOINED", 1)
    result = run(slide, roi=drawn(tmp_path / "a.geojson", (None, BOX), (None, OTHER)))
    assert sizes(result)["region"] == pytest.approx(shapely.union(BOX, OTHER).area * PIXEL, rel=0.03)
    assert any("the area of 2 outlines was counted in pixels of the mask" in n for n in result.provenance.notes)


def test_outlines_without_an_area_and_tiny_ones_are_called_so(run, slide, tmp_path):
    with pytest.raises(InputError, match=r"holds no outline with an area \(1 points or lines\)"):
        run(slide, roi=drawn(tmp_path / "a.geojson", (None, shapely.Point(500, 500))))
    with pytest.raises(InputError, match="cover 1 pixels of .*less than a pixel of the mask"):
        run(slide, roi=drawn(tmp_path / "b.geojson", (None, shapely.box(505, 505, 506, 506))))
    with pytest.raises(InputError, match="no outline of it lies on"):
        run(slide, roi=drawn(tmp_path / "c.geojson", (None, shapely.box(5000, 5000, 6000, 6000))))


def test_classes_are_chosen_and_those_that_qupath_ignores_left_out(run, slide, tmp_path):
    path = drawn(tmp_path / "a.geojson", ("Ignore*", shapely.box(0, 0, 1024, 1024)), ("Tumor", BOX), ("Stroma", OTHER))
    result = run(slide, roi=path)
    both = shapely.union(BOX, OTHER).area * PIXEL
    assert sizes(result)["region"] == pytest.approx(both, abs=6e-7)
    assert any("1 outline(s) of classes that QuPath ignores" in note for note in result.provenance.notes)
    assert sizes(run(slide, roi=path, roi_classes="Tumor"))["region"] == pytest.approx(BOX.area * PIXEL, abs=6e-7)
    named = run(slide, roi=path, roi_classes="Tumor, Ignore*")
    assert sizes(named)["region"] == pytest.approx(1024**2 * PIXEL, abs=6e-7)
    with pytest.raises(UsageError, match="has the class 'Tumour'; there are: 'Ignore\\*', 'Stroma', 'Tumor'"):
        run(slide, roi=path, roi_classes="Tumour")


def test_a_folder_has_the_outlines_of_each_slide(run, slide, tmp_path):
    image = formats.read(slide, kind="slide")
    with pytest.raises(UsageError, match="one file for section was expected .*; found none"):
        run(slide, roi=str(tmp_path))
    with pytest.raises(UsageError, match="no such file or folder"):
        run(slide, roi=str(tmp_path / "no"))
    config = stainnet.Config(roi=str(tmp_path))
    before = settings.file_hashes(config)
    drawn(tmp_path / "other.geojson", (None, OTHER))
    path = drawn(tmp_path / "section.geojson", (None, BOX))
    assert str(roi_file(config, image)) == path
    assert settings.file_hashes(config) != before
    assert sizes(run(slide, roi=str(tmp_path)))["region"] == pytest.approx(BOX.area * PIXEL, abs=6e-7)
    (tmp_path / "section").mkdir()
    drawn(tmp_path / "section" / "annotations.geojson", (None, BOX))
    with pytest.raises(UsageError, match="found more than one: section.geojson, "):
        run(slide, roi=str(tmp_path))


@pytest.mark.parametrize("size", [(280, 4200), (515, 515), (70, 1600), (1000, 700)])
def test_there_is_never_more_tissue_than_picture(run, tmp_path, size):
    rng = np.random.default_rng(0)
    path = tmp_path / "a.png"
    Pillow.fromarray(rng.integers(90, 220, (*size, 3), dtype=np.uint8)).save(path)
    result = run(path, mpp=0.5, tile=32, tissue=0.0)
    assert sizes(result)["region"] == pytest.approx(size[0] * size[1] * PIXEL, abs=6e-7)
    found = run(path, mpp=0.5, tile=32)
    assert sizes(found)["tissue"] <= size[0] * size[1] * PIXEL + 6e-7


@pytest.mark.parametrize("rows", [1024, 1019, 1013])
def test_a_mask_that_was_written_gives_the_same_tiles(run, tmp_path, rows):
    whole = tifffile.imread(make_tiny_slide(tmp_path / "whole.ome.tif"))
    path = tmp_path / "cut.png"
    Pillow.fromarray(whole[:rows]).save(path)
    first = run(path, mpp=0.5)
    files = {f.name: f for f in write.write(first, tmp_path / "out", name="s")}
    again = run(path, mpp=0.5, roi=str(files["tissue.ome.tif"]))
    assert np.array_equal(again["tissue"].data, first["tissue"].data)
    assert again["tiles"].rows == first["tiles"].rows
    assert sizes(again)["tissue"] == sizes(first)["tissue"]


def test_inverted_and_grey_pictures_are_said_where_outlines_are_given(run, slide, tmp_path):
    roi = drawn(tmp_path / "a.geojson", (None, BOX))
    pixels = tifffile.imread(slide)
    for name, made, words in (
        ("inverted", 255 - pixels, "is nearly black, as in fluorescence: weights that were taught on brightfield"),
        ("grey", np.repeat(pixels[..., :1], 3, axis=2), "its red, green and blue are equal"),
    ):
        path = tmp_path / f"{name}.png"
        Pillow.fromarray(made).save(path)
        assert any(words in note for note in run(path, mpp=0.5, roi=roi).provenance.notes), name
    assert not any("grey" in note or "black" in note for note in run(slide, roi=roi).provenance.notes)


def test_what_no_whole_tile_covers_is_said(run, slide):
    result = run(slide, tile=200)
    assert any("% of the area lie at the right and lower edge" in note for note in result.provenance.notes)
    assert not any("lower edge" in note for note in run(slide, tile=64).provenance.notes)


def test_how_much_no_whole_tile_covers_is_counted_from_the_corner_of_the_bounds(weights, slide, tmp_path):
    config = stainnet.Config(
        weights=str(weights), device="cpu", tile=64, target_mpp=1.0,
        roi=drawn(tmp_path / "a.geojson", (None, shapely.box(200, 700, 600, 800))),
    )  # fmt: skip
    image = formats.read(slide, kind="slide")
    image = replace(image, pyramid=replace(image.pyramid, bounds=(100, 20, 700, 900)))
    notes = stainnet.predict(stainnet.load(config, torch.device("cpu")), image, config).provenance.notes
    # Five rows of tiles of 128 pixels end at row 740: of the rows 700 to 800, 60 lie below; at the right nothing.
    assert "60 % of the area lie at the right and lower edge, where no whole tile fits" in notes


def test_a_size_that_is_given_takes_its_magnification_along_and_stale_advice_goes(run, tmp_path, slide):
    result = run(slide, mpp=0.25, tile=64, target_mpp=0.5)
    assert any(
        "0.25 um per pixel are used as given; the file states 0.5 (OME-XML)" in n for n in result.provenance.notes
    )
    files = {f.name: f for f in write.write(result, tmp_path / "out", name="s")}
    with h5py.File(files["embeddings.h5"]) as file:
        about = dict(file["coords"].attrs)
    assert (about["level0_magnification"], about["target_magnification"]) == (40, 20)
    assert about["patch_size"] * about["level0_magnification"] / about["target_magnification"] == 128
    assert about["patch_size_level0"] == 128
    path = tmp_path / "b.tif"
    options = {"resolution": (72, 36), "resolutionunit": "INCH", "photometric": "rgb", "metadata": None}
    tifffile.imwrite(path, tifffile.imread(slide), **options)
    notes = run(path, mpp=0.5).provenance.notes
    assert not any("Give the true size" in note for note in notes)


def test_a_column_of_a_list_that_names_outlines_is_no_setting(slide, weights, tmp_path, capsys):
    from workbench.cli import run as workbench

    listed = tmp_path / "list.csv"
    listed.write_text(f"image,roi\n{slide},{drawn(tmp_path / 'a.geojson', (None, BOX))}\n", encoding="utf-8")
    call = ["predict", "stainnet", "-i", listed, "-o", tmp_path / "out", "--weights", weights, "--device", "cpu"]
    assert workbench([str(part) for part in call]) == 2
    assert "the list has a column 'roi', and roi is a setting" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_of_pictures_is_told_as_the_kind_that_was_said(slide, tmp_path, capsys):
    from workbench.cli import run as workbench

    pixels = tifffile.imread(slide)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", metadata=None)
    tifffile.imwrite(tmp_path / "b.tif", pixels, photometric="rgb", metadata=None)
    assert workbench(["info", str(tmp_path), "--kind", "slide", "--json"]) == 0
    assert [row["kind"] for row in json.loads(capsys.readouterr().out)] == ["slide", "slide"]
