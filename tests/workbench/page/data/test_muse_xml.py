"""GE MUSE: samples against what was encoded, four leads computed, checksums compared."""

from __future__ import annotations

import numpy as np
import pytest

from tests.workbench.page.made import muse_xml, whole_leads
from workbench.core.errors import InputError
from workbench.page.data import muse_xml as reader
from workbench.page.leads import STANDARD

LEADS = whole_leads(1500)


@pytest.fixture
def muse(tmp_path):
    def write(**settings):
        path = tmp_path / "m.xml"
        path.write_text(muse_xml(LEADS, **settings), encoding="latin-1")
        return path

    return write


def test_eight_leads_are_read_and_four_computed(muse):
    image = reader.read(muse())
    assert image.channels == STANDARD
    mv = {name: row * 0.00488 for name, row in LEADS.items()}
    mv |= {
        "III": mv["II"] - mv["I"],
        "aVR": -(mv["I"] + mv["II"]) / 2,
        "aVL": mv["I"] - mv["II"] / 2,
        "aVF": mv["II"] - mv["I"] / 2,
    }
    for lead in STANDARD:
        np.testing.assert_allclose(image.data[image.channels.index(lead)], mv[lead], atol=1e-6, err_msg=lead)
    assert any("III, aVR, aVL, aVF are not stored" in note for note in image.notes)
    assert any("Median" in note for note in image.notes)
    assert not any("checksum" in note for note in image.notes)
    expected = {
        "heart_rate": 72,
        "PR": 160,
        "QRS": 92,
        "QT": 384,
        "QTc": 420,
        "P_axis": 45,
        "QRS_axis": -12,
        "T_axis": 33,
    }
    assert image.header["measurements"] == expected
    assert image.header["age"] == 61
    assert image.header["statements"] == ["Normal sinus rhythm"]
    assert "ller" not in str(image.header)
    assert "ANNA" not in str(image.header)


def test_ecgdatakit_reads_the_same(muse):
    kit = pytest.importorskip("ecgdatakit", reason="the extra 'ecg' is not installed")
    path = muse()
    image = reader.read(path)
    theirs = {lead.label: lead for lead in kit.FileParser().parse(str(path)).leads}
    for lead in LEADS:
        np.testing.assert_allclose(
            image.data[image.channels.index(lead)], theirs[lead].to_millivolts().samples
            if hasattr(theirs[lead], "to_millivolts") else theirs[lead].samples, atol=1e-3,
        )  # fmt: skip


def test_a_wrong_checksum_is_said(muse):
    assert sum("checksum of lead" in note for note in reader.read(muse(crc=False)).notes) == 8


def test_a_rate_with_an_exponent(muse):
    image = reader.read(muse(change={"<SampleBase>500": "<SampleBase>25", "<SampleExponent>0": "<SampleExponent>1"}))
    assert image.header["sampling_rate"] == 250


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"MICROVOLTS": "PARSEC"}, "expected a number of MICROVOLTS"),
        ({">4.88<": "><"}, "one step of lead 'I' is None"),
        ({">4.88<": ">0<"}, "one step of lead"),
        ({"<SampleBase>500": "<SampleBase>0"}, "is 0 Hz"),
        ({"<SampleBase>500": "<SampleBase>many"}, "expected the sampling rate in Hz"),
        ({"<SampleExponent>0": "<SampleExponent>300"}, "expected the sampling rate in Hz"),
        ({"<LeadSampleSize>2": "<LeadSampleSize>4"}, "samples of 4.0 bytes"),
        ({">1500<": ">1000000000<"}, "expected 2 for each of its"),
        ({"Rhythm": "Noise"}, "expected one of the type Rhythm"),
        ({"<WaveFormData>\n": "<WaveFormData>\n***"}, "no base64 text"),
        ({"LeadData>": "LedData>"}, "its 0 leads"),
    ],
)
def test_what_cannot_be_is_one_line(muse, change, said):
    with pytest.raises(InputError, match=said) as caught:
        reader.read(muse(change=change))
    assert "\n" not in str(caught.value)
