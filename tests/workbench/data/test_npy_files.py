"""Headers of NumPy files: what they promise is checked before anything is read, and nothing pickled is."""

import io
import zipfile

import numpy as np
import pytest

from workbench.core.errors import InputError
from workbench.data.npy_files import header_of, load_member, members_of


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 4), (0, 3)])
def test_the_header_is_that_of_the_array(tmp_path, shape, order) -> None:
    data = np.asarray(np.zeros(shape, ">f4"), order=order)
    np.save(tmp_path / "a.npy", data)
    fortran = order == "F" and data.flags.f_contiguous and not data.flags.c_contiguous
    assert header_of(tmp_path / "a.npy") == (shape, fortran, np.dtype(">f4"))


@pytest.mark.filterwarnings("ignore:Stored array in format")
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format(tmp_path, version) -> None:
    with (tmp_path / "a.npy").open("wb") as f:
        np.lib.format.write_array(f, np.zeros((3, 4), np.int16), version=version)
    assert header_of(tmp_path / "a.npy") == ((3, 4), False, np.dtype(np.int16))


def test_one_byte_too_few_is_truncated_and_one_more_is_not(tmp_path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((3, 4), np.float32))
    content = path.read_bytes()
    path.write_bytes(content + b"x")
    assert header_of(path)[0] == (3, 4)
    path.write_bytes(content[:-1])
    with pytest.raises(InputError, match=r"truncated: the header promises 128 \+ 3 x 4 x 4 = 176 bytes, found 175"):
        header_of(path)


def test_a_header_that_promises_more_than_any_disk_holds(tmp_path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40, 1 << 40)})
    (tmp_path / "a.npy").write_bytes(header.getvalue())
    with pytest.raises(InputError, match="truncated"):
        header_of(tmp_path / "a.npy")


def test_sides_below_zero_are_damage(tmp_path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (-5, 4)})
    (tmp_path / "a.npy").write_bytes(header.getvalue())
    with pytest.raises(InputError, match=r"a\.npy: not a readable NumPy array"):
        header_of(tmp_path / "a.npy")


@pytest.mark.parametrize(
    "content", [b"", b"\x93NUMPY", b"PK\x03\x04nonsense", b"\x93NUMPY\x01\x00\x10\x00{'descr': (((("]
)
def test_what_is_no_array_is_one_line(tmp_path, content) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(InputError, match="not a readable NumPy array") as caught:
        header_of(tmp_path / "a.npy")
    assert "\n" not in str(caught.value)


def test_python_objects_are_never_unpickled(tmp_path) -> None:
    np.save(tmp_path / "a.npy", np.array([print, None], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="would have to be executed"):
        header_of(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", bad=np.array([None], dtype=object), good=np.arange(3))
    assert set(members_of(tmp_path / "a.npz")) == {"good"}
    with pytest.raises(InputError, match=r"a\.npz:bad: holds Python objects"):
        load_member(tmp_path / "a.npz", "bad")
    np.savez(tmp_path / "b.npz", bad=np.array([None], dtype=object))
    with pytest.raises(InputError, match=r"b\.npz:bad: holds Python objects"):
        members_of(tmp_path / "b.npz")


def test_members_are_listed_with_their_headers_and_read_alone(tmp_path) -> None:
    rng = np.random.default_rng(0)
    arrays = {"cube": rng.normal(size=(3, 4, 5)), "map": rng.integers(0, 9, (3, 4))}
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    found = members_of(tmp_path / "a.npz")
    assert found == {k: (v.shape, False, v.dtype) for k, v in arrays.items()}
    for name, values in arrays.items():
        np.testing.assert_array_equal(load_member(tmp_path / "a.npz", name), values)


def test_other_files_of_an_archive_are_passed_over_and_damage_is_named(tmp_path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert members_of(path) == {}
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"a\.npz: not a readable \.npz file"):
        members_of(path)
