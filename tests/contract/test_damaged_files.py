"""Faults of ours in a reader are never taken for damaged files; damaged files themselves are in `tests/mutation`."""

from pathlib import Path

import mne
import pytest

import workbench as wb
from tests import recording_maker
from tests.mutation.seeds import SEEDS
from workbench.core.errors import InputError, OutOfMemory
from workbench.data import npy_files
from workbench.recording.data import read as recording_read
from workbench.recording.data import steps
from workbench.scene.data import tiff, tiff_bands
from workbench.volume.data import dicom_seg
from workbench.weights import files as weight_files

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.qt_no_exception_capture]

BUGS = (NameError, AttributeError, TypeError, MemoryError)


def _made(seed, folder):
    """The file of a seed, and what reads its samples."""
    path = SEEDS[seed].make(folder)
    verbs = SEEDS[seed].verbs(path)
    return path, list(verbs.values())[-1] if "data" not in verbs else verbs["data"]


@pytest.mark.parametrize("bug", BUGS)
@pytest.mark.parametrize(
    ("seed", "module", "helper"),
    [
        ("geotiff", tiff_bands, "of_tags"),
        ("geotiff", tiff, "from_transform"),
        ("tiff pages deflate", tiff, "_read_pages"),
        ("npz compressed", npy_files, "_header_at"),
        ("npz compressed", npy_files, "_member"),
        ("dicom seg", dicom_seg, "_class"),
        ("dicom seg", dicom_seg, "_frames"),
        ("fif", recording_read, "_image"),
        ("fif", recording_read, "_of_raw"),
        ("fif epochs", recording_read, "_image"),
        ("checkpoint", weight_files, "_load_checkpoint"),
    ],
)  # fmt: skip
def test_a_fault_of_ours_in_a_reader_is_no_bad_file(seed, module, helper, bug, tmp_path, monkeypatch):
    _, read = _made(seed, tmp_path)
    _plant(monkeypatch, module, helper, bug)
    with pytest.raises(bug, match="planted"):
        read()


@pytest.mark.parametrize("bug", [NameError, MemoryError])
def test_what_says_nothing_about_a_file_passes_even_from_a_library(bug, tmp_path, monkeypatch):
    _, read = _made("annotations fif", tmp_path)
    _plant(monkeypatch, mne, "read_annotations", bug)
    with pytest.raises(bug, match="planted"):
        read()
    import pydicom

    path, _ = _made("dicom enhanced", tmp_path)
    image = wb.read(path)
    _plant(monkeypatch, pydicom, "dcmread", bug)
    with pytest.raises(OutOfMemory if bug is MemoryError else bug, match="planted"):
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
