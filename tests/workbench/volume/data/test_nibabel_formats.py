"""FreeSurfer, MINC, AFNI, Philips, NIfTI pairs and Analyze: files that NiBabel brings and makes, and what it says."""

import shutil
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import workbench as wb
from workbench.core.errors import InputError
from workbench.core.provenance import input_hash
from workbench.data import formats
from workbench.data.cases import load_cases

DATA = Path(nib.__file__).parent / "tests" / "data"
RNG = np.random.default_rng(1)
OBLIQUE = np.array([[0.9, -0.2, 0.1, -30], [0.2, 1.1, 0, 12], [-0.1, 0.1, 2.5, 7], [0, 0, 0, 1.0]])


def theirs(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = nib.load(path)
        data = np.asarray(image.dataobj)
        if isinstance(image, nib.parrec.PARRECImage):
            image.dataobj.file_like.close()
        return image, data


@pytest.mark.parametrize(
    "name",
    [
        "test.mgz", "tiny.mnc", "small.mnc", "minc1_1_scale.mnc", "minc1_4d.mnc", "minc2_1_scale.mnc", "minc2_4d.mnc",
        "scaled+tlrc.HEAD", "example4d+orig.HEAD", "phantom_EPI_asc_CLEAR_2_1.PAR", "phantom_varscale.PAR",
    ],
)  # fmt: skip
def test_files_of_others_are_what_nibabel_makes_of_them(name):
    if not (DATA / name).is_file():
        pytest.skip("NiBabel was installed without its test data")
    image, data = theirs(DATA / name)
    found = wb.read(DATA / name)
    assert found.kind == "volume"
    assert np.allclose(found.geometry.affine, image.affine)
    time = (0 if name.endswith(".mnc") else 3) if data.ndim == 4 else None
    wanted = data[None] if time is None else np.moveaxis(data, time, 0)
    assert found.data.shape == wanted.shape
    assert found.data.dtype == found.dtype
    assert np.allclose(found.data, wanted, rtol=1e-5)
    assert len(found.all_files) == (2 if name[-4:] in (".PAR", "HEAD") else 1)


MADE = {
    ".mgz": (nib.MGHImage, np.int16), ".mgh": (nib.MGHImage, np.float32), "pair.img": (nib.Nifti1Pair, np.int16),
    "pair2.img": (nib.Nifti2Pair, np.float64), "old.img": (nib.AnalyzeImage, np.int16),
    "spm.img": (nib.Spm99AnalyzeImage, np.int16),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_files_that_nibabel_writes(tmp_path, name):
    made, dtype = MADE[name]
    path = tmp_path / (name if "." in name[1:] else f"a{name}")
    data = RNG.integers(-900, 900, (5, 6, 7)).astype(dtype)
    nib.save(made(data, OBLIQUE), path)
    image, stored = theirs(path)
    for file in {path, path.with_suffix(".hdr") if path.suffix == ".img" else path}:
        found = wb.read(file)
        assert found.dtype == found.data.dtype == dtype
        assert np.array_equal(found.data[0], stored)
        assert np.allclose(found.geometry.affine, image.affine, atol=1e-6)
        assert wb.info(file)[0]["shape"] == [5, 6, 7]
        assert any("where left is" in n for n in found.notes) == (made in (nib.AnalyzeImage, nib.Spm99AnalyzeImage))
        assert {f.suffix for f in tmp_path.iterdir()} == {f.suffix for f in found.files}  # SPM: position in a .mat


def test_only_the_mat_file_that_gives_the_position_is_one_of_the_files(tmp_path):
    nib.save(nib.Spm99AnalyzeImage(np.ones((5, 6, 7), np.int16), OBLIQUE), tmp_path / "a.img")
    place = tmp_path / "a.mat"
    said = wb.read(tmp_path / "a.img")
    assert "the position of its voxels is that of a.mat (SPM)" in said.notes
    before = input_hash(said)
    nib.save(
        nib.Spm99AnalyzeImage(np.ones((5, 6, 7), np.int16), OBLIQUE + np.eye(4)[:, [3, 1, 2, 0]]), tmp_path / "b.img"
    )
    shutil.copy(tmp_path / "b.mat", place)
    assert not said.is_unchanged
    assert input_hash(wb.read(tmp_path / "a.img")) not in (before, None)
    for suffix in (".hdr", ".img", ".mat"):
        shutil.copy(tmp_path / f"a{suffix}", tmp_path / f"C{suffix.upper()}")
    assert wb.read(tmp_path / "C.HDR").all_files[2:] == (tmp_path / "C.MAT",)
    place.write_bytes(b"")  # NiBabel passes over it
    assert not any("a.mat" in n for n in wb.read(tmp_path / "a.img").notes)
    place.unlink()
    place.mkdir()  # FSL has matrices of its own in such a folder
    nib.save(nib.Nifti1Pair(np.ones((5, 6, 7), np.int16), OBLIQUE), tmp_path / "p.img")
    nib.save(nib.Nifti1Pair(np.ones((5, 6, 7), np.int16), OBLIQUE), tmp_path / "q.img")
    (tmp_path / "p.mat").mkdir()
    (tmp_path / "q.mat").write_bytes(b"1 0 0 0\n")  # a NIfTI pair says its position itself
    for name in ("a.img", "p.hdr", "q.hdr"):
        assert len(wb.read(tmp_path / name).all_files) == 2


def test_voxels_of_afni_are_as_many_as_promised(tmp_path):
    for file in DATA.glob("scaled+tlrc.*"):
        shutil.copy(file, tmp_path)
    path = tmp_path / "scaled+tlrc.BRIK"
    if not path.is_file():
        pytest.skip("NiBabel was installed without its test data")
    image = wb.read(path)
    assert image.notes == ()
    stored = np.dtype(image.header["stored_dtype"]).itemsize
    with path.open("ab") as f:
        f.write(bytes(2))
    assert "2 bytes follow the voxels, and are left out" in wb.read(path).notes
    with path.open("ab") as f:
        f.write(bytes(stored * image.geometry.shape[0] * image.geometry.shape[1]))
    with pytest.raises(InputError, match="at least one more slice"):
        wb.read(path)


def test_a_label_map_of_freesurfer_goes_onto_its_image(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((5, 6, 7), np.int16), OBLIQUE), tmp_path / "image.nii.gz")
    data = RNG.integers(0, 4, (5, 6, 7)).astype(np.uint8)
    nib.save(nib.MGHImage(data[::-1], OBLIQUE @ np.array(
        [[-1, 0, 0, 4], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])), tmp_path / "aseg.mgz")  # fmt: skip
    found = formats.read_labels(tmp_path / "aseg.mgz", reference=wb.read(tmp_path / "image.nii.gz").geometry)
    assert np.array_equal(found.data, data)


def test_the_second_file_is_no_case_of_its_own(tmp_path):
    for n in range(2):
        nib.save(nib.Nifti1Pair(np.ones((5, 6, 7), np.int16), OBLIQUE), tmp_path / f"p{n}.img")
    assert [c.id for c in load_cases(tmp_path)] == ["p0", "p1"]


def test_a_half_a_cut_and_a_foreign_file_say_what_they_are(tmp_path):
    nib.save(nib.Nifti1Pair(RNG.integers(0, 99, (5, 6, 7)).astype(np.int16), OBLIQUE), tmp_path / "a.img")
    shutil.copy(tmp_path / "a.hdr", tmp_path / "alone.hdr")
    with pytest.raises(InputError, match=r"alone\.img was expected beside it"):
        wb.read(tmp_path / "alone.hdr")
    (tmp_path / "a.img").write_bytes((tmp_path / "a.img").read_bytes()[:100])
    with pytest.raises(InputError, match="cannot be read"):
        _ = wb.read(tmp_path / "a.img").data
    for suffix in (".mgz", ".mnc", ".par", ".head"):
        (tmp_path / f"b{suffix}").write_bytes(b"nothing of the kind" * 30)
        if suffix in (".par", ".head"):
            (tmp_path / f"b{'.rec' if suffix == '.par' else '.brik'}").write_bytes(b"\0" * 64)
        with pytest.raises(InputError, match=rf"b\{suffix}: not a readable"):
            wb.read(tmp_path / f"b{suffix}")
    nib.save(nib.Nifti1Image(np.zeros((5, 6, 7), np.complex64), OBLIQUE), tmp_path / "c.nii")
    nib.save(nib.Nifti1Pair(np.zeros((5, 6, 7), np.complex64), OBLIQUE), tmp_path / "c.img")
    with pytest.raises(InputError, match="real numbers were expected"):
        wb.read(tmp_path / "c.img")
