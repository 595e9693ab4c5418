"""Spectra: what is left out, what PCA keeps, what light does, and that blocks give what the whole gives."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from tests.scenes import cube_image, scene_arrays
from workbench.core.errors import InputError, UsageError, WeightsError
from workbench.scene.data.spectra import FittedSpectra, SpectralRecipe, fit, kept_bands, parse_bands, valid_map

PLAIN = SpectralRecipe(components=5, shape=False, brightness=False, scale="component")


def test_components_are_those_of_scikit_learn() -> None:
    cube, _ = scene_arrays()
    found = fit(cube_image(cube), PLAIN).apply(cube).reshape(5, -1).T
    theirs = PCA(5, whiten=True).fit_transform(cube.reshape(len(cube), -1).T.astype(np.float64))
    signs = np.sign((found * theirs).sum(0))
    assert np.abs(found - theirs * signs).max() < 0.02
    assert np.allclose(found.std(0), 1, atol=0.01)


def test_one_factor_for_all_keeps_the_order_of_variances() -> None:
    cube, _ = scene_arrays()
    recipe = SpectralRecipe(components=5, shape=False, brightness=False, scale="common")
    deviations = fit(cube_image(cube), recipe).apply(cube).std((1, 2))
    assert deviations[0] == pytest.approx(1, abs=0.01)
    assert (np.diff(deviations) <= 1e-6).all()
    assert deviations[-1] < 0.3


def test_the_shape_of_a_spectrum_does_not_depend_on_light() -> None:
    cube, _ = scene_arrays(noise=0.0)
    fitted = fit(cube_image(cube), SpectralRecipe(components=2, brightness=False))
    dark = fitted.apply(cube * 0.3)
    assert np.abs(dark - fitted.apply(cube)).max() < 1e-3


def test_brightness_is_kept_as_a_component_of_its_own() -> None:
    cube, _ = scene_arrays()
    fitted = fit(cube_image(cube), SpectralRecipe(components=3))
    found = fitted.apply(cube)
    assert found.shape == (4, *cube.shape[1:])
    assert fitted.recipe.channels == 4
    length = np.log(np.linalg.norm(cube, axis=0))
    assert np.corrcoef(found[-1].ravel(), length.ravel())[0, 1] > 0.99


@given(st.integers(1, 29), st.integers(1, 25), st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_a_block_is_prepared_as_the_whole_scene_is(row, column, seed) -> None:
    cube, _ = scene_arrays(seed=seed)
    fitted = fit(cube_image(cube), SpectralRecipe(components=4))
    whole = fitted.apply(cube)
    assert np.allclose(fitted.apply(cube[:, row:, :column]), whole[:, row:, :column], atol=1e-5)


def test_bad_bands_water_and_named_bands_are_left_out() -> None:
    cube, _ = scene_arrays(bands=20)
    nm = np.linspace(400, 2300, 20)
    good = [i != 3 for i in range(20)]
    image = cube_image(cube, good_bands=good, wavelengths_nm=list(nm))
    kept = kept_bands(image, SpectralRecipe(water=True, drop="1-2, 20"))
    water = {i for i, v in enumerate(nm) if 1340 <= v <= 1450 or 1790 <= v <= 1970}
    assert water
    assert set(kept) == set(range(20)) - water - {0, 1, 3, 19}
    assert 3 in kept_bands(image, SpectralRecipe(bad_bands=False))


@pytest.mark.parametrize("text", ["0", "3-2", "21", "a", "1..3"])
def test_bands_that_are_not_there_are_refused(text) -> None:
    with pytest.raises(UsageError, match="drop_bands"):
        parse_bands(text, 20)


def test_water_needs_wavelengths() -> None:
    cube, _ = scene_arrays()
    with pytest.raises(UsageError, match="no wavelengths.*--drop-bands"):
        kept_bands(cube_image(cube), SpectralRecipe(water=True))


def test_a_band_of_nan_is_named_unless_marked_as_bad() -> None:
    cube, _ = scene_arrays()
    cube[6] = np.nan
    with pytest.raises(InputError, match=r"1 band.*NaN.*: 7.*bbl"):
        fit(cube_image(cube), PLAIN)
    good = [i != 6 for i in range(len(cube))]
    assert np.isfinite(fit(cube_image(cube, good_bands=good), PLAIN).apply(cube)).all()


def test_pixels_without_a_spectrum_become_zero_and_do_not_count() -> None:
    cube, _ = scene_arrays()
    holes = cube.copy()
    holes[:, :4] = np.nan
    image = cube_image(holes)
    fitted = fit(image, PLAIN)
    assert (fitted.apply(holes)[:, :4] == 0).all()
    assert not valid_map(image, fitted)[:4].any()
    assert valid_map(image, fitted)[4:].all()
    same = fit(cube_image(cube[:, 4:]), PLAIN)
    assert np.allclose(same.mean, fitted.mean, atol=1e-6)


def test_it_travels_as_json_and_arrays() -> None:
    cube, _ = scene_arrays()
    fitted = fit(cube_image(cube), SpectralRecipe(components=4))
    again = FittedSpectra.from_json(json.loads(json.dumps(fitted.to_json())), fitted.arrays())
    assert np.array_equal(again.apply(cube), fitted.apply(cube))
    with pytest.raises(WeightsError, match="basis"):
        FittedSpectra.from_json(fitted.to_json(), {"spectra.mean": fitted.mean})
    with pytest.raises(WeightsError, match="unknown entries"):
        SpectralRecipe.from_json({"colour": 1})


def test_other_bands_than_the_model_knows_are_refused() -> None:
    cube, _ = scene_arrays()
    fitted = fit(cube_image(cube), PLAIN)
    more = cube_image(np.concatenate([cube, cube[:2]]))
    with pytest.raises(InputError, match=r"22 bands, more than the 20.*--pca scene"):
        fitted.require(more)
    with pytest.raises(InputError, match="22 bands"):
        fitted.apply(more.data)


def test_what_cannot_be_fitted_is_refused() -> None:
    cube, _ = scene_arrays()
    with pytest.raises(UsageError, match="50 components.*20 usable"):
        fit(cube_image(cube), SpectralRecipe(components=50))
    with pytest.raises(InputError, match="all spectra are the same"):
        fit(cube_image(np.ones_like(cube)), PLAIN)
    with pytest.raises(InputError, match="no pixel holds"):
        fit(
            cube_image(np.where(np.arange(20)[:, None, None] == np.arange(30)[None, :, None] % 20, np.nan, cube)), PLAIN
        )
