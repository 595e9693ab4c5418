"""Scenes compared with what weights were taught on, without weights: spectra alone."""

import numpy as np
import pytest

from tests.scenes import cube_image, scene_arrays
from workbench.scene.data.agreed import agree
from workbench.scene.data.scene import open_blocks
from workbench.scene.data.spectra import SpectralRecipe, fit
from workbench.scene.data.taught import gather

SHAPES = SpectralRecipe(components=6)
PLAIN = SpectralRecipe(components=6, shape=False, brightness=False)


def compared(taught, other, recipe=SHAPES, **header):
    image = cube_image(taught)
    fitted = fit(image, recipe)
    return agree(gather(image, fitted), fitted, cube_image(other, **header), weights="w")


def facts(agreed):
    return {f.fact for f in agreed.findings}


@pytest.mark.parametrize("noise", [0.0, 0.001, 0.01])
def test_a_scene_of_another_day_is_no_alarm_however_pure_the_taught_one_was(noise):
    taught, other = (scene_arrays(60, 52, noise=noise, seed=s)[0] for s in (0, 5))
    assert "spectra" not in facts(compared(taught, other))


@pytest.mark.parametrize(("noise", "number"), [(0.01, 0.5), (0.01, 0), (0, 0)])
def test_a_frame_of_one_number_round_what_taught_is_no_shape_to_measure_by(noise, number):
    framed = scene_arrays(60, 52, noise=noise)[0]
    framed[:, :35] = number
    assert "spectra" not in facts(compared(framed, scene_arrays(60, 52, noise=noise, seed=5)[0]))


def test_shapes_far_from_those_taught_are_told():
    taught = scene_arrays(60, 52, noise=0.003)[0]
    factors = np.linspace(0.92, 1.08, 20)[np.random.default_rng(8).permutation(20), None, None]
    notes = compared(taught, (taught * factors).astype(np.float32)).notes
    assert any("shapes are" in n and "times as far from those taught on" in n for n in notes)


def test_pixels_without_data_stay_empty_where_bands_are_filled():
    taught = scene_arrays()[0]
    holes = taught.copy()
    holes[:, :4] = 0
    agreed = compared(taught, holes, PLAIN, ignore_value=0, good_bands=[i != 3 for i in range(20)])
    assert any("filled" in n for n in agreed.notes)
    valid = agreed.fitted.valid(open_blocks(agreed.image).read())
    assert not valid[:4].any()
    assert valid[4:].all()
