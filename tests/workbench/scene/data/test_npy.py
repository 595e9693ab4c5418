import io
import pickle
import zipfile

import numpy as np
import pytest

from tests.scene_maker import cube
from workbench.core.errors import InputError
from workbench.data import formats
from workbench.scene.data.scene import open_blocks

SCENE = cube(12).transpose(1, 2, 0)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<u2", ">i4", "<f4", ">f8", "f2"])
def test_rows_columns_bands(tmp_path, dtype, order):
    np.save(tmp_path / "a.npy", np.asarray(SCENE.astype(dtype), order=order))
    image = formats.read(tmp_path / "a.npy")
    assert image.kind == "scene"
    assert image.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(image.data, SCENE.astype(dtype).transpose(2, 0, 1))
    part = open_blocks(formats.read(tmp_path / "a.npy")).read(slice(2, 5), slice(3, 9, 2), slice(1, 3))
    np.testing.assert_array_equal(part, SCENE.astype(dtype).transpose(2, 0, 1)[1:3, 2:5, 3:9:2])


def test_bands_first_is_said_or_seen_from_the_wavelengths(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, cube(12))
    np.testing.assert_array_equal(formats.read(f"{path}:bands-first").data, cube(12))
    (tmp_path / "a_wavelengths.txt").write_text("\n".join(str(0.4 + 0.1 * i) for i in range(7)))
    image = formats.read(path)
    np.testing.assert_array_equal(image.data, cube(12))
    np.testing.assert_allclose(image.header["wavelengths_nm"], np.linspace(400, 1000, 7))
    with pytest.raises(InputError, match="lists 7 wavelengths, a.npy has 11 bands"):
        formats.read(f"{path}:bands-last")
    with pytest.raises(InputError, match="':band-first' is not understood for .npy. Did you mean 'bands-first'"):
        formats.read(f"{path}:band-first")


def test_npz_arrays_by_shape_and_by_name(tmp_path):
    path = tmp_path / "a.npz"
    truth = (np.arange(99).reshape(9, 11) % 3).astype("u1")
    np.savez_compressed(path, scene=SCENE, gt=truth, wavelengths=np.linspace(400, 1000, 7))
    image = formats.read(path)
    np.testing.assert_array_equal(image.data, cube(12))
    assert image.header["wavelengths_nm"][-1] == 1000.0
    np.testing.assert_array_equal(formats.read_labels(path).data, truth)
    np.testing.assert_array_equal(formats.read(f"{path}:gt").data[0], truth)
    np.savez(path, one=SCENE, two=SCENE)
    with pytest.raises(InputError, match=r"holds several arrays: one \(9 x 11 x 7 uint16\), two"):
        formats.read(path)
    with pytest.raises(InputError, match="no array 'three' in it"):
        formats.read(f"{path}:three")


def test_nothing_pickled_is_ever_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    np.save(tmp_path / "a.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Trap()))
    np.savez(tmp_path / "c.npz", scene=np.array([Trap()], dtype=object))
    for name in ("a.npy", "b.npy", "c.npz"):
        with pytest.raises(InputError, match=name):
            _ = formats.read(tmp_path / name).data
    assert not (tmp_path / "sprung").exists()


def test_broken_files_are_named(tmp_path):
    np.save(tmp_path / "a.npy", SCENE)
    body = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(body[:-100])
    with pytest.raises(
        InputError, match=r"truncated: the header promises 128 \+ 9 x 11 x 7 x 2 = 1514 bytes, found 1414"
    ):
        formats.read(tmp_path / "a.npy")
    (tmp_path / "b.npy").write_bytes(b"")
    (tmp_path / "c.npz").write_bytes(b"PK\x03\x04 nonsense")
    np.save(tmp_path / "d.npy", np.ones(5))
    np.save(tmp_path / "e.npy", SCENE * 1j)
    for name, message in {
        "b": "not a readable NumPy",
        "c": "not a readable .npz",
        "d": "shape",
        "e": "complex",
    }.items():
        with pytest.raises(InputError, match=message):
            formats.read(next(tmp_path.glob(f"{name}.np?")))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for value in (1, 2):
            with io.BytesIO() as f:
                np.save(f, np.full((3, 4, 5), value))
                archive.writestr("cube.npy", f.getvalue())
    with pytest.raises(InputError, match=r"a\.npz: holds two arrays of the name 'cube'"):
        formats.read(path, kind="scene")
