"""From a path to its reader: by suffix and content, and in plain words where there is none."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from tests.workbench.page.made import aecg_xml, muse_xml, philips_xml, whole_leads
from workbench.core.errors import InputError, UsageError
from workbench.page.data import signal_files

FORMATS = {
    "dicom_12lead_mortara.dcm": "dicom-ecg",
    "hl7_example.dcm": "dicom-ecg",
    "hl7_example_aecg.xml": "aecg",
    "hl7_example.scp": "scp",
    "philips_sierra_deid_3.xml": "philips",
    "ptbxl_00001_lr.hea": "wfdb",
    "s0010_re.hea": "wfdb",
    "ptbxl_00009_truth_500hz.csv": "csv",
}


def test_every_public_file_is_what_it_is(shared_data):
    folder = shared_data / "ecg"
    for path in sorted(folder.iterdir()):
        assert signal_files.module_of(path) == FORMATS.get(path.name, "csv" if path.suffix == ".csv" else None), path
        assert signal_files.sniff(path) == ("sure" if signal_files.module_of(path) else "no")
    assert set(FORMATS) <= {p.name for p in folder.iterdir()}


def test_every_public_file_is_read_or_refused_in_one_line(shared_data):
    for path in sorted((shared_data / "ecg").iterdir()):
        wanted = FORMATS.get(path.name)
        if wanted in (None, "csv") or (wanted == "scp" and importlib.util.find_spec("ecgdatakit") is None):
            continue
        image = signal_files.read(path)
        assert (image.kind, image.format, image.value_unit) == ("page", wanted, "mV")
        assert image.geometry.axes == ("time",)
        assert image.data.dtype == np.float32
        assert image.data.shape == (len(image.channels), *image.geometry.shape)
        assert np.isfinite(image.data).all()
        assert 0.5 < np.abs(image.data).max() < 6


def test_the_content_counts_not_the_suffix(tmp_path, shared_data):
    texts = {
        "aecg": aecg_xml([("20250101120000", {"I": [1, 2, 3]})]),
        "muse": muse_xml(whole_leads(100)),
        "philips": philips_xml(np.zeros((12, 100), np.int64)),
    }
    for name, text in texts.items():
        (tmp_path / "x.xml").write_text(text, encoding="latin-1")
        assert signal_files.read(tmp_path / "x.xml").format == name
    bare = tmp_path / "IM0001"
    bare.write_bytes((shared_data / "ecg" / "hl7_example.dcm").read_bytes())
    assert signal_files.sniff(bare) == "sure"
    assert signal_files.read(bare).format == "dicom-ecg"


def test_samples_lead_to_their_header(shared_data):
    image = signal_files.read(shared_data / "ecg" / "s0010_re.xyz")
    assert image.source == shared_data / "ecg" / "s0010_re.hea"


def test_companions_are_no_cases(shared_data, tmp_path):
    ecg, ludb = shared_data / "ecg", shared_data / "ludb"
    for path in (ecg / "s0010_re.dat", ecg / "s0010_re.xyz", ludb / "1.avf", ludb / "1.dat"):
        assert signal_files.is_companion(path)
    for path in (ecg / "s0010_re.hea", ecg / "hl7_example.dcm", ecg / "photo_00001.png"):
        assert not signal_files.is_companion(path)
    (tmp_path / "a.json").write_text("{}")
    assert not signal_files.is_companion(tmp_path / "a.json")
    (tmp_path / "a.csv").write_text("I,II,V1\n1,2,3\n")
    assert signal_files.is_companion(tmp_path / "a.json")


def test_memory_for_reading_is_told(shared_data):
    record = signal_files.read(shared_data / "ecg" / "s0010_re.hea")
    assert signal_files.reading_bytes(record) >= 4 * 15 * 38400
    dicom = signal_files.read(shared_data / "ecg" / "hl7_example.dcm")
    assert signal_files.reading_bytes(dicom) >= 143392
    assert signal_files.reading_bytes(signal_files.read(shared_data / "ecg" / "hl7_example_aecg.xml")) == 0


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.xml", b"<svg/>", "its first element is <svg>, expected <AnnotatedECG>"),
        ("x.xml", b"hello", "no XML that can be read"),
        ("x.hea", b"hello there, reader", "is not a WFDB header"),
        ("x.csv", b"a,b\n1,2\n", "is not a table of leads: it begins with 'a,b"),
        ("x.scp", b"1234" * 20, "is not SCP-ECG"),
        ("x.dcm", b"\0" * 128 + b"DICM" + b"\0" * 100, "no waveform of an electrocardiogram"),
        ("x.dcm", b"", "is empty"),
        ("x.dat", b"123", "Open the .hea file of the record"),
        ("x.pdf", b"%PDF-1.4", "its suffix is '.pdf', expected one of .hea"),
    ],
)
def test_what_a_file_is_not_is_said(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)
    assert signal_files.sniff(path) == "no"
    with pytest.raises(InputError, match=said) as caught:
        signal_files.read(path)
    assert "\n" not in str(caught.value)


def test_no_file_and_keys(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        signal_files.read(tmp_path / "none.hea")
    with pytest.raises(InputError, match="is a folder"):
        signal_files.read(tmp_path)
    with pytest.raises(UsageError, match="holds no arrays"):
        signal_files.read(tmp_path / "none.hea", "x")
    assert signal_files.sniff(tmp_path) == "no"
    assert signal_files.sniff(tmp_path / "none.hea") == "no"
