import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scene_maker import cube, save_envi
from workbench.core.errors import InputError, OutOfMemory
from workbench.data import formats
from workbench.scene.data.scene import Blocks, as_dask, from_array, open_blocks, scaled, scaled_type, valid_pixels


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 60), st.integers(1, 60)),
    max_bytes=st.integers(1, 200_000),
    by_rows=st.booleans(),
)
def test_windows_cover_every_pixel_once_and_keep_to_their_size(shape, max_bytes, by_rows):
    from dataclasses import replace

    blocks = replace(from_array(np.zeros(shape, "f4")), by_rows=by_rows)
    seen = np.zeros(shape[1:], int)
    for rows, columns in blocks.windows(max_bytes):
        seen[rows, columns] += 1
        pixels = (rows.stop - rows.start) * (columns.stop - columns.start)
        assert pixels == 1 or pixels * shape[0] * 4 <= max_bytes
    assert (seen == 1).all()


def test_blocks_of_any_part_equal_the_whole():
    data = cube(12)
    blocks = from_array(data)
    np.testing.assert_array_equal(blocks.read(slice(-3, None), slice(1, 100), slice(None, None, 3)), data[::3, -3:, 1:])
    np.testing.assert_array_equal(blocks.read(bands=[-1, 0, 0]), data[[-1, 0, 0]])
    assert blocks.read(bands=[]).shape == (0, 9, 11)
    assert blocks.read(slice(5, 2)).shape == (7, 0, 11)
    rows, columns = [8, 0, 3, 3], [10, 0, 7, 2]
    np.testing.assert_array_equal(blocks.spectra(rows, columns), data[:, rows, columns].T)
    with pytest.raises(InputError, match="bands 0 to 6"):
        blocks.read(bands=[7])
    with pytest.raises(InputError, match="read forwards"):
        blocks.read(slice(5, 2, -1))


def test_dask_arrays_read_the_chunks_they_need(tmp_path):
    image = formats.read(save_envi(tmp_path, cube(12), interleave="bil"))
    lazy = as_dask(image, max_bytes=7 * 11 * 4 * 2)
    assert (lazy.shape, lazy.dtype, lazy.numblocks) == ((7, 9, 11), np.uint16, (1, 5, 1))
    np.testing.assert_array_equal(lazy.compute(), cube(12))
    np.testing.assert_array_equal(lazy[2:4, 3, ::2].compute(), cube(12)[2:4, 3, ::2])
    assert "data" not in image.__dict__


def test_loaded_and_made_images_are_read_from_memory(tmp_path):
    image = formats.read(save_envi(tmp_path, cube()))
    expected = image.data
    (tmp_path / "scene.dat").unlink()
    np.testing.assert_array_equal(open_blocks(image).read(slice(1, 3)), expected[:, 1:3])


def test_images_travel_to_other_processes(tmp_path):
    image = pickle.loads(pickle.dumps(formats.read(save_envi(tmp_path, cube()))))
    np.testing.assert_array_equal(open_blocks(image).read(), cube())


def test_files_that_shrink_after_opening_are_noticed(tmp_path):
    image = formats.read(save_envi(tmp_path, cube()))
    (tmp_path / "scene.dat").write_bytes(b"x" * 100)
    with pytest.raises(InputError, match="the file has 100 bytes"):
        open_blocks(image)


def test_pixels_without_a_whole_spectrum():
    block = np.ones((3, 2, 2), "f4")
    block[1, 0, 1] = np.nan
    block[2, 1, 0] = -9999
    assert valid_pixels(block, None).tolist() == [[True, False], [True, True]]
    assert valid_pixels(block, -9999).tolist() == [[True, False], [False, True]]
    assert valid_pixels(block, -9999, [True, False, True]).tolist() == [[True, True], [False, True]]
    assert valid_pixels(np.full((3, 1, 1), 55537, "u2"), -9999).all()  # what -9999 wraps to
    dark = np.ones((3, 1, 2), "u2")
    dark[0, 0, 0] = 0  # a dark band
    dark[:, 0, 1] = 0  # outside the swath
    assert valid_pixels(dark, 0).tolist() == [[True, False]]


def test_the_ignore_value_is_found_in_scaled_samples(tmp_path):
    data = cube(2)
    data[:, 4, 5] = -9999
    image = formats.read(save_envi(tmp_path, data, reflectance_scale_factor=10000, data_ignore_value=-9999))
    valid = valid_pixels(image.data, image.header["ignore_value"])
    assert np.argwhere(~valid).tolist() == [[4, 5]]


def test_scaled_samples():
    raw = np.array([[[1, 2]], [[3, 4]]], "i2")
    np.testing.assert_array_equal(
        scaled(raw, np.array([2.0, 3.0]), np.array([0.0, 1.0]), np.dtype("f4"))[1], [[10, 13]]
    )
    assert [scaled_type(np.dtype(t)).name for t in ("u1", ">i2", "<f4", "i4", "f8")] == ["float32"] * 3 + [
        "float64"
    ] * 2


def test_cubes_too_large_for_memory_say_so(tmp_path):
    path = tmp_path / "big.hdr"
    with (tmp_path / "big.dat").open("wb") as f:
        f.truncate(3 * 2**40)
    path.write_text(f"ENVI\nsamples = {2**20}\nlines = {2**20}\nbands = 3\ndata type = 1\ninterleave = bsq\n")
    image = formats.read(path)
    assert open_blocks(image).read(slice(2**20 - 1, None), slice(-2, None)).shape == (3, 1, 2)
    with pytest.raises(OutOfMemory, match=r"big\.dat: needs about 3298\.53 GB .* is there .*\. Read it in parts"):
        _ = image.data


def test_memory_that_runs_out_is_no_damage(tmp_path, monkeypatch):
    image = formats.read(save_envi(tmp_path, cube()))

    def exhausted(*_, **__):
        raise MemoryError

    monkeypatch.setattr(Blocks, "read", exhausted)
    with pytest.raises(OutOfMemory, match=r"memory ran out, about 0.00 GB .* were expected .* there \(") as caught:
        _ = image.data
    assert caught.value.exit_code == 6
