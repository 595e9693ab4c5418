"""A header may name a regular file in its own folder as the place of its voxels, and nothing else is ever opened."""

import os
from pathlib import Path

import pytest

from tests.header_maker import HOSTILE, metaimage, nrrd, outcome, refused
from workbench.core.errors import InputError
from workbench.core.provenance import input_hash
from workbench.data import formats

VOXELS = bytes(range(64))
HEADERS = [
    lambda path, name: metaimage(path.with_suffix(".mhd"), ElementDataFile=name),
    lambda path, name: nrrd(path.with_suffix(".nhdr"), b"", data_file=name),
]


@pytest.fixture(params=HEADERS, ids=["mhd", "nhdr"])
def header(request, tmp_path):
    """Make a header of that data file in a folder of its own."""
    (tmp_path / "case").mkdir()
    return lambda name: request.param(tmp_path / "case" / "a", name)


@pytest.mark.parametrize("name", ["/etc/passwd", "../b.raw", "sub/../../b.raw", "..\\b.raw", "C:\\b.raw", "a\x01.raw"])
def test_names_that_leave_the_folder_are_refused(header, tmp_path, name):
    (tmp_path / "b.raw").write_bytes(VOXELS)
    refused(header(name), "expected the name of a file in the folder of the header")


@pytest.mark.parametrize("end", ["LIST\n../s1.raw\n../s2.raw\n../s3.raw\n../s4.raw", "../s%d.raw 1 4 1"])
def test_lists_and_patterns_that_leave_the_folder_are_refused(header, tmp_path, end):
    for n in range(1, 5):
        (tmp_path / f"s{n}.raw").write_bytes(VOXELS[:16])
    refused(header(end), r"'\.\./s1\.raw', expected the name of a file in the folder of the header")


def test_links_and_folders_below_are_followed(header, tmp_path):
    (tmp_path / "annex").mkdir()
    (tmp_path / "annex" / "object").write_bytes(VOXELS)
    path = header("link.raw")
    (path.parent / "link.raw").symlink_to(tmp_path / "annex" / "object")
    assert formats.read(path).data.ravel(order="F").tobytes() == VOXELS
    path.rename(tmp_path / "annex" / "other")
    path.symlink_to(tmp_path / "annex" / "other")  # the header is a link too, and the voxels are beside the link
    assert formats.read(path).data.ravel(order="F").tobytes() == VOXELS
    path.unlink()
    path = header("below/b.raw")
    (path.parent / "below").mkdir()
    (path.parent / "below" / "b.raw").write_bytes(VOXELS)
    assert formats.read(path).data.ravel(order="F").tobytes() == VOXELS


@pytest.mark.parametrize(("target", "what"), [("/dev/zero", "a device"), ("pipe", "a pipe"), (".", "a folder")])
def test_links_to_what_is_no_regular_file_are_refused(header, target, what):
    path = header("b.raw")
    if target == "pipe":
        os.mkfifo(path.parent / "b.raw")
    else:
        (path.parent / "b.raw").symlink_to(target)
    said = outcome(path)
    assert said == (
        f"{path}: {'data file' if path.suffix == '.nhdr' else 'ElementDataFile'} is 'b.raw', which is {what}, expected"
        " a regular file. Give the file that holds the data."
    )


def test_the_file_is_asked_again_before_its_voxels_are_read(header, tmp_path):
    path = header("b.raw")
    (path.parent / "b.raw").write_bytes(VOXELS)
    image = formats.read(path)
    (path.parent / "b.raw").unlink()
    (path.parent / "b.raw").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="'b.raw', which is a device"):
        _ = image.data


def test_other_voxels_beside_the_same_header_are_another_file(header):
    path = header("b.raw")
    (path.parent / "b.raw").write_bytes(VOXELS)
    image = formats.read(path)
    before = input_hash(image)
    (path.parent / "b.raw").write_bytes(VOXELS[::-1])
    assert not image.is_unchanged
    assert None not in (before, input_hash(formats.read(path)))
    assert before != input_hash(formats.read(path))


def test_a_missing_file_leaves_the_header_readable(header):
    path = header("b.raw")
    (path.parent / "b.raw").write_bytes(VOXELS)
    image = formats.read(path)
    (path.parent / "b.raw").unlink()
    with pytest.raises(InputError, match=rf"b\.raw: there is no such file, and {path.name} says it holds the voxels"):
        _ = image.data


@pytest.mark.parametrize("suffix", [".mha", ".nrrd", ".nii", ".nii.gz"])
def test_what_is_no_regular_file_is_not_opened_as_a_volume(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.symlink_to("/dev/zero")
    assert outcome(path) == f"{path}: it is a device, expected a regular file. Give the file that holds the data."
    path.unlink()
    os.mkfifo(path)
    assert outcome(path) == f"{path}: it is a pipe, expected a regular file. Give the file that holds the data."


def test_the_hostile_header_does_not_read_the_password_file():
    path = HOSTILE / "etc.nhdr"
    if not Path(path).exists():
        pytest.skip(f"hostile files not here: {path}")
    refused(path, "data file is '/etc/passwd', expected the name of a file in the folder of the header")
