"""Levels of a pyramid lie where the samples they were made of lie, measured by balls and by napari's own arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.core.errors import GeometryError, InputError
from workbench.core.layers import count_labels
from workbench.core.levels import at_level, factors, finest, refuse_time
from workbench.volume import geometry_from_layer, image_from_layers, labels_from_layer
from workbench.volume.placement import layer_world


def block_means(data, steps):
    """Means of blocks; what is left over at the end is cut off."""
    whole = tuple(n // s * s for n, s in zip(data.shape, steps, strict=True))
    cut = data[tuple(slice(n) for n in whole)]
    split = [x for n, s in zip(whole, steps, strict=True) for x in (n // s, s)]
    return cut.reshape(split).mean(axis=tuple(range(1, 2 * data.ndim, 2)))


def blob(shape):
    """A smooth ball off the centre, and nothing else: its centre of mass can be measured on any grid."""
    grid = np.indices(shape, dtype=float)
    middle = np.array(shape).reshape(-1, 1, 1, 1) * np.array([0.45, 0.55, 0.5]).reshape(-1, 1, 1, 1)
    return np.exp(-((grid - middle) ** 2).sum(axis=0) / (2 * (min(shape) / 7) ** 2))


def centre_in_world(data, attributes):
    index = (np.indices(data.shape) * data).reshape(3, -1).sum(axis=1) / data.sum()
    return (layer_world(attributes) @ np.append(index, 1))[:3]


TRANSFORMS = {
    "scale": {"scale": (2.0, 1.5, 0.5), "translate": (10.0, -20.0, 5.0)},
    "rotated": {
        "scale": (2.0, 1.5, 0.5),
        "translate": (10.0, -20.0, 5.0),
        "rotate": [[1, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]],
        "shear": [0.1, 0.0, 0.2],
        "affine": [[0.9, 0.1, 0, 4], [0, 1.1, 0, 5], [0, 0.2, 1, 6], [0, 0, 0, 1]],
    },
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("how", ["means", "every nth", "every nth with a rest"])
def test_a_ball_lies_at_the_same_place_on_every_level(transform, how):
    rng = np.random.default_rng(0)
    shape, steps = ((41, 54, 61), (2, 4, 4)) if how == "every nth with a rest" else ((40, 56, 64), (2, 4, 4))
    fine = blob(shape) + rng.normal(0, 1e-6, shape)
    coarse = block_means(fine, steps) if how == "means" else fine[:: steps[0], :: steps[1], :: steps[2]]
    attributes = {"name": "x", "multiscale": True, **transform}
    found, own = at_level([fine, coarse], attributes, 1)
    assert found is coarse
    assert own["multiscale"] is False
    voxel = abs(np.linalg.det(layer_world(attributes)[:3, :3]))
    assert abs(np.linalg.det(layer_world(own)[:3, :3])) == pytest.approx(voxel * 32)
    # A hundredth of a sample of the finest level.
    assert np.allclose(centre_in_world(coarse, own), centre_in_world(fine, attributes), atol=0.01)


def test_level_0_and_single_layers_stay_as_they_are():
    data, attributes = np.zeros((4, 5, 6)), {"scale": (1, 2, 3), "multiscale": True, "locked_data_level": 1}
    found, own = at_level([data, data[::2, ::2, ::2]], attributes, 0)
    assert found is data
    assert own == {"scale": (1, 2, 3), "multiscale": False}
    found, own = at_level(data, {"scale": (1, 2, 3)}, 0)
    assert found is data
    assert own["scale"] == (1, 2, 3)
    assert finest([data, data[::2]], attributes) is data
    assert finest([data, data], {}) == [data, data], "a list of outlines is not a list of levels"


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(100, 90), (50, 45)], (2, 2)),
        ([(101, 91), (51, 46)], (2, 2)),
        ([(101, 91), (50, 45)], (2, 2)),
        ([(30, 512, 512), (30, 256, 256)], (1, 2, 2)),
        ([(101, 64), (51, 32), (26, 16), (13, 8), (7, 4), (4, 2)], (32, 32)),
        ([(100, 100), (50, 50), (33, 33)], (3, 3)),
        ([(5, 100), (2, 50)], (2, 2)),
        ([(5, 99), (2, 33)], (3, 3)),
        ([(1, 64), (1, 32)], (1, 2)),
    ],
)
def test_factors_are_the_whole_numbers_that_explain_the_lengths(shapes, expected):
    assert factors(shapes, len(shapes) - 1) == expected


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ([(100, 100), (67, 67)], "100 samples became 67, by no whole factor"),
        ([(100, 100), (50, 120)], "100 samples became 120"),
        ([(100, 100), (50,)], "has 1 axes, the finest 2"),
        ([(100, 100), (50, 0)], "100 samples became 0"),
        ([(5, 5), (2, 2)], "by a factor of 2 or 3"),
    ],
)
def test_what_no_whole_number_explains_is_refused_in_one_line(shapes, words):
    with pytest.raises(GeometryError, match=words) as refused:
        factors(shapes, 1)
    assert "\n" not in str(refused.value)


def test_a_level_that_does_not_exist():
    with pytest.raises(GeometryError, match="there is no level 2"):
        at_level([np.zeros((4, 4, 4)), np.zeros((2, 2, 2))], {"multiscale": True, "name": "x"}, 2)


def test_moments_in_time_are_no_channels():
    state = {"name": "beating heart", "axis_labels": ("t", "z", "y", "x"), "units": ("pixel",) * 4}
    with pytest.raises(InputError, match="7 moments in time"):
        geometry_from_layer((7, 4, 5, 6), state)
    with pytest.raises(InputError, match="7 moments in time"):
        image_from_layers([(np.zeros((7, 4, 5, 6)), state)])
    with pytest.raises(InputError, match="7 moments in time"):
        refuse_time((7, 4, 5, 6), {"units": ("second", "mm", "mm", "mm")})
    refuse_time((7, 4, 5, 6), {"axis_labels": ("c", "z", "y", "x")})
    refuse_time((7, 4, 5), {"axis_labels": ("t", "y", "x")}, spatial=3)
    with pytest.raises(GeometryError, match="no volume of 3 axes"):
        labels_from_layer(np.zeros((2, 3, 4, 5), np.uint8), attributes={"scale": (1, 1, 1, 1), "units": "mm"})


def test_pixels_are_read_when_they_are_asked_for():
    da = pytest.importorskip("dask.array")
    read = []

    def block(block_id):
        read.append(block_id)
        return np.full((4, 5, 6), 7, np.int16)

    lazy = da.map_blocks(block, chunks=((4,), (5,), (6,)), dtype=np.int16, meta=np.empty((0, 0, 0), np.int16))
    image, _ = image_from_layers([(lazy, {"name": "x", "scale": (1, 1, 1), "units": "mm"})])
    assert (read, image.dtype, image.geometry.shape) == ([], np.int16, (4, 5, 6))
    assert (image.data == 7).all()
    assert read


def test_counting_by_slabs_is_counting(monkeypatch):
    rng = np.random.default_rng(1)
    for dtype, high in ((np.uint8, 200), (np.int32, 20_000), (np.int64, 1 << 40), (np.int16, 300)):
        data = rng.integers(-5 if dtype == np.int16 else 0, high, (30, 41, 27)).astype(dtype)
        values, counts = np.unique(data, return_counts=True)
        monkeypatch.setattr("workbench.core.layers.slabs", lambda shape: [slice(i, i + 7) for i in range(0, 30, 7)])
        assert count_labels(data) == dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert count_labels(data, lambda: True) == {}
