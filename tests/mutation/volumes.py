"""Seeds of the mutation test: volumes and maps of labels in all formats."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import numpy as np

from tests import dicom_maker
from tests.mutation.seed import Seed, after, maps, named, whole

SHAPE = (12, 11, 10)
_AFFINE = np.array([[1.5, 0, 0, -10], [0, 1.25, 0, 5], [0, 0, 2, 30], [0, 0, 0, 1.0]])


def _voxels(dtype="int16", shape=SHAPE):
    return (np.random.default_rng(0).normal(size=shape) * 300).astype(dtype)


def _labels():
    values = np.zeros(SHAPE, np.uint8)
    values[2:6, 3:8, 1:7], values[7:10, 2:5, 4:9] = 1, 2
    return values


def _nifti(name, data, kind="Nifti1Image"):
    def make(folder: Path) -> Path:
        import nibabel as nib

        nib.save(getattr(nib, kind)(data(), _AFFINE), folder / name)
        return folder / name

    return make


def _itk(name, compressed, labels=False):
    def make(folder: Path) -> Path:
        import SimpleITK as sitk

        image = sitk.GetImageFromArray(_labels().T if labels else _voxels().T)
        image.SetSpacing((1.5, 1.25, 2.0))
        sitk.WriteImage(image, str(folder / name), compressed)
        return folder / name

    return make


def _nrrd(name, encoding, pack, detached=""):
    """Written byte by byte, as no library writes bzip2."""

    def make(folder: Path) -> Path:
        header = (
            "NRRD0005\ntype: int16\ndimension: 3\nspace: left-posterior-superior\n"
            f"sizes: {' '.join(map(str, SHAPE))}\nspace directions: (1.5,0,0) (0,1.25,0) (0,0,2)\n"
            f"kinds: domain domain domain\nendian: little\nencoding: {encoding}\nspace origin: (0,0,0)\n"
        )
        body = pack(_voxels("<i2").tobytes(order="F"))
        if detached:
            (folder / detached).write_bytes(body)
            (folder / name).write_text(f"{header}data file: {detached}\n")
        else:
            (folder / name).write_bytes(f"{header}\n".encode() + body)
        return folder / name

    return make


def _seg_nrrd(folder: Path) -> Path:
    import workbench as wb
    from workbench.core.classes import ClassTable
    from workbench.core.types import Labels

    source = wb.read(_itk("a.nrrd", True)(folder))
    labels = Labels(_labels(), source.geometry, ClassTable.from_names(["liver", "spleen"]), "seg")
    made = wb.write(labels, folder / "out", format="nrrd", name="seg", source=source)
    found = made[0].rename(folder / made[0].name)
    (folder / "a.nrrd").unlink()
    return found


def _series(folder: Path) -> Path:
    dicom_maker.write_series(folder / "s", n=4, rows=9, columns=10)
    return folder / "s"


def _rle(folder: Path) -> Path:
    import pydicom
    from pydicom.uid import RLELossless

    dicom_maker.write_series(folder / "s", n=3, rows=9, columns=10)
    for path in (folder / "s").iterdir():
        slice_ = pydicom.dcmread(path)
        slice_.compress(RLELossless)
        slice_.save_as(path)
    return folder / "s"


def _enhanced(folder: Path) -> Path:
    dicom_maker.write_enhanced(folder / "e.dcm")
    return folder / "e.dcm"


def _dicom_seg(folder: Path) -> Path:
    import workbench as wb
    from workbench.core.classes import ClassTable
    from workbench.core.types import Labels

    dicom_maker.write_series(folder / "series", n=4)
    source = wb.read(folder / "series")
    values = (np.arange(int(np.prod(source.geometry.shape))) % 3).astype("uint8").reshape(source.geometry.shape)
    labels = Labels(values, source.geometry, ClassTable.from_names(["liver", "spleen"]), "seg")
    made = wb.write(labels, folder / "out", format="dicom-seg", name="seg", source=source)
    found = next(f for f in made if f.suffix == ".dcm").rename(folder / "seg.dcm")
    for path in (folder / "series").iterdir():
        path.unlink()
    (folder / "series").rmdir()
    return found


def _same(content: bytes) -> bytes:
    return content


def _written(content: bytes) -> bytes:
    return " ".join(map(str, np.frombuffer(content, "<i2"))).encode() + b"\n"


def _volume(name, make, **options) -> Seed:
    return Seed(name, "volumes", make, **options)


_GZIP, _ZLIB = "CRC-32 and length", "Adler-32 and length of the samples"

SEEDS = (
    _volume("nifti", _nifti("v.nii", _voxels)),
    _volume("nifti labels", _nifti("lab.nii", _labels), verbs=maps),
    _volume("nifti float", _nifti("v.nii", lambda: _voxels("f4"))),
    _volume("nifti big-endian", _nifti("v.nii", lambda: _voxels(">i2"))),
    _volume("nifti-2", _nifti("v.nii", _voxels, "Nifti2Image")),
    _volume("nifti gz", _nifti("v.nii.gz", _voxels), protection=_GZIP, sealed=whole),
    _volume("nifti gz 4-D", _nifti("v.nii.gz", lambda: _voxels(shape=(9, 8, 7, 3))), protection=_GZIP, sealed=whole),
    _volume("nifti gz labels", _nifti("lab.nii.gz", _labels), verbs=maps, protection=_GZIP, sealed=whole),
    _volume("nrrd raw", _nrrd("a.nrrd", "raw", _same)),
    _volume("nrrd gzip", _itk("a.nrrd", True), protection=_GZIP, sealed=after(b"\n\n")),
    _volume("nrrd bzip2", _nrrd("a.nrrd", "bzip2", bz2.compress), protection="CRC-32", sealed=after(b"\n\n")),
    _volume("nrrd ascii", _nrrd("a.nrrd", "ascii", _written), protection="number of samples", ends=False),
    _volume("nrrd detached", _nrrd("a.nhdr", "raw", _same, "a.raw"), body=("*.raw",)),
    _volume("nrrd detached gzip", _nrrd("a.nhdr", "gzip", gzip.compress, "a.raw.gz"), body=("*.gz",),
            protection=_GZIP, sealed=named(".gz")),
    _volume("seg.nrrd", _seg_nrrd, verbs=maps, protection=_GZIP, sealed=after(b"\n\n")),
    _volume("mha raw", _itk("a.mha", False)),
    _volume("mha zlib", _itk("a.mha", True), protection=_ZLIB, sealed=after(b"LOCAL\n")),
    _volume("mha zlib labels", _itk("a.mha", True, labels=True), verbs=maps, protection=_ZLIB,
            sealed=after(b"LOCAL\n")),
    _volume("mhd raw", _itk("a.mhd", False), body=("*.raw",)),
    _volume("mhd zraw", _itk("a.mhd", True), body=("*.zraw",), protection=_ZLIB, sealed=named(".zraw")),
    _volume("dicom series", _series, protection="length of each slice"),
    _volume("dicom rle", _rle, protection="length of each slice"),
    _volume("dicom enhanced", _enhanced, protection="number of frames, length"),
    _volume("dicom seg", _dicom_seg, verbs=maps, protection="number of frames, length"),
)  # fmt: skip
