"""WFDB, DICOM, CSV and EDF+ as other libraries read them: within half a step, gaps where they were."""

from __future__ import annotations

import csv
import datetime
import warnings

import mne
import numpy as np
import pydicom
import pytest
import wfdb

from tests.workbench.page.made import heart
from workbench.core.errors import UsageError
from workbench.page.data import csv_files, dicom_ecg, wfdb_files
from workbench.page.data import write_signals as writer
from workbench.page.data.stored import coarse, stored
from workbench.page.leads import STANDARD

WRITERS = {
    "ecg.hea": writer.write_wfdb,
    "ecg.dcm": writer.write_dicom,
    "ecg.csv": writer.write_csv,
    "ecg.edf": writer.write_edf,
}
START = datetime.datetime(2024, 2, 29, 12, 34, 56, 500000)


def _hard(samples: int = 2503) -> np.ndarray:
    """Twelve leads with a lost one, gaps, a drift, an offset, and one of all there is."""
    data = heart(12, samples)
    data[1, 100:300] = np.nan
    data[2, :7] = np.nan
    data[3, -5:] = np.nan
    data[4] = np.nan
    data[6] += np.linspace(-20, 20, samples)
    data[7] = 60 + 2 * data[7]
    data[8] = np.linspace(-3.2767, 3.2767, samples)
    data[9] = np.where(np.arange(samples) % 2, 32.767, -32.767)
    data[10] = 0.0
    return data


def _error(found: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Largest difference of each lead [mV]; gaps must be the same."""
    assert np.array_equal(np.isnan(found), np.isnan(data))
    return np.nan_to_num(np.abs(found - data)).max(axis=1)


def test_wfdb_reads_within_half_a_step(tmp_path):
    data = _hard()
    paths = writer.write_wfdb(data, STANDARD, 500, tmp_path / "ecg.hea", comments=["a line", "\u00b5 \x1b[2J\nnext"])
    assert [p.name for p in paths] == ["ecg.hea", "ecg.dat"]
    record = wfdb.rdrecord(str(tmp_path / "ecg"))
    steps = 1 / np.array(record.adc_gain)
    assert steps.max() <= 0.001 + 1e-12
    assert np.all(_error(record.p_signal.T, data) <= steps / 2 + 1e-9)
    assert record.units == ["mV"] * 12
    assert record.sig_name == list(STANDARD)
    assert record.fs == 500
    digital = wfdb.rdrecord(str(tmp_path / "ecg"), physical=False)
    assert digital.calc_checksum() == record.checksum
    assert digital.d_signal[0].tolist() == record.init_value
    assert record.comments == ["a line", "? \\x1b[2J\\x0anext"]
    assert np.all(_error(wfdb_files.read(tmp_path / "ecg.hea").data, data) <= steps / 2 + 3e-6)
    assert not any("checksum" in note for note in wfdb_files.read(tmp_path / "ecg.hea").notes)


def test_wfdb_keeps_the_moment(tmp_path):
    writer.write_wfdb(heart(), STANDARD, 360, tmp_path / "ecg.hea", start=START)
    assert wfdb.rdheader(str(tmp_path / "ecg")).base_datetime == START


def test_pydicom_reads_within_half_a_step(tmp_path):
    data = _hard()
    writer.write_dicom(data, STANDARD, 500, tmp_path / "ecg.dcm", start=START)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file = pydicom.dcmread(tmp_path / "ecg.dcm")
    group = file.WaveformSequence[0]
    raw = file.waveform_array(0)
    padded = np.frombuffer(group.WaveformData, "<i2").reshape(-1, 12) == -32768
    found = np.where(padded, np.nan, raw).T / 1000
    steps = np.array([float(c.ChannelSensitivity) for c in group.ChannelDefinitionSequence]) / 1000
    assert steps.max() <= 0.001
    assert np.all(_error(found, data) <= steps / 2 + 1e-9)
    assert np.frombuffer(group.WaveformPaddingValue, "<i2")[0] == -32768
    codes = [c.ChannelSourceSequence[0].CodeValue for c in group.ChannelDefinitionSequence]
    assert codes[:6] == ["2:1", "2:2", "2:61", "2:62", "2:63", "2:64"]
    assert file.SOPClassUID == "1.2.840.10008.5.1.4.1.1.9.1.1"
    assert str(file.PatientName) == file.PatientID == file.PatientBirthDate == file.PatientSex == ""
    assert file.ContentDate == "20240229"
    assert "one step is 0.1 or 1 uV" in file.ImageComments
    assert np.all(_error(dicom_ecg.read(tmp_path / "ecg.dcm").data, data) <= steps / 2 + 5e-6)


def test_a_strip_has_the_code_of_its_lead_and_stays_apart_from_the_short_one(tmp_path):
    names, data = ("I", "II", "V1", "II strip", "V1 strip"), heart(5, 1000)
    writer.write_dicom(data, names, 500, tmp_path / "ecg.dcm")
    channels = pydicom.dcmread(tmp_path / "ecg.dcm").WaveformSequence[0].ChannelDefinitionSequence
    sources = [c.ChannelSourceSequence[0] for c in channels]
    assert [s.CodeValue for s in sources] == ["2:1", "2:2", "2:3", "2:2", "2:3"]
    assert [s.CodeMeaning for s in sources][3:] == ["Lead II", "Lead V1"]
    assert tuple(c.ChannelLabel for c in channels) == names
    image = dicom_ecg.read(tmp_path / "ecg.dcm")
    assert image.channels == names
    assert _error(image.data, data).max() < 1e-3
    assert not any("no lead known" in note for note in image.notes), image.notes


@pytest.mark.parametrize(
    ("leads", "samples", "rate", "ending"),
    [(12, 16384, 500, "1"), (12, 16385, 500, "2"), (15, 2000, 1000, "2"), (12, 1000, 100, "3"), (3, 90_000, 125, "3")],
)
def test_the_class_is_one_that_allows_the_signals(tmp_path, leads, samples, rate, ending):
    names = [*STANDARD, "X", "Y", "Z"][:leads]
    path = writer.write_dicom(heart(leads, samples), names, rate, tmp_path / "ecg.dcm")[0]
    file = pydicom.dcmread(path)
    assert file.SOPClassUID == "1.2.840.10008.5.1.4.1.1.9.1." + ending
    assert file.file_meta.MediaStorageSOPClassUID == file.SOPClassUID
    assert "1 January 1900" in file.ImageComments
    assert dicom_ecg.read(path).channels == tuple(names)


def test_no_class_of_dicom_is_said():
    for leads, rate in ((25, 500), (13, 100), (2, 2000), (2, 30)):
        with pytest.raises(UsageError, match="fit no class of DICOM"):
            writer.dicom_bytes(heart(leads, 500), [f"L{n}" for n in range(leads)], rate)


def test_the_csv_module_reads_the_table(tmp_path):
    data = _hard()
    writer.write_csv(data, STANDARD, 500, tmp_path / "ecg.csv", comments=["=1+1"], start=START)
    lines = (tmp_path / "ecg.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# =1+1"
    assert lines[1] == "# start: 2024-02-29T12:34:56.500000"
    rows = list(csv.reader(lines[2:]))
    assert rows[0] == ["time [s]", *(f"{lead} [mV]" for lead in STANDARD)]
    found = np.array([[float(c or "nan") for c in row] for row in rows[1:]])
    np.testing.assert_allclose(found[:, 0], np.arange(2503) / 500, atol=1e-12)
    assert _error(found[:, 1:].T, data).max() <= 5.1e-6
    image = csv_files.read(tmp_path / "ecg.csv")
    assert image.header["sampling_rate"] == 500
    assert _error(image.data, data).max() <= 1e-5


@pytest.mark.parametrize("rate", [100, 257, 1000 / 3, 360, 1025, 128.5])
def test_any_rate_comes_back_from_a_table(tmp_path, rate):
    writer.write_csv(heart(3, 5000), ["I", "II", "V1"], rate, tmp_path / "ecg.csv")
    assert csv_files.read(tmp_path / "ecg.csv").header["sampling_rate"] == pytest.approx(rate, rel=1e-9)


def test_no_cell_is_a_formula():
    text = writer.csv_text(heart(3, 5), ["=cmd|'/c calc'!A1", "@x", "+y"], 500)
    for cell in next(csv.reader(text.splitlines())):
        assert not cell.startswith(("=", "+", "-", "@"))


def test_mne_reads_within_half_a_step_and_the_gaps(tmp_path):
    data = _hard()
    writer.write_edf(data, STANDARD, 500, tmp_path / "ecg.edf", comments=["from a page"], start=START)
    raw = mne.io.read_raw_edf(tmp_path / "ecg.edf", verbose="error")
    assert raw.info["sfreq"] == 500
    assert raw.ch_names == [f"ECG {lead}" for lead in STANDARD]
    assert raw.info["meas_date"].replace(tzinfo=None) == START.replace(microsecond=0)
    found = raw.get_data()[:, :2503] * 1000
    held = np.isfinite(data)
    steps = 1000 * (raw._raw_extras[0]["physical_max"] - raw._raw_extras[0]["physical_min"])[:12] / 65535
    for n in range(12):
        step = stored(data[n : n + 1], ["x"]).steps[0]
        assert step <= 0.001
        if held[n].any():
            assert np.abs(found[n] - data[n])[held[n]].max() <= step / 2 + 1e-9
        lowest = found[n].min()
        assert not held[n].all() or lowest <= data[n].min() + step
        # A gap lies below everything that was measured.
        assert np.all(found[n][~held[n]] < np.nanmin(np.r_[found[n][held[n]], 1e9]))
        assert np.allclose(found[n][~held[n]], lowest, atol=1e-9)
    assert len(steps) == 12
    notes = {(a["description"], round(float(a["onset"]), 6), round(float(a["duration"]), 6)) for a in raw.annotations}
    assert notes == {
        ("from a page", 0.0, 0.0),
        ("no signal: II", 0.2, 0.4),
        ("no signal: III", 0.0, 0.014),
        ("no signal: aVR", 4.996, 0.01),
        ("no signal: aVL", 0.0, 5.006),
        ("no signal: after the end", 5.006, 0.994),
    }


def test_edfio_reads_the_same(tmp_path):
    import edfio

    data = heart(3, 1000)
    writer.write_edf(data, ["I", "II", "V1"], 250, tmp_path / "ecg.edf")
    edf = edfio.read_edf(tmp_path / "ecg.edf")
    assert [s.label for s in edf.signals] == ["ECG I", "ECG II", "ECG V1"]
    assert {s.physical_dimension for s in edf.signals} == {"mV"}
    for n, signal in enumerate(edf.signals):
        assert signal.sampling_frequency == 250
        np.testing.assert_allclose(signal.data, data[n], atol=0.00005 + 1e-9)
    assert edf.annotations == ()
    assert edf.patient.name == "X"


def test_edf_of_rates_that_are_no_whole_number(tmp_path):
    writer.write_edf(heart(2, 2000), ["I", "II"], 128.5, tmp_path / "ecg.edf")
    raw = mne.io.read_raw_edf(tmp_path / "ecg.edf", verbose="error")
    assert raw.info["sfreq"] == 128.5
    with pytest.raises(UsageError, match="no whole number of samples"):
        writer.edf_bytes(heart(2, 2000), ["I", "II"], 1000 / 3.1234567)


@pytest.mark.parametrize("name", WRITERS)
def test_equal_signals_give_equal_bytes(tmp_path, name):
    for folder in ("a", "b"):
        for path in WRITERS[name](_hard(), STANDARD, 500, tmp_path / folder / name):
            assert path.is_file()
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"signals": heart(2, 10)}, "expected (leads, samples)"),
        ({"signals": np.zeros((12, 0))}, "expected (leads, samples)"),
        ({"signals": np.zeros((12, 10), int)}, "expected floating-point"),
        ({"signals": np.full((12, 10), np.inf)}, "infinite"),
        ({"sampling_rate": 0}, "sampling rate is 0 Hz"),
        ({"sampling_rate": float("nan")}, "sampling rate is nan"),
        ({"leads": ("I",) * 12}, "different names"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is(tmp_path, name, change, said):
    given = {"signals": heart(12, 10), "leads": STANDARD, "sampling_rate": 500, "path": tmp_path / name} | change
    with pytest.raises(UsageError) as caught:
        WRITERS[name](**given)
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["ecg.hea", "ecg.dcm", "ecg.edf"])
def test_what_no_electrode_has_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="more than 16 bits hold at 100 uV"):
        WRITERS[name](heart() * 10_000, STANDARD, 500, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_wfdb_does_not_allow_is_refused(tmp_path):
    with pytest.raises(UsageError, match="as in my_case"):
        writer.write_wfdb(heart(), STANDARD, 500, tmp_path / "my case.hea")
    assert writer.wfdb_name("\u00e4 b.c") == "__b_c"


def test_steps_are_the_finest_that_hold():
    data = np.array([[-3.2, 3.2], [-6.0, 6.0], [-16.0, 16.0], [-32.0, 32.0], [40.0, 45.0]])
    whole = stored(data, "abcde")
    assert whole.steps == (0.0001, 0.0002, 0.0005, 0.001, 0.0001)
    assert whole.middles == (0, 0, 0, 0, 42.5)


@pytest.mark.parametrize("name", ["ecg.hea", "ecg.dcm", "ecg.edf"])
@pytest.mark.parametrize("offset", [0, 40, -250, 1990])
def test_electrodes_that_drift_far_are_stored_in_coarser_steps(tmp_path, name, offset):
    data = heart()
    data[0] += offset
    data[1] += np.linspace(-offset, offset, data.shape[1])
    WRITERS[name](data, STANDARD, 500, tmp_path / name)
    found = _read_by_others(tmp_path / name)[: len(data), : data.shape[1]]
    steps = np.array(stored(data, STANDARD).steps)
    assert (np.abs(found - data).max(axis=1) <= 0.51 * steps + 1e-9).all()
    assert steps[2:].max() <= 0.001
    said = coarse(data, STANDARD)
    assert ("II (" in said) == (abs(offset) > 32)
    assert "III" not in said


def _read_by_others(path):
    if path.suffix == ".hea":
        return wfdb.rdrecord(str(path.with_suffix(""))).p_signal.T
    if path.suffix == ".edf":
        raw = mne.io.read_raw_edf(path, preload=True, verbose="error")
        return raw.get_data()[: len(STANDARD)] * 1000
    return pydicom.dcmread(path).waveform_array(0).T / 1000


def test_coarser_steps_are_said_and_a_table_has_none():
    from workbench.page.data import write

    data = heart()
    data[0] += np.linspace(-80, 80, data.shape[1])
    image = csv_image(data)
    assert any("more than 1 uV" in n and "I (5 uV)" in n for n in write.notes(image, "wfdb"))
    assert not write.notes(image, "csv")


def csv_image(data):
    from pathlib import Path

    from workbench.page.data.ecg_image import ecg_image

    return ecg_image(Path("a.csv"), STANDARD, data.shape[1], 500, lambda: data.astype(np.float32), format="csv",
                     header={})  # fmt: skip
