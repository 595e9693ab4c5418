"""HL7 aECG: the public example against its DICOM twin, and what the format allows besides."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.page.made import aecg_xml
from workbench.core.errors import InputError
from workbench.page.data import aecg_xml as reader
from workbench.page.data import dicom_ecg

DIGITS = {"I": list(range(100)), "II": list(range(0, -100, -1)), "AVR": [7] * 100}
START = "20250101120000.000"


def _read(tmp_path, text):
    path = tmp_path / "x.xml"
    path.write_text(text)
    return reader.read(path)


def test_the_same_recording_in_dicom_has_the_same_leads(shared_data):
    """1 uV is asked; the two differ by nothing, though their leads come in another order."""
    one = reader.read(shared_data / "ecg" / "hl7_example_aecg.xml")
    two = dicom_ecg.read(shared_data / "ecg" / "hl7_example.dcm")
    assert one.channels != two.channels
    assert set(one.channels) == set(two.channels)
    assert len(one.channels) == 12
    for lead in one.channels:
        np.testing.assert_allclose(
            one.data[one.channels.index(lead)], two.data[two.channels.index(lead)], atol=1e-6, err_msg=lead
        )
    assert np.ptp(one.data, axis=1).min() > 0.5
    expected = {"P": 102, "PR": 148, "QRS": 120, "QT": 420, "QTc": 443, "P_axis": 44, "QRS_axis": -61, "T_axis": 86}
    assert one.header["measurements"] == expected
    assert {k: v for k, v in expected.items() if k != "P"} == two.header["measurements"]
    assert any("REPRESENTATIVE_BEAT" in note for note in one.notes)
    for person in ("Clark", "Smith", "JMK", "SBJ", "River"):
        assert person not in str(one.header)


@pytest.mark.parametrize("prefix", ["", "hl7:"])
def test_origin_and_scale_have_units_of_their_own(tmp_path, prefix):
    text = aecg_xml([(START, DIGITS)], scale='value="0.005" unit="mV"', origin='value="100" unit="uV"', prefix=prefix)
    image = _read(tmp_path, text)
    assert image.channels == ("I", "II", "aVR")
    np.testing.assert_allclose(image.data, np.array(list(DIGITS.values())) * 0.005 + 0.1, atol=1e-6)
    assert image.header["sampling_rate"] == 500


def test_sets_lie_where_their_times_say(tmp_path):
    text = aecg_xml([(START, {"I": [1] * 50}), ("20250101120000.100", {"V1": [2] * 50})])
    image = _read(tmp_path, text)
    assert image.geometry.shape == (100,)
    np.testing.assert_allclose(image.data[0, :50], 0.005)
    assert np.isnan(image.data[0, 50:]).all()
    np.testing.assert_allclose(image.data[1, 50:], 0.010)
    assert any("sets of leads lie where" in note for note in image.notes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"step": 'value="0" unit="s"'}, "the step of time"),
        ({"step": 'value="2"'}, "the step of time is 2.0 without a unit"),
        ({"step": 'value="1e-9" unit="s"'}, "Hz, expected"),
        ({"scale": 'value="5"'}, "scale of MDC_ECG_LEAD_I is '5' no unit"),
        ({"scale": 'value="5" unit="mmHg"'}, "expected a number of uV"),
        ({"scale": 'value="0" unit="uV"'}, "is 0, expected the voltage"),
        ({"origin": 'value="x" unit="uV"'}, "origin of MDC_ECG_LEAD_I"),
    ],
)
def test_what_states_no_voltage_or_time_is_refused(tmp_path, change, said):
    with pytest.raises(InputError, match=said):
        _read(tmp_path, aecg_xml([(START, DIGITS)], **change))


def test_digits_that_are_none_are_refused(tmp_path):
    text = aecg_xml([(START, DIGITS)])
    for bad, said in (("1 2 x 4", "hold 'x'"), ("1 1e40 3", "beyond 32 bits"), ("nan", "beyond 32 bits")):
        with pytest.raises(InputError, match=said):
            _read(tmp_path, text.replace(" ".join(map(str, DIGITS["I"])), bad))
    with pytest.raises(InputError, match="holds no samples"):
        _read(tmp_path, aecg_xml([(START, {"I": []})]))
    with pytest.raises(InputError, match="one recording"):
        _read(tmp_path, aecg_xml([(START, {"I": [1] * 50}), ("20990101120000", {"V1": [2] * 50})]))
    with pytest.raises(InputError, match="different samples of I"):
        _read(tmp_path, aecg_xml([(START, {"I": [1] * 50}), (START, {"I": [2] * 50})]))
    with pytest.raises(InputError, match="expected <AnnotatedECG>"):
        _read(tmp_path, "<RestingECG/>")
    with pytest.raises(InputError, match="no series with a sequence set"):
        _read(tmp_path, "<AnnotatedECG/>")
