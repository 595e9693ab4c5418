"""Voxels that are no numbers are counted in the file, and refused, or filled where somebody asked for it."""

import nibabel as nib
import numpy as np
import pytest

import workbench as wb
from tests.tiny import make_tiny_weights
from workbench.core.errors import InputError
from workbench.volume.data.nan_values import filled
from workbench.volume.data.recipe import VolumeRecipe

CT, MR = VolumeRecipe(), VolumeRecipe(channels=("T1",), intensity="zscore", crop="nonzero")


def test_they_are_counted_and_refused() -> None:
    data = np.zeros((1, 4, 5, 6), "f4")
    data[0, 1, 2, 3], data[0, 0, 0, 0] = np.nan, np.inf
    for nan in ("refuse", "background"):
        with pytest.raises(InputError, match=r"a\.nii: 2 of 120 voxels are NaN or infinite"):
            filled(data, CT, nan, "a.nii")
    data[0, 0, 0, 0] = 0
    with pytest.raises(InputError, match=r"1 of 120 voxels are NaN, .*--nan background"):
        filled(data, CT, "refuse", "a.nii")
    with pytest.raises(InputError, match="all 120 voxels are NaN"):
        filled(np.full((1, 4, 5, 6), np.nan, "f4"), CT, "background", "a.nii")


def test_others_are_left_as_they_are() -> None:
    for data in (np.array([1e308, 1e308]), np.array([1, 2]), np.zeros(3, "f2")):
        assert filled(data, CT, "refuse", None) == (data, ()) or filled(data, CT, "refuse", None)[0] is data


@pytest.mark.parametrize(("recipe", "value"), [(CT, -1000.0), (MR, 0.0)])
def test_background_is_that_of_the_weights(recipe, value) -> None:
    data = np.ones((1, 3, 3, 3), "f4")
    data[0, 0] = np.nan
    found, notes = filled(data, recipe, "background", None)
    assert np.isnan(data).sum() == 9
    assert (found[0, 0] == value).all()
    assert (found[0, 1:] == 1).all()
    assert notes == (f"9 of 27 voxels are NaN: taken as background ({value:g}), as asked",)


def test_a_prediction_counts_them_in_the_file_and_fills_them(tmp_path, volume, tiny_weights) -> None:
    """The result is that of the same volume with air in their place; the count is not that of the resampled one."""
    image = nib.load(volume)
    data = image.get_fdata(dtype=np.float32)
    air = data.copy()
    data[:3], air[:3] = np.nan, -1000
    count = int(np.isnan(data).sum())
    for name, voxels in (("nan", data), ("air", air)):
        nib.save(nib.Nifti1Image(voxels, image.affine), tmp_path / f"{name}.nii.gz")
    values = {"weights": str(tiny_weights), "device": "cpu", "force": True}
    with pytest.raises(InputError, match=f"{count} of {data.size} voxels are NaN"):
        wb.predict("segformer3d", tmp_path / "nan.nii.gz", **values)
    found = wb.predict("segformer3d", tmp_path / "nan.nii.gz", nan="background", **values)
    wanted = wb.predict("segformer3d", tmp_path / "air.nii.gz", **values)
    assert np.array_equal(found.labels.data, wanted.labels.data)
    assert any(f"{count} of {data.size} voxels are NaN: taken as background" in n for n in found.provenance.notes)
    assert found.provenance.settings["nan"] == "background"


def test_weights_of_two_channels_count_them_all(tmp_path) -> None:
    weights = make_tiny_weights(tmp_path / "two.safetensors", channels=2)
    data = np.random.default_rng(0).normal(0, 200, (24, 24, 24, 2)).astype("f4")
    data[0, 0, 0, 1] = np.nan
    nib.save(nib.Nifti1Image(data, np.diag([4.0, 4, 4, 1])), tmp_path / "two.nii.gz")
    with pytest.raises(InputError, match=f"1 of {data.size} voxels are NaN"):
        wb.predict("segformer3d", tmp_path / "two.nii.gz", weights=str(weights), device="cpu", force=True)
