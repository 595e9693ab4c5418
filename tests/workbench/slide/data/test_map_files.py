"""Maps as OME-TIFF and OME-Zarr, read with the libraries of the formats and not with ours."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import tifffile
import zarr

from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import UsageError
from workbench.core.types import Geometry, Heatmap, Labels
from workbench.slide.data import write as slide_writer
from workbench.slide.data.heat_maps import write_map
from workbench.slide.data.map_zarr import write_ome_zarr, write_zipped

STEP, CORNER = (64.0, 63.5), (100.25, 20.5)
"""Of a map: micrometres of a pixel, and the centre of the first one, along (y, x)."""
CLASSES = ClassTable((ClassInfo(1, "tissue", (213, 94, 0)), ClassInfo(7, "pen", (0, 114, 178))))


def geometry(shape, affine=True):
    own = np.diag([*STEP, 1.0])
    own[:2, 2] = CORNER
    return Geometry(shape, own if affine else None, ("y", "x"), "um" if affine else None)


@pytest.fixture
def heat():
    data = np.random.default_rng(0).normal(size=(1101, 700)).astype(np.float32)
    data[:301, :200] = np.nan
    return Heatmap(data, geometry(data.shape), "sharpness", unit="1")


@pytest.fixture
def labels():
    data = np.random.default_rng(0).choice([0, 1, 7], (1101, 700)).astype(np.uint8)
    return Labels(data, geometry(data.shape), CLASSES, "tissue")


def halved(data):
    """Means of 2 x 2 that are there, the long way."""
    rows, columns = -(-data.shape[0] // 2), -(-data.shape[1] // 2)
    out = np.full((rows, columns), np.nan, np.float32)
    for r, c in np.ndindex(rows, columns):
        some = data[2 * r : 2 * r + 2, 2 * c : 2 * c + 2]
        if np.isfinite(some).any():
            out[r, c] = some[np.isfinite(some)].mean()
    return out


def test_an_ome_tiff_of_values(tmp_path, heat):
    write_map(tmp_path / "a.ome.tif", heat)
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        assert file.is_ome
        levels = file.series[0].levels
        assert [level.shape for level in levels] == [(1101, 700), (551, 350)]
        assert (levels[0].dtype, levels[0].pages[0].compression.name) == (np.float32, "ADOBE_DEFLATE")
        assert levels[0].pages[0].is_tiled
        np.testing.assert_array_equal(levels[0].asarray(), heat.data)
        np.testing.assert_allclose(levels[1].asarray(), halved(heat.data), rtol=1e-5, atol=1e-6)
        xml = ElementTree.fromstring(file.ome_metadata)
    found = {e.tag.rpartition("}")[2]: e.attrib for e in xml.iter()}
    pixels, plane = found["Pixels"], found["Plane"]
    assert (float(pixels["PhysicalSizeX"]), float(pixels["PhysicalSizeY"])) == (63.5, 64.0)
    assert {pixels["PhysicalSizeXUnit"], plane["PositionXUnit"]} == {"µm"}
    assert (float(plane["PositionX"]), float(plane["PositionY"])) == (20.5, 100.25)
    assert found["Image"]["Name"] == "sharpness"


def test_an_ome_zarr_of_values(tmp_path, heat):
    write_ome_zarr(tmp_path / "a.zarr", heat)
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="r")
    one = group.attrs["multiscales"][0]
    assert group.metadata.zarr_format == 2
    assert [(a["name"], a["type"], a["unit"]) for a in one["axes"]] == [(n, "space", "micrometer") for n in "yx"]
    np.testing.assert_array_equal(group["0"][:], heat.data)
    np.testing.assert_allclose(group["1"][:], halved(heat.data), rtol=1e-5, atol=1e-6)
    first, second = ([t[t["type"]] for t in d["coordinateTransformations"]] for d in one["datasets"])
    assert first == [list(STEP), list(CORNER)]
    # The same outer corner: half a pixel of each level from its first centre.
    assert [t - s / 2 for s, t in zip(*second, strict=True)] == [c - s / 2 for s, c in zip(STEP, CORNER, strict=True)]
    assert second[0] == [128.0, 127.0]


def test_an_ome_zarr_of_labels(tmp_path, labels):
    write_ome_zarr(tmp_path / "a.zarr", labels)
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="r")
    assert group["0"].dtype == np.uint8
    np.testing.assert_array_equal(group["0"][:], labels.data)
    np.testing.assert_array_equal(group["1"][:], labels.data[::2, ::2])
    about = group.attrs["image-label"]
    assert about["colors"] == [{"label-value": 1, "rgba": [213, 94, 0, 255]},
                               {"label-value": 7, "rgba": [0, 114, 178, 255]}]  # fmt: skip
    assert {p["label-value"]: p["name"] for p in about["properties"]} == {1: "tissue", 7: "pen"}
    second = group.attrs["multiscales"][0]["datasets"][1]["coordinateTransformations"]
    assert second[1]["translation"] == list(CORNER), "the kept pixels are the first of each two"


def test_one_file_holds_the_same(tmp_path, heat, labels):
    """By `--format ome-zarr`: what a run writes are files, which are hashed and replaced as a whole."""
    for part in (heat, labels):
        family = slide_writer.family("ome-zarr", None)
        ((path, save),) = slide_writer.jobs(part, tmp_path / part.name, family, None)
        save(path)
        assert path.name == f"{part.name}.ome.zarr.zip"
        write_ome_zarr(tmp_path / f"{part.name}.zarr", part)
        with zarr.storage.ZipStore(path, mode="r") as store:
            packed, plain = zarr.open_group(store, mode="r"), zarr.open_group(tmp_path / f"{part.name}.zarr", mode="r")
            assert dict(packed.attrs) == dict(plain.attrs)
            for level in packed.attrs["multiscales"][0]["datasets"]:
                np.testing.assert_array_equal(packed[level["path"]][:], plain[level["path"]][:])
        again = tmp_path / "again.zip"
        write_zipped(again, part)
        assert again.read_bytes() == path.read_bytes(), "equal maps are equal bytes"
        assert [p.name for p in tmp_path.iterdir() if p.name.startswith("tmp")] == []
        path.unlink()
    with pytest.raises(UsageError, match="choose hdf5, geoparquet, ome-zarr"):
        slide_writer.family("nifti", None)


def test_a_map_without_micrometres(tmp_path, heat):
    bare = Heatmap(heat.data, geometry(heat.data.shape, affine=False), "sharpness")
    write_ome_zarr(tmp_path / "a.zarr", bare)
    one = zarr.open_group(str(tmp_path / "a.zarr"), mode="r").attrs["multiscales"][0]
    assert not any("unit" in a for a in one["axes"])
    assert one["datasets"][0]["coordinateTransformations"][0]["scale"] == [1.0, 1.0]


def test_equal_maps_are_equal_bytes(tmp_path, labels):
    for name in "ab":
        write_ome_zarr(tmp_path / name, labels)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) > 10
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)
