"""Damaged files are said in one line of ours, and faults of ours are never taken for damaged files."""

import random
import warnings
from pathlib import Path

import mne
import numpy as np
import pytest

import workbench as wb
from tests import bti_maker, ctf_maker, dicom_maker, kit_maker, recording_maker
from tests.tiny import make_tiny_weights, make_volume
from workbench.core.classes import ClassTable
from workbench.core.errors import InputError, WorkbenchError
from workbench.core.types import Labels
from workbench.data import npy_files
from workbench.recording.data import read as recording_read
from workbench.recording.data import steps
from workbench.recording.data.write import read_marks
from workbench.scene.data import tiff
from workbench.volume.data import dicom_seg
from workbench.weights import files as weight_files
from workbench.weights import load_tensors

# Libraries warn of what is odd in a damaged file, and rasterio's log stumbles over bytes that are no text.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.qt_no_exception_capture]

DAMAGES = 100
BUGS = (NameError, AttributeError, TypeError, MemoryError)


def damages(content, seed):
    """Copies cut at random places, and with one to sixteen bytes replaced, in the header as often as anywhere."""
    rng = random.Random(seed)
    for number in range(DAMAGES):
        if number % 3 == 0:
            yield content[: rng.randrange(len(content))]
            continue
        bad = bytearray(content)
        within = len(bad) if number % 2 else min(len(bad), 4096)
        for _ in range(rng.choice((1, 1, 4, 16))):
            bad[rng.randrange(within)] = rng.randrange(256)
        yield bytes(bad)


def opened(path):
    return wb.read(path).data


def geotiff(folder):
    import rasterio
    from rasterio.transform import from_origin

    path = folder / "scene.tif"
    about = {"driver": "GTiff", "height": 8, "width": 9, "count": 3, "dtype": "int16", "crs": "EPSG:32632"}
    with rasterio.open(path, "w", transform=from_origin(5e5, 5e6, 3, 3), **about) as f:
        f.write(np.arange(216, dtype="int16").reshape(3, 8, 9))
        f.scales = (0.5, 0.5, 0.5)
        for i in (1, 2, 3):
            f.update_tags(i, wavelength=str(400 + i * 20), wavelength_units="nm")
    return path, opened


def pages(folder):
    import tifffile

    path = folder / "pages.tif"
    data = np.arange(4 * 8 * 9, dtype="uint16").reshape(4, 8, 9)
    tifffile.imwrite(path, data, photometric="minisblack", compression="zlib")
    return path, opened


def npy(folder):
    np.save(folder / "a.npy", np.random.default_rng(0).random((6, 7, 5), dtype="f4"))
    return folder / "a.npy", opened


def npz(folder):
    cube = np.random.default_rng(0).random((6, 7, 5)).astype("f4")
    np.savez_compressed(folder / "a.npz", cube=cube, wavelengths=np.linspace(400, 800, 5))
    return folder / "a.npz", opened


def mat5(folder):
    import scipy.io

    cube = np.random.default_rng(0).random((6, 7, 5))
    scipy.io.savemat(folder / "a.mat", {"cube": cube}, do_compression=True)
    return folder / "a.mat", opened


def mat73(folder):
    import h5py

    path = folder / "h.mat"
    with h5py.File(path, "w", userblock_size=512) as f:
        f["cube"] = np.random.default_rng(0).random((5, 7, 6))
    content = path.read_bytes()
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + content[128:])
    return path, opened


def nifti(folder):
    return make_volume(folder / "v.nii.gz", (12, 11, 10)), opened


def nifti_plain(folder):
    return make_volume(folder / "v.nii", (12, 11, 10)), opened


def _itk(folder, suffix):
    import SimpleITK as sitk

    path = folder / f"v{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(np.arange(1320, dtype="int16").reshape(10, 11, 12)), str(path), True)
    return path, opened


def nrrd(folder):
    return _itk(folder, ".nrrd")


def mha(folder):
    return _itk(folder, ".mha")


def dicom(folder):
    dicom_maker.write_series(folder / "series", n=4)
    return sorted((folder / "series").iterdir())[1], lambda path: opened(path.parent)


def dicom_enhanced(folder):
    dicom_maker.write_enhanced(folder / "enhanced.dcm")
    return folder / "enhanced.dcm", opened


def segmentation(folder):
    pytest.importorskip("highdicom")
    dicom_maker.write_series(folder / "series", n=4)
    source = wb.read(folder / "series")
    values = (np.arange(int(np.prod(source.geometry.shape))) % 3).astype("uint8").reshape(source.geometry.shape)
    labels = Labels(values, source.geometry, ClassTable.from_names(["liver", "spleen"]), "seg")
    made = wb.write(labels, folder / "out", format="dicom-seg", name="seg", source=source)
    return next(f for f in made if f.suffix == ".dcm"), opened


def fif(folder):
    recording_maker.save_raw(folder / "r_raw.fif", seconds=2.0)
    return folder / "r_raw.fif", opened


def _epochs():
    return mne.make_fixed_length_epochs(recording_maker.raw(seconds=4.0), 1.0, preload=True, verbose="ERROR")


def epochs(folder):
    _epochs().save(folder / "e-epo.fif", verbose="ERROR")
    return folder / "e-epo.fif", opened


def evoked(folder):
    _epochs().average().save(folder / "e-ave.fif", verbose="ERROR")
    return folder / "e-ave.fif", opened


def _eeg(path, format):
    made = recording_maker.raw(seconds=4.0, n_meg=0).pick("eeg", verbose="ERROR")
    mne.export.export_raw(path, made, fmt=format, verbose="ERROR")
    return path, opened


def edf(folder):
    return _eeg(folder / "x.edf", "edf")


def brainvision(folder):
    return _eeg(folder / "x.vhdr", "brainvision")


def kit(folder):
    kit_maker.save_kit(folder / "k.con", np.random.default_rng(0).random((4, 500)), np.zeros(500))
    return folder / "k.con", opened


def bti(folder):
    bti_maker.save_bti(folder / "bti", np.random.default_rng(0).random((4, 500)), np.zeros(500))
    return folder / "bti" / "config", lambda path: opened(path.parent)


def ctf(folder):
    ctf_maker.save_ctf(folder / "c.ds", np.random.default_rng(0).random((4, 500)), np.zeros(500))
    return next((folder / "c.ds").glob("*.res4")), lambda path: opened(path.parent)


def marks(folder):
    recording_maker.raw(seconds=4.0).annotations.save(folder / "m-annot.fif", verbose="ERROR")
    return folder / "m-annot.fif", read_marks


def marks_text(folder):
    recording_maker.raw(seconds=4.0).annotations.save(folder / "m.txt", verbose="ERROR")
    return folder / "m.txt", read_marks


def safetensors(folder):
    return make_tiny_weights(folder / "w.safetensors"), load_tensors


def _checkpoint(folder, **options):
    import torch

    torch.save({"a.weight": torch.arange(12.0).reshape(3, 4), "b": torch.ones(3)}, folder / "w.pt", **options)
    return folder / "w.pt", load_tensors


def checkpoint(folder):
    return _checkpoint(folder)


def checkpoint_old(folder):
    return _checkpoint(folder, _use_new_zipfile_serialization=False)


FORMATS = (geotiff, pages, npy, npz, mat5, mat73, nifti, nifti_plain, nrrd, mha, dicom, dicom_enhanced, segmentation,
           fif, epochs, evoked, edf, brainvision, kit, bti, ctf, marks, marks_text, safetensors, checkpoint,
           checkpoint_old)  # fmt: skip


@pytest.mark.parametrize("made", FORMATS, ids=lambda f: f.__name__)
def test_damaged_files_are_read_or_refused_in_one_line(made, tmp_path):
    path, read = made(tmp_path)
    read(path)
    said = []
    for number, bad in enumerate(damages(path.read_bytes(), made.__name__)):
        path.write_bytes(bad)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(path)
        except WorkbenchError as error:
            said.append(str(error))
        except Exception as error:
            pytest.fail(f"damage {number}: {type(error).__name__}: {error}")
    unclear = [s for s in said if "\n" in s or str(tmp_path) not in s]
    assert not unclear
    assert len(said) > DAMAGES / 10


@pytest.mark.parametrize("bug", BUGS)
@pytest.mark.parametrize(
    ("made", "module", "helper"),
    [
        (geotiff, tiff, "_bands"),
        (geotiff, tiff, "from_transform"),
        (pages, tiff, "_read_pages"),
        (npz, npy_files, "_header_at"),
        (npz, npy_files, "_member"),
        (segmentation, dicom_seg, "_class"),
        (segmentation, dicom_seg, "_slices"),
        (fif, recording_read, "_image"),
        (fif, recording_read, "_of_raw"),
        (epochs, recording_read, "_image"),
        (checkpoint, weight_files, "_load_checkpoint"),
    ],
)  # fmt: skip
def test_a_fault_of_ours_in_a_reader_is_no_bad_file(made, module, helper, bug, tmp_path, monkeypatch):
    path, read = made(tmp_path)
    _plant(monkeypatch, module, helper, bug)
    with pytest.raises(bug, match="planted"):
        read(path)


@pytest.mark.parametrize("bug", [NameError, MemoryError])
def test_what_says_nothing_about_a_file_passes_even_from_a_library(bug, tmp_path, monkeypatch):
    path, read = marks(tmp_path)
    _plant(monkeypatch, mne, "read_annotations", bug)
    with pytest.raises(bug, match="planted"):
        read(path)
    import pydicom

    path, read = dicom_enhanced(tmp_path)
    image = wb.read(path)
    _plant(monkeypatch, pydicom, "dcmread", bug)
    with pytest.raises(bug, match="planted"):
        _ = image.data


@pytest.mark.parametrize("bug", BUGS)
@pytest.mark.parametrize(
    ("step", "helper"),
    [(steps.BandPass(), "_filtered"), (steps.BadChannels(), "bad_channels"), (steps.ICA(), "fit_ica")],
)
def test_a_fault_of_ours_in_a_step_is_no_step_that_cannot_be_done(step, helper, bug, monkeypatch):
    _plant(monkeypatch, steps, helper, bug)
    with pytest.raises(bug, match="planted"):
        steps.run(recording_maker.raw(), [step])


def test_steps_that_mne_refuses_are_still_said_in_one_line(tmp_path):
    with pytest.raises(InputError, match="step 'notch' cannot be done: "):
        steps.run(recording_maker.raw(seconds=2.0), [steps.Notch((-3.0,))])
    with pytest.raises(InputError, match="step 'resample' cannot be done: "):
        steps.run(recording_maker.raw(seconds=2.0), [steps.Resample(-1.0)])
    (tmp_path / "x-fwd.fif").write_bytes(b"no forward model")
    with pytest.raises(InputError, match=r"x-fwd\.fif: not readable as a forward model"):
        steps.run(recording_maker.raw(seconds=2.0), [steps.SourceParcels(Path(tmp_path / "x-fwd.fif"), [[0]])])


def _plant(monkeypatch, module, helper, bug):
    def broken(*_, **__):
        raise bug("planted")

    assert callable(getattr(module, helper))
    monkeypatch.setattr(module, helper, broken)
