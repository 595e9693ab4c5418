"""Which files the reader of scenes takes, and which it leaves to others."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from workbench_napari.launch import fitting_tool
from workbench_napari.shared.reader import get_reader as get_scene_reader

from tests.scene_maker import cube, save_envi


def test_envi_by_header_or_by_samples(tmp_path):
    header = save_envi(tmp_path, cube())
    for path in (header, header.with_suffix(".dat")):
        ((data, attributes, kind),) = get_scene_reader(str(path))(str(path))
        assert (kind, data.shape, attributes["rgb"]) == ("image", (9, 11, 3), True)
    assert fitting_tool([header]) == "scene"


@pytest.mark.parametrize("bands", [1, 3, 5])
def test_tiff_and_numpy_only_with_many_bands(tmp_path, bands):
    data = np.random.default_rng(0).random((bands, 12, 14)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack")
    np.save(tmp_path / "a.npy", np.moveaxis(data, 0, -1))
    for name in ("a.tif", "a.npy"):
        assert (get_scene_reader(str(tmp_path / name)) is not None) == (bands == 5)


def test_other_files_are_left_alone(tmp_path):
    for name in ("a.img", "a.raw", "a.dat", "a.hdr", "a.npy", "a.tif", "a.txt"):
        path = tmp_path / name
        path.write_bytes(b"something else entirely")
        assert get_scene_reader(str(path)) is None, name
    assert get_scene_reader(str(tmp_path / "missing.mat")) is None
    assert fitting_tool([tmp_path / "scan.nii.gz"]) == "volume"
    assert fitting_tool([]) == "volume"
