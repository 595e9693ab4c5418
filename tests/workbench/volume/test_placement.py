"""How a volume lies in the viewer: every orientation comes back bit for bit, and the patient is not mirrored."""

from itertools import permutations, product

import numpy as np
import pytest

from workbench.core.errors import GeometryError
from workbench.core.types import Geometry
from workbench.volume.placement import layer_world, millimetres_per_unit, place, transform_attributes, world_to_ras

SHAPE = (3, 4, 5)


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)))
def test_any_axis_order_comes_back_and_lies_where_it_did(order, signs) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, list(order)] * signs * [1.5, 2.0, 2.5]
    affine[:3, 3] = (7.0, -8.0, 9.0)
    geometry = Geometry(SHAPE, affine)
    spot = place(geometry)
    data = np.arange(60).reshape(SHAPE)
    layer = spot.to_layer(data)
    assert layer.shape == spot.layer_shape
    np.testing.assert_array_equal(spot.to_file(layer), data)
    # Upright files need no turn: axes run to the head, to the back and to the patient's left.
    assert (np.diag(spot.world)[:3] > 0).all()
    np.testing.assert_allclose(spot.world[:3, :3], np.diag(np.diag(spot.world)[:3]))
    attributes = transform_attributes(spot.world, spot.layer_shape)
    assert "affine" not in attributes
    np.testing.assert_allclose(layer_world(attributes), spot.world)
    index = np.array([1, 2, 2, 1])
    np.testing.assert_allclose(world_to_ras(spot.world) @ index, affine @ spot.index_matrix @ index)
    assert layer[1, 2, 2] == data[tuple((spot.index_matrix @ index).astype(int)[:3])]


def test_without_a_position_the_last_axis_is_the_stack() -> None:
    spot = place(Geometry(SHAPE, None))
    assert spot.layer_shape == (5, 4, 3)
    data = np.arange(60).reshape(SHAPE)
    np.testing.assert_array_equal(spot.to_layer(data), data.transpose(2, 1, 0))


@pytest.mark.parametrize("affine", [np.zeros((4, 4)), np.diag([1.0, 0, 1, 1]), np.full((4, 4), np.nan)])
def test_an_affine_that_places_nothing_is_refused(affine) -> None:
    with pytest.raises(GeometryError, match="singular"):
        place(Geometry(SHAPE, affine))
    with pytest.raises(GeometryError, match="3 axes"):
        place(Geometry((4, 4), np.eye(3)))


def test_rounding_is_not_an_oblique_scan_and_an_oblique_scan_is_one() -> None:
    world = np.diag([3.0, 0.7, 0.7, 1.0])
    world[0, 1] = 1e-7
    assert "affine" not in transform_attributes(world, (100, 512, 512))
    world[0, 1] = 1e-5  # times 511 columns it is more than a thousandth of a voxel
    attributes = transform_attributes(world, (100, 512, 512))
    assert "affine" in attributes
    np.testing.assert_allclose(layer_world(attributes), world)


@pytest.mark.parametrize(
    ("units", "factors"),
    [
        (None, None), ("mm", [1, 1, 1]), (("mm", "um", "cm"), [1, 1e-3, 10]), (("pixel",) * 3, None),
        (("second", "mm", "mm", "mm"), [1, 1, 1]), (("", "", ""), None),
    ],
)  # fmt: skip
def test_units_as_factors_to_millimetres(units, factors) -> None:
    found = millimetres_per_unit(units, 3 if units is None or len(units) != 4 else 4)
    assert found is None if factors is None else found == pytest.approx(factors)


@pytest.mark.parametrize("units", [("mm", "pixel", "mm"), ("second", "mm", "mm"), ("nonsense_unit", "mm", "mm")])
def test_units_that_are_no_lengths_are_refused(units) -> None:
    with pytest.raises(GeometryError):
        millimetres_per_unit(units)


def test_angles_are_refused_and_not_taken_for_nothing() -> None:
    with pytest.raises(GeometryError, match="angles"):
        layer_world({"rotate": 30.0})
