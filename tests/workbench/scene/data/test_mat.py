import zlib
from contextlib import suppress

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.scene_maker import cube
from workbench.core.errors import InputError, NothingFound
from workbench.data import formats, mat5
from workbench.scene.data.scene import open_blocks

SCENE = cube(12).transpose(1, 2, 0)  # rows x columns x bands, as MATLAB users keep it


def save_v73(path, **arrays):
    """As MATLAB writes it: HDF5 behind 512 bytes, axes reversed, classes as attributes."""
    with h5py.File(path, "w", userblock_size=512) as f:
        for name, value in arrays.items():
            value = np.atleast_2d(np.asarray(value))
            f[name] = value.T
            f[name].attrs["MATLAB_class"] = np.bytes_("double" if value.dtype.kind == "f" else value.dtype.name)
    with path.open("rb+") as f:
        f.write(b"MATLAB 7.3 MAT-file")


def save(path, version, **arrays):
    if version == "7.3":
        save_v73(path, **arrays)
    else:
        scipy.io.savemat(path, arrays, format="5", do_compression=version == "7")
    return path


VERSIONS = pytest.mark.parametrize("version", ["5", "7", "7.3"])


@VERSIONS
@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 12, 13, 14, 15])
def test_cubes_of_every_type_are_found_by_shape(tmp_path, version, code):
    scene = cube(code).transpose(1, 2, 0)
    path = save(tmp_path / "a.mat", version, scene=scene, gt=np.ones((9, 11), "u1"), note=np.arange(3.0))
    image = formats.read(path)
    assert image.header["key"] == "scene"
    assert image.geometry.shape == (9, 11)
    assert image.geometry.affine is None
    np.testing.assert_array_equal(image.data, cube(code))
    assert image.dtype == image.data.dtype == scene.dtype
    again = open_blocks(formats.read(path)).read(slice(1, 8, 3), slice(2, 9, 2), slice(0, 7, 2))
    np.testing.assert_array_equal(again, cube(code)[::2, 1:8:3, 2:9:2])
    np.testing.assert_array_equal(open_blocks(formats.read(path)).read(bands=[5, 0]), cube(code)[[5, 0]])


@VERSIONS
def test_the_axis_of_the_wavelengths_holds_the_bands(tmp_path, version):
    wavelengths = np.linspace(0.4, 1.0, 7)
    path = save(tmp_path / "a.mat", version, scene=cube(12), wavelength=wavelengths)
    image = formats.read(path)
    np.testing.assert_array_equal(image.data, cube(12))
    np.testing.assert_allclose(image.header["wavelengths_nm"], wavelengths * 1000)
    part = open_blocks(formats.read(path)).read(slice(2, 5), slice(1, 2), slice(3, 6))
    np.testing.assert_array_equal(part, cube(12)[3:6, 2:5, 1:2])


@VERSIONS
@pytest.mark.parametrize("turned", [False, True])
def test_lists_of_spectra_become_scenes_column_by_column(tmp_path, version, turned):
    flat = SCENE.transpose(2, 1, 0).reshape(7, 99)  # pixel number = column * rows + row
    assert flat[3, 2 * 9 + 5] == SCENE[5, 2, 3]
    sides = {"nRow": 9.0, "nCol": 11.0}
    path = save(tmp_path / "a.mat", version, Y=flat.T if turned else flat, A=np.ones((4, 99)), nBand=7.0, **sides)
    image = formats.read(path)
    assert image.header["key"] == "Y"
    np.testing.assert_array_equal(image.data, cube(12))
    again = open_blocks(formats.read(path)).read(slice(1, 8, 3), slice(2, 9, 2), slice(0, 7, 2))
    np.testing.assert_array_equal(again, cube(12)[::2, 1:8:3, 2:9:2])


def test_lists_without_sides_must_be_square_and_long(tmp_path):
    scene = np.arange(5 * 64.0).reshape(5, 64)
    image = formats.read(save(tmp_path / "a.mat", "5", Y=scene))
    assert (len(image.channels), *image.geometry.shape) == (5, 8, 8)
    np.testing.assert_array_equal(image.data[:, 3, 2], scene[:, 2 * 8 + 3])
    flat = formats.read(save(tmp_path / "b.mat", "5", Y=np.ones((5, 63))))
    assert (len(flat.channels), *flat.geometry.shape) == (1, 5, 63)


def test_the_real_benchmark_opens_as_it_is(shared_data):
    path = shared_data / "hyperspectral" / "jasper_ridge.mat"
    image = formats.read(path)
    assert (len(image.channels), *image.geometry.shape) == (198, 100, 100)
    stored = scipy.io.loadmat(path)["Y"]
    np.testing.assert_array_equal(image.data[:, 3, 7], stored[:, 7 * 100 + 3])
    labels = formats.read_labels(f"{path}:A", reference=image.geometry)
    abundances = scipy.io.loadmat(path)["A"].reshape(4, 100, 100).transpose(0, 2, 1)
    expected = np.where(abundances.max(0) < 0.7, 0, abundances.argmax(0) + 1)
    np.testing.assert_array_equal(labels.data, expected)
    assert labels.classes.names == ("tree", "water", "dirt", "road")


@VERSIONS
def test_several_cubes_are_listed(tmp_path, version):
    path = save(tmp_path / "two.mat", version, first=SCENE, second=SCENE[:, :, :3])
    with pytest.raises(InputError, match=r"holds 2 cubes: first \(9 x 11 x 7 uint16\), second \(9 x 11 x 3 uint16\)"):
        formats.read(path)
    assert len(formats.read(f"{path}:second").channels) == 3
    assert formats.info(f"{path}:second")[0]["header"]["key"] == "second"
    assert formats.is_readable(f"{path}:second")
    with pytest.raises(InputError, match=r"no numeric array 'secnd' in it. Did you mean 'second'"):
        formats.read(f"{path}:secnd")
    with pytest.raises(NothingFound):
        formats.read(f"{tmp_path}/none.mat:first")


@VERSIONS
def test_maps_are_read_from_the_same_file(tmp_path, version):
    truth = np.arange(99).reshape(9, 11) % 4
    path = save(tmp_path / "a.mat", version, scene=SCENE, scene_gt=truth.astype("u1"))
    labels = formats.read_labels(path, reference=formats.read(path).geometry)
    np.testing.assert_array_equal(labels.data, truth)
    assert labels.classes.names == ("class 1", "class 2", "class 3")
    alone = save(tmp_path / "gt.mat", version, gt=truth.astype("f8"))
    np.testing.assert_array_equal(formats.read_labels(alone).data, truth)
    assert len(formats.read(alone).channels) == 1


def test_square_maps_are_not_taken_for_lists(tmp_path):
    truth = np.ones((4, 64), "u2")
    truth[2, 5] = 3
    path = save(tmp_path / "gt.mat", "5", gt=truth)
    np.testing.assert_array_equal(formats.read_labels(path).data, truth)


def test_wavelengths_from_a_file_beside(tmp_path):
    path = save(tmp_path / "a.mat", "5", scene=SCENE)
    (tmp_path / "a_wavelengths.csv").write_text(
        "wavelength_nm,good\n" + "".join(f"{400 + i},{i % 2}\n" for i in range(7))
    )
    image = formats.read(path)
    assert image.header["wavelengths_nm"] == [400.0 + i for i in range(7)]
    assert image.header["good_bands"] == [False, True] * 3 + [False]


def test_broken_and_foreign_files(tmp_path):
    path = save(tmp_path / "a.mat", "7", scene=SCENE)
    body = path.read_bytes()
    for n, cut in enumerate((0, 50, 140, len(body) // 2)):
        (tmp_path / f"cut{n}.mat").write_bytes(body[:cut])
        with pytest.raises(InputError, match=f"cut{n}.mat"):
            _ = formats.read(tmp_path / f"cut{n}.mat").data
    (tmp_path / "text.mat").write_text("not a MATLAB file at all, only some words " * 20)
    with pytest.raises(InputError, match="text.mat"):
        formats.read(tmp_path / "text.mat")
    save_v73(tmp_path / "b.mat", scene=SCENE)
    (tmp_path / "b.mat").write_bytes((tmp_path / "b.mat").read_bytes()[:900])
    with pytest.raises(InputError, match="not a readable MATLAB 7.3 file"):
        formats.read(tmp_path / "b.mat")


def test_scipy_and_we_see_the_same_arrays(tmp_path):
    values = {
        "a": np.arange(6.0).reshape(2, 3), "long_name_of_an_array": np.ones((2, 3, 4), "i2"), "n": np.array([[True]]),
        "cells": np.array(["x", "y"], dtype=object), "s": {"inner": 1.0}, "empty": np.zeros((0, 3)),
        "wide": np.arange(12, dtype="u8").reshape(3, 4),
    }  # fmt: skip
    for compress in (False, True):
        scipy.io.savemat(tmp_path / "a.mat", values, do_compression=compress)
        ours = {e.name: e.shape for e in mat5.entries(tmp_path / "a.mat")}
        assert ours == {name: shape for name, shape, _ in scipy.io.whosmat(tmp_path / "a.mat")}
        for entry in mat5.entries(tmp_path / "a.mat"):
            if entry.dtype is not None:
                np.testing.assert_array_equal(mat5.numbers(tmp_path / "a.mat", entry), values[entry.name])


def test_a_small_file_cannot_fill_the_memory(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"scene": np.zeros((200, 200, 200))}, do_compression=True)
    raw = (tmp_path / "a.mat").read_bytes()
    inner = zlib.decompress(raw[136:]).replace(
        np.array([200, 200, 200], "<i4").tobytes(), np.array([2, 2, 2], "<i4").tobytes()
    )
    body = zlib.compress(inner)
    (tmp_path / "b.mat").write_bytes(raw[:128] + np.array([15, len(body)], "<u4").tobytes() + body)
    entry = mat5.entries(tmp_path / "b.mat")[0]
    assert entry.shape == (2, 2, 2)
    with pytest.raises(
        InputError, match="array 'scene' cannot be read .a packed array of 64000064 bytes, at most 4160"
    ):
        _ = formats.read(tmp_path / "b.mat").data


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(at=st.integers(0, 3000), value=st.integers(0, 255), compress=st.booleans())
def test_damage_anywhere_ends_in_one_line(tmp_path, at, value, compress):
    scipy.io.savemat(tmp_path / "a.mat", {"scene": SCENE, "n": 3.0}, do_compression=compress)
    raw = bytearray((tmp_path / "a.mat").read_bytes())
    raw[at % len(raw)] = value
    (tmp_path / "a.mat").write_bytes(raw)
    with suppress(InputError):  # anything else is a bug
        assert formats.read(tmp_path / "a.mat").data.size > 0


def test_complex_and_empty_files_are_named(tmp_path):
    with pytest.raises(InputError, match="complex numbers, real ones were expected"):
        _ = formats.read(save(tmp_path / "c.mat", "5", scene=SCENE * 1j)).data
    with pytest.raises(InputError, match="no cube of rows x columns x bands in it"):
        formats.read(save(tmp_path / "e.mat", "5", word="hello", x=3.0))
    with pytest.raises(InputError, match="4 axes, a cube has three"):
        formats.read(f"{save(tmp_path / 'f.mat', '5', deep=np.ones((2, 3, 4, 5)))}:deep")


def test_links_out_of_the_file_are_not_followed(tmp_path):
    save_v73(tmp_path / "secret.mat", scene=SCENE)
    save_v73(tmp_path / "a.mat", small=np.ones((3, 3)))
    with h5py.File(tmp_path / "a.mat", "r+") as f:
        f["scene"] = h5py.ExternalLink("secret.mat", "/scene")
    image = formats.read(tmp_path / "a.mat")
    assert image.header["key"] == "small"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda f: f.__setitem__("cube", h5py.ExternalLink("other.mat", "/cube")), "a link to another file"),
        (lambda f: f.__setitem__("cube", h5py.SoftLink("/cube")), "a link to another name"),
        (
            lambda f: f.create_dataset("cube", (3, 4, 5), "<i2", external=[("o", 0, h5py.h5f.UNLIMITED)]),
            "samples lie in another file",
        ),
        (
            lambda f: f.create_virtual_dataset("cube", h5py.VirtualLayout((3, 4, 5), "<i2")),
            "samples lie in another file",
        ),
        (lambda f: f.create_dataset("cube", (3, 4, 5), [("real", "f4"), ("imag", "f4")]), "compound values"),
        (lambda f: f.create_dataset("cube", (3, 4, 5), "c8"), "complex numbers"),
        (lambda f: f.create_dataset("cube", (3, 4, 5), h5py.vlen_dtype("i2")), "lists or texts of any length"),
    ],
)
@pytest.mark.parametrize("key", ["", ":cube"])
def test_why_an_array_of_hdf5_is_not_taken(tmp_path, make, why, key):
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as f:
        make(f)
    with pytest.raises(InputError, match=f"in it.*'cube' is .*{why}"):
        formats.read(f"{tmp_path / 'a.mat'}{key}", kind="scene")


@pytest.mark.parametrize(
    ("wavelengths", "note"),
    [([400.0, np.nan, 600.0], "no wavelengths were taken"), ([400.0, 500.0], "lists 2 wavelengths, its cube has 3")],
)
def test_wavelengths_that_are_left_out_are_noted(tmp_path, wavelengths, note):
    scipy.io.savemat(tmp_path / "a.mat", {"cube": SCENE[:, :, :3], "wavelength": np.array(wavelengths)})
    image = formats.read(tmp_path / "a.mat", kind="scene")
    assert image.header["wavelengths_nm"] is None
    assert [note in n for n in image.notes] == [True]
