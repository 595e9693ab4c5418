"""DICOM electrocardiograms: leads by code, voltages in the right order, padding, skew, and what devices measured."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from tests.workbench.page.made import dicom_ecg, numeric
from workbench.core.errors import InputError
from workbench.page.data import dicom_ecg as reader

RNG = np.random.default_rng(4)
RAW = RNG.integers(-500, 500, (2, 1000)).astype(np.int16)
TWO = [{"code": "5.6.3-9-1"}, {"code": "5.6.3-9-2"}]


@pytest.fixture
def written(tmp_path):
    def write(groups, **changes):
        path = tmp_path / "ecg.dcm"
        dicom_ecg(groups, **changes).save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize(
    ("name", "rate", "measurements"),
    [
        (
            "dicom_12lead_mortara.dcm",
            1000,
            {"RR": 982, "PR": 161, "QRS": 75, "QT": 368, "QTc": 370, "P_axis": 74, "QRS_axis": 52, "T_axis": 57},
        ),
        (
            "hl7_example.dcm",
            500,
            {"PR": 148, "QRS": 120, "QT": 420, "QTc": 443, "P_axis": 44, "QRS_axis": -61, "T_axis": 86},
        ),
    ],
)
def test_public_files_are_what_pydicom_reads(shared_data, name, rate, measurements):
    path = shared_data / "ecg" / name
    assert reader.is_ecg(path)
    image = reader.read(path)
    assert not image.is_loaded
    assert image.channels == ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
    assert image.header["sampling_rate"] == rate
    assert image.header["measurements"] == measurements
    expected = pydicom.dcmread(path).waveform_array(0).T / 1000
    assert np.isfinite(image.data).all()
    np.testing.assert_allclose(image.data, expected, atol=1e-6)
    assert "MEDIAN BEAT (derived, 1.2 s)" in image.notes[0]


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_padding_value_that_the_leads_take_too_makes_no_holes(shared_data):
    image = reader.read(shared_data / "ecg" / "hl7_example.dcm")
    assert any("padding value 0" in note and "taken as measured" in note for note in image.notes)
    assert sum("taken as deg" in note for note in image.notes) == 3  # the file calls its axes ms


def test_the_baseline_is_added_behind_the_gain(written):
    """pydicom issue 1667: for years the baseline was added before."""
    channels = [
        {"code": "5.6.3-9-1", "sensitivity": 2.5, "factor": 2, "baseline": 300},
        {"code": "5.6.3-9-2", "sensitivity": "0.004", "unit": "mV", "baseline": -0.25},
        {"code": "5.6.3-9-3", "sensitivity": "1e-6", "unit": "V", "baseline": 0},
    ]
    raw = np.concatenate([RAW, RAW[:1]])
    image = reader.read(written([{"raw": raw, "channels": channels}]))
    np.testing.assert_allclose(image.data[0], (raw[0] * 5.0 + 300) / 1000, atol=1e-6)
    np.testing.assert_allclose(image.data[1], raw[1] * 0.004 - 0.25, atol=1e-6)
    np.testing.assert_allclose(image.data[2], raw[2] / 1000, atol=1e-6)
    theirs = pydicom.dcmread(image.source).waveform_array(0).T
    np.testing.assert_allclose(image.data, theirs * np.array([[1e-3], [1], [1e3]]), atol=1e-6)


def test_leads_are_told_by_their_codes(written):
    channels = [
        {"code": "2:63", "scheme": "MDC", "meaning": "Lead V6"},
        {"code": "5.6.3-9-62\0", "scheme": "SCPECG\0", "meaning": "aVR\0"},
        {"code": "131075", "scheme": "MDC", "meaning": "Lead V1"},
        {"code": "2:266", "scheme": "MDC", "meaning": "V2R"},
        {"code": "9.9", "scheme": "99OWN", "meaning": "Lead II"},
        {"code": "5.6.3-9-0", "label": "MCL1"},
    ]
    raw = np.concatenate([RAW, RAW, RAW])
    image = reader.read(written([{"raw": raw, "channels": channels}]))
    assert image.channels == ("aVL", "aVR", "V1", "V2R", "II", "MCL1")
    assert any("aVL by its code 2:63" in note and "'Lead V6'" in note for note in image.notes)
    assert any("code 9.9" in note for note in image.notes)


def test_padding_is_a_gap(written):
    raw = RAW.copy()
    raw[0, 10:20] = -32768
    image = reader.read(written([{"raw": raw, "channels": TWO, "padding": -32768}]))
    assert np.array_equal(np.isnan(image.data), raw == -32768)
    raw = np.where(RAW == 0, 1, RAW)
    raw[:, 900:] = 0  # 0 lies among the samples, and all leads end with it
    raw[0, 50] = 0
    image = reader.read(written([{"raw": raw.astype(np.int16), "channels": TWO, "padding": 0}]))
    assert np.isnan(image.data[:, 900:]).all()
    assert np.isfinite(image.data[:, :900]).all()
    assert "1 such samples were taken as measured, 200 at the ends" in " ".join(image.notes)


def test_a_skewed_channel_is_moved(written):
    channels = [{"code": "5.6.3-9-1", "skew": 3}, {"code": "5.6.3-9-2", "skew": -2.25}]
    image = reader.read(written([{"raw": RAW, "channels": channels}]))
    np.testing.assert_allclose(image.data[0, 3:], RAW[0, :-3] * 0.0025, atol=1e-6)
    assert np.isnan(image.data[0, :3]).all()
    np.testing.assert_allclose(image.data[1, :-2], RAW[1, 2:] * 0.0025, atol=1e-6)
    assert any("-0.25 of a sample" in note for note in image.notes)


def test_groups_of_different_leads_lie_where_their_offsets_say(written):
    groups = [
        {"raw": RAW, "channels": TWO, "label": "first"},
        {"raw": RAW[::-1].copy(), "channels": [{"code": "5.6.3-9-3"}, {"code": "5.6.3-9-4"}], "offset": 2000},
        {"raw": RAW[:, :300].copy(), "channels": TWO, "originality": "DERIVED", "label": "MEDIAN BEAT"},
    ]
    image = reader.read(written(groups, sop="1.2.840.10008.5.1.4.1.1.9.1.2"))
    assert image.channels == ("I", "II", "V1", "V2")
    assert image.geometry.shape == (2000,)
    assert np.isnan(image.data[:2, 1000:]).all()
    np.testing.assert_allclose(image.data[2, 1000:], RAW[1] * 0.0025, atol=1e-6)
    assert "MEDIAN BEAT" in " ".join(image.notes)


def test_a_file_of_averaged_beats_alone_says_so(written):
    image = reader.read(written([{"raw": RAW, "channels": TWO, "originality": "DERIVED"}]))
    assert "no original recording" in image.notes[0]


@pytest.mark.parametrize(("kind", "low"), [("i1", -100), ("i2", -500), ("u2", 0), ("i4", -100000)])
def test_samples_of_all_widths_are_read(written, kind, low):
    raw = RNG.integers(low, 100, (2, 300)).astype(kind)
    sop = "1.2.840.10008.5.1.4.1.1.9.1.3"
    image = reader.read(written([{"raw": raw, "channels": TWO}], sop=sop))
    np.testing.assert_allclose(image.data, raw * 0.0025, rtol=1e-6)


def test_measurements_are_told_by_code(written):
    annotations = [
        numeric("2:15872", "MDC", "0.160", "s"),
        numeric("2:16156", "MDC", "90", "ms"),
        numeric("2:16160", "MDC", "400", "mV"),
        numeric("2:15880", "MDC", "410", "ms"),
        numeric("2:16132", "MDC", "-30", "deg"),
        numeric("2:16016", "MDC", "61", "bpm"),
        numeric("5.10.2.1-5", "SCPECG", "0", "ms"),
        numeric("1:1", "MDC", "12", "ms"),
    ]
    image = reader.read(written([{"raw": RAW, "channels": TWO}], annotations=annotations))
    expected = {"PR": 160, "QRS": 90, "QTcB": 410, "QRS_axis": -30, "heart_rate": 61}
    assert image.header["measurements"] == expected
    assert any("QT of the device is in mV" in note for note in image.notes)


def test_nothing_of_a_person_is_in_the_header(written):
    path = written([{"raw": RAW, "channels": TWO}], PatientName="Muster^Ada", PatientID="77", PatientAge="042Y",
                   PatientSex="F", PatientBirthDate="19700101")  # fmt: skip
    header = reader.read(path).header
    assert header["age"] == 42
    assert header["sex"] == "F"
    assert not any(word in str(header) for word in ("Muster", "Ada", "'77'", "1970"))


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ({"unit": "mmHg"}, "is in mmHg, expected uV, mV or V"),
        ({"unit": "MV"}, "is in MV"),
        ({"unit": ""}, "is in no unit"),
        ({"sensitivity": None}, "no gain is guessed"),
        ({"sensitivity": 0}, "one step of"),
        ({"sensitivity": "1e30"}, "one step of"),
        ({"skew": 5000}, "skewed by 5000 samples"),
    ],
)
def test_a_channel_without_a_voltage_is_refused(written, channel, said):
    with pytest.raises(InputError, match=said):
        reader.read(written([{"raw": RAW[:1].copy(), "channels": [{"code": "5.6.3-9-1"} | channel]}]))


def test_what_cannot_be_is_one_line(tmp_path):
    def damaged(change):
        data = dicom_ecg([{"raw": RAW, "channels": TWO}])
        change(data.WaveformSequence[0])
        data.save_as(tmp_path / "x.dcm", enforce_file_format=True)
        with pytest.raises(InputError) as caught:
            _ = reader.read(tmp_path / "x.dcm").data
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def put(name, value):
        return lambda group: setattr(group, name, value)

    assert "is 0 Hz" in damaged(put("SamplingFrequency", 0))
    assert "was cut off" in damaged(put("NumberOfWaveformSamples", 1_000_000_000))
    assert "counts 1000 channels and describes 2" in damaged(put("NumberOfWaveformChannels", 1000))
    assert "are 'MB'" in damaged(put("WaveformSampleInterpretation", "MB"))
    assert "has 8 bits for SS" in damaged(put("WaveformBitsAllocated", 8))
    assert "no waveform data" in damaged(lambda group: delattr(group, "WaveformData"))
    assert "describes 0" in damaged(put("ChannelDefinitionSequence", []))


def test_other_dicom_is_no_electrocardiogram(written):
    path = written([{"raw": RAW, "channels": TWO}], sop="1.2.840.10008.5.1.4.1.1.2")
    assert not reader.is_ecg(path)
    with pytest.raises(InputError, match="is DICOM of the class"):
        reader.read(path)


def test_a_deflated_file_is_read_and_one_that_would_grow_is_not(tmp_path, monkeypatch):
    data = dicom_ecg([{"raw": RAW, "channels": TWO}])
    data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    path = tmp_path / "x.dcm"
    data.save_as(path, enforce_file_format=True)
    np.testing.assert_allclose(reader.read(path).data, RAW * 0.0025, atol=1e-6)
    monkeypatch.setattr(reader, "_UNFOLDED", 2000)
    with pytest.raises(InputError, match="unfolds to more than"):
        reader.read(path)


def test_big_endian_samples_are_read(tmp_path):
    data = dicom_ecg([{"raw": RAW.astype(">i2").view("<i2"), "channels": TWO}])
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRBigEndian
    path = tmp_path / "x.dcm"
    data.save_as(path, enforce_file_format=True)
    np.testing.assert_allclose(reader.read(path).data, RAW * 0.0025, atol=1e-6)
