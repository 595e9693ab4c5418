"""Scenes and arrays that lie, are cut off or point at devices: one line that names the file, never other samples."""

import os
import re
import resource
import time
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from tests.scene_maker import cube, save_envi
from tests.workbench.scene.data.test_mat import save_v73
from workbench.core.errors import InputError, WorkbenchError
from workbench.data import formats
from workbench.scene.data import envi_header as eh
from workbench.scene.data import spectral_library

CASES = Path(__file__).resolve().parents[5] / "shared" / "cases"
SCENE = cube(12).transpose(1, 2, 0)


def refused(path, match, *, header=True):
    with pytest.raises(WorkbenchError, match=match) as caught:
        formats.info(path) if header else formats.read(path).data
    assert "\n" not in str(caught.value)
    assert str(path.parent) in str(caught.value)
    assert len(str(caught.value)) < 600 + len(str(path))


def case(name):
    path = CASES / name
    if not path.exists():
        pytest.skip(f"cases not here: {path}")
    return path


@pytest.mark.parametrize(
    ("name", "said", "header"),
    [
        ("db.hdr", "'default bands' holds 'nan'", True),
        ("envi-brace-never-closed.hdr", "line 9: the brace of 'x' is never closed", True),
        ("enviclass-7-OverflowError/lab.hdr", "'class lookup' holds '-inf'", True),
        ("mat73-3-OSError/a.mat", "the samples cannot be read", False),
        ("mat73-36-TypeError/a.mat", "the list of arrays is damaged", True),
        ("wls.npz", "wavelengths are numbers", True),
    ],
)
def test_hostile_files_are_one_line(name, said, header):
    refused(case(f"hostile/{name}"), said, header=header)


def test_scenes_that_the_tools_of_the_field_open_are_opened_and_what_is_odd_is_said():
    base = formats.read(case("scenes/base.hdr")).data
    odd = {"one_trailing_byte": "1 more byte than its header promises", "no_byte_order": "taken as 0 .little endian."}
    for name, said in odd.items():
        image = formats.read(case(f"scenes/{name}.hdr"))
        np.testing.assert_array_equal(image.data, base)
        assert len(image.notes) == 1
        assert re.search(said, image.notes[0])
    image = formats.read(case("scenes/testenviclasses.hdr"))
    assert [(c.value, c.name) for c in image.classes] == [(1, "White")]
    np.testing.assert_array_equal(formats.read(case("scenes/upper.hdr")).data, base)
    names = {c.value: c.name for c in formats.read(case("scenes/cls_empty_name.hdr")).classes}
    assert (names[2], names[3]) == ("water", "soil")


def test_a_few_bytes_too_many_are_noted_and_more_are_refused(tmp_path):
    path = save_envi(tmp_path, cube())
    content = (tmp_path / "scene.dat").read_bytes()
    for spare in (1, 7):
        (tmp_path / "scene.dat").write_bytes(content + b"x" * spare)
        image = formats.read(path)
        np.testing.assert_array_equal(image.data, cube())
        assert image.notes[0].startswith(f"scene.dat has {spare} more byte")
    (tmp_path / "scene.dat").write_bytes(content + b"x" * 8)
    refused(path, "the file has 1394 bytes")
    np.save(tmp_path / "a.npy", SCENE)
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content + b"x" * 7)
    assert formats.read(tmp_path / "a.npy").notes == (
        "a.npy has 7 more bytes than its header promises; the rest was left unread",
    )
    (tmp_path / "a.npy").write_bytes(content + b"x" * 8)
    refused(tmp_path / "a.npy", "the file goes on to 1522")


def test_header_lines_are_read_in_time_that_grows_with_them(tmp_path):
    path = tmp_path / "a.hdr"
    for body in ("x = {" + "a\n" * 3_000_000, " " * 8_000_000 + "\n" + "a" * 4_000_000):
        path.write_text("ENVI\nsamples = 4\n" + body)
        start = time.process_time()
        with pytest.raises(InputError):
            formats.info(path)
        assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"samples": "9" * 5000}, "field 'samples' is '9999"),
        ({"samples": "1_1"}, "field 'samples' is '1_1'"),
        ({"samples": "١١"}, "expected a whole number"),
        ({"lines": "-9"}, "at least 1"),
        ({"lines": 10**17}, "the file has 1386 bytes"),
        ({"header offset": "-1"}, "at least 0"),
        ({"wavelength": "{1,2,3,4,5,6,nan}"}, "'wavelength' holds 'nan'"),
        ({"wavelength": "{0,1,1,1,1,1,1}", "wavelength units": "Wavenumber", "fwhm": "{1,1,1,1,1,1,1}"}, "wavenumber"),
        ({"bbl": "{1,1,1,1,1,1,inf}"}, "'bbl' holds 'inf'"),
        ({"default bands": "{1.5, 2, 3}"}, "'default bands' holds 1.5"),
        ({"data ignore value": "{1, 2}"}, "'data ignore value' lists 2 numbers"),
        ({"data gain values": "{1e999}"}, "'data gain values' holds '1e999'"),
        ({"reflectance scale factor": "1e-300"}, "expected one number above 0"),
        ({"file type": "ENVI Classification", "bands": 1, "lines": 63, "class names": "{a, b}", "classes": 3}, "names"),
    ],
)
def test_numbers_that_cannot_be_are_named(tmp_path, fields, said):
    refused(save_envi(tmp_path, cube(), edit=fields), said)


def test_bands_to_show_that_are_not_there_are_left_out_with_a_note(tmp_path):
    image = formats.read(save_envi(tmp_path, cube(), default_bands="{53, 29, 19}", band_names="{a, b}"))
    assert "default_bands" not in image.header
    assert [n.split("'")[1] for n in image.notes] == ["default bands", "band names"]
    assert formats.read(save_envi(tmp_path, cube(), default_bands="{3, 2, 1}")).header["default_bands"] == [2, 1, 0]


def test_pipes_and_devices_are_never_opened(tmp_path):
    for name in ("a.hdr", "a.npy", "a.npz", "a.mat", "a.tif", "a.csv"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError):
            spectral_library.read(tmp_path / name) if name == "a.csv" else formats.read(tmp_path / name, kind="scene")
    (tmp_path / "zero").mkdir()
    np.save(tmp_path / "zero" / "b.npy", SCENE)
    (tmp_path / "zero" / "b_wavelengths.txt").symlink_to("/dev/zero")
    refused(tmp_path / "zero" / "b.npy", "it is a device, expected a regular file")
    header = save_envi(tmp_path / "envi", cube())
    (tmp_path / "envi" / "scene.dat").unlink()
    (tmp_path / "envi" / "scene.dat").symlink_to("/dev/zero")
    refused(header, "no file with its samples beside it")
    (tmp_path / "envi" / "scene.dat").unlink()
    elsewhere = save_envi(tmp_path / "annex", cube())
    (tmp_path / "envi" / "scene.dat").symlink_to(tmp_path / "annex" / "scene.dat")  # as git-annex keeps its files
    assert elsewhere.exists()
    np.testing.assert_array_equal(formats.read(header).data, cube())


@pytest.mark.parametrize("packed", [False, True])
def test_every_flipped_bit_of_a_npz_is_noticed(tmp_path, packed):
    path = tmp_path / "a.npz"
    (np.savez_compressed if packed else np.savez)(path, cube=SCENE, wavelengths=np.linspace(400, 900, 7))
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        start = archive.infolist()[0].header_offset + 80
    for at in range(start, start + 1000, 97):
        bad = bytearray(content)
        bad[at] ^= 16
        path.write_bytes(bad)
        refused(path, r"a\.npz", header=False)


def test_a_npz_whose_header_promises_another_array_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    for shape in ("(9, 11, 3)", "(900, 1100, 7)"):
        np.savez(tmp_path / "good.npz", cube=SCENE)
        with zipfile.ZipFile(tmp_path / "good.npz") as archive:
            content = archive.read("cube.npy")
        lied = content.replace(b"(9, 11, 7)", shape.encode())
        lied = lied.replace(b" " * (len(shape) - 10) + b"\n", b"\n", 1) if len(shape) > 10 else lied
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("cube.npy", lied)
        refused(path, "cube: its header promises .* bytes, the archive says", header=False)


def test_damaged_members_are_not_passed_over(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, cube=SCENE, wavelengths=np.linspace(400, 900, 7))
    content = path.read_bytes()
    at = content.rindex(b"\x93NUMPY")
    path.write_bytes(content[:at] + b"\x93NUMPX" + content[at + 6 :])
    refused(path, r"a\.npz")


@pytest.mark.parametrize("packed", [False, True])
def test_matlab_arrays_are_read_to_their_checksum(tmp_path, packed):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"scene": SCENE}, do_compression=packed)
    content = path.read_bytes()
    np.testing.assert_array_equal(formats.read(path).data, cube(12))
    if packed:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # the last byte of Adler-32
        refused(path, "cannot be unpacked .*incorrect data check", header=False)
        body = zlib.compress(zlib.decompress(content[136:]) + bytes(8))
        path.write_bytes(content[:128] + np.array([15, len(body)], "<u4").tobytes() + body)
        refused(path, "goes on after the", header=False)
    else:
        lied = content.replace(np.array([9, 11, 7], "<i4").tobytes(), np.array([9, 11, 6], "<i4").tobytes())
        path.write_bytes(lied)
        refused(path, "bytes where 594 x 2 were promised", header=False)
    path.write_bytes(content + b"\x0e\0\0")
    refused(path, "it ends within an array")


def test_matlab_samples_that_the_shown_type_cannot_hold_are_damage(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"scene": np.full((3, 4, 5), 0.3)})
    content = bytearray(path.read_bytes())
    assert content[144] == 6  # double
    content[144] = 9  # uint8
    path.write_bytes(content)
    refused(path, "stored as float64 that are no uint8", header=False)


def test_chunks_that_were_never_written_are_no_zeros(tmp_path):
    path = tmp_path / "a.mat"
    save_v73(path, small=np.ones((3, 3)))
    with h5py.File(path, "r+") as f:
        made = f.create_dataset("scene", (7, 11, 9), "u2", chunks=(7, 11, 3))
        made[:, :, :3] = 5
    refused(path, "array 'scene': its shape promises 3 chunks of samples, the file holds 1")
    path = tmp_path / "b.mat"
    save_v73(path, small=np.ones((3, 3)))
    with h5py.File(path, "r+") as f:
        f.create_dataset("scene", (7, 11, 9), "u2")
    refused(path, "array 'scene': its shape promises 1386 bytes, the file holds 0")


def test_memory_is_not_taken_for_what_is_not_there(tmp_path):
    """A few kilobytes that promise 60 GB are refused by a process that may take 3 GB."""
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**5, 10**5, 7)}
    with (tmp_path / "a.npy").open("wb") as f:
        np.lib.format.write_array_header_1_0(f, header)
        f.write(bytes(1000))
    limit = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, limit[1]))
    try:
        refused(tmp_path / "a.npy", "truncated")
        refused(save_envi(tmp_path, cube(), edit={"lines": 10**9}), "the file has")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limit)


@pytest.mark.parametrize(
    "text",
    ["", "name\n", "a,b\n1,2\n3\n", "a,b\nx,y\n", "a,b\n1,2\nnan,3\n", "a\n1\n", '"' + "x" * 200_000, "a,b\n\0,1"],
)
def test_tables_of_spectra_that_are_none(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=r"a\.csv: not a table of spectra") as caught:
        spectral_library.read(tmp_path / "a.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["wavelength,fwhm,good\n1,1\n2,2\n", "wavelength,fwhm\n1,nan\n2,2\n", "1\n-2\n", '"' + "9" * 200_000, "nan\n1\n"],
)
def test_lists_of_wavelengths_that_are_none(tmp_path, text):
    np.save(tmp_path / "a.npy", np.zeros((3, 3, 2)))
    (tmp_path / "a_wavelengths.csv").write_text(text)
    refused(tmp_path / "a.npy", r"a_wavelengths\.csv")


def test_first_lines_of_headers(tmp_path):
    for first in ("ENVI", "envi", "ENVI Standard", "\ufeffENVI", "ENVI\r"):
        (tmp_path / "a.hdr").write_bytes(f"{first}\nsamples = 3\r\nlines = 4".encode())
        assert eh.is_header(tmp_path / "a.hdr")
        assert eh.parse(tmp_path / "a.hdr")["samples"] == "3"
    (tmp_path / "a.hdr").write_bytes(b"ENVI\rsamples = 3\rlines = 4\r")
    assert eh.parse(tmp_path / "a.hdr") == {"samples": "3", "lines": "4"}
    (tmp_path / "a.hdr").write_bytes(b"ENVIRONMENT\nsamples = 3\n")
    assert not eh.is_header(tmp_path / "a.hdr")
