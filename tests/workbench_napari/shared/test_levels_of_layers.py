"""What every tool takes of a multiscale layer is its finest level, whose attributes it has: never the coarsest."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Labels
from workbench_napari.general.shown import _state
from workbench_napari.scene.paint_layer import fits
from workbench_napari.shared.saving import layer_array, samples_of, state_of, unread_state

from workbench.core.classes import ClassTable
from workbench.core.corrections import updated_parts
from workbench.core.errors import GeometryError
from workbench.core.layers import KEY
from workbench.core.types import Geometry, Provenance, Result
from workbench.core.types import Image as Picture
from workbench.core.types import Labels as LabelMap
from workbench.volume.layers import updated

FINE = np.arange(8 * 10 * 12, dtype=np.uint16).reshape(8, 10, 12) % 5


@pytest.fixture
def labels():
    return Labels([FINE, FINE[::2, ::2, ::2]], multiscale=True, scale=(2, 1, 1), name="parts")


def test_array_and_attributes_are_of_one_level(labels):
    assert np.asarray(labels.data).shape == (4, 5, 6), "napari: whoever forgets the levels gets the coarsest"
    array, attributes = state_of(labels)
    assert np.array_equal(array, FINE)
    assert (tuple(attributes["scale"]), attributes["multiscale"]) == ((2, 1, 1), False)
    assert samples_of(labels) is labels.data[0]
    coarse, attributes = unread_state(labels, 1)
    assert (coarse.shape, tuple(attributes["scale"])) == ((4, 5, 6), (4, 2, 2))
    assert tuple(attributes["translate"]) == (0, 0, 0), "this level holds every other sample"
    data, own, _ = labels.as_layer_data_tuple()
    assert np.array_equal(layer_array(data, own), FINE), "a writer that napari calls"
    assert np.array_equal(layer_array(list(data), own), FINE)
    single = Image(np.zeros((3, 4)))
    assert state_of(single)[0] is single.data
    with pytest.raises(GeometryError, match="there is no level 2"):
        unread_state(labels, 2)


def test_results_are_corrected_by_the_finest_level(labels):
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    geometry = Geometry(FINE.shape, affine, ("z", "y", "x"), "mm")
    made = LabelMap(np.zeros(FINE.shape, np.uint16), geometry, ClassTable(), "labels")
    picture = Picture(geometry, np.dtype(np.int16), ("image",), lambda: np.zeros((1, *FINE.shape), np.int16))
    result = Result({"labels": made}, picture, Provenance("x", "none", None, {}))
    data, attributes = _state(labels)
    assert np.array_equal(updated_parts(result, {"labels": (data, attributes)}).parts["labels"].data, FINE)
    raw, own, _ = labels.as_layer_data_tuple()
    assert np.array_equal(updated_parts(result, {"labels": (raw, dict(own))}).parts["labels"].data, FINE)
    with pytest.raises(GeometryError, match="off the grid"):
        # Of the finest level too: it is no grid of that image, and is refused as a single array would be.
        updated(result, {"labels": (raw, {**own, "units": "mm", "metadata": {KEY: {}}})})


def test_a_scene_is_not_painted_in_several_levels():
    flat = Labels([FINE[0], FINE[0, ::2, ::2]], multiscale=True)
    assert not fits(flat, FINE[0].shape)
    assert fits(Labels(FINE[0]), FINE[0].shape)
