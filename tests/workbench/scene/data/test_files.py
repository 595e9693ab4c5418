"""What is a scene, and which files belong to one."""

import numpy as np
import pytest
import tifffile

from tests.scene_maker import cube, save_envi
from workbench.core.errors import InputError
from workbench.scene.data import files


def test_a_header_is_a_scene_by_what_is_in_it(tmp_path) -> None:
    header = save_envi(tmp_path / "a", cube())
    assert files.sniff(header, None) == "sure"
    assert files.sniff(header.with_suffix(".dat"), None) == "sure"  # by the header beside it
    (tmp_path / "nifti.hdr").write_bytes(b"\x5c\x01\0\0" + b"\0" * 344)
    assert files.sniff(tmp_path / "nifti.hdr", None) == "no"
    (tmp_path / "alone.dat").write_bytes(b"\0" * 100)
    assert files.sniff(tmp_path / "alone.dat", None) == "no"
    assert files.sniff(tmp_path, None) == "no"
    np.save(tmp_path / "a.npy", cube())
    assert files.sniff(tmp_path / "a.npy", None) == "maybe"


def test_samples_and_header_are_one_input_whichever_is_named(tmp_path) -> None:
    header = save_envi(tmp_path / "a", cube())
    samples = header.with_suffix(".dat")
    assert files.input_files(header) == (samples, header)
    assert files.input_files(samples) == (samples, header)
    assert files.input_files(tmp_path / "b.mat") == (tmp_path / "b.mat",)
    assert files.is_companion(header)
    assert not files.is_companion(samples)


def test_a_series_of_one_file_is_an_error_not_ignored(tmp_path) -> None:
    with pytest.raises(InputError, match="'series' chooses from a DICOM folder"):
        files.read(save_envi(tmp_path / "a", cube()), series="2", key=None, as_map=False)


def test_what_is_damaged_is_ours_so_that_nobody_shows_it_as_if_it_were_whole(tmp_path) -> None:
    for name, pages in (("photo.tif", 1), ("stack.tif", 6)):
        with tifffile.TiffWriter(tmp_path / name) as file:
            for number in range(pages):
                file.write(np.full((9, 8), number, "u2"), contiguous=False)
    np.save(tmp_path / "flat.npy", np.zeros((9, 8), "u1"))
    np.savez(tmp_path / "two.npz", a=np.zeros((9, 8)), b=np.zeros((9, 8)))
    assert not files.claims(tmp_path / "photo.tif", None)
    assert files.claims(tmp_path / "stack.tif", None)
    assert not files.claims(tmp_path / "flat.npy", None)
    assert files.claims(tmp_path / "two.npz", None)  # napari has no reader that could name its arrays
    for name in ("photo.tif", "stack.tif", "flat.npy"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) - 20])
        assert files.claims(tmp_path / name, None), name
    (tmp_path / "other.tif").write_bytes(b"a file of another format")
    assert not files.claims(tmp_path / "other.tif", None)
