from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from tests.scene_maker import cube, save_envi
from workbench.core.errors import GeometryError
from workbench.scene.data.map_place import MapPlace, epsg_of, from_map_info, from_transform, to_map_info

HERE = Path("scene.hdr")


@pytest.mark.parametrize(
    "info",
    [
        "UTM, 1, 1, 565000.0, 4150000.0, 20.0, 20.0, 10, North, WGS-84, units=Meters",
        "UTM, 1, 1, 565000.0, 4150000.0, 20.0, 20.0, 33, South, WGS-84, units=Meters, rotation=30",
        "UTM, 5.5, 3, 565000.0, 4150000.0, 20.0, 20.0, 10, North, WGS-84",
        "Geographic Lat/Lon, 1, 1, 10.5, 50.25, 0.001, 0.002, WGS-84, units=Degrees",
        "Arbitrary, 1, 1, 0, 0, 1, 1, 0, North",
        "Arbitrary, 1, 1, 7, 9, 2.5, 2.5, rotation=-90",
    ],
)
def test_gdal_puts_envi_scenes_where_we_do(tmp_path, info):
    save_envi(tmp_path, cube(), map_info=f"{{{info}}}")
    place = from_map_info(tuple(v.strip() for v in info.split(",")), None, HERE)
    with rasterio.open(tmp_path / "scene.dat", driver="ENVI") as theirs:
        np.testing.assert_allclose(place.transform, tuple(theirs.transform)[:6], rtol=1e-12, atol=1e-9)
        if theirs.crs is not None and "Arbitrary" not in info:
            assert epsg_of(place.map_info) == theirs.crs.to_epsg()


def test_the_reference_pixel_counts_from_one_at_the_corner():
    place = from_map_info(("UTM", "1.5", "1.5", "100", "200", "10", "10"), None, HERE)
    assert (place.affine @ [0, 0, 1]).tolist() == [100, 200, 1]
    place = from_map_info(("UTM", "1", "1", "100", "200", "10", "10"), None, HERE)
    assert (place.affine @ [0, 0, 1]).tolist() == [105, 195, 1]


def test_units_and_names():
    def place(text):
        return from_map_info(tuple(v.strip() for v in text.split(",")), None, HERE)

    assert (place("UTM,1,1,0,0,1,1,10,North,WGS-84").unit, place("Geographic Lat/Lon,1,1,0,0,1,1").unit) == (
        "m",
        "degree",
    )
    assert place("Arbitrary,1,1,0,0,1,1").unit is None
    assert place("Arbitrary,1,1,0,0,1,1,units=Feet").unit == "ft"
    assert place("UTM,1,1,0,0,1,1,10,North,WGS-84").name == "UTM 10 North, WGS-84"
    assert epsg_of(("UTM", "1", "1", "0", "0", "1", "1", "10", "North", "North America 1927")) is None


@given(
    st.floats(-180, 180), st.floats(0.01, 1e4), st.floats(0.01, 1e4), st.floats(-1e7, 1e7), st.floats(-1e7, 1e7),
    st.booleans(),
)  # fmt: skip
def test_places_survive_envi(rotation, dx, dy, x, y, upwards):
    angle = np.radians(rotation)
    step_row = np.array([np.sin(angle), -np.cos(angle)]) * dy * (-1 if upwards else 1)
    affine = np.array([[step_row[0], np.cos(angle) * dx, x], [step_row[1], np.sin(angle) * dx, y], [0, 0, 1]])
    again = from_map_info(to_map_info(MapPlace(affine, "m")), None, HERE)
    np.testing.assert_allclose(again.affine, affine, atol=1e-6 * max(dx, dy, 1))
    assert again.unit == "m"


def test_transforms_survive():
    for transform in ((20.0, 0.0, 5.0, 0.0, -20.0, 7.0), (3.0, 1.0, 5.0, 2.0, -4.0, 7.0)):
        np.testing.assert_allclose(from_transform(transform, "m", None, None).transform, transform)


def test_sheared_pixels_cannot_be_said_in_envi():
    with pytest.raises(GeometryError, match="sheared"):
        to_map_info(from_transform((3.0, 1.0, 5.0, 2.0, -4.0, 7.0), "m", None, None))
