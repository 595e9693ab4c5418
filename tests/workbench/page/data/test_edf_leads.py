"""Electrocardiograms in EDF files: our own come back with their gaps, others as they say, damaged ones in a line."""

import edfio
import numpy as np
import pytest

import workbench as wb
from tests.workbench.page.made import heart
from workbench.core.errors import InputError
from workbench.data import formats
from workbench.page.data import edf_leads, signal_files
from workbench.page.data.write_signals import write_edf

NAMES = ("I", "II", "aVR", "V1", "II strip")


@pytest.fixture
def ours(tmp_path):
    """Leads as they are read from a page: gaps, and no whole number of seconds."""
    data = heart(5, 2345)
    data[1, 300:900] = np.nan
    data[2, :40] = np.nan
    data[3] = np.nan
    data[4, 700] = np.nan
    write_edf(data, NAMES, 500, tmp_path / "ecg.edf", comments=["read from a page", "Confirmed by Ada"])
    return tmp_path / "ecg.edf", data


def others(path, signals, **more):
    edfio.Edf([edfio.EdfSignal(d, rate, label=n, physical_dimension=u) for n, d, rate, u in signals], **more).write(
        path
    )
    return path


def test_what_was_written_comes_back_with_its_gaps_and_its_length(ours):
    path, data = ours
    image = wb.read(path, kind="page")
    assert (image.kind, image.format, image.channels) == ("page", "edf", NAMES)
    assert image.header["sampling_rate"] == 500
    assert image.header["statements"] == ["read from a page"]
    assert image.data.shape == data.shape
    assert np.array_equal(np.isnan(image.data), np.isnan(data))
    assert np.nanmax(np.abs(image.data - data)) < 1e-3
    assert formats.info(path, kind="page")[0]["format"] == "edf"


def test_a_backend_of_pages_measures_it_and_one_without_is_asked_for_the_kind(ours):
    path, _ = ours
    found = wb.predict("ecg_image", path, device="cpu")
    assert found["leads"].channels == NAMES
    with pytest.raises(InputError, match="this can be a recording or an electrocardiogram. Say which"):
        wb.read(path)
    assert wb.read(path, kind="recording").kind == "recording"


def test_files_of_others_by_their_units_and_without_what_is_no_lead(tmp_path):
    data = heart(3, 2500)
    path = others(tmp_path / "a.edf", [
        ("ECG I", data[0] * 1000, 500, "uV"), ("EKG V2", data[1], 500, "mV"), ("aVF", data[2] / 1000, 500, "V"),
        ("Resp", np.sin(np.arange(125)), 25, "mV"),
    ])  # fmt: skip
    assert signal_files.sniff(path) == "no"  # a recording, until somebody says otherwise
    assert wb.read(path).kind == "recording"
    image = wb.read(path, kind="page")
    assert image.channels == ("I", "V2", "aVF")
    assert np.abs(image.data - data).max() < 1e-3
    assert any("1 signal(s) are no leads" in note and "Resp" in note for note in image.notes)


@pytest.mark.parametrize(
    ("signals", "words"),
    [
        ([("EEG Fp1", 500, "uV"), ("EEG Fp2", 500, "uV")], r"none of its 2 signals is a lead \('EEG Fp1, EEG Fp2'\)"),
        (
            [("I", 500, "mV"), ("II", 500, "mmHg"), ("V1", 500, "mV")],
            "signal 'II' is in mmHg, uV, mV or V was expected",
        ),
        ([("I", 5, "mV"), ("II", 5, "mV"), ("V1", 5, "mV")], "the sampling rate is 5 Hz"),
    ],
)
def test_what_is_no_electrocardiogram_is_refused(tmp_path, signals, words):
    path = others(tmp_path / "a.edf", [(n, heart(1, 5 * rate)[0], rate, unit) for n, rate, unit in signals])
    with pytest.raises(InputError, match=words):
        wb.read(path, kind="page")


def test_damaged_files_are_a_line(ours):
    path, _ = ours
    whole = path.read_bytes()
    for size in (0, 5, 200, 300, 2000, len(whole) - 100):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match="ecg.edf") as caught:
            edf_leads.read(path)
        assert "\n" not in str(caught.value)
    rng = np.random.default_rng(0)
    for _ in range(300):
        broken = bytearray(whole)
        for at in rng.integers(0, 256 * 7, 6):
            broken[at] = rng.integers(0, 256)
        path.write_bytes(broken)
        try:
            edf_leads.read(path)
        except InputError as error:
            said = str(error)
        else:
            said = ""
        assert "\n" not in said
    path.write_bytes(whole.replace(b"EDF+C", b"EDF+D"))
    with pytest.raises(InputError, match=r"do not follow each other \(EDF\+D\)"):
        edf_leads.read(path)
