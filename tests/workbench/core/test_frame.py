"""The origin is the corner of the first pixel; indices, lengths and the world are where they should be."""

import json

import numpy as np
import pytest

from workbench.core.errors import GeometryError
from workbench.core.frame import PIXELS, Frame
from workbench.core.objects import Objects
from workbench.core.types import Geometry

# A map: 30 m pixels, rows to the south, turned a little; (row, column) of pixel centres -> (x, y).
AFFINE = np.array([[2.0, 30.0, 500_015.0], [-30.0, 2.0, 5_199_985.0], [0, 0, 1]])


def test_the_origin_is_the_corner_of_the_first_pixel():
    assert PIXELS.to_index(np.array([0.5, 0.5])).tolist() == [0, 0]
    assert PIXELS.to_index(np.array([0.0, 0.0])).tolist() == [-0.5, -0.5]
    assert PIXELS.to_index(np.array([[7.5, 2.5]])).tolist() == [[2, 7]]
    pixel = Objects.from_polygons(np.array([[(7, 2), (8, 2), (8, 3), (7, 3)]], float))
    assert pixel.areas().tolist() == [1]
    assert PIXELS.to_index(pixel.centroids()).tolist() == [[2, 7]]


def test_the_frame_of_a_geometry_puts_pixel_centres_where_the_geometry_does():
    geometry = Geometry((50, 60), AFFINE, ("row", "column"), "m")
    for frame in (Frame.of(geometry.affine, geometry.unit), Frame.of(geometry.affine, "m", unit="um",
                                                                     pixel_size=(0.25, 0.5))):  # fmt: skip
        index = np.array([(0.0, 0.0), (12.0, 3.0), (49.0, 59.0)])
        points = frame.from_index(index)
        np.testing.assert_allclose(frame.to_index(points), index, atol=1e-9)
        expected = (AFFINE @ np.vstack([index.T, np.ones(3)]))[:2].T
        np.testing.assert_allclose(frame.to_world(points), expected, rtol=1e-12)


def test_objects_go_from_pixels_to_micrometres_and_back():
    pixels = Frame.of(AFFINE, "m")
    lengths = Frame.of(AFFINE, "m", unit="um", pixel_size=(0.25, 0.5))
    square = Objects.from_polygons(np.array([[(0, 0), (4, 0), (4, 4), (0, 4)]], float), frame=pixels)
    there = square.in_frame(lengths)
    assert there.areas().tolist() == [16 * 0.25 * 0.5]
    assert there.frame.area_unit == "um2"
    np.testing.assert_allclose(there.frame.to_world(there.coordinates), pixels.to_world(square.coordinates), rtol=1e-12)
    assert np.array_equal(there.in_frame(pixels).coordinates, square.coordinates)


def test_json_and_back_is_the_same_frame():
    frame = Frame.of(AFFINE, "m", unit="um", pixel_size=(0.2528, 0.2527))
    again = Frame.from_json(json.loads(json.dumps(frame.to_json())))
    assert again.matches(frame, tolerance=0)
    assert np.array_equal(again.affine, frame.affine)
    assert (again.name, again.unit, again.world_unit) == ("um", "um", "m")
    assert "corner" in frame.to_json()["origin"]


def test_frames_that_differ_do_not_match():
    frame = Frame.of(AFFINE, "m")
    moved = AFFINE.copy()
    moved[0, 2] += 15  # half a pixel
    assert not frame.matches(Frame.of(moved, "m"))
    assert not frame.matches(PIXELS)
    assert not frame.matches(Frame.of(AFFINE, "ft"))
    a, b = (Frame.of(unit="um", pixel_size=(s, s)) for s in (0.25, 0.26))
    assert a.matches(a)
    assert not a.matches(b)
    assert not a.matches(PIXELS)


def test_what_is_no_frame_is_refused():
    with pytest.raises(GeometryError, match="pixel size"):
        Frame(pixel_size=(0.0, 1.0))
    with pytest.raises(GeometryError, match="affine"):
        Frame(affine=np.zeros((3, 3)))
    with pytest.raises(GeometryError, match="no place in the world"):
        PIXELS.to_world(np.zeros(2))
