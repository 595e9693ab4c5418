"""The shared pass over a scene is taken only where it gives what patch by patch gives."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.scenes import cube_image, labels_of, scene_arrays
from workbench.core.errors import InputError, UsageError
from workbench.core.settings import build
from workbench.scene.train import map as mapping
from workbench.scene.train.map import map_taught
from workbench.scene.train.settings import SceneTrainConfig
from workbench.scene.train.train import learn_scene

QUICK = {"device": "cpu", "components": 5, "patch": 5, "steps": 1, "batch": 9, "head_start": 60}


@pytest.fixture(scope="module")
def learnt():
    cube, labels = scene_arrays()
    image = cube_image(cube)
    return learn_scene(image, labels_of(labels, image), build(SceneTrainConfig, QUICK)), image


@pytest.fixture
def taken(monkeypatch):
    """Which of the two ways a map was made."""
    ways = []
    for name in ("map_scene", "map_patches"):
        work = getattr(mapping, name)
        monkeypatch.setattr(mapping, name, lambda *a, _w=work, _n=name, **k: ways.append(_n) or _w(*a, **k))
    return ways


def test_auto_is_dense_where_it_is_exact_and_both_agree(learnt, taken) -> None:
    one, image = learnt
    dense, patches = (map_taught(one.net, one.fitted, image, torch.device("cpu"), mode=m) for m in ("auto", "patches"))
    assert taken == ["map_scene", "map_patches"]
    assert (dense.labels == patches.labels).mean() > 0.995


def test_standardised_patches_are_never_shared(learnt, taken) -> None:
    """Each patch has its own mean: a pass over the whole scene would be another network."""
    one, image = learnt
    fitted = replace(one.fitted, recipe=replace(one.fitted.recipe, patch=True))
    map_taught(one.net, fitted, image, torch.device("cpu"))
    assert taken == ["map_patches"]
    with pytest.raises(UsageError, match="use mode=patches"):
        map_taught(one.net, fitted, image, torch.device("cpu"), mode="dense")


def test_a_scene_of_other_bands_is_refused(learnt) -> None:
    one, image = learnt
    with pytest.raises(InputError, match="bands"):
        map_taught(one.net, one.fitted, cube_image(image.data[:-1]), torch.device("cpu"))


def test_only_the_pixels_asked_for_get_a_class(learnt) -> None:
    one, image = learnt
    where = np.zeros(image.geometry.shape, bool)
    where[3:7, 4:9] = True
    for mode in ("dense", "patches"):
        found = map_taught(one.net, one.fitted, image, torch.device("cpu"), mode=mode, where=where)
        np.testing.assert_array_equal(found.labels > 0, where)
