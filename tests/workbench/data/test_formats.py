"""Choosing the reader, listing what a file says, and errors for what cannot be read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from tests.dicom_maker import write_series
from tests.scene_maker import cube, save_envi
from workbench.core import kinds
from workbench.core.errors import GeometryError, InputError, NothingFound
from workbench.core.types import Geometry
from workbench.data import formats
from workbench.data.cases import load_cases
from workbench.volume.data.checks import require_volume


def save(path, data=None):
    data = np.zeros((4, 5, 6), "i2") if data is None else data
    nib.save(nib.Nifti1Image(data, np.diag([-1.0, 2, 3, 1])), path)
    return path


def test_missing_file(tmp_path):
    with pytest.raises(NothingFound, match="no such file or folder"):
        formats.read(tmp_path / "none.nii.gz")
    with pytest.raises(NothingFound):
        formats.info(tmp_path / "none.nii.gz")


def test_unknown_suffix_lists_what_can_be_read(tmp_path):
    (tmp_path / "a.xyz").write_text("hello")
    with pytest.raises(InputError, match=r"no reader for '.xyz'.*\.nii\.gz, .*\.nrrd.*\.mha.*DICOM folder"):
        formats.read(tmp_path / "a.xyz")
    (tmp_path / "noname").write_text("hello")
    with pytest.raises(InputError, match="no reader for 'noname'"):
        formats.read(tmp_path / "noname")


def test_photos_are_refused(tmp_path, only_ours):
    (tmp_path / "photo.PNG").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match="is no picture that can be read"):
        formats.read(tmp_path / "photo.PNG")


def test_flat_volumes_are_refused_where_a_volume_is_needed(tmp_path):
    flat = formats.read(save(tmp_path / "flat.nii.gz", np.zeros((40, 50), "i2")))
    assert flat.geometry.shape == (40, 50, 1)
    with pytest.raises(InputError, match=r"flat.nii.gz: this is a 2-D image \(40 x 50 x 1\)"):
        require_volume(flat)


def test_suffix_case_and_dicom_without_suffix(tmp_path):
    assert formats.read(save(tmp_path / "A.NII.GZ")).format == "nifti"
    write_series(tmp_path / "d", n=3)
    (tmp_path / "d" / "s000.dcm").rename(tmp_path / "slice.weird")
    assert formats.read(tmp_path / "slice.weird").format == "dicom"
    assert formats.is_readable(tmp_path / "slice.weird")


def test_is_readable(tmp_path):
    save(tmp_path / "a.nii.gz")
    (tmp_path / "t.txt").write_text("x")
    write_series(tmp_path / "d", n=3)
    assert formats.is_readable(tmp_path / "a.nii.gz")
    assert formats.is_readable(tmp_path / "d")
    for no in ("t.txt", "none.nii", ""):
        assert not formats.is_readable(tmp_path / no)


def test_series_of_a_single_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match="'series' chooses from a DICOM folder"):
        formats.read(save(tmp_path / "a.nii.gz"), series=1)


def test_info_is_plain_and_complete(tmp_path):
    save(tmp_path / "a.nii.gz")
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6), "u1")), str(tmp_path / "a.nrrd"))
    write_series(tmp_path / "d", n=3)
    for name, fmt, shape, axes in (
        ("a.nii.gz", "nifti", [4, 5, 6], "LAS"),
        ("a.nrrd", "nrrd", [6, 5, 4], "LPS"),
        ("d", "dicom", [7, 5, 3], "LPS"),
    ):
        (row,) = json.loads(json.dumps(formats.info(tmp_path / name)))
        assert (row["format"], row["shape"], row["n_series"]) == (fmt, shape, 1)
        assert np.array(row["affine"]).shape == (4, 4)
        assert row["dtype"]
        assert name == "d" or row["orientation"] == axes


SCRIPT = """
import sys, json
from workbench.data import formats
rows = [formats.info(p) for p in sys.argv[1:]]
images = [formats.read(p) for p in sys.argv[1:]]
assert not any("data" in vars(i) for i in images)
bad = [m for m in ("torch", "monai", "napari", "qtpy", "matplotlib", "highdicom") if m in sys.modules]
print(json.dumps(bad))
"""


def test_read_and_info_import_neither_torch_nor_monai_and_decode_nothing(tmp_path):
    write_series(tmp_path / "d", n=3)
    for file in (tmp_path / "d").iterdir():
        file.write_bytes(file.read_bytes()[:-30])  # pixels cut off: decoding would fail
    cut = save(tmp_path / "cut.nii")
    cut.write_bytes(cut.read_bytes()[:352])
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6), "u1")), str(tmp_path / "a.mha"))
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "d"), str(cut), str(tmp_path / "a.mha")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_read_labels_checks_values_and_grid(tmp_path):
    labels = formats.read_labels(save(tmp_path / "l.nii.gz", np.full((4, 5, 6), 3.0, "f8")))
    assert labels.data.dtype == np.uint8
    assert labels.classes.names == ("class 3",)
    with pytest.raises(InputError, match="fractions or NaN"):
        formats.read_labels(save(tmp_path / "f.nii.gz", np.full((4, 5, 6), 0.5)))
    with pytest.raises(InputError, match="negative value -1"):
        formats.read_labels(save(tmp_path / "n.nii.gz", np.full((4, 5, 6), -1, "i2")))
    with pytest.raises(InputError, match="one channel, found 2"):
        formats.read_labels(save(tmp_path / "c.nii.gz", np.zeros((4, 5, 6, 2), "u1")))
    with pytest.raises(
        GeometryError, match=r"label map .*l\.nii\.gz: 90 of 120 labelled voxels lie outside of the image"
    ):
        formats.read_labels(tmp_path / "l.nii.gz", reference=Geometry((4, 5, 6), np.diag([1.0, 2, 3, 1])))


def test_unreadable_file_permission(tmp_path, monkeypatch):
    path = save(tmp_path / "a.nii")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("workbench.volume.data.nifti_header.check", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        formats.read(path)


def test_the_files_that_decide_what_is_read(tmp_path):
    header = save_envi(tmp_path, cube())
    samples = header.with_suffix(".dat")
    assert formats.input_files(header) == formats.input_files(samples) == (samples, header)
    assert formats.read(header).native.files == (samples, header)
    np.savez(tmp_path / "a.npz", scene=cube())
    assert formats.input_files(f"{tmp_path / 'a.npz'}:scene") == (tmp_path / "a.npz",)
    assert formats.is_companion(header)
    assert not formats.is_companion(samples)
    save_envi(tmp_path, cube(), suffix=".img")
    assert not formats.is_companion(header)  # whose samples these are is for the user to say


def test_a_file_whose_name_looks_like_an_address_is_a_file(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    plain, odd = tmp_path / "a.npy", tmp_path / "a.npy:cube"
    assert formats.split_address(odd) == (plain, "cube")
    odd.write_bytes(plain.read_bytes())
    assert formats.split_address(odd) == (odd, None)
    assert formats.split_address("C:/a.nii") == (Path("C:/a.nii"), None)
    assert formats.split_address("a.mat:b:c") == (Path("a.mat:b:c"), None)


def test_a_hint_settles_what_is_open_and_never_what_is_sure(tmp_path):
    """What a backend takes must not make something else of a file that says what it is."""
    np.save(tmp_path / "courses.npy", np.zeros((4, 1000)))
    (tmp_path / "courses.json").write_text('{"sampling_rate": 250.0}')
    assert formats.kind_of(tmp_path / "courses.npy").name == "recording"
    assert formats.kind_of(tmp_path / "courses.npy", hint="scene").name == "recording"
    assert formats.kind_of(tmp_path / "courses.npy", kind="scene").name == "scene"


SUFFIXES = (".npy", ".npz", ".mat", ".tif", ".hdr", ".img", ".nii", ".dcm", ".fif", ".edf", "")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_pipe_is_refused_whatever_it_is_called(tmp_path, suffix):
    """Nobody writes into it: whoever opened it would wait for ever."""
    path = tmp_path / f"a{suffix}"
    os.mkfifo(path)
    for ask in (formats.read, formats.info, formats.read_labels, formats.kind_of, load_cases):
        with pytest.raises(InputError, match="is a pipe, expected a regular file"):
            ask(path)
    assert not formats.is_readable(path)
    assert kinds.candidates(path) == {}
    assert formats.input_files(path) == (path,)


@pytest.mark.parametrize(
    ("kind", "words"),
    [("AnalyzeImage", "an Analyze volume"), ("Nifti1Pair", "a NIfTI pair"), ("Nifti2Pair", "a NIfTI pair")],
)
@pytest.mark.parametrize("suffix", [".hdr", ".img"])
def test_a_pair_of_header_and_voxels_is_a_volume_and_no_scene(tmp_path, kind, words, suffix):
    data = np.arange(60, dtype="i2").reshape(3, 4, 5)
    nib.save(getattr(nib, kind)(data, np.eye(4)), tmp_path / "a.img")
    path = tmp_path / f"a{suffix}"
    assert formats.info(path)[0]["kind"] == "volume"
    assert np.array_equal(formats.read(path).data[0], data)
    assert np.array_equal(formats.read_labels(path).data, data)
    with pytest.raises(InputError, match=rf"a\.hdr: the header of {words} .* Read it as a volume: --kind volume"):
        formats.read(path, kind="scene")
