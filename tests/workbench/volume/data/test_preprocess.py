"""Intensity preparation and crop boxes."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from workbench.core.errors import InputError, WeightsError
from workbench.core.types import Geometry
from workbench.volume.data.grid import Grid
from workbench.volume.data.preprocess import crop_box, prepare
from workbench.volume.data.recipe import VolumeRecipe


def recipe(**kwargs: object) -> VolumeRecipe:
    return VolumeRecipe(**({"intensity": "none"} | kwargs))


def test_window() -> None:
    x = np.array([-2000, -1000, 0, 500, 3000], np.int16).reshape(1, 5, 1, 1)
    out = prepare(x, recipe(intensity="window", window=(-1000, 1000)))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.ravel(), [0, 0, 0.5, 0.75, 1])
    assert x[0, 0, 0, 0] == -2000
    with pytest.raises(WeightsError, match="empty"):
        prepare(x, recipe(intensity="window", window=(5, 5)))


def test_zscore_over_positive_voxels() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(500, 100, (2, 10, 11, 12)).astype(np.float32)
    x[:, :4] = 0
    out = prepare(x, recipe(intensity="zscore", channels=("T1", "T2")))
    assert not out[:, :4].any()
    for channel in out:
        inside = channel[4:]
        assert abs(inside.mean()) < 1e-3
        assert abs(inside.std() - 1) < 1e-3


def test_slice_minmax_along_the_axial_axis() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 5, 6, 7)).astype(np.float32)
    names = ("FLAIR", "T1w", "T1gd", "T2w")
    out = prepare(x, recipe(intensity="slice_minmax", channels=names))
    for c in range(4):
        for k in range(7):
            part = x[c, :, :, k]
            np.testing.assert_allclose(out[c, :, :, k], (part - part.min()) / (part.max() - part.min()), atol=1e-6)
    turned = prepare(x, recipe(intensity="slice_minmax", channels=names, orientation="SAR"))
    np.testing.assert_allclose(turned.min(axis=(2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(turned.max(axis=(2, 3)), 1, atol=1e-6)


@pytest.mark.parametrize("intensity", ["window", "zscore", "slice_minmax", "none"])
@pytest.mark.parametrize("value", [0.0, 7.0, 1e6])
def test_constant_volumes_do_not_divide_by_zero(intensity: str, value: float) -> None:
    out = prepare(np.full((1, 4, 5, 6), value), recipe(intensity=intensity))
    assert np.isfinite(out).all()
    if intensity in ("zscore", "slice_minmax"):
        assert not out.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_voxels_are_counted(bad: float) -> None:
    x = np.zeros((1, 4, 5, 6), np.float32)
    x[0, 1, 2, 3:5] = bad
    with pytest.raises(InputError, match=r"scan\.nii: 2 of 120 voxels are NaN or infinite"):
        prepare(x, recipe(), name="scan.nii")


def test_infinities_of_both_signs_do_not_cancel() -> None:
    x = np.zeros((1, 4, 5, 6), np.float32)
    x[0, 0, 0, :2] = np.inf, -np.inf
    with np.errstate(invalid="ignore"), pytest.raises(InputError, match="2 of 120"):
        prepare(x, recipe())


def test_channel_count() -> None:
    with pytest.raises(InputError, match=r"has 1 channel\(s\), the weights expect 2 \(a, b\)"):
        prepare(np.zeros((1, 4, 4, 4)), recipe(channels=("a", "b")))
    with pytest.raises(InputError, match="shape"):
        prepare(np.zeros((4, 4, 4)), recipe())


def torso(shape: tuple[int, int, int] = (80, 70, 60)) -> tuple[np.ndarray, tuple[slice, ...]]:
    """A body of 3 mm voxels with lungs, on a table: a thin curved plate and a foam block that looks like air."""
    x, y, z = np.meshgrid(*map(np.arange, shape), indexing="ij")
    hu = np.full(shape, -1000.0)
    body = ((x - 40) / 25.0) ** 2 + ((y - 40) / 18.0) ** 2 < 1
    body &= (z > 5) & (z < 55)
    lungs = (((x - 30) / 8.0) ** 2 + ((y - 40) / 9.0) ** 2 < 1) & (z > 20)
    hu[body] = 40
    hu[lungs & body] = -850
    hu[5:75, 8:10, :] = 100  # the table top, below the body
    hu[:, 3:8, :] = -950
    box = (slice(16, 65), slice(23, 58), slice(6, 55))
    return hu[None].astype(np.float32), box


def test_body_box_leaves_the_table_out() -> None:
    hu, inner = torso()
    box = crop_box(hu, recipe(crop="body"), (3.0, 3.0, 3.0))
    assert box is not None
    for found, body in zip(box, inner, strict=True):
        assert found.start <= body.start
        assert found.stop >= body.stop
        assert found.start >= body.start - 6
        assert found.stop <= body.stop + 6
    assert box[1].start > 10  # above the table top


def test_body_box_is_quick() -> None:
    hu, _ = torso((240, 200, 220))
    crop_box(hu, recipe(crop="body"), (1.5, 1.5, 1.5))
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        crop_box(hu, recipe(crop="body"), (1.5, 1.5, 1.5))
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.5  # a few ms; generous for a loaded machine


def test_box_of_everything_or_nothing_is_none() -> None:
    full = np.full((1, 30, 30, 30), 50.0, np.float32)
    assert crop_box(full, recipe(crop="body"), (3, 3, 3)) is None
    assert crop_box(full - 1050, recipe(crop="body"), (3, 3, 3)) is None
    assert crop_box(full, recipe(crop="none"), (3, 3, 3)) is None
    assert crop_box(full * 0, recipe(crop="nonzero"), None) is None


def test_nonzero_box_over_all_channels() -> None:
    x = np.zeros((2, 20, 21, 22), np.float32)
    x[0, 5, 6, 7] = 1
    x[1, 9, 3, 15] = -1
    assert crop_box(x, recipe(crop="nonzero"), (1, 1, 1)) == (slice(5, 10), slice(3, 7), slice(7, 16))


def test_real_torso(shared_data: Path) -> None:
    import nibabel as nib

    image = nib.load(shared_data / "volume" / "ct_torso_3mm.nii.gz")
    data = np.asarray(image.dataobj)[None]
    grid = Grid.plan(Geometry(data.shape[1:], image.affine))
    hu = grid.orient(data)
    box = crop_box(hu, recipe(crop="body"), grid.spacing)
    assert box is not None
    # The body fills the field of view from side to side; above and below it there is air and the table.
    assert box[0] == slice(0, hu.shape[1])
    assert box[1].stop - box[1].start <= 0.96 * hu.shape[2]
    # What is cut away holds no body: soft tissue outside is at most the table.
    outside = hu[0].copy()
    outside[box] = -1000
    assert (outside > 0).mean() < 0.005
