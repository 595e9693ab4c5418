import numpy as np
import pytest
import rasterio

from tests.scene_maker import MAP_INFO, cube, save_envi
from workbench.core.errors import GeometryError, InputError
from workbench.data import formats
from workbench.scene.data.labels import largest_abundance


def scene(tmp_path):
    return formats.read(save_envi(tmp_path / "scene", cube(), map_info=MAP_INFO))


def test_maps_without_a_place_take_that_of_the_scene(tmp_path):
    image = scene(tmp_path)
    np.save(tmp_path / "gt.npy", np.ones((9, 11), "i8"))
    assert formats.read_labels(tmp_path / "gt.npy").geometry.affine is None
    assert formats.read_labels(tmp_path / "gt.npy", reference=image.geometry).geometry is image.geometry


def test_maps_of_another_size_are_refused_with_both_sizes(tmp_path):
    image = scene(tmp_path)
    np.save(tmp_path / "gt.npy", np.ones((11, 9), "u1"))
    message = r"gt.npy: the label map has 11 rows x 9 columns, the scene has 9 rows x 11 columns. It looks transposed."
    with pytest.raises(GeometryError, match=message):
        formats.read_labels(tmp_path / "gt.npy", reference=image.geometry)
    np.save(tmp_path / "gt.npy", np.ones((9, 12), "u1"))
    with pytest.raises(GeometryError, match=r"9 rows x 12 columns, the scene has 9 rows x 11 columns. Give the map"):
        formats.read_labels(tmp_path / "gt.npy", reference=image.geometry)


def test_maps_that_lie_elsewhere_are_refused(tmp_path):
    image = scene(tmp_path)
    moved = MAP_INFO.replace("565000", "565020")
    path = save_envi(tmp_path / "gt", np.ones((1, 9, 11), "u1"), map_info=moved)
    with pytest.raises(GeometryError, match="does not lie on the grid"):
        formats.read_labels(path, reference=image.geometry)


def test_images_are_not_taken_for_labels(tmp_path):
    for name, data in {"cube": cube(2), "reflectance": cube(4)}.items():
        np.save(tmp_path / f"{name}.npy", data)
        with pytest.raises(InputError, match="a label map has one band of whole numbers, or abundances"):
            formats.read_labels(tmp_path / f"{name}.npy")
    np.save(tmp_path / "f.npy", np.full((9, 11), 0.5))
    with pytest.raises(InputError, match="holds fractions"):
        formats.read_labels(tmp_path / "f.npy")
    np.save(tmp_path / "n.npy", np.full((9, 11), -1))
    with pytest.raises(InputError, match="holds the negative value -1"):
        formats.read_labels(tmp_path / "n.npy")


def test_abundances_give_the_class_of_pure_pixels():
    fractions = np.array([[[0.9, 0.3, 0.699]], [[0.1, 0.7, 0.301]]])
    assert largest_abundance(fractions, "x").tolist() == [[1, 2, 0]]
    with pytest.raises(InputError, match="abundances that add up to 1"):
        largest_abundance(fractions * 2, "x")


def test_fill_values_of_a_map_are_no_label_however_few_of_their_digits_are_given(tmp_path):
    data = np.arange(99).reshape(1, 9, 11).astype("f4") % 4
    data[0, :2] = np.float32(-3.4028235e38)
    path = save_envi(tmp_path, data, name="map", data_ignore_value="-3.4e+38")
    found = formats.read_labels(path)
    np.testing.assert_array_equal(found.data, np.where(data[0] < 0, 0, data[0]))
    with pytest.raises(InputError):
        formats.read_labels(save_envi(tmp_path, data, name="undeclared"))


def geotiff(path, crs, transform=(10, 0, 600000, 0, -10, 5000000)):
    with rasterio.open(path, "w", "GTiff", 11, 9, 1, crs, rasterio.Affine(*transform), "uint8") as dst:
        dst.write(np.ones((9, 11), "u1"), 1)
    return path


def test_maps_with_the_numbers_of_another_coordinate_system_are_refused(tmp_path):
    reference = formats.read_labels(geotiff(tmp_path / "a.tif", "EPSG:32632")).geometry
    with pytest.raises(GeometryError, match=r"lies in EPSG:32633, the scene in EPSG:32632"):
        formats.read_labels(geotiff(tmp_path / "b.tif", "EPSG:32633"), reference=reference)
    degrees = (1e-4, 0, -80, 0, -1e-4, 40)
    other = formats.read_labels(geotiff(tmp_path / "g.tif", "EPSG:4326", degrees)).geometry
    shifted = geotiff(tmp_path / "h.tif", "EPSG:4267", degrees)  # another datum
    with pytest.raises(GeometryError, match=r"lies in EPSG:4267, the scene in EPSG:4326"):
        formats.read_labels(shifted, reference=other)
    none = formats.read_labels(geotiff(tmp_path / "n.tif", None), reference=reference)
    assert none.notes == (
        "the label map names no coordinate system: its coordinates were taken for those of the other",
    )


def test_a_coordinate_system_may_be_spelled_otherwise(tmp_path):
    reference = formats.read_labels(geotiff(tmp_path / "a.tif", "EPSG:32632")).geometry
    esri = rasterio.crs.CRS.from_epsg(32632).to_wkt(version="WKT1_ESRI")
    info = "{UTM, 1, 1, 600000.0, 5000000.0, 10.0, 10.0, 32, North, WGS-84, units=Meters}"
    made = [
        save_envi(tmp_path / "e", np.ones((1, 9, 11), "u1"), map_info=info),
        geotiff(tmp_path / "b.tif", "+proj=utm +zone=32 +datum=WGS84 +units=m"),
        geotiff(tmp_path / "c.tif", esri),
        geotiff(tmp_path / "d.tif", "EPSG:25832"),  # ETRS89: the same within a pixel
    ]
    for path in made:
        assert not formats.read_labels(path, reference=reference).notes, path


@pytest.mark.parametrize(("nodata", "dtype"), [(255, "uint8"), (-1, "int16"), (0, "uint8"), (None, "uint8")])
def test_a_class_of_0_is_said_where_another_value_is_no_data(tmp_path, nodata, dtype):
    values = np.array([[0, 0, 1], [2, 1, 0]], dtype)
    values[1, 2] = nodata or 0
    path = tmp_path / "gt.tif"
    profile = {"driver": "GTiff", "width": 3, "height": 2, "count": 1, "dtype": dtype, "nodata": nodata}
    with rasterio.open(path, "w", **profile, transform=rasterio.Affine(10, 0, 600000, 0, -10, 5000000)) as out:
        out.write(values, 1)
    labels = formats.read_labels(path)
    assert labels.data.tolist() == [[0, 0, 1], [2, 1, 0]]
    expected = f"2 pixels are 0, and the file's no-data value is {nodata}: 0 is no label here; give a class of 0"
    assert any(expected in n for n in labels.notes) == bool(nodata)
    values[values == 0] = 1
    with rasterio.open(path, "r+") as out:
        out.write(values, 1)
    assert not any("0 is no label" in n for n in formats.read_labels(path).notes)
