import hashlib
import json
import os
import re

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import spectral.io.envi as spy

from tests.scene_maker import MAP_INFO, cube, save_envi
from workbench.core.classes import ClassInfo, ClassTable
from workbench.core.errors import GeometryError, InputError, UsageError
from workbench.core.types import Geometry, Heatmap, Labels, Provenance, Result, Scores
from workbench.data import formats
from workbench.data.write import write

CLASSES = ClassTable(
    (ClassInfo(1, "open water", (1, 2, 3)), ClassInfo(2, "soil", (40, 50, 60)), ClassInfo(5, "tree", (7, 8, 9)))
)
TRUTH = np.array([0, 1, 2, 5])[np.arange(99).reshape(9, 11) % 4]


@pytest.fixture
def scene(tmp_path):
    return formats.read(save_envi(tmp_path / "in", cube(), interleave="bil", map_info=MAP_INFO, wavelength_units="nm",
                                  wavelength="{400, 500, 600, 700, 800, 900, 1000}"))  # fmt: skip


def labels_on(scene, data=TRUTH, classes=CLASSES):
    return Labels(data, scene.geometry, classes)


def test_envi_class_maps_open_in_spectral_and_gdal(tmp_path, scene):
    samples, header = write(labels_on(scene), tmp_path / "out", source=scene)
    theirs = spy.open(str(header))
    np.testing.assert_array_equal(np.asarray(theirs.load()).squeeze(), TRUTH)
    assert theirs.metadata["file type"] == "ENVI Classification"
    assert theirs.metadata["classes"] == "6"
    assert theirs.metadata["class names"] == ["Unclassified", "open water", "soil", "unused 3", "unused 4", "tree"]
    assert theirs.metadata["class lookup"][3:6] == ["1", "2", "3"]
    assert theirs.metadata["map info"] == MAP_INFO.strip("{}").split(", ")
    with rasterio.open(samples, driver="ENVI") as gdal:
        np.testing.assert_array_equal(gdal.read(1), TRUTH)
        assert gdal.crs.to_epsg() == 32610
        assert gdal.colormap(1)[5][:3] == (7, 8, 9)
    again = formats.read_labels(header, reference=scene.geometry)
    np.testing.assert_array_equal(again.data, TRUTH)
    assert list(again.classes) == list(CLASSES)


@pytest.mark.parametrize("format", ["envi", "geotiff", "npy"])
def test_every_format_reads_back_on_the_same_grid(tmp_path, scene, format):
    path = write(labels_on(scene), tmp_path / "out", source=scene, format=format)[0]
    again = formats.read_labels(path, reference=scene.geometry)
    np.testing.assert_array_equal(again.data, TRUTH)
    assert again.data.dtype == np.uint8
    assert again.geometry.matches(scene.geometry)
    if format != "npy":
        assert list(again.classes) == list(CLASSES)
        assert formats.read(path).geometry.matches(scene.geometry)


def test_envi_and_geotiff_places_become_each_other(tmp_path, scene):
    tif = write(labels_on(scene), tmp_path / "out", source=scene, format="geotiff")[0]
    with rasterio.open(tif) as theirs:
        assert theirs.crs.to_epsg() == 32610
        assert tuple(theirs.transform)[:6] == (20.0, 0.0, 565000.0, 0.0, -20.0, 4150000.0)
    back = write(formats.read_labels(tif), tmp_path / "back", source=formats.read(tif), format="envi")[0]
    with rasterio.open(back, driver="ENVI") as theirs:
        assert theirs.crs.to_epsg() == 32610
        assert tuple(theirs.transform)[:6] == (20.0, 0.0, 565000.0, 0.0, -20.0, 4150000.0)
    assert formats.read(back).geometry.matches(scene.geometry)
    assert formats.read(back).geometry.unit == "m"


@pytest.mark.parametrize("format", ["envi", "geotiff", "npy"])
def test_cubes_keep_samples_bands_and_wavelengths(tmp_path, scene, format):
    path = [
        p for p in write(scene, tmp_path / "out", format=format, name="again") if p.suffix in (".dat", ".tif", ".npy")
    ]
    again = formats.read(path[0])
    np.testing.assert_array_equal(again.data, scene.data)
    assert again.dtype == scene.dtype
    assert again.header["wavelengths_nm"] == scene.header["wavelengths_nm"]


def test_scenes_without_a_place(tmp_path):
    scene = formats.read(save_envi(tmp_path / "in", cube()))
    for format in ("envi", "geotiff", "npy"):
        path = write(labels_on(scene), tmp_path / format, source=scene, format=format)[0]
        assert formats.read(path).geometry.affine is None
        np.testing.assert_array_equal(formats.read_labels(path).data, TRUTH)


def test_coordinate_systems_of_envi_stay_as_they_were(tmp_path):
    crs = rasterio.crs.CRS.from_epsg(3035)
    info = "{ETRS89-LAEA, 1, 1, 4321000.0, 3210000.0, 10.0, 10.0, units=Meters}"
    text = f"{{{crs.to_wkt(version='WKT1_ESRI')}}}"
    scene = formats.read(save_envi(tmp_path / "in", cube(), map_info=info, coordinate_system_string=text))
    _, header = write(labels_on(scene), tmp_path / "out", source=scene)
    assert f"coordinate system string = {text}" in header.read_text(encoding="utf-8")
    tif = write(labels_on(scene), tmp_path / "out", source=scene, format="geotiff")[0]
    with rasterio.open(tif) as theirs:
        assert theirs.crs.to_epsg(confidence_threshold=25) == 3035
    odd = formats.read(save_envi(tmp_path / "odd", cube(), map_info=info, coordinate_system_string="{PROJCS[nonsense}"))
    with pytest.raises(GeometryError, match="coordinate system of this scene is not understood"):
        write(labels_on(odd), tmp_path / "none", source=odd, format="geotiff")
    assert not (tmp_path / "none").exists()


def test_many_classes_and_values_without_a_name(tmp_path, scene):
    data = np.arange(99).reshape(9, 11) * 4
    _, header = write(labels_on(scene, data, ClassTable()), tmp_path / "out", source=scene)
    again = formats.read_labels(header)
    np.testing.assert_array_equal(again.data, data)
    assert again.data.dtype == np.uint16
    assert again.classes.names[:2] == ("class 4", "class 8")
    with pytest.raises(InputError, match="ENVI lists at most 65535 classes"):
        write(labels_on(scene, data * 1000), tmp_path / "big", source=scene)
    with pytest.raises(InputError, match="whole numbers were expected"):
        write(labels_on(scene, data * 0.5), tmp_path / "big", source=scene)
    assert not (tmp_path / "big").exists()


def test_names_that_a_list_cannot_hold_are_changed_in_envi_only(tmp_path, scene):
    named = ClassTable((ClassInfo(1, "a, b {c}", (1, 2, 3)),))
    data = (TRUTH > 0).astype("u1")
    _, header = write(labels_on(scene, data, named), tmp_path / "out", source=scene)
    assert formats.read_labels(header).classes.names == ("a; b (c)",)


def test_nothing_is_written_in_the_wrong_place(tmp_path, scene):
    moved = scene.geometry.affine.copy()
    moved[0, 2] += 20
    for geometry in (
        Geometry((9, 11), moved, ("row", "column"), "m"),
        Geometry((11, 9), None, ("row", "column"), None),
    ):
        labels = Labels(np.ones(geometry.shape, "u1"), geometry, CLASSES)
        with pytest.raises(GeometryError, match="does not lie on the grid"):
            write(labels, tmp_path / "out", source=scene)
    with pytest.raises(UsageError, match="format nifti holds volumes, and this is a spectral scene"):
        write(labels_on(scene), tmp_path / "out", source=scene, format="nifti")
    with pytest.raises(UsageError, match="this is the source file itself"):
        write(scene, tmp_path / "in", name="scene")
    os.rename(tmp_path / "in" / "scene.hdr", tmp_path / "in" / "scene.dat.hdr")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_no_pair_that_lies(tmp_path, scene, monkeypatch):
    write(labels_on(scene), tmp_path / "out", source=scene)
    monkeypatch.setattr("workbench.data.parts._write_text", _no_space)
    with pytest.raises(UsageError, match="Free space or choose another folder"):
        write(labels_on(scene, TRUTH * 0), tmp_path / "out", source=scene)
    # New samples without a header cannot be read; the old header is gone.
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["labels.dat"]


def _no_space(path, text):
    raise OSError(28, "No space left on device")


def test_results_become_a_folder_with_a_record(tmp_path, scene):
    parts = {
        "labels": labels_on(scene),
        "confidence": Heatmap(np.linspace(0, 1, 99).reshape(9, 11), scene.geometry, "confidence", limits=(0, 1)),
        "areas": Scores(("class", "area [m2]"), (("soil", 400.0),)),
    }
    result = Result(parts, scene, Provenance("lola_specvit", "demo", "0" * 64, {}))
    for format in ("auto", "geotiff", "npy"):
        paths = write(result, tmp_path / format, format=format)
        record = json.loads(paths[-1].read_text(encoding="utf-8"))
        assert paths[-1].name == "provenance.json"
        assert set(record["files"]) == {p.name for p in paths[:-1]}
        for path in paths[:-1]:
            assert record["files"][path.name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert record["geometry"]["shape"] == [9, 11]
    values = formats.read(tmp_path / "auto" / "scene" / "confidence.hdr").data[0]
    np.testing.assert_allclose(values, parts["confidence"].data, rtol=1e-6)
    assert values.dtype == np.float32


@pytest.mark.parametrize("most", [3, 300])
def test_class_maps_carry_names_colours_and_no_data_for_gdal(tmp_path, most):
    image = formats.read(save_envi(tmp_path, cube(2), map_info=MAP_INFO))
    table = ClassTable((ClassInfo(1, "tree & <bush>", (0, 128, 0)), ClassInfo(most, "water", (0, 0, 255))))
    data = np.zeros(image.geometry.shape, np.uint16)
    data[:3], data[3:6] = 1, most
    made = write(Labels(data, image.geometry, table), tmp_path / "out", format="geotiff", source=image)
    assert [p.name for p in made] == ["labels.tif", "labels.tif.aux.xml"]
    with rasterio.open(made[0]) as src:
        assert src.nodata == 0
        assert src.dtypes == ("uint8" if most < 256 else "uint16",)
        assert src.colormap(1)[1][:3] == (0, 128, 0)
        assert src.colormap(1)[most][:3] == (0, 0, 255)
        np.testing.assert_array_equal(src.read_masks(1) > 0, data > 0)
        rasterio.shutil.copy(src, tmp_path / "copy.vrt", driver="VRT")
    text = (tmp_path / "copy.vrt").read_text(encoding="utf-8")  # what GDAL made of the file beside
    names = re.findall(r"<Category>(.*?)</Category>|<Category ?/>", text)
    assert names[:2] == ["Unclassified", "tree &amp; &lt;bush&gt;"]
    assert names[most] == "water"
    assert len(names) == most + 1
    again = formats.read_labels(made[0], reference=image.geometry)
    np.testing.assert_array_equal(again.data, data)
    assert [(c.value, c.name, c.color) for c in again.classes] == [(c.value, c.name, c.color) for c in table]
